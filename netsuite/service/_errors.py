"""Mistakes of the person who runs a service."""

from twisted.internet.error import CannotListenError


class ConfigError(Exception):
    """A setting that cannot work: one line that names it and says what was expected."""


class StartError(Exception):
    """A service that could not start: one line that says what failed. Nothing was kept."""


def reason_of(error: Exception, *, is_port: bool = True) -> str:
    """What a failure to listen has to tell a person.

    :param is_port: whether a port's number can be the reason.
    """
    if isinstance(error, CannotListenError):
        if "lock" in str(error.socketError):  # a UNIX socket's lock file
            return "another process listens there"
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        hint = ""
        if isinstance(error, PermissionError) and is_port:
            hint = " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
        return error.strerror[:1].lower() + error.strerror[1:] + hint
    return str(error) or type(error).__name__
