"""netsuite.ip against others that answer the same questions, on random sets of both families."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
)

import netaddr
import pytest
import pytricia
from aggregate6 import aggregate
from hypothesis import given
from hypothesis import strategies as st

from netsuite.ip import IPNetwork as AnyNetwork
from netsuite.ip import IPRange, IPSet, PrefixMap, collapse, spanning, subtract, summarize

pytestmark = pytest.mark.once

# Networks from a corner of each address space, so that they meet.
_CORNER4, _CORNER6 = int(IPv4Address("10.0.0.0")), int(IPv6Address("2001:db8::"))


def _network4(value: int, length: int) -> IPv4Network:
    return IPv4Network((_CORNER4 + value, length), strict=False)


def _network6(value: int, length: int) -> IPv6Network:
    return IPv6Network((_CORNER6 + value, length), strict=False)


networks4 = st.builds(_network4, st.integers(0, 4095), st.integers(18, 32))
networks6 = st.builds(_network6, st.integers(0, 4095), st.integers(114, 128))
anything4 = networks4 | st.builds(
    lambda value, length: IPv4Network((value, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
anything6 = networks6 | st.builds(
    lambda value, length: IPv6Network((value, length), strict=False),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)
networks = anything4 | anything6
many = st.lists(networks, max_size=30)


def as_netaddr(items: list[AnyNetwork]) -> netaddr.IPSet:
    return netaddr.IPSet([str(item) for item in items])


def from_netaddr(items: netaddr.IPSet) -> list[str]:
    cidrs = sorted(items.iter_cidrs(), key=lambda cidr: (cidr.version, cidr.first))
    return [str(ip_network(str(cidr))) for cidr in cidrs]  # it writes ::128.0.0.0 at times


def texts(items: IPSet) -> list[str]:
    return [str(network) for network in items.prefixes()]


@given(many)
def test_collapse_is_what_ipaddress_does(items: list[AnyNetwork]) -> None:
    expected = [
        *collapse_addresses([item for item in items if isinstance(item, IPv4Network)]),
        *collapse_addresses([item for item in items if isinstance(item, IPv6Network)]),
    ]
    assert collapse(items) == expected
    assert collapse([str(item) for item in items]) == expected


@given(many)
def test_collapse_is_what_aggregate6_does(items: list[AnyNetwork]) -> None:
    expected = aggregate([str(item) for item in items])
    assert {str(item) for item in collapse(items)} == {str(ip_network(each)) for each in expected}


@given(st.dictionaries(anything4, st.integers(), max_size=40), st.lists(anything4, max_size=10))
def test_longest_match_is_what_pytricia_finds(
    routes: dict[IPv4Network, int], asked: list[IPv4Network]
) -> None:
    tree = pytricia.PyTricia(32)
    for network, value in routes.items():
        tree[str(network)] = value
    made = PrefixMap(routes)
    for item in [*asked, *routes]:
        for address in (item.network_address, item.broadcast_address):
            key = tree.get_key(str(address))
            found = made.lookup(address)
            assert (found and str(found[0])) == key
            assert found is None or found[1] == tree[key]


@given(many, many)
def test_algebra_is_what_netaddr_does(one: list[AnyNetwork], other: list[AnyNetwork]) -> None:
    a, b = IPSet(one), IPSet(other)
    x, y = as_netaddr(one), as_netaddr(other)
    assert texts(a | b) == from_netaddr(x | y)
    assert texts(a & b) == from_netaddr(x & y)
    assert texts(a - b) == from_netaddr(x - y)
    assert texts(a ^ b) == from_netaddr(x ^ y)
    assert (a <= b) == x.issubset(y)
    assert a.isdisjoint(b) == x.isdisjoint(y)
    assert a.size == x.size
    assert [str(item) for item in subtract(one, other)] == from_netaddr(x - y)


@given(many, many)
def test_algebra_keeps_its_laws(one: list[AnyNetwork], other: list[AnyNetwork]) -> None:
    a, b = IPSet(one), IPSet(other)
    assert ~(a | b) == ~a & ~b
    assert a - b == a & ~b
    assert a ^ b == (a | b) - (a & b)
    assert ~~a == a
    assert hash((a | b) - b) == hash(a - b)
    assert IPSet(a.prefixes()) == IPSet(a.ranges()) == a
    assert IPSet.from_text(a.to_text()) == IPSet.from_json(a.to_json()) == a


@given(many, networks)
def test_membership_is_what_ipaddress_says(items: list[AnyNetwork], item: AnyNetwork) -> None:
    made = IPSet(items)
    for address in (item.network_address, item.broadcast_address):
        expected = any(address in network for network in items)
        assert (address in made) == expected
        assert made.contains_int(int(address), address.version) == expected
    assert made.overlaps(item) == any(
        item.version == network.version and item.overlaps(network) for network in items
    )


@given(networks, networks)
def test_ranges_are_what_netaddr_says(one: AnyNetwork, other: AnyNetwork) -> None:
    if one.version != other.version:
        return
    first, last = sorted([one.network_address, other.broadcast_address])
    made = IPRange(first, last)
    assert [str(network) for network in made.prefixes()] == [
        str(ip_network(str(cidr))) for cidr in netaddr.iprange_to_cidrs(str(first), str(last))
    ]
    assert made.size == netaddr.IPRange(str(first), str(last)).size


@given(networks, networks)
def test_spanning_is_the_first_supernet_with_both(one: AnyNetwork, other: AnyNetwork) -> None:
    if one.version != other.version:
        return
    around = one
    while not other.subnet_of(around):  # type: ignore[arg-type]  # one family
        around = around.supernet()
    assert spanning([one, other]) == around


@given(st.lists(networks, min_size=1, max_size=30), st.integers(2, 10))
def test_a_summary_has_all_of_it_and_says_what_is_too_much(
    items: list[AnyNetwork], most: int
) -> None:
    wanted = IPSet(items)
    summary = summarize(items, most)
    made = IPSet(summary.prefixes)
    assert len(summary.prefixes) <= most
    assert wanted <= made
    assert summary.extra == made - wanted
    assert list(summary.prefixes) == sorted(
        summary.prefixes, key=lambda network: (network.version, int(network.network_address))
    )


@given(st.dictionaries(networks, st.integers(), max_size=40), st.lists(networks, max_size=10))
def test_longest_match_is_the_longest_there_is(
    routes: dict[AnyNetwork, int], asked: list[AnyNetwork]
) -> None:
    made = PrefixMap(routes)
    frozen = made.freeze()
    for item in [*asked, *routes]:
        for address in (item.network_address, item.broadcast_address):
            around = [network for network in routes if address in network]
            longest = max(around, key=lambda network: network.prefixlen, default=None)
            expected = None if longest is None else (longest, routes[longest])
            assert made.lookup(address) == expected
            assert frozen.lookup(address) == expected
            assert [network for network, _ in made.covering(address)] == sorted(
                around, key=lambda network: -network.prefixlen
            )


@given(st.dictionaries(networks, st.integers(), max_size=40), networks)
def test_relatives_are_what_subnet_of_says(routes: dict[AnyNetwork, int], item: AnyNetwork) -> None:
    made = PrefixMap(routes)
    same = [network for network in routes if network.version == item.version]
    inside = {network for network in same if network.subnet_of(item)}  # type: ignore[arg-type]  # one family
    assert {network for network, _ in made.covered(item)} == inside
    around = [network for network in same if network.supernet_of(item) and network != item]  # type: ignore[arg-type]  # one family
    parent = made.parent(item)
    assert (parent and parent[0]) == max(
        around, key=lambda network: network.prefixlen, default=None
    )
    inner = inside - {item}
    outermost = {
        network
        for network in inner
        if not any(network != other and network.subnet_of(other) for other in inner)  # type: ignore[arg-type]  # one family
    }
    assert {network for network, _ in made.children(item)} == outermost
    assert [network for network, _, _ in made.walk()] == list(made)
