"""Mistakes of the person who runs a service."""


class ConfigError(Exception):
    """A setting that cannot work: one line that names it and says what was expected."""


class StartError(Exception):
    """A service that could not start: one line that says what failed. Nothing was kept."""
