"""What the small services say, byte for byte. No clock, no sockets.

* RFC 864 character generator: lines of 72 out of the 95 printable ASCII characters
* RFC 865 quote of the day: up to 512 characters
* RFC 867 daytime: one line, in the first of the syntaxes that it names
* RFC 868 time: 32 bits, big-endian, seconds since 1900-01-01 00:00 UTC
"""

from datetime import UTC, datetime

#: The most that a quote or a character generator's datagram may hold (RFC 864, RFC 865).
MAX_QUOTE = 512

_LINE_WIDTH = 72
_PRINTABLE = bytes(range(0x20, 0x7F))
_EPOCH_1900 = 2_208_988_800  # seconds from 1900-01-01 to 1970-01-01, RFC 868
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def chargen_line(number: int) -> bytes:
    """Line ``number`` of the character generator, CR LF included; 0 is the first."""
    start = number % len(_PRINTABLE)
    return (_PRINTABLE * 2)[start : start + _LINE_WIDTH] + b"\r\n"


#: Every line once: after it the pattern repeats.
CHARGEN_CYCLE = b"".join(chargen_line(number) for number in range(len(_PRINTABLE)))


def daytime_line(seconds: float) -> bytes:
    """The moment as ``Weekday, Month Day, Year Time-Zone`` in UTC, CR LF included.

    :param seconds: since 1970-01-01 00:00 UTC.
    """
    # Not strftime: that would speak the language of the machine's locale.
    when = datetime.fromtimestamp(seconds, UTC)
    day = f"{_WEEKDAYS[when.weekday()]}, {_MONTHS[when.month - 1]} {when.day}, {when.year}"
    return f"{day} {when:%H:%M:%S}-UTC\r\n".encode("ascii")


def time_value(seconds: float) -> bytes:
    """The moment as RFC 868 sends it; it wraps to 0 on 2036-02-07 at 06:28:16 UTC.

    :param seconds: since 1970-01-01 00:00 UTC.
    """
    return ((int(seconds) + _EPOCH_1900) % 2**32).to_bytes(4, "big")


def parse_quotes(text: str) -> tuple[bytes, ...]:
    """The quotes in a file: separated by lines that hold a single ``%``, as for fortune.

    Each comes with CR LF line ends.

    :raises ValueError: if a quote is longer than :data:`MAX_QUOTE` or not ASCII, naming
        its first line, or if there is none.
    """
    quotes: list[bytes] = []
    lines: list[str] = []
    for number, line in enumerate([*text.splitlines(), "%"], start=1):
        if line != "%":
            lines.append(line)
            continue
        if any(each.strip() for each in lines):
            quotes.append(_quote(lines, number - len(lines)))
        lines = []
    if not quotes:
        raise ValueError("no quote in it: expected text, quotes separated by lines with a single %")
    return tuple(quotes)


def _quote(lines: list[str], first: int) -> bytes:
    try:
        quote = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    except UnicodeEncodeError:
        raise ValueError(f"line {first}: a quote is ASCII text (RFC 865)") from None
    if len(quote) > MAX_QUOTE:
        raise ValueError(
            f"line {first}: the quote has {len(quote)} bytes, expected up to {MAX_QUOTE} (RFC 865)"
        )
    return quote


#: What the quote service says if nobody gives it anything better.
QUOTES = parse_quotes(
    """\
Be liberal in what you accept, and conservative in what you send.
    -- Jon Postel, RFC 1122
%
In protocol design, perfection has been reached not when there is
nothing left to add, but when there is nothing left to take away.
    -- Ross Callon, RFC 1925
%
With sufficient thrust, pigs fly just fine. However, this is not
necessarily a good idea.
    -- Ross Callon, RFC 1925
%
We reject: kings, presidents and voting.
We believe in: rough consensus and running code.
    -- David Clark
%
"""
)


def quote_of_the_day(quotes: tuple[bytes, ...], seconds: float) -> bytes:
    """The quote for the day that ``seconds`` (since 1970, UTC) lies in."""
    return quotes[int(seconds // 86_400) % len(quotes)]
