"""Telnet on the wire, RFC 854 and RFC 855: from bytes to events, and text to bytes.

What a peer sends becomes the same events however it is split. Left out: the Synch signal
(its urgent data comes in line, and DM does nothing), and everything that no NVT has to do.
"""

import re
from dataclasses import dataclass

# RFC 854; EOF is RFC 1184's.
EOF, SE, NOP, DM, BRK, IP, AO, AYT, EC, EL, GA, SB = 236, *range(240, 251)
WILL, WONT, DO, DONT, IAC = range(251, 256)

#: The options that we know: RFC 856, 857, 858, 1073.
BINARY, ECHO, SUPPRESS_GO_AHEAD, WINDOW_SIZE = 0, 1, 3, 31

#: Bytes of a subnegotiation. A longer one is skipped.
MAX_SUBNEGOTIATION = 512

_IAC = bytes([IAC])
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")


@dataclass(frozen=True, slots=True)
class Data:
    """What the peer says."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one byte: AYT, IP, EC and so on, or one that there is not."""

    code: int


@dataclass(frozen=True, slots=True)
class Negotiation:
    """WILL, WONT, DO or DONT, and an option."""

    verb: int
    option: int


@dataclass(frozen=True, slots=True)
class Subnegotiation:
    """What the peer says about an option."""

    option: int
    data: bytes


Event = Data | Command | Negotiation | Subnegotiation


class TelnetDecoder:
    """The events in a stream of bytes, each when it is asked for.

    :ivar binary: whether the peer sends bytes (RFC 856). Otherwise CR NUL is CR.
    """

    def __init__(self) -> None:
        self.binary = False
        self._held = bytearray()
        self._after_return = False
        #: The subnegotiation that we are in, its option first.
        self._inside: bytearray | None = None
        self._too_long = False

    def feed(self, data: bytes) -> None:
        """Take what has come in."""
        self._held += data

    def next(self) -> Event | None:
        """The next event; None if it has yet to come."""
        while self._held:
            before = len(self._held), self._inside is None
            event = self._outside() if self._inside is None else self._within(self._inside)
            if event is not None:
                return event
            if (len(self._held), self._inside is None) == before:
                return None
        return None

    def _outside(self) -> Event | None:
        held = self._held
        at = held.find(_IAC)
        if at:
            data = self._text(bytes(held) if at < 0 else bytes(held[:at]))
            del held[: len(held) if at < 0 else at]
            return Data(data) if data else None
        code = held[1] if len(held) > 1 else None
        if code is None or (code >= WILL and code != IAC and len(held) < 3):
            return None
        self._after_return = False
        event: Event | None = None
        if code == IAC:
            event = Data(_IAC)
        elif code >= WILL:
            event = Negotiation(code, held[2])
        elif code == SB:
            self._inside, self._too_long = bytearray(), False
        else:
            event = Command(code)
        del held[: 3 if isinstance(event, Negotiation) else 2]
        return event

    def _within(self, inside: bytearray) -> Event | None:
        """Go on in a subnegotiation; a command that does not belong there ends it."""
        held = self._held
        at = held.find(_IAC)
        if at:
            self._collect(inside, held[: len(held) if at < 0 else at])
            del held[: len(held) if at < 0 else at]
            return None
        if len(held) < 2:
            return None
        if held[1] == IAC:
            self._collect(inside, b"\xff")
            del held[:2]
            return None
        self._inside = None
        if held[1] != SE:
            return None
        del held[:2]
        if self._too_long or not inside:
            return None
        return Subnegotiation(inside[0], bytes(inside[1:]))

    def _collect(self, inside: bytearray, data: bytes | bytearray) -> None:
        if len(inside) + len(data) > MAX_SUBNEGOTIATION:
            self._too_long = True
            inside.clear()
        if not self._too_long:
            inside += data

    def _text(self, data: bytes) -> bytes:
        begins_with_nul = self._after_return and data[:1] == b"\0"
        self._after_return = not self.binary and data.endswith(b"\r")
        if self.binary:
            return data
        return data[begins_with_nul:].replace(b"\r\0", b"\r")


class TelnetEncoder:
    """What we say, as it is sent.

    :ivar binary: whether bytes go out as they are. Otherwise lines end in CR LF, and a CR for
        itself is CR NUL.
    """

    def __init__(self) -> None:
        self.binary = False
        self._after_return = False

    def encode(self, data: bytes) -> bytes:
        """The bytes for what is said."""
        if not self.binary:
            data = self._for_terminal(data)
        return data.replace(_IAC, _IAC + _IAC)

    def _for_terminal(self, data: bytes) -> bytes:
        if not data:
            return data
        ends = data.count(b"\r\n")
        if self._after_return or ends != data.count(b"\n") or ends != data.count(b"\r"):
            first = b""
            if self._after_return:
                first = b"" if data[:1] == b"\n" else b"\0"
                data = b"\r" + data  # for the expression to see; taken off again
            shown = _BARE.sub(_whole, data)
            if self._after_return:
                shown = first + shown.removeprefix(b"\r").removeprefix(b"\0")
            self._after_return = data.endswith(b"\r")
            return shown
        return data


def _whole(match: re.Match[bytes]) -> bytes:
    return b"\r\n" if match[0] == b"\n" else b"\r\0"


def negotiation(verb: int, option: int) -> bytes:
    """WILL, WONT, DO or DONT, as it is sent."""
    return bytes([IAC, verb, option])
