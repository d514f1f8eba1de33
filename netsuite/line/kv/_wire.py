"""memcached's text protocol, byte for byte: words, numbers, and what is said.

Words are separated by spaces alone; a NUL byte ends a line as far as it is looked at. Numbers
are what C's ``strtol`` and its kin take: white space and a sign may stand before the digits,
anything behind white space does not count.
"""

import re

from netsuite.line._replies import ErrorReply

#: Bytes of a key at most.
KEY_LENGTH = 250

STORED = b"STORED\r\n"
NOT_STORED = b"NOT_STORED\r\n"
EXISTS = b"EXISTS\r\n"
NOT_FOUND = b"NOT_FOUND\r\n"
DELETED = b"DELETED\r\n"
TOUCHED = b"TOUCHED\r\n"
OK = b"OK\r\n"
END = b"END\r\n"
RESET = b"RESET\r\n"
ERROR = ErrorReply(b"ERROR\r\n")
BAD_FORMAT = ErrorReply(b"CLIENT_ERROR bad command line format\r\n")
BAD_DELETE = ErrorReply(b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n")
BAD_CHUNK = ErrorReply(b"CLIENT_ERROR bad data chunk\r\n")
BAD_DELTA = ErrorReply(b"CLIENT_ERROR invalid numeric delta argument\r\n")
BAD_EXPIRY = ErrorReply(b"CLIENT_ERROR invalid exptime argument\r\n")
BAD_NUMBER = ErrorReply(b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")
TOO_LONG = ErrorReply(b"CLIENT_ERROR line too long\r\n")
TOO_LARGE = ErrorReply(b"SERVER_ERROR object too large for cache\r\n")
NO_MEMORY = ErrorReply(b"SERVER_ERROR out of memory storing object\r\n")

_NOREPLY = b"noreply"
_LINE_END = 2  # bytes behind a value
_LONGEST_VALUE = 2**31 - 3
_DIGITS = 9  # so many are within any limit here
_NUL = 0
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*+([+-]?)(?=\d)0*+(\d{0,20})(?:[ \t\n\v\f\r\0]|\Z)")


def words_of(line: bytes) -> list[bytes]:
    """The words of a line, which comes without its LF."""
    line = line.removesuffix(b"\r")
    if _NUL in line:
        line = line[: line.index(_NUL)]
    words = line.split(b" ")
    return [word for word in words if word] if b"" in words else words


def signed(word: bytes) -> int:
    """A number of 64 bits, of which 32 count.

    :raises ValueError: for a word that is none.
    """
    if len(word) <= _DIGITS and word.isdigit():
        return int(word)
    number = _number(word)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number}: expected up to 64 bits")
    return (number + 2**31) % 2**32 - 2**31


def unsigned(word: bytes) -> int:
    """A number of 64 bits without a sign; a minus is taken for numbers that are positive in C.

    :raises ValueError: for a word that is none.
    """
    if len(word) <= _DIGITS and word.isdigit():
        return int(word)
    number = _number(word)
    value = number % 2**64
    negative = value >= 2**63 and b"-" in word.split(b"\0", 1)[0]
    if negative or not -(2**64) < number < 2**64:
        raise ValueError(f"{number}: expected up to 64 bits without a sign")
    return value


def _number(word: bytes) -> int:
    match = _NUMBER.match(word)
    if match is None:
        raise ValueError("expected a number")
    return int(match[1] + b"0" + match[2])


def flags_of(word: bytes) -> int:
    """Flags: 32 bits of a number.

    :raises ValueError: for a word that is none.
    """
    return unsigned(word) % 2**32


def quiet(words: list[bytes]) -> bool:
    """Whether nobody wants to know."""
    return words[-1] == _NOREPLY


def block_length(words: list[bytes]) -> int | None:
    """How many bytes follow the line of a command that stores, CR LF included; None for none."""
    if not 5 <= len(words) <= 6 or len(words[1]) > KEY_LENGTH:
        return None
    return _block_length(words)


def cas_length(words: list[bytes]) -> int | None:
    """The same for ``cas``, which has a word more."""
    if not 6 <= len(words) <= 7 or len(words[1]) > KEY_LENGTH:
        return None
    try:
        unsigned(words[5])
    except ValueError:
        return None
    return _block_length(words)


def _block_length(words: list[bytes]) -> int | None:
    flags, expires, length = words[2], words[3], words[4]
    digits = flags.isdigit() and expires.isdigit() and length.isdigit()  # nearly always
    if digits and len(length) <= _DIGITS and len(flags) + len(expires) <= 2 * _DIGITS:
        return int(length) + _LINE_END
    try:
        flags_of(flags)
        signed(expires)
        size = signed(length)
    except ValueError:
        return None
    return size + _LINE_END if 0 <= size <= _LONGEST_VALUE else None
