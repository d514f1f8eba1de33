"""The client's side of the wire: commands as bytes, and replies made of bytes.

A reply of several lines cannot be told from one of one line by looking at it, so the reader
is told what to expect of each command. ``bytes`` that a server's command gives as they are
(raw replies) are lines to it like any others.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from netsuite.line._client_errors import LineArgumentError, LineWireError
from netsuite.line._wire import END, ERROR, PUSH, quote, unstuffed

#: What a call takes; ``bytes`` arrive as they are, whatever they are.
Argument = str | bytes | int | float | IPv4Address | IPv6Address | IPv4Network | IPv6Network

#: Bytes of a line that is still taken.
LONGEST = 1024 * 1024

_NAME = re.compile(r"[!#-~]+")
_BROKEN_OFF = f"{END} {ERROR}"
_SHOWN = 60  # characters of a bad line that its error repeats


@dataclass(frozen=True, slots=True)
class Text:
    """A line of a reply.

    :ivar last: whether it is the whole reply.
    """

    text: str
    last: bool


@dataclass(frozen=True, slots=True)
class End:
    """There are no more lines of this reply."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The reply is an error, or ends with one."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Push:
    """A line that answers nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class Parting:
    """An error that answers nothing: why the server is about to close the connection."""

    code: str
    text: str


Event = Text | End | Failed | Push | Parting


class ReplyReader:
    """The replies in a stream of bytes, in the order of the commands.

    It holds what it was fed and has yet to be asked for; of that at most one line, of ``longest``
    bytes, is not complete.

    :param longest: bytes of a line, without its line end.
    :param invalid_utf8: what becomes of text that is not UTF-8: ``replace``, U+FFFD stands for
        what cannot be decoded; ``surrogateescape``, it is kept (PEP 383); or ``strict``, it
        breaks the wire.
    """

    def __init__(
        self,
        longest: int = LONGEST,
        invalid_utf8: Literal["strict", "replace", "surrogateescape"] = "replace",
    ) -> None:
        self._longest = longest
        self._errors = invalid_utf8
        self._held = bytearray()
        self._at = 0
        self._searched = 0
        self._expected: deque[bool] = deque()
        self._begun = False
        self._broken: str | None = None

    @property
    def holds(self) -> bool:
        """Whether there are bytes that no event was made of."""
        return len(self._held) > self._at

    def expect(self, lines: bool) -> None:
        """A command was sent; its reply has one line, or several."""
        self._expected.append(lines)

    def feed(self, data: bytes) -> None:
        """Take bytes from the server."""
        if self._at:
            del self._held[: self._at]
            self._searched = max(self._searched - self._at, 0)
            self._at = 0
        self._held += data

    def next(self) -> Event | None:
        """What came next, or None if it has yet to come.

        :raises LineWireError: for what is no reply; and from then on.
        """
        if self._broken is not None:
            raise LineWireError(self._broken)
        end = self._held.find(b"\n", max(self._at, self._searched))
        if end < 0:
            # The last byte may be half of a line end.
            if len(self._held) - self._at > self._longest + 1:
                raise self._break(f"a line of more than {self._longest} bytes")
            self._searched = len(self._held)
            return None
        line = bytes(self._held[self._at : end]).removesuffix(b"\r")
        if len(line) > self._longest:
            raise self._break(f"a line of more than {self._longest} bytes")
        self._at = end + 1
        try:
            text = line.decode("utf-8", self._errors)
        except UnicodeDecodeError as error:
            raise self._break(str(error)) from None
        return self._event(text)

    def _event(self, text: str) -> Event:
        if text.startswith(PUSH):
            return self._push(text)
        if text.startswith(ERROR) and text[3:4] in {"", " "}:
            return self._error(text)
        if not self._expected:
            raise self._break(f"a reply to nothing: {_shown(text)}")
        several = self._expected[0]
        if text == END or (text.startswith(_BROKEN_OFF) and text[5:6] in {"", " "}):
            if not several:
                raise self._break(f"the end of several lines where there is one: {_shown(text)}")
            self._over()
            return End() if text == END else Failed(*_code_and_text(text[2:]))
        if several:
            self._begun = True
        else:
            self._over()
        return Text(unstuffed(text), not several)

    def _push(self, text: str) -> Push:
        if self._begun or text[1:2] not in {"", " "}:
            raise self._break(f"no line of a reply: {_shown(text)}")
        return Push(text[2:])

    def _error(self, text: str) -> Failed | Parting:
        if self._begun:
            raise self._break(f"no line of a reply: {_shown(text)}")
        if not self._expected:
            return Parting(*_code_and_text(text))
        self._over()
        return Failed(*_code_and_text(text))

    def _over(self) -> None:
        self._expected.popleft()
        self._begun = False

    def _break(self, why: str) -> LineWireError:
        self._broken = f"the server has sent {why}"
        return LineWireError(self._broken)


def _code_and_text(line: str) -> tuple[str, str]:
    _, _, rest = line.partition(" ")
    code, _, text = rest.partition(" ")
    return code, text


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def request(
    name: str,
    arguments: Sequence[Argument] = (),
    *,
    rest: str | None = None,
    literal: bytes | None = None,
    line_length: int,
) -> bytes:
    """A command as it is sent.

    :param arguments: each is one word, in quotes if need be.
    :param rest: the rest of the line as it is, for a command whose last argument takes that.
    :param literal: sent behind the line, with its length on it.
    :param line_length: bytes of the line that the server takes.
    :raises LineArgumentError: for what no line can carry.
    """
    if not _NAME.fullmatch(name):
        raise LineArgumentError(f"command {name!r}: expected a word of ASCII characters")
    parts = [name.encode(), *(_word(each) for each in arguments)]
    if rest is not None:
        parts.append(_rest(rest))
    if literal is not None:
        parts.append(b"{%d}" % len(literal))
    line = b" ".join(parts)
    if len(line) > line_length:
        raise LineArgumentError(
            f"{name}: a line of {len(line)} bytes: expected at most {line_length}"
        )
    return line + b"\r\n" if literal is None else b"%b\r\n%b\r\n" % (line, literal)


def typed(line: str, line_length: int, literal: bytes | None = None) -> bytes:
    """A command as somebody has typed it.

    :param literal: that the line counts at its end.
    :raises LineArgumentError: for what is more than a line, or less.
    """
    data = _rest(line)
    if not data.strip():
        raise LineArgumentError("an empty line: the server does not answer it")
    if len(data) > line_length:
        raise LineArgumentError(f"a line of {len(data)} bytes: expected at most {line_length}")
    return data + b"\r\n" if literal is None else b"%b\r\n%b\r\n" % (data, literal)


def _word(value: Argument) -> bytes:
    if isinstance(value, bytes):
        return _quoted_bytes(value)
    if isinstance(value, str):
        return _encoded(quote(value))
    if isinstance(value, int | float | IPv4Address | IPv6Address | IPv4Network | IPv6Network):
        return str(value).encode()
    raise LineArgumentError(
        f"{type(value).__name__} is no argument: expected str, bytes, a number, an address or a "
        "network"
    )


def _rest(text: str) -> bytes:
    if "\n" in text or "\r" in text:
        raise LineArgumentError("a line break within a line: expected one line")
    return _encoded(text)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise LineArgumentError(f"{_shown(text)}: {error.reason}") from None


_PLAIN_BYTES = re.compile(rb"""[!#-z|}~][!#-~]*""")


def _quoted_bytes(value: bytes) -> bytes:
    """A word that the server reads as exactly these bytes."""
    if _PLAIN_BYTES.fullmatch(value):
        return value
    shown = (
        b"\\x%02x" % each if each < 0x20 or each > 0x7E or each in b'"\\' else b"%c" % each
        for each in value
    )
    return b'"%b"' % b"".join(shown)
