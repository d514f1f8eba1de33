"""Keys: from the bytes that a terminal sends to what was pressed."""

import re
from enum import Enum, auto

from netsuite.line._terminal_text import is_safe

_LONGEST_SEQUENCE = 32

_SEQUENCE = re.compile(rb"\x1b(?:\[\[[A-E]|\[[0-?]*[ -/]*[@-Z\\\]-~]|O[ -~]|[^\[O])", re.DOTALL)
_BEGUN = re.compile(rb"\x1b(?:\[\[?|\[[0-?]*[ -/]*|O)?\Z")
_BROKEN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?")


class Key(Enum):
    """Keys that are no characters."""

    ENTER = auto()
    TAB = auto()
    BACKSPACE = auto()
    DELETE = auto()
    LEFT = auto()
    RIGHT = auto()
    WORD_LEFT = auto()
    WORD_RIGHT = auto()
    START = auto()
    END = auto()
    UP = auto()
    DOWN = auto()
    ERASE_LINE = auto()
    ERASE_TO_START = auto()
    ERASE_TO_END = auto()
    ERASE_WORD = auto()
    ERASE_WORD_RIGHT = auto()
    INSERT_ERASED = auto()
    CLEAR_SCREEN = auto()
    INTERRUPT = auto()
    END_OF_INPUT = auto()
    UNKNOWN = auto()


_CONTROL = {
    b"A": Key.START,
    b"B": Key.LEFT,
    b"C": Key.INTERRUPT,
    b"D": Key.END_OF_INPUT,
    b"E": Key.END,
    b"F": Key.RIGHT,
    b"H": Key.BACKSPACE,
    b"I": Key.TAB,
    b"J": Key.ENTER,
    b"K": Key.ERASE_TO_END,
    b"L": Key.CLEAR_SCREEN,
    b"M": Key.ENTER,
    b"N": Key.DOWN,
    b"P": Key.UP,
    b"U": Key.ERASE_TO_START,
    b"W": Key.ERASE_WORD,
    b"Y": Key.INSERT_ERASED,
}
_BYTES = {each[0] ^ 0x40: key for each, key in _CONTROL.items()} | {0x7F: Key.BACKSPACE}

#: Behind ESC, as xterm, the VT220, rxvt and the Linux console send them.
_SEQUENCES = {
    b"[A": Key.UP,
    b"[B": Key.DOWN,
    b"[C": Key.RIGHT,
    b"[D": Key.LEFT,
    b"[F": Key.END,
    b"[H": Key.START,
    b"[1~": Key.START,
    b"[3~": Key.DELETE,
    b"[4~": Key.END,
    b"[7~": Key.START,
    b"[8~": Key.END,
    b"[1;3C": Key.WORD_RIGHT,
    b"[1;3D": Key.WORD_LEFT,
    b"[1;5C": Key.WORD_RIGHT,
    b"[1;5D": Key.WORD_LEFT,
    b"OA": Key.UP,
    b"OB": Key.DOWN,
    b"OC": Key.RIGHT,
    b"OD": Key.LEFT,
    b"OF": Key.END,
    b"OH": Key.START,
    b"b": Key.WORD_LEFT,
    b"d": Key.ERASE_WORD_RIGHT,
    b"f": Key.WORD_RIGHT,
    b"\x7f": Key.ERASE_WORD,
    b"\x08": Key.ERASE_WORD,
}


class KeyDecoder:
    """The keys in a stream of bytes, each when it is asked for. Text is UTF-8."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._after_return = False

    def feed(self, data: bytes) -> None:
        """Take what has come in."""
        self._held += data

    def next(self) -> Key | str | None:
        """What was pressed next: a key, or a character; None if it has yet to come."""
        while self._held:
            first = self._held[0]
            if first in b"\n\0" and self._after_return:
                self._after_return = False
                del self._held[0]
                continue
            self._after_return = first == 0x0D
            if first == 0x1B:
                return self._sequence()
            if first < 0x20 or first == 0x7F:
                del self._held[0]
                return _BYTES.get(first, Key.UNKNOWN)
            return self._character(first)
        return None

    def _sequence(self) -> Key | None:
        match = _SEQUENCE.match(self._held)
        if match is None:
            if _BEGUN.match(self._held) and len(self._held) < _LONGEST_SEQUENCE:
                return None
            match = _BROKEN.match(self._held, 0, _LONGEST_SEQUENCE)
            del self._held[: match.end() if match else 1]
            return Key.UNKNOWN
        end = min(match.end(), _LONGEST_SEQUENCE)
        sequence = bytes(self._held[1:end])
        if sequence == b"\x1b":  # the first one is for itself; another begins
            end -= 1
        del self._held[:end]
        return _SEQUENCES.get(sequence, Key.UNKNOWN)

    def _character(self, first: int) -> Key | str | None:
        held = self._held
        length = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        found = bytes(held[:length])
        try:
            character = found.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and len(held) < length:
                return None
            del held[0]
            return Key.UNKNOWN
        del held[:length]
        return character if is_safe(character) else Key.UNKNOWN
