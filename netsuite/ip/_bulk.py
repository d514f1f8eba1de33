"""Reading very many IPv4 prefixes from text, quickly."""

from collections.abc import Sequence
from socket import AF_INET, inet_pton

from netsuite.ip._intervals import Intervals

_LENGTHS = {str(length): length for length in range(33)} | {"": 32}
_HOST_BITS = [2 ** (32 - length) - 1 for length in range(33)]
_LENGTH_BITS = 6
_LOW_30 = 2**30 - 1


def ipv4_keys(texts: Sequence[str]) -> list[int] | None:
    """Addresses and networks as ``first << 6 | length``.

    :returns: None if any of them is something else than a proper IPv4 address or network;
        the slow way then finds out what.
    """
    lengths, from_bytes, host_bits = _LENGTHS, int.from_bytes, _HOST_BITS
    keys: list[int] = []
    append = keys.append
    try:
        for text in texts:
            head, slash, tail = text.partition("/")
            length = lengths[tail]
            value = from_bytes(inet_pton(AF_INET, head), "big")
            if value & host_bits[length] or (slash and not tail):
                return None
            append(value << _LENGTH_BITS | length)
    except (KeyError, OSError, ValueError):
        return None
    return keys


def ipv4_intervals(texts: Sequence[str]) -> Intervals | None:
    """The union of IPv4 addresses and networks; None where :func:`ipv4_keys` has none."""
    keys = ipv4_keys(texts)
    if keys is None:
        return None
    # One list for each first octet: what is left of a key has 30 bits, and integers of no
    # more than those are sorted more than twice as fast (CPython's digits have 30).
    octets: list[list[int]] = [[] for _ in range(256)]
    adders = [octet.append for octet in octets]
    for key in keys:
        adders[key >> 30](key & _LOW_30)
    host_bits = _HOST_BITS
    starts: list[int] = []
    ends: list[int] = []
    reach = -2
    for octet, lows in enumerate(octets):
        lows.sort()
        base = octet << 24
        for key in lows:
            start = base + (key >> _LENGTH_BITS)
            end = start | host_bits[key & 63]
            if start > reach + 1:
                starts.append(start)
                ends.append(end)
                reach = end
            elif end > reach:
                ends[-1] = reach = end
    return Intervals(starts, ends)
