"""Tests of :mod:`netsuite.ip`."""


def shown(text: str) -> str:
    """A text as error messages show it: in quotes, and not too long."""
    return repr(text if len(text) <= 200 else text[:200] + "...")
