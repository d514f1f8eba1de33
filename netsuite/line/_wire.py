"""Lines on the wire: words, quoting, and how replies look.

A line of text that could be taken for something else gets a ``.`` in front, which the
reader takes off again (the dot-stuffing of RFC 5321 section 4.5.2, for three beginnings).
"""

import re

#: The end of a reply of several lines.
END = "."

#: How an error begins, and how a push does.
ERROR = "ERR"
PUSH = "*"

_STUFFED = re.compile(rb"[.*]|ERR(?![^ ])")
_LITERAL = re.compile(rb"\{(\d+)\+?\}\Z")
_DIGITS = 18  # more of them are more than anybody takes
_WHITE = b" \t\r\x0b\x0c"  # what bytes.split() takes for white space, within a line

_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b'"': b'"', b"\\": b"\\"}
_WORD = re.compile(
    rb"""[ \t\r\v\f]*(?:"((?:[^"\\]|\\["\\nrt]|\\x[0-9A-Fa-f]{2})*)"(?=[ \t\r\v\f]|\Z)|"""
    rb"""([^" \t\r\v\f][^ \t\r\v\f]*))"""
)
_ESCAPE = re.compile(rb"""\\(?:(["\\nrt])|x([0-9A-Fa-f]{2}))""")
_PLAIN = re.compile(r'[^\s"{\x00-\x1f\x7f]\S*')
_SHOWN = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def stuffed(text: bytes) -> bytes:
    """A line of text as it is sent."""
    return b"." + text if _STUFFED.match(text) else text


def unstuffed(line: str) -> str:
    """A line that was sent, as text."""
    return line.removeprefix(".")


def quote(text: str) -> str:
    """A word of a command line: as it is where that can be, or in quotes.

    :param text: anything; what is no printable character has an escape.
    """
    if _PLAIN.fullmatch(text) and text.isprintable():
        return text
    shown = (
        _SHOWN.get(each) or (f"\\x{ord(each):02x}" if ord(each) < 0x20 or each == "\x7f" else each)
        for each in text
    )
    return '"' + "".join(shown) + '"'


def words_of(line: bytes) -> list[bytes]:
    """The words of a line that has quotes, unquoted.

    Quotes inside a word that does not begin with them are characters like others.

    :raises ValueError: for quotes that do not close, or close inside a word, or have an escape
        that there is not.
    """
    return leading_words(line, len(line))[0]


def leading_words(line: bytes, count: int) -> tuple[list[bytes], bytes | None]:
    """The first words of a line that has quotes, unquoted, and what follows them as it is.

    :param count: how many, if there are so many; at least one.
    :returns: also what is behind the one space or tab that ends them; None if there is none.
    :raises ValueError: as :func:`words_of` does.
    """
    found: list[bytes] = []
    at, end = 0, len(line.rstrip(_WHITE))
    while at < end and len(found) < count:
        match = _WORD.match(line, at)
        if match is None:
            raise ValueError('quotes that do not match: expected "..." with \\" for quotes inside')
        quoted, plain = match.groups()
        found.append(plain if quoted is None else _ESCAPE.sub(_unescaped, quoted))
        at = match.end()
    return found, line[at + 1 :] if len(found) == count and at < len(line) else None


def _unescaped(match: re.Match[bytes]) -> bytes:
    short, code = match.groups()
    return _ESCAPES[short] if short else bytes([int(code, 16)])


def literal_length(line: bytes) -> tuple[bytes, int] | None:
    """The line without its ``{n}`` and the length that it counts, if it ends in one."""
    match = _LITERAL.search(line)
    if match is None:
        return None
    digits = match[1]
    return line[: match.start()], int(digits) if len(digits) < _DIGITS else 10**_DIGITS
