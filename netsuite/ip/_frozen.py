"""Longest-prefix match from arrays: made once, then only asked.

IPv4 is a trie of 16, 8 and 8 bits in two arrays: at most three steps to the answer. IPv6 is
the list of places where the answer changes, and a binary search.
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
_NOTHING = -1  # the leaf that stands for "no network"


class FrozenPrefixMap(Generic[V]):
    """What :meth:`netsuite.ip.PrefixMap.freeze` returns.

    :param rows: for each version first address, length and value, in order of address and
        then of length.
    """

    def __init__(self, rows: dict[int, list[tuple[int, int, V]]]) -> None:
        self._rows = rows
        self._networks: dict[tuple[int, int], IPNetwork] = {}
        self._top, self._nodes = _trie(rows[4])
        self._starts, self._owners = _segments(rows[6], BITS[6])

    def __len__(self) -> int:
        return len(self._rows[4]) + len(self._rows[6])

    def lookup(self, address: "IPAddress | str") -> tuple[IPNetwork, V] | None:
        """The longest network around an address, with its value; None if there is none."""
        if isinstance(address, str):
            try:
                address = ip_address(address)
            except ValueError:
                raise AddressError(address, "an address") from None
        version = address.version
        place = self._find(int(address), version)
        if place < 0:
            return None
        first, length, value = self._rows[version][place]
        network = self._networks.get((version, place))
        if network is None:
            network = self._networks[version, place] = to_network(first, length, version)
        return network, value

    def lookup_int(self, value: int, version: int) -> tuple[int, int, V] | None:
        """The same for an address's value: first address, length, value; the quickest way."""
        place = self._find(value, version)
        return None if place < 0 else self._rows[version][place]

    def _find(self, value: int, version: int) -> int:
        """The place of the row that answers, -1 for none."""
        if version != 4:
            index = bisect_right(self._starts, value) - 1
            return self._owners[index] if index >= 0 else -1
        node = self._top[value >> 16]
        if node >= 0:
            node = self._nodes[node + (value >> 8 & 0xFF)]
            if node >= 0:
                node = self._nodes[node + (value & 0xFF)]
        return -2 - node  # -1 where node says none


def _trie(rows: Sequence[tuple[int, int, object]]) -> tuple["array[int]", "array[int]"]:
    """The arrays for IPv4.

    An entry that is not negative is the place of a block in the second array; ``-2 - n``
    is row ``n``, and ``-1`` is none.
    """
    top = array("i", [_NOTHING]) * 65536
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
        leaf = -2 - place
        if length <= 16:
            low, count = first >> 16, 1 << (16 - length)
            top[low : low + count] = array("i", [leaf]) * count
            continue
        low = block(top, first >> 16) + (first >> 8 & 0xFF)
        if length <= 24:
            count = 1 << (24 - length)
        else:
            low = block(nodes, low) + (first & 0xFF)
            count = 1 << (32 - length)
        nodes[low : low + count] = array("i", [leaf]) * count
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
