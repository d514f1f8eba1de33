"""What goes wrong for a client of a line protocol."""


class LineClientError(Exception):
    """Any of these; the message is for people."""


class LineError(LineClientError):
    """The server has answered ``ERR code text``.

    :ivar code: for programs, ``bad-argument`` for example.
    :ivar text: for people.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


class LineLoginError(LineError):
    """The server does not take the token or the password: to try again would not help."""


class LineArgumentError(LineClientError, ValueError):
    """A call that no line can carry."""


class LineBusyError(LineClientError):
    """As many calls wait to be sent as may."""


class LineClosedError(LineClientError):
    """The client is closed, by its program or for good."""


class LineConnectionError(LineClientError):
    """The connection went away before the reply came: the command may have been carried out."""

    #: Whether the server had said anything on it.
    heard = True


class LineTimeoutError(LineClientError, TimeoutError):
    """The reply did not come in time; the message says if the command was sent."""


class LineTooLargeError(LineClientError):
    """A reply of several lines is longer than this client wants it."""


class LineWireError(LineClientError):
    """The server has sent what is no reply, or not of the kind that was asked for."""


def in_seconds(value: float | None) -> str:
    """A time, for people."""
    return "1 second" if value == 1 else f"{value or 0:g} seconds"
