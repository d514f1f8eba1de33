"""Text on a terminal: what may be shown as it is, and how wide it is."""

import codecs
import re
from functools import lru_cache
from unicodedata import category, east_asian_width

#: What could do more to a terminal than to be read, and what hides or turns round text
#: (the bidirectional controls of UAX 9, tags). Line feeds and tabs are not among it.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return ascii(match[0])[1:-1]


def safe(text: str) -> str:
    r"""Text whose control characters are visible: ``^[`` for ESC, ``\x9b``, ``\u202e``."""
    return _UNSAFE.sub(_visible, text)


def is_safe(character: str) -> bool:
    """Whether a character is shown as it is."""
    return _UNSAFE.match(character) is None


@lru_cache(maxsize=1024)
def width(character: str) -> int:
    """The columns that a character takes."""
    if character < "\u0300":
        return 1
    if category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(character) in {"W", "F"} else 1


class SafeText:
    r"""Bytes of an application as text for a terminal, wherever they are split.

    What is no UTF-8 is shown as ``\xff``. Lines end in CR LF.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._return = False

    def decode(self, data: bytes) -> str:
        """What is to be shown."""
        text = self._decoder.decode(data)
        if self._return:
            text = "\r" + text
        self._return = text.endswith("\r")
        if self._return:
            text = text[:-1]
        return safe(text.replace("\r\n", "\n")).replace("\n", "\r\n")
