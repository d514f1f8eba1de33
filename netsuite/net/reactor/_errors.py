"""What can be wrong before there is a reactor."""


class ReactorUnavailable(ImportError):  # noqa: N818 - as the field says it
    """What the reactor stands on is missing; the message is for people."""
