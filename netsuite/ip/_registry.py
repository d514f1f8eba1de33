"""What IANA says of an address, and whether it is one of the public Internet.

The answers of :mod:`ipaddress` (``is_global`` and its siblings) differ between Python
versions and miss blocks; these come from the registries themselves, row for row.

The special-purpose rows (RFC 6890, RFC 8190) are those that IANA had on 2025-10-09. They were
not fetched from IANA by us: two published copies of its CSV files, made on 2026-07-18 and on
2026-07-27, agree in every row. The multicast blocks are no rows of IANA's; see
:mod:`netsuite.ip._multicast_data`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from netsuite.ip._embed import WELL_KNOWN_NAT64, EmbeddingKind, embedded_ipv4
from netsuite.ip._multicast_data import IPV4_MULTICAST, IPV6_MULTICAST_SCOPES, IPV6_OTHER
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress, IPNetwork
from netsuite.ip._registry_data import IPV4_SPECIAL, IPV6_SPECIAL, Row

_ANSWERS = {"Y": True, "N": False, "-": None}
_MULTICAST_FLAGS = range(16)  # RFC 4291 section 2.7: four bits before the scope

#: Kinds of addresses that are a way of writing another one, and no place of their own.
_TRANSPARENT = frozenset(
    {
        EmbeddingKind.MAPPED,
        EmbeddingKind.SIX_TO_FOUR,
        EmbeddingKind.NAT64,
        EmbeddingKind.TEREDO_SERVER,
        EmbeddingKind.TEREDO_CLIENT,
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One block of addresses and what holds for it (RFC 6890 section 2.2.1).

    :ivar block: its addresses.
    :ivar name: as in the registry.
    :ivar rfc: where it is defined; empty for what is in no registry.
    :ivar source: whether an address of it can be the source of a packet.
    :ivar destination: whether one can be a destination.
    :ivar forwardable: whether a router may forward a packet to it.
    :ivar globally_reachable: whether that holds beyond one administrative domain.
    :ivar reserved_by_protocol: whether IP itself gives it its meaning.

    None is "the registry has no answer".
    """

    block: IPNetwork
    name: str
    rfc: str
    source: bool | None
    destination: bool | None
    forwardable: bool | None
    globally_reachable: bool | None
    reserved_by_protocol: bool | None


def entries() -> tuple[Entry, ...]:
    """All that is known, IPv4 first, in the order of the registries."""
    return _ENTRIES


def classify(address: IPAddress) -> Entry:
    """The most specific entry for an address itself, whatever it may carry inside.

    What is in no registry is "Global unicast" in IPv4 and, in IPv6, within ``2000::/3``;
    the rest of IPv6 is "Unallocated" (RFC 4291 section 2.4).
    """
    starts, found = _SEGMENTS[address.version]
    return found[bisect_right(starts, int(address)) - 1]


def effective(
    address: IPAddress, nat64_prefixes: Iterable[IPv6Network] = (WELL_KNOWN_NAT64,)
) -> tuple[IPAddress, ...]:
    """The addresses at which a packet for this one may arrive.

    An IPv6 address can be another way of writing an IPv4 one: IPv4-mapped, NAT64, 6to4,
    Teredo (which names two: its server and its client). It then stands for those alone. An
    IPv4-compatible or ISATAP address stands for its IPv4 address and also for itself: hosts
    that know nothing of either send to it as to any other.

    :param nat64_prefixes: the translators' prefixes on this network (RFC 6052 section 2.2).
    :returns: one at least: the address itself, without zone, if it carries none.
    """
    if not isinstance(address, IPv6Address):
        return (address,)
    found = embedded_ipv4(address, nat64_prefixes)
    inner = tuple(dict.fromkeys(embedding.ipv4 for embedding in found))
    if any(embedding.kind in _TRANSPARENT for embedding in found):
        return inner
    return (IPv6Address(int(address)), *inner)


def is_global(
    address: IPAddress, nat64_prefixes: Iterable[IPv6Network] = (WELL_KNOWN_NAT64,)
) -> bool:
    """Whether an address is one that the public Internet reaches: what a guard wants to know.

    True only if the registries say so of every :func:`effective` address. So it is False for
    private, local, documentation and reserved blocks in each of their disguises, for what is
    unallocated, for blocks of which the registry says "N/A", and for multicast: a group may
    well reach beyond this network, but it is no host to connect to.
    """
    return all(
        classify(each).globally_reachable is True for each in effective(address, nat64_prefixes)
    )


def _entry(block: IPNetwork, name: str, rfc: str, answers: str) -> Entry:
    return Entry(block, name, rfc, *(_ANSWERS[letter] for letter in answers))


def _registered() -> Iterator[Entry]:
    for row in IPV4_SPECIAL:
        yield _of_row(row)
    for first_to_last, name, rfc, answers in IPV4_MULTICAST:
        for block in IPRange.parse(first_to_last).prefixes():
            yield _entry(block, name, rfc, answers)
    for row in IPV6_SPECIAL + IPV6_OTHER:
        yield _of_row(row)
    for flags in _MULTICAST_FLAGS:
        for scope, (name, answers) in IPV6_MULTICAST_SCOPES.items():
            block = IPv6Network(((0xFF00 | flags << 4 | scope) << 112, 16))
            yield _entry(block, name, "RFC 7346, Section 2", answers)


def _of_row(row: Row) -> Entry:
    block, name, rfc, answers = row
    return _entry(ip_network(block), name, rfc, answers)


def _segments(version: int) -> tuple[list[int], list[Entry]]:
    """The whole address space cut at every boundary: where each piece starts, and its entry."""
    known = [entry for entry in _ENTRIES + _UNREGISTERED if entry.block.version == version]
    ends = {entry: int(entry.block.broadcast_address) + 1 for entry in known}
    starts = sorted({int(entry.block.network_address) for entry in known} | set(ends.values()))
    found = known[:1] * len(starts)
    for entry in sorted(known, key=lambda entry: entry.block.prefixlen):
        first = bisect_left(starts, int(entry.block.network_address))
        after = bisect_left(starts, ends[entry])
        found[first:after] = [entry] * (after - first)  # the more specific one is painted over
    return starts, found


_ENTRIES = tuple(_registered())
_UNREGISTERED = (
    _entry(IPv4Network("0.0.0.0/0"), "Global unicast", "", "YYYYN"),
    _entry(IPv6Network("2000::/3"), "Global unicast", "", "YYYYN"),
    _entry(IPv6Network("::/0"), "Unallocated", "", "----N"),
)
_SEGMENTS = {version: _segments(version) for version in (4, 6)}
