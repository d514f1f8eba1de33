"""Reading very many IPv4 prefixes from text, quickly.

What can be said of a block of texts at once is not said of each: C loops then do most of it.
"""

import struct
from collections.abc import Sequence
from itertools import repeat
from socket import AF_INET, inet_pton

from netsuite.ip._intervals import EMPTY, Intervals

BLOCK = 4096
"""Texts that are read at a time: what is made of them stays in the processor's cache."""

LENGTH_BITS = 8
"""Bits of a key that tell the length; those of the first address are above them."""

_LENGTHS = {str(length): length for length in range(33)} | {"": 32}
_HOST_BITS = [2 ** (32 - length) - 1 for length in range(33)]
_SIZES = [2 ** (32 - length) for length in range(33)]
# As a key is written: host bits where the address is, then the length.
_MASKS = {str(each): struct.pack(">xxxLB", _HOST_BITS[each], each) for each in range(33)}
_BUCKETS_BITS = 10  # leaves 30 bits of a key
_LOW_BITS = 32 + LENGTH_BITS - _BUCKETS_BITS


def ipv4_keys(texts: Sequence[str]) -> list[int] | None:
    """Addresses and networks as ``first << LENGTH_BITS | length``.

    :returns: None if any of them is something else than a proper IPv4 address or network;
        the slow way then finds out what.
    """
    keys: list[int] = []
    try:
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            found = _networks(block) or _any(block)
            if found is None:
                return None
            keys += found
    except (KeyError, OSError, TypeError, ValueError):
        return None
    return keys


def _networks(texts: Sequence[str]) -> Sequence[int] | None:
    """The keys of texts that are all networks with a length; None if they are something else."""
    count = len(texts)
    lines = "\n".join(texts)
    # Apart from digits and dots, a slash in each, and nothing else that is no digit or dot.
    if lines.encode().translate(None, b"0123456789.") != (b"/\n" * count)[:-1]:
        return None
    parts = lines.replace("\n", "/").split("/")
    octets = b"\0\0\0\0".join(map(inet_pton, repeat(AF_INET), parts[::2]))
    addresses = bytearray(b"\0\0\0" + octets + b"\0")
    masks = b"".join(map(_MASKS.__getitem__, parts[1::2]))
    if int.from_bytes(addresses, "big") & int.from_bytes(masks, "big"):
        return None  # host bits are set in one of them
    addresses[7::8] = masks[7::8]
    return struct.unpack(f">{count}Q", addresses)


def _any(texts: Sequence[str]) -> list[int] | None:
    """The same for texts of which some are addresses."""
    lengths, from_bytes, host_bits = _LENGTHS, int.from_bytes, _HOST_BITS
    keys: list[int] = []
    append = keys.append
    for text in texts:
        head, slash, tail = text.partition("/")
        length = lengths[tail]
        value = from_bytes(inet_pton(AF_INET, head), "big")
        if value & host_bits[length] or (slash and not tail):
            return None
        append(value << LENGTH_BITS | length)
    return keys


def ipv4_intervals(texts: Sequence[str]) -> Intervals | None:
    """The union of IPv4 addresses and networks; None where :func:`ipv4_keys` has none."""
    keys = ipv4_keys(texts)
    if not keys:
        return None if keys is None else EMPTY
    # By the first bits, so that what is left of a key has 30: integers of no more
    # than those are sorted more than twice as fast (CPython's digits have 30).
    buckets: list[list[int]] = [[] for _ in range(2**_BUCKETS_BITS)]
    adders = [bucket.append for bucket in buckets]
    low = 2**_LOW_BITS - 1
    for key in keys:
        adders[key >> _LOW_BITS](key & low)
    sizes = _SIZES
    starts: list[int] = []
    ends: list[int] = []
    add_start, add_end = starts.append, ends.append
    after = -1  # the address behind all so far
    for number, bucket in enumerate(buckets):
        bucket.sort()
        base = number << (_LOW_BITS - LENGTH_BITS)
        for key in bucket:
            start = base + (key >> 8)
            if start > after:
                add_start(start)
                add_end(after - 1)
                after = start + sizes[key & 0xFF]
            elif start + sizes[key & 0xFF] > after:
                after = start + sizes[key & 0xFF]
    ends.append(after - 1)
    return Intervals(starts, ends[1:])
