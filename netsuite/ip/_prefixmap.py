"""Longest-prefix match: which network, of those that have a value, is closest around an address.

The two families are kept apart all the way down: an IPv4 network never answers for an IPv6
address whose first bits are the same.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import islice
from typing import Generic, TypeVar

from netsuite.ip._bulk import BLOCK, LENGTH_BITS, ipv4_keys
from netsuite.ip._errors import AddressError
from netsuite.ip._frozen import FrozenPrefixMap
from netsuite.ip._prefixtable import PrefixTable, Row
from netsuite.ip._range import BITS, address_value, to_network
from netsuite.ip._rate import IPAddress, IPNetwork

V = TypeVar("V")
D = TypeVar("D")

Routes = (
    Mapping[IPv4Network, V]
    | Mapping[IPv6Network, V]
    | Mapping[IPNetwork, V]
    | Mapping[str, V]
    | Iterable[tuple[IPNetwork | str, V]]
)
"""Networks, or texts that name them, with values: a mapping or pairs."""


class PrefixMap(MutableMapping[IPNetwork, V], Generic[V]):
    """Networks with values, and the search for the longest one around an address.

    As a mapping it knows its networks exactly; iteration is in order of address, shorter
    first, IPv4 before IPv6. :meth:`lookup` and its relatives search.

    :param items: networks, or texts that name them, with their values.
    :raises AddressError: for a text that names no network, or one with host bits set.
    """

    def __init__(
        self,
        items: "Routes[V]" = (),
    ) -> None:
        self._tables: dict[int, PrefixTable[V]] = {4: PrefixTable(4), 6: PrefixTable(6)}
        pairs = items.items() if isinstance(items, Mapping) else items
        self._tables[4].load(self._read(iter(pairs)))

    def _read(
        self, pairs: "Iterator[tuple[IPNetwork | str, V]]"
    ) -> Iterator[tuple[list[int], list[V]]]:
        """Keys and values of the IPv4 networks, by blocks; the others are put into their table."""
        while block := list(islice(pairs, BLOCK)):
            keys = ipv4_keys([network for network, _ in block])  # type: ignore[misc]  # None if not texts
            if keys is not None:
                yield keys, [value for _, value in block]
                continue
            for network, value in block:
                version, first, length = _row(network)
                if version == 4:
                    yield [first << LENGTH_BITS | length], [value]
                else:
                    self._tables[version].set(first, length, value)

    # As a mapping.

    def __setitem__(self, network: "IPNetwork | str", value: V) -> None:
        version, first, length = _row(network)
        self._tables[version].set(first, length, value)

    def __getitem__(self, network: "IPNetwork | str") -> V:
        version, first, length = _row(network)
        try:
            return self._tables[version].get(first, length)
        except KeyError:
            raise KeyError(network) from None

    def __delitem__(self, network: "IPNetwork | str") -> None:
        version, first, length = _row(network)
        try:
            self._tables[version].delete(first, length)
        except KeyError:
            raise KeyError(network) from None

    def clear(self) -> None:
        """Remove all networks."""
        for table in self._tables.values():
            table.clear()

    def __contains__(self, network: object) -> bool:
        if not isinstance(network, str | IPv4Network | IPv6Network):
            return False
        version, first, length = _row(network)
        try:
            self._tables[version].get(first, length)
        except KeyError:
            return False
        return True

    def __len__(self) -> int:
        return sum(table.count for table in self._tables.values())

    def __iter__(self) -> Iterator[IPNetwork]:
        for table in self._tables.values():
            for first, length, _ in table.covered(0, 0):
                yield to_network(first, length, table.version)

    # Searching.

    def lookup(self, address: "IPAddress | str") -> tuple[IPNetwork, V] | None:
        """The longest network around an address, with its value; None if there is none."""
        version, value = address_value(address)
        table = self._tables[version]
        found = table.find(value)
        if found is None:
            return None
        first, length, result = found
        return table.network(first, length), result

    def lookup_int(self, value: int, version: int) -> "Row[V] | None":
        """The same for an address's value: first address, length, value; the quickest way."""
        return self._tables[version].find(value)

    def value_of(self, address: "IPAddress | str", default: D) -> V | D:
        """The value of the longest network around an address, or ``default``."""
        version, value = address_value(address)
        found = self._tables[version].find(value)
        return default if found is None else found[2]

    def covering(self, item: "IPAddress | IPNetwork | str") -> Iterator[tuple[IPNetwork, V]]:
        """Every network around ``item``, itself included, longest first."""
        version, first, longest = _row_or_address(item)
        table = self._tables[version]
        for around, length, value in table.covering(first, longest):
            yield table.network(around, length), value

    def covered(self, network: "IPNetwork | str") -> Iterator[tuple[IPNetwork, V]]:
        """Every network in ``network``, itself included, in order."""
        version, start, shortest = _row(network)
        table = self._tables[version]
        for first, length, value in table.covered(start, shortest):
            yield to_network(first, length, version), value

    def parent(self, network: "IPNetwork | str") -> tuple[IPNetwork, V] | None:
        """The longest network around ``network`` that is not itself; None if there is none."""
        version, first, longest = _row(network)
        table = self._tables[version]
        for around, length, value in table.covering(first, longest - 1):
            return table.network(around, length), value
        return None

    def children(self, network: "IPNetwork | str") -> Iterator[tuple[IPNetwork, V]]:
        """The networks in ``network`` that lie in no other one of them, in order."""
        version, start, shortest = _row(network)
        table = self._tables[version]
        after = start  # the address behind the last child
        for first, length, value in table.covered(start, shortest):
            if length > shortest and first >= after:
                after = first + (1 << (table.bits - length))
                yield to_network(first, length, version), value

    def walk(self) -> Iterator[tuple[IPNetwork, V, int]]:
        """Every network with its value and its depth: how many others are around it."""
        for table in self._tables.values():
            around: list[int] = []  # the addresses behind the networks that we are in
            for first, length, value in table.covered(0, 0):
                while around and around[-1] <= first:
                    around.pop()
                yield to_network(first, length, table.version), value, len(around)
                around.append(first + (1 << (table.bits - length)))

    def freeze(self) -> FrozenPrefixMap[V]:
        """The same answers from arrays: quicker to search, and not to be changed."""
        table4, table6 = self._tables.values()
        return FrozenPrefixMap(table4.rows(), table4.count, table6.rows(), table6.count)


def _row(network: "IPNetwork | str") -> tuple[int, int, int]:
    """Version, first address and length."""
    if isinstance(network, str):
        try:
            network = ip_network(network)
        except ValueError as error:
            raise AddressError(network, f"a network ({error})") from None
    return network.version, int(network.network_address), network.prefixlen


def _row_or_address(item: "IPAddress | IPNetwork | str") -> tuple[int, int, int]:
    if isinstance(item, str | IPv4Network | IPv6Network):
        return _row(item)
    return item.version, int(item), BITS[item.version]
