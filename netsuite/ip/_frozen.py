"""Longest-prefix match from arrays: made once, then only asked.

IPv4 is a trie in two arrays: of 16, 8 and 8 bits or, for very many networks, of 24 and 8, which
then takes no more memory and saves a step. IPv6 is the list of places where the answer
changes, and a binary search.
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Generic, TypeVar

from netsuite.ip._errors import AddressError
from netsuite.ip._range import BITS, to_network
from netsuite.ip._rate import IPAddress, IPNetwork

V = TypeVar("V")

_BLOCK = 256
_MANY = 2**18  # networks: then nearly every /16 has some, and a block of its own
_LENGTH_BITS = 6
_LENGTH = 2**_LENGTH_BITS - 1
_NOTHING = -1  # where there is no network


class FrozenPrefixMap(Generic[V]):
    """What :meth:`netsuite.ip.PrefixMap.freeze` returns.

    :param rows: for each version first address, length and value, in order of address and
        then of length.
    """

    def __init__(self, rows: dict[int, list[tuple[int, int, V]]]) -> None:
        self._networks: dict[tuple[int, int], IPNetwork] = {}
        # By place in the rows; the first address need not be kept, it is in the question.
        self._values4 = [value for _, _, value in rows[4]]
        self._top_bits = 24 if len(rows[4]) >= _MANY else 16
        self._top, self._nodes = _trie(rows[4], self._top_bits)
        self._top_shift = 32 - self._top_bits
        self._values6 = [value for _, _, value in rows[6]]
        self._lengths6 = array("B", [length for _, length, _ in rows[6]])
        self._starts, self._owners = _segments(rows[6], BITS[6])

    def __len__(self) -> int:
        return len(self._values4) + len(self._values6)

    def lookup(self, address: "IPAddress | str") -> tuple[IPNetwork, V] | None:
        """The longest network around an address, with its value; None if there is none."""
        if isinstance(address, str):
            try:
                address = ip_address(address)
            except ValueError:
                raise AddressError(address, "an address") from None
        version = address.version
        found = self.lookup_int(int(address), version)
        if found is None:
            return None
        first, length, value = found
        key = (first << 8 | length, version)
        network = self._networks.get(key)
        if network is None:
            network = self._networks[key] = to_network(first, length, version)
        return network, value

    def lookup_int(self, value: int, version: int) -> tuple[int, int, V] | None:
        """The same for an address's value: first address, length, value; the quickest way."""
        if version == 4:
            node = self._top[value >> self._top_shift]
            if node >= 0:
                if self._top_bits == 16:
                    node = self._nodes[node + (value >> 8 & 0xFF)]
                if node >= 0:
                    node = self._nodes[node + (value & 0xFF)]
            if node == _NOTHING:
                return None
            leaf = -2 - node
            length = leaf & _LENGTH
            host_bits = 32 - length
            return value >> host_bits << host_bits, length, self._values4[leaf >> _LENGTH_BITS]
        index = bisect_right(self._starts, value) - 1
        place = self._owners[index] if index >= 0 else _NOTHING
        if place == _NOTHING:
            return None
        length = self._lengths6[place]
        host_bits = 128 - length
        return value >> host_bits << host_bits, length, self._values6[place]


def _trie(
    rows: Sequence[tuple[int, int, object]], top_bits: int
) -> tuple["array[int]", "array[int]"]:
    """The arrays for IPv4.

    :param top_bits: 16 or 24.
    An entry that is not negative is the place of a block in the second array, ``-1`` is no
    network, and ``-2 - (n * 64 + length)`` is row ``n``, which makes 33 million the most.
    """
    top = array("i", [_NOTHING]) * 2**top_bits
    nodes = array("i")

    def block(owner: "array[int]", index: int) -> int:
        """The block under an entry, made with the entry's answer all over if there is none."""
        if owner[index] < 0:
            nodes.extend(array("i", [owner[index]]) * _BLOCK)
            owner[index] = len(nodes) - _BLOCK
        return owner[index]

    # Shorter ones first, so that longer ones go on top of them.
    for place in sorted(range(len(rows)), key=lambda each: rows[each][1]):
        first, length, _ = rows[place]
        leaf = -2 - (place << _LENGTH_BITS | length)
        # Down from level to level, to the one that the network ends in.
        level, bits, low = top, top_bits, first >> (32 - top_bits)
        while length > bits:
            low = block(level, low)
            level, bits = nodes, bits + 8
            low += first >> (32 - bits) & 0xFF
        count = 1 << (bits - length)
        level[low : low + count] = array("i", [leaf]) * count
    return top, nodes


def _segments(rows: Sequence[tuple[int, int, object]], bits: int) -> tuple[list[int], "array[int]"]:
    """Where the answer changes, and to which row; -1 for none."""
    starts: list[int] = []
    owners: list[int] = []
    around: list[tuple[int, int]] = []  # last address and place of the networks we are in

    def change(start: int, owner: int) -> None:
        if starts and starts[-1] == start:
            owners[-1] = owner
        else:
            starts.append(start)
            owners.append(owner)

    def leave(before: int) -> None:
        """Leave the networks that end before an address."""
        while around and around[-1][0] < before:
            last, _ = around.pop()
            change(last + 1, around[-1][1] if around else -1)

    for place, (first, length, _) in enumerate(rows):
        leave(first)
        change(first, place)
        around.append((first + (1 << (bits - length)) - 1, place))
    leave(1 << bits)
    return starts, array("q", owners)
