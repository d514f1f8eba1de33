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
# Where the first octet of a key is, and its length; and the rest of its address, two bits
# further down: which makes a number of 30 bits of that and the length. In each of the keys of
# a block, 64 bits apart.
_OCTET_AND_LENGTH = int.from_bytes(struct.pack(">Q", 0xFF_0000_003F) * BLOCK, "big")
_REST = int.from_bytes(struct.pack(">Q", 0x3FFF_FFC0) * BLOCK, "big")


def ipv4_keys(texts: Sequence[str]) -> list[int] | None:
    """Addresses and networks as ``first << LENGTH_BITS | length``.

    :returns: None if any of them is something else than a proper IPv4 address or network;
        the slow way then finds out what.
    """
    blocks = _blocks(texts)
    if blocks is None:
        return None
    return [key for block in blocks for key in struct.unpack(f">{len(block) // 8}Q", block)]


def _blocks(texts: Sequence[str]) -> list[bytes] | None:
    """The keys of texts, in eight bytes each, by blocks."""
    found: list[bytes] = []
    try:
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            keys = _networks(block) or _any(block)
            if keys is None:
                return None
            found.append(keys)
    except (KeyError, OSError, TypeError, ValueError):
        return None
    return found


def _networks(texts: Sequence[str]) -> bytes | None:
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
    return bytes(addresses)


def _any(texts: Sequence[str]) -> bytes | None:
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
    return struct.pack(f">{len(keys)}Q", *keys)


def ipv4_intervals(texts: Sequence[str]) -> Intervals | None:
    """The union of IPv4 addresses and networks; None where :func:`ipv4_keys` has none."""
    blocks = _blocks(texts)
    if not blocks:
        return None if blocks is None else EMPTY
    # By first octets, because integers of the 30 bits that are left are sorted more than twice
    # as fast as longer ones (CPython's digits have 30).
    octets: list[list[int]] = [[] for _ in range(256)]
    adders = [octet.append for octet in octets]
    for block in blocks:
        keys = int.from_bytes(block, "big")
        parted = (keys & _OCTET_AND_LENGTH) | (keys >> 2 & _REST)
        parts = struct.unpack(f">{len(block) // 4}L", parted.to_bytes(len(block), "big"))
        for number, key in zip(parts[::2], parts[1::2], strict=True):
            adders[number](key)
    sizes = _SIZES
    starts: list[int] = []
    ends: list[int] = []
    add_start, add_end = starts.append, ends.append
    after = -1  # the address behind all so far
    for number, lows in enumerate(octets):
        lows.sort()
        base = number << 24
        for key in lows:
            start = base + (key >> 6)
            if start > after:
                add_start(start)
                add_end(after - 1)
                after = start + sizes[key & 63]
            elif start + sizes[key & 63] > after:
                after = start + sizes[key & 63]
    ends.append(after - 1)
    return Intervals(starts, ends[1:])
