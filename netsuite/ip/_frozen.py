"""Longest-prefix match from arrays: made once, then only asked.

IPv4 is a trie in two arrays: of 16, 8 and 8 bits or, for very many networks, of 24 and 8, which
then takes no more memory and saves a step. IPv6 is the list of places where the answer
changes, and a binary search.

The answer is a leaf: which of the values it is, and how many host bits the network has (its
first address is in the question); 0 if there is no network.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from netsuite.ip._bulk import LENGTH_BITS
from netsuite.ip._range import address_value, to_network
from netsuite.ip._rate import IPAddress, IPNetwork

V = TypeVar("V")

_BLOCK = 256
_MANY = 2**18  # networks: then nearly every /16 has some, and a block of its own
_FEW = 2**16  # values: more of them are not looked for when another one comes
# Bits of a leaf that tell the host bits: for IPv4, they leave room for 33 million values.
_WIDTH4, _WIDTH6 = 6, 8
_LOW4, _LOW6 = 2**_WIDTH4 - 1, 2**_WIDTH6 - 1

Row = tuple[int, int, V]
"""First address, length and value of a network."""

Leaf = tuple[int, int, int]
"""First address, length, and what the arrays have for it."""


class FrozenPrefixMap(Generic[V]):
    """What :meth:`netsuite.ip.PrefixMap.freeze` returns.

    :param rows4: first address, length and value of the IPv4 networks, in order of address
        and then of length; as many as ``count4``.
    :param rows6: the same for IPv6.
    """

    def __init__(
        self, rows4: "Iterable[Row[V]]", count4: int, rows6: "Iterable[Row[V]]", count6: int
    ) -> None:
        self._count = count4 + count6
        self._networks: dict[int, dict[int, IPNetwork]] = {4: {}, 6: {}}
        self._values: list[Any] = [None]
        places: dict[int, int] = {}
        self._top_bits = 24 if count4 >= _MANY else 16
        self._top_shift = 32 - self._top_bits
        leaves4 = _leaves(rows4, 32, _WIDTH4, self._values, places)
        self._top, self._nodes = _trie(leaves4, self._top_bits)
        leaves6 = _leaves(rows6, 128, _WIDTH6, self._values, places)
        self._starts, self._owners = _segments(leaves6, 128)

    def __len__(self) -> int:
        return self._count

    def lookup(self, address: "IPAddress | str") -> tuple[IPNetwork, V] | None:
        """The longest network around an address, with its value; None if there is none."""
        version, asked = address_value(address)
        found = self.lookup_int(asked, version)
        if found is None:
            return None
        first, length, value = found
        networks, key = self._networks[version], first << LENGTH_BITS | length
        try:
            network = networks[key]
        except KeyError:
            network = networks[key] = to_network(first, length, version)
        return network, value

    def lookup_int(self, value: int, version: int) -> tuple[int, int, V] | None:
        """The same for an address's value: first address, length, value; the quickest way."""
        if version == 4:
            leaf = self._top[value >> self._top_shift]
            if leaf < 0:
                if self._top_bits == 16:
                    leaf = self._nodes[(value >> 8 & 0xFF) - leaf]
                if leaf < 0:
                    leaf = self._nodes[(value & 0xFF) - leaf]
            if not leaf:
                return None
            shift = leaf & _LOW4
            return value >> shift << shift, 32 - shift, self._values[leaf >> _WIDTH4]
        leaf = self._owners[bisect_right(self._starts, value) - 1]
        if not leaf:
            return None
        shift = leaf & _LOW6
        return value >> shift << shift, 128 - shift, self._values[leaf >> _WIDTH6]


def _leaves(
    rows: "Iterable[Row[V]]", bits: int, width: int, values: list[Any], places: dict[int, int]
) -> Iterator[Leaf]:
    """What the arrays have for networks, and their values to the end of a list.

    :param places: where objects are in the list, by identity, so that each is there once:
        routes have few next hops, which then stay in the processor's cache.
    """
    for first, length, value in rows:
        place = places.get(id(value))
        if place is None:
            place = len(values)
            values.append(value)
            if place < _FEW:
                places[id(value)] = place
        yield first, length, place << width | bits - length


def _trie(leaves: Iterable[Leaf], top_bits: int) -> tuple["array[int]", "array[int]"]:
    """The arrays for IPv4.

    :param top_bits: 16 or 24.
    A negative entry is the place of a block in the second array, with its sign changed.
    """
    top = array("i", [0]) * 2**top_bits
    nodes = array("i", [0]) * _BLOCK  # no block is at 0

    def block(owner: "array[int]", index: int) -> int:
        """The block under an entry, made with the entry's answer all over if there is none."""
        if owner[index] >= 0:
            nodes.extend(array("i", [owner[index]]) * _BLOCK)
            owner[index] = _BLOCK - len(nodes)
        return -owner[index]

    # In order, a network comes before those in it, which go on top of it.
    for first, length, leaf in leaves:
        # Down from level to level, to the one that the network ends in.
        level, bits, low = top, top_bits, first >> (32 - top_bits)
        while length > bits:
            low = block(level, low)
            level, bits = nodes, bits + 8
            low += first >> (32 - bits) & 0xFF
        count = 1 << (bits - length)
        level[low : low + count] = array("i", [leaf]) * count
    return top, nodes


def _segments(leaves: Iterable[Leaf], bits: int) -> tuple[list[int], "array[int]"]:
    """Where the answer changes, and to which leaf; the first of these places is 0."""
    starts, owners = [0], [0]
    around: list[tuple[int, int]] = []  # the address behind, and the leaf, of those we are in

    def change(start: int, owner: int) -> None:
        if starts[-1] == start:
            owners[-1] = owner
        else:
            starts.append(start)
            owners.append(owner)

    def leave(before: int) -> None:
        """Leave the networks that end before an address."""
        while around and around[-1][0] <= before:
            behind, _ = around.pop()
            change(behind, around[-1][1] if around else 0)

    for first, length, leaf in leaves:
        leave(first)
        change(first, leaf)
        around.append((first + (1 << (bits - length)), leaf))
    leave(1 << bits)
    return starts, array("q", owners)
