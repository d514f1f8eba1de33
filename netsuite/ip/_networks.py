"""Lists of networks: make them fewer, take some away, find what is around them."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from netsuite.ip._errors import AddressError
from netsuite.ip._range import BITS, IPRange, _key_of, to_network
from netsuite.ip._rate import IPAddress, IPNetwork
from netsuite.ip._set import IPSet


def collapse(items: "Iterable[IPAddress | IPNetwork | IPRange | IPSet | str]") -> list[IPNetwork]:
    """The fewest networks with the same addresses, in order, IPv4 before IPv6."""
    return list(IPSet(items).prefixes())


def subtract(
    items: "Iterable[IPAddress | IPNetwork | IPRange | IPSet | str]",
    removed: "Iterable[IPAddress | IPNetwork | IPRange | IPSet | str]",
) -> list[IPNetwork]:
    """The fewest networks with the addresses of ``items`` that are not in ``removed``."""
    return list((IPSet(items) - IPSet(removed)).prefixes())


def spanning(items: "Iterable[IPAddress | IPNetwork | IPRange]") -> IPNetwork:
    """The smallest network that has all of ``items`` in it.

    :raises AddressError: if there are none, or of both families.
    """
    keys = [_key_of(item) for item in items]
    versions = {version for version, _, _ in keys}
    if len(versions) != 1:
        raise AddressError([version for version, _, _ in keys][:2], "items of one family")
    [version] = versions
    first, last = min(key[1] for key in keys), max(key[2] for key in keys)
    host_bits = (first ^ last).bit_length()
    return to_network(first >> host_bits << host_bits, BITS[version] - host_bits, version)


def next_network(network: IPNetwork, steps: int = 1) -> IPNetwork:
    """The network of the same length that follows, ``steps`` further on; negative: before.

    :raises AddressError: beyond either end of the address space.
    """
    bits = BITS[network.version]
    value = int(network.network_address) + (steps << (bits - network.prefixlen))
    if not 0 <= value < 1 << bits:
        raise AddressError(f"{network} {steps:+}", "a network inside the address space")
    return to_network(value, network.prefixlen, network.version)


@dataclass(frozen=True, slots=True)
class Summary:
    """A shorter list of networks that has more addresses than it was made of.

    :ivar prefixes: the networks, in order, IPv4 before IPv6.
    :ivar extra: the addresses in them that were not asked for.
    """

    prefixes: tuple[IPNetwork, ...]
    extra: IPSet


def summarize(
    items: "IPSet | Iterable[IPAddress | IPNetwork | IPRange | IPSet | str]", max_prefixes: int
) -> Summary:
    """At most ``max_prefixes`` networks that have all of ``items`` in them.

    Again and again the two neighbours are joined whose common network adds the fewest
    addresses. IPv6 addresses count as IPv4 ones do, so a mix of both joins IPv4 first.

    :raises ValueError: if ``max_prefixes`` is less than the number of families.
    """
    wanted = items if isinstance(items, IPSet) else IPSet(items)
    rows = list(wanted._prefixes())
    families = {version for _, _, version in rows}
    if max_prefixes < len(families):
        raise ValueError(f"max_prefixes {max_prefixes}: expected at least {len(families)}")
    kept = _join(rows, max_prefixes)
    prefixes = tuple(to_network(*row) for row in kept)
    return Summary(prefixes, IPSet(prefixes) - wanted)


def _join(rows: list[tuple[int, int, int]], most: int) -> list[tuple[int, int, int]]:
    """Join neighbours until there are at most ``most`` rows of value, length and version."""
    entries: list[tuple[int, int, int] | None] = [*rows]
    after = [*range(1, len(rows)), -1]
    before = [*range(-1, len(rows) - 1)]
    # The addresses asked for in each entry: what a join adds is counted from these.
    asked = [1 << (BITS[version] - length) for _, length, version in rows]
    heap: list[tuple[int, int, int, tuple[int, int, int]]] = []

    def offer(left: int) -> None:
        right = after[left]
        one, other = entries[left], entries[right] if right >= 0 else None
        if one is None or other is None or one[2] != other[2]:
            return
        joined = _common(one, other)
        cost = (1 << (BITS[joined[2]] - joined[1])) - asked[left] - asked[right]
        heapq.heappush(heap, (cost, left, right, joined))

    for index in range(len(rows) - 1):
        offer(index)
    count = len(rows)
    while count > most:
        _, left, right, joined = heapq.heappop(heap)
        if entries[left] is None or entries[right] is None or after[left] != right:
            continue  # one of them has been joined to something else meanwhile
        if _common(entries[left], entries[right]) != joined:  # type: ignore[arg-type]  # not None
            continue
        entries[left] = joined
        count -= _absorb(left, joined, entries, after, before, asked)
        if before[left] >= 0:
            offer(before[left])
        offer(left)
    return [entry for entry in entries if entry is not None]


def _absorb(
    left: int,
    joined: tuple[int, int, int],
    entries: list[tuple[int, int, int] | None],
    after: list[int],
    before: list[int],
    asked: list[int],
) -> int:
    """Take into ``left`` all its neighbours that lie in what it has become; returns how many."""
    taken = 0
    first = joined[0]
    last = first + (1 << (BITS[joined[2]] - joined[1])) - 1
    while (right := after[left]) >= 0 and _lies_in(entries[right], first, last, joined[2]):
        asked[left] += asked[right]
        entries[right] = None
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        taken += 1
    while (earlier := before[left]) >= 0 and _lies_in(entries[earlier], first, last, joined[2]):
        asked[left] += asked[earlier]
        entries[earlier] = None
        before[left] = before[earlier]
        if before[earlier] >= 0:
            after[before[earlier]] = left
        taken += 1
    return taken


def _lies_in(entry: tuple[int, int, int] | None, first: int, last: int, version: int) -> bool:
    return entry is not None and entry[2] == version and first <= entry[0] <= last


def _common(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    """The smallest prefix around two of one family."""
    bits = BITS[one[2]]
    host_bits = max((one[0] ^ other[0]).bit_length(), bits - one[1], bits - other[1])
    return one[0] >> host_bits << host_bits, bits - host_bits, one[2]
