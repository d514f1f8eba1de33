"""Longest-prefix match: which network, of those that have a value, is closest around an address.

The two families are kept apart all the way down: an IPv4 network never answers for an IPv6
address whose first bits are the same.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from socket import AF_INET, inet_pton
from typing import Generic, TypeVar

from netsuite.ip._bulk import ipv4_keys
from netsuite.ip._errors import AddressError
from netsuite.ip._frozen import FrozenPrefixMap
from netsuite.ip._range import BITS, to_network
from netsuite.ip._rate import IPAddress, IPNetwork

V = TypeVar("V")
D = TypeVar("D")

Row = tuple[int, int]
"""First address and length of a network."""

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
        # A table for each length in use: first address, without its host bits, to value.
        self._tables: dict[int, dict[int, dict[int, V]]] = {4: {}, 6: {}}
        # The same tables with their shifts, longest first: what a search walks through.
        self._search: dict[int, list[tuple[int, dict[int, V]]]] = {4: [], 6: []}
        # Networks that a search has made, to make each of them once.
        self._made: dict[tuple[int, int, int], IPNetwork] = {}
        pairs = items.items() if isinstance(items, Mapping) else items
        self._load(list(pairs))

    def _load(self, pairs: "list[tuple[IPNetwork | str, V]]") -> None:
        texts = [key for key, _ in pairs if isinstance(key, str)]
        keys = ipv4_keys(texts) if len(texts) == len(pairs) else None
        if keys is None:
            for network, value in pairs:
                self[network] = value
            return
        tables: list[dict[int, V] | None] = [None] * 33
        for key, (_, value) in zip(keys, pairs, strict=True):
            length = key & 63
            table = tables[length]
            if table is None:
                table = tables[length] = self._table(4, length)
            table[key >> (38 - length)] = value

    def _table(self, version: int, length: int) -> dict[int, V]:
        """The table for a length, made if there is none yet."""
        tables = self._tables[version]
        if length not in tables:
            tables[length] = {}
            bits = BITS[version]
            self._search[version] = [
                (bits - each, tables[each]) for each in sorted(tables, reverse=True)
            ]
        return tables[length]

    # As a mapping.

    def __setitem__(self, network: "IPNetwork | str", value: V) -> None:
        version, first, length = _row(network)
        self._table(version, length)[first >> (BITS[version] - length)] = value

    def __getitem__(self, network: "IPNetwork | str") -> V:
        version, first, length = _row(network)
        try:
            return self._tables[version][length][first >> (BITS[version] - length)]
        except KeyError:
            raise KeyError(network) from None

    def __delitem__(self, network: "IPNetwork | str") -> None:
        version, first, length = _row(network)
        tables = self._tables[version]
        try:
            del tables[length][first >> (BITS[version] - length)]
        except KeyError:
            raise KeyError(network) from None
        if not tables[length]:
            del tables[length]
            self._search[version] = [
                row for row in self._search[version] if row[0] != BITS[version] - length
            ]

    def __contains__(self, network: object) -> bool:
        if not isinstance(network, str | IPv4Network | IPv6Network):
            return False
        version, first, length = _row(network)
        return first >> (BITS[version] - length) in self._tables[version].get(length, ())

    def __len__(self) -> int:
        return sum(len(table) for tables in self._tables.values() for table in tables.values())

    def __iter__(self) -> Iterator[IPNetwork]:
        for version in self._tables:
            for first, length in self._rows(version):
                yield self._network(version, first, length)

    def _rows(self, version: int) -> list[Row]:
        bits = BITS[version]
        return sorted(
            (key << (bits - length), length)
            for length, table in self._tables[version].items()
            for key in table
        )

    def _network(self, version: int, first: int, length: int) -> IPNetwork:
        key = (version, first, length)
        network = self._made.get(key)
        if network is None:
            network = self._made[key] = to_network(first, length, version)
        return network

    # Searching.

    def lookup(self, address: "IPAddress | str") -> tuple[IPNetwork, V] | None:
        """The longest network around an address, with its value; None if there is none."""
        if isinstance(address, str):
            version, value = _address(address)
        else:
            version, value = address.version, int(address)
        for shift, table in self._search[version]:
            key = value >> shift
            if key in table:
                length = BITS[version] - shift
                return self._network(version, key << shift, length), table[key]
        return None

    def lookup_int(self, value: int, version: int) -> tuple[int, int, V] | None:
        """The same for an address's value: first address, length, value; the quickest way."""
        for shift, table in self._search[version]:
            key = value >> shift
            if key in table:
                return key << shift, BITS[version] - shift, table[key]
        return None

    def value_of(self, address: "IPAddress | str", default: D) -> V | D:
        """The value of the longest network around an address, or ``default``."""
        found = self.lookup(address)
        return default if found is None else found[1]

    def covering(self, item: "IPAddress | IPNetwork | str") -> Iterator[tuple[IPNetwork, V]]:
        """Every network around ``item``, itself included, longest first."""
        version, first, longest = _row_or_address(item)
        for shift, table in self._search[version]:
            key, length = first >> shift, BITS[version] - shift
            if length <= longest and key in table:
                yield self._network(version, key << shift, length), table[key]

    def covered(self, network: "IPNetwork | str") -> Iterator[tuple[IPNetwork, V]]:
        """Every network in ``network``, itself included, in order."""
        version, first, shortest = _row(network)
        bits = BITS[version]
        inside: list[Row] = []
        for length, table in self._tables[version].items():
            if length < shortest:
                continue
            low, count = first >> (bits - length), 1 << (length - shortest)
            # Whichever is less: look for each that could be there, or at each that is.
            keys = range(low, low + count) if count < len(table) else table
            inside += [
                (key << (bits - length), length)
                for key in keys
                if low <= key < low + count and key in table
            ]
        for start, length in sorted(inside):
            yield (
                self._network(version, start, length),
                self._tables[version][length][start >> (bits - length)],
            )

    def parent(self, network: "IPNetwork | str") -> tuple[IPNetwork, V] | None:
        """The longest network around ``network`` that is not itself; None if there is none."""
        version, first, longest = _row(network)
        for shift, table in self._search[version]:
            key, length = first >> shift, BITS[version] - shift
            if length < longest and key in table:
                return self._network(version, key << shift, length), table[key]
        return None

    def children(self, network: "IPNetwork | str") -> Iterator[tuple[IPNetwork, V]]:
        """The networks in ``network`` that lie in no other one of them, in order."""
        around = ip_network(network) if isinstance(network, str) else network
        last: IPNetwork | None = None
        for found, value in self.covered(around):
            if found != around and (last is None or found.network_address > last.broadcast_address):  # type: ignore[operator]  # one family
                last = found
                yield found, value

    def walk(self) -> Iterator[tuple[IPNetwork, V, int]]:
        """Every network with its value and its depth: how many others are around it."""
        around: list[tuple[int, int]] = []  # version and last address
        for network in self:
            first, last = int(network.network_address), int(network.broadcast_address)
            while around and (around[-1][0] != network.version or around[-1][1] < first):
                around.pop()
            yield network, self[network], len(around)
            around.append((network.version, last))

    def freeze(self) -> FrozenPrefixMap[V]:
        """The same answers from arrays: quicker to search, and not to be changed."""
        return FrozenPrefixMap(
            {
                version: [
                    (first, length, self._tables[version][length][first >> (bits - length)])
                    for first, length in self._rows(version)
                ]
                for version, bits in BITS.items()
            }
        )


def _address(text: str) -> tuple[int, int]:
    """Version and value of the address in a text."""
    try:
        return 4, int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError):  # not IPv4, or not even a text for the system
        pass
    try:
        return 6, int(IPv6Address(text))
    except ValueError:
        raise AddressError(text, "an address") from None


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
