"""From what a command gives to the bytes of its reply."""

from collections.abc import Callable

from netsuite.line._errors import CommandError
from netsuite.line._wire import END, ERROR, PUSH, stuffed

#: First bytes of lines that may have to be stuffed.
_MARKED = b".*E"


class ReplyError(TypeError):
    """A program's command gave something that cannot be a reply of its kind."""


class ErrorReply(bytes):
    """A reply of a wire of the program's own which says that a command was not carried out.

    It is sent as it is, and counted as an error.
    """

    __slots__ = ()


class Replies:
    """How replies look.

    :param line_end: behind each line that is sent.
    :param format_error: an error as bytes, line end included; the default is ``ERR code text``.
    :ivar errors: how many were said.
    """

    def __init__(
        self, line_end: bytes, format_error: Callable[[CommandError], bytes] | None = None
    ) -> None:
        self.line_end = line_end
        self.done = b"OK" + line_end
        self.end = END.encode() + line_end
        self.errors = 0
        self._format = format_error or self._error
        self.whole = b"%d" + line_end

    def line(self, value: object) -> bytes:
        """The reply of one line.

        :param value: None for ``OK``, bytes as they are, or a text or a number.
        :raises ReplyError: for a text of several lines, and for anything else.
        """
        if value is None:
            return self.done
        if isinstance(value, bytes):
            self.errors += isinstance(value, ErrorReply)
            return value
        if isinstance(value, str | int | float):
            return self.text(str(value))
        raise ReplyError(
            f"{type(value).__name__} is no reply of one line: expected None, str, int, float, bool "
            "or bytes; what gives several is a generator, or says so: -> list[str]"
        )

    def text(self, text: str) -> bytes:
        """A line of text.

        :param text: whatever a command has given for one of several lines; a number will do.
        :raises ReplyError: for a text of several lines, one that is not Unicode, and for
            anything else.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError:
            data = _escaped(text)
        except AttributeError:
            data = _number(text)
        if b"\n" in data or b"\r" in data:
            raise ReplyError("a line break within a line: give several lines")
        if data[:1] in _MARKED:
            data = stuffed(data)
        return data + self.line_end

    def push(self, text: str) -> bytes:
        """A line that answers nothing.

        :raises ReplyError: for a text of several lines, or one that is not Unicode.
        """
        if "\n" in text or "\r" in text:
            raise ReplyError("a line break within a line: give several lines")
        return _escaped(f"{PUSH} {text}") + self.line_end

    def error(self, error: CommandError) -> bytes:
        """What is said instead of a result."""
        self.errors += 1
        return self._format(error)

    def broken_off(self, error: CommandError) -> bytes:
        """The end of several lines that were to be more."""
        self.errors += 1
        return END.encode() + b" " + self._error(error)

    def _error(self, error: CommandError) -> bytes:
        return f"{ERROR} {error}".encode("utf-8", "replace") + self.line_end


def _number(value: object) -> bytes:
    if isinstance(value, int | float):
        return str(value).encode()
    kind = type(value).__name__
    raise ReplyError(f"{kind} is no line: expected str, int, float or bool") from None


def _escaped(text: str) -> bytes:
    """Text with what stands for bytes that are no UTF-8 (PEP 383)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ReplyError(str(error)) from None
