"""netsuite.ip.PrefixMap through any run of changes, next to a dictionary that is gone through."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netsuite.ip import IPAddress, IPNetwork, PrefixMap, _prefixtable

pytestmark = pytest.mark.once


def _network4(value: int, length: int) -> IPv4Network:
    return IPv4Network((value, length), strict=False)


def _network6(value: int, length: int) -> IPv6Network:
    return IPv6Network((value, length), strict=False)


# Few addresses, so that networks meet; lengths around the places where tables begin and end.
_VALUES4 = [0, 0x0A00FFFF, 0x0A010000, 0x0A0100FF, 0x0A010100, 2**32 - 1]
_VALUES6 = [0, (0x20010DB8 << 96) - 1, 0x20010DB8 << 96, 2**128 - 1]
_ADDRESSES: list[IPAddress] = [*map(IPv4Address, _VALUES4), *map(IPv6Address, _VALUES6)]
_LENGTHS4 = st.sampled_from([0, 1, 8, 15, 16, 17, 23, 24, 25, 31, 32])
_LENGTHS6 = st.sampled_from([0, 1, 16, 31, 32, 33, 40, 41, 64, 127, 128])
networks = st.builds(_network4, st.sampled_from(_VALUES4), _LENGTHS4) | st.builds(
    _network6, st.sampled_from(_VALUES6), _LENGTHS6
)


def inside(network: IPNetwork, around: IPNetwork) -> bool:
    """Whether a network is in another one, or is it."""
    return network.version == around.version and network.subnet_of(around)  # type: ignore[arg-type]  # one family


def order(network: IPNetwork) -> tuple[int, int, int]:
    """What a map sorts by."""
    return network.version, int(network.network_address), network.prefixlen


class Changes(RuleBasedStateMachine):
    """Changes in any order, and questions in between."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[IPNetwork, int] = {}
        self.map: PrefixMap[int] = PrefixMap()

    @initialize(
        many=st.sampled_from([2, 3, 2**20]),
        routes=st.dictionaries(networks, st.integers(), max_size=5),
        as_text=st.booleans(),
    )
    def begin(self, many: int, routes: dict[IPNetwork, int], as_text: bool) -> None:
        mock.patch.object(_prefixtable, "_MANY", many).start()
        self.model = dict(routes)
        items = {str(network): value for network, value in routes.items()} if as_text else routes
        self.map = PrefixMap(items)

    def teardown(self) -> None:
        mock.patch.stopall()

    @rule(network=networks, value=st.integers())
    def put(self, network: IPNetwork, value: int) -> None:
        self.map[network] = value
        self.model[network] = value

    @rule(network=networks)
    def remove(self, network: IPNetwork) -> None:
        assert self.map.pop(network, None) == self.model.pop(network, None)

    @rule(data=st.data())
    def remove_one_that_is_there(self, data: st.DataObject) -> None:
        if self.model:
            network = data.draw(st.sampled_from(sorted(self.model, key=order)))
            del self.map[network], self.model[network]

    @rule()
    def clear(self) -> None:
        self.map.clear()
        self.model.clear()

    @rule(item=networks)
    def ask(self, item: IPNetwork) -> None:
        around = sorted(
            (each for each in self.model if inside(item, each)), key=lambda each: -each.prefixlen
        )
        assert list(self.map.covering(item)) == [(each, self.model[each]) for each in around]
        parents = [each for each in around if each != item]
        expected = (parents[0], self.model[parents[0]]) if parents else None
        assert self.map.parent(item) == expected
        within = sorted((each for each in self.model if inside(each, item)), key=order)
        assert list(self.map.covered(item)) == [(each, self.model[each]) for each in within]
        assert self.map.get(item) == self.model.get(item)
        assert (item in self.map) == (item in self.model)

    @rule()
    def freeze(self) -> None:
        frozen = self.map.freeze()
        assert len(frozen) == len(self.model)
        for address in _ADDRESSES:
            assert frozen.lookup(address) == self.longest(address)

    def longest(self, address: IPAddress) -> tuple[IPNetwork, int] | None:
        around = [each for each in self.model if address in each]
        found = max(around, key=lambda each: each.prefixlen, default=None)
        return None if found is None else (found, self.model[found])

    @invariant()
    def it_finds_the_longest(self) -> None:
        for address in _ADDRESSES:
            expected = self.longest(address)
            assert self.map.lookup(address) == expected
            assert self.map.lookup(str(address)) == expected
            assert self.map.value_of(address, None) == (expected and expected[1])

    @invariant()
    def it_is_the_dictionary_in_order(self) -> None:
        assert list(self.map.items()) == sorted(self.model.items(), key=lambda item: order(item[0]))
        assert len(self.map) == len(self.model)


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=300, stateful_step_count=30)
