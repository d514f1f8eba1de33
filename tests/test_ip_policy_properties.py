"""What holds for any address, list, chain and bytes, searched for counterexamples."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netsuite.ip._access import AccessList, Rule
from netsuite.ip._aes import AES128
from netsuite.ip._anonymize import CryptoPAn, pseudonym, truncate
from netsuite.ip._errors import AddressError
from netsuite.ip._forwarded import (
    MAX_HOPS,
    TrustedProxies,
    node_address,
    parse_forwarded,
    parse_x_forwarded_for,
)
from netsuite.ip._interfaces import Message, interfaces_in, parse_messages
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress
from netsuite.ip._registry import classify, effective, entries, is_global
from netsuite.net.resolver import GuardedResolver

pytestmark = pytest.mark.once

ALL_ENTRIES = entries()
EDGES = {
    version: sorted(
        {
            value + step
            for entry in ALL_ENTRIES
            if entry.block.version == version
            for value in (int(entry.block[0]), int(entry.block[-1]))
            for step in (-1, 0, 1)
            if 0 <= value + step < 2**entry.block.max_prefixlen
        }
    )
    for version in (4, 6)
}

ipv4 = st.builds(IPv4Address, st.integers(0, 2**32 - 1) | st.sampled_from(EDGES[4]))
carriers = st.one_of(
    st.builds(lambda low: 0xFFFF << 32 | int(low), ipv4),
    st.builds(lambda low: 0x64_FF9B << 96 | int(low), ipv4),
    st.builds(
        lambda low, rest: 0x2002 << 112 | int(low) << 80 | rest, ipv4, st.integers(0, 2**80 - 1)
    ),
    st.builds(int, ipv4),
)
ipv6 = st.builds(IPv6Address, st.integers(0, 2**128 - 1) | st.sampled_from(EDGES[6]) | carriers)
addresses = st.one_of(ipv4, ipv6)


@st.composite
def ranges(draw: st.DrawFn) -> IPRange:
    version = draw(st.sampled_from((4, 6)))
    # Few values, so that they meet; and the ends of the address space.
    most = 2**32 - 1 if version == 4 else 2**128 - 1
    values = st.integers(0, 40) | st.integers(most - 40, most)
    first, last = sorted((draw(values), draw(values)))
    if version == 4:
        return IPRange(IPv4Address(first), IPv4Address(last))
    return IPRange(IPv6Address(first), IPv6Address(last))


rules = st.builds(Rule, st.booleans(), st.none() | ranges())
close = st.builds(IPv4Address, st.integers(0, 45)) | st.builds(IPv6Address, st.integers(0, 45))


@given(addresses)
def test_classify_finds_the_most_specific_entry(address: IPAddress) -> None:
    entry = classify(address)
    assert address in entry.block
    around = [each for each in ALL_ENTRIES if address in each.block]
    if around:
        assert entry == max(around, key=lambda each: each.block.prefixlen)
    else:
        assert entry.rfc == ""


@given(ipv6)
def test_effective_addresses_end(address: IPv6Address) -> None:
    inner = effective(address)
    assert inner
    assert all(isinstance(each, IPv4Address) or each == address for each in inner)
    reachable = [classify(each).globally_reachable is True for each in inner]
    assert is_global(address) == all(reachable)


@given(ipv4)
def test_no_disguise_makes_a_private_address_global(address: IPv4Address) -> None:
    value = int(address)
    for disguise in (
        0xFFFF << 32 | value,
        0x64_FF9B << 96 | value,
        0x2002 << 112 | value << 80 | 1,
        0x2600 << 112 | 0x5EFE << 32 | value,
    ):
        assert is_global(IPv6Address(disguise)) == is_global(address)
    assert not is_global(IPv6Address(value))


@given(addresses)
def test_the_guard_agrees_with_itself(address: IPAddress) -> None:
    guard = GuardedResolver(None)  # type: ignore[arg-type]  # nothing is resolved
    assert guard.allows(address) == is_global(address)
    assert guard.allows(ip_address(str(address))) == is_global(address)


@given(st.lists(rules, max_size=12), st.booleans(), close)
def test_the_first_rule_that_matches_decides(
    listed: list[Rule], default: bool, address: IPAddress
) -> None:
    decision = AccessList(listed, default=default).decide(address)
    matching = [rule for rule in listed if rule.addresses is None or address in rule.addresses]
    assert decision.rule is (matching[0] if matching else None)
    assert decision.allowed == (matching[0].allowed if matching else default)


@given(st.lists(rules, max_size=12), st.booleans())
def test_access_list_as_text(listed: list[Rule], default: bool) -> None:
    access = AccessList(listed, default=default)
    assert AccessList.from_text(str(access)) == access


@given(
    st.text()
    | st.lists(
        st.sampled_from(["allow", "deny", "default", "all", " ", "\n", "#", "-", "10.0.0.0/8"])
    ).map("".join)
)
def test_any_text_is_an_access_list_or_an_error(text: str) -> None:
    with suppress(AddressError):
        access = AccessList.from_text(text)
        assert AccessList.from_text(str(access)) == access


fields = st.text(max_size=60) | st.text(alphabet='for=by;", \\:[].10a_', max_size=60)
nodes = st.one_of(
    ipv4.map(str),
    ipv4.map(lambda address: f"{address}:80"),
    ipv6.map(lambda address: f"[{address}]:_x"),
)


@given(st.lists(fields, max_size=4))
def test_any_field_is_a_chain(values: list[str]) -> None:
    for parse in (parse_forwarded, parse_x_forwarded_for):
        chain = parse(values)
        assert len(chain) <= MAX_HOPS
        for node in chain:
            address = node_address(node)
            assert address is None or node_address(str(address)) == address


@given(st.lists(fields, max_size=3), fields, st.lists(nodes, min_size=1, max_size=4))
@example([], 'for="', ["[::1]:_x"])
def test_nothing_that_was_sent_changes_what_was_appended(
    before: list[str], start: str, appended: list[str]
) -> None:
    written = "".join(f', for="{node}"' for node in appended)
    assert parse_forwarded([*before, start + written])[-len(appended) :] == tuple(appended)
    plain = "".join(f", {node}" for node in appended)
    assert parse_x_forwarded_for([*before, start + plain])[-len(appended) :] == tuple(appended)


@given(st.lists(fields, max_size=3), fields, ipv4, st.lists(ipv4, max_size=3))
def test_a_client_cannot_choose_its_address(
    before: list[str], start: str, client: IPv4Address, proxies: list[IPv4Address]
) -> None:
    """Behind proxies that append, the client is the one that the first of them saw."""
    trusted = TrustedProxies([proxy for proxy in proxies if proxy != client])
    hops = [client, *proxies]
    written = "".join(f", for={hop}" for hop in hops[:-1])
    chain = parse_forwarded([*before, start + written])
    if client in proxies:
        return
    assert trusted.client(hops[-1], chain) == client


@given(addresses, st.integers(0, 32), st.integers(0, 128))
def test_truncated_is_the_start_of_a_network(address: IPAddress, four: int, six: int) -> None:
    short = truncate(address, ipv4=four, ipv6=six)
    assert truncate(short, ipv4=four, ipv6=six) == short
    if isinstance(address, IPv4Address):
        assert address in IPv4Network((int(short), four))
    elif address.ipv4_mapped is not None:
        assert short == truncate(address.ipv4_mapped, ipv4=four)
    else:
        assert isinstance(short, IPv6Address)
        assert address in IPv6Network((int(short), min(six, 16 + four)), strict=False)


@given(addresses, st.binary(min_size=16, max_size=40))
def test_a_pseudonym_stays(address: IPAddress, key: bytes) -> None:
    one = pseudonym(address, key)
    assert one == pseudonym(ip_address(str(address)), key)
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    assert one.version == (4 if mapped else address.version)


def common_bits(one: IPAddress, other: IPAddress) -> int:
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 32), ipv4, ipv4)
def test_ipv4_prefixes_are_preserved(
    key: bytes, shared: int, one: IPv4Address, other: IPv4Address
) -> None:
    rest = 32 - shared
    other = IPv4Address(int(one) >> rest << rest | int(other) & (1 << rest) - 1)
    hiding = CryptoPAn(key)
    hidden, hidden_other = hiding.anonymize(one), hiding.anonymize(other)
    assert common_bits(hidden, hidden_other) == common_bits(one, other)
    assert hiding.deanonymize(hidden) == one
    assert CryptoPAn(key).deanonymize(hidden_other) == other


plain_ipv6 = ipv6.filter(lambda address: address.ipv4_mapped is None)


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 128), plain_ipv6, plain_ipv6)
def test_ipv6_prefixes_are_preserved(
    key: bytes, shared: int, one: IPv6Address, other: IPv6Address
) -> None:
    rest = 128 - shared
    other = IPv6Address(int(one) >> rest << rest | int(other) & (1 << rest) - 1)
    hiding = CryptoPAn(key)
    hidden, hidden_other = hiding.anonymize(one), hiding.anonymize(other)
    assert common_bits(hidden, hidden_other) == common_bits(one, other)
    assert hiding.deanonymize(hidden) == one
    assert CryptoPAn(key).deanonymize(hidden_other) == other


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_cipher_is_stable_and_no_identity(key: bytes, block: bytes) -> None:
    encrypted = AES128(key).encrypt(block)
    assert len(encrypted) == 16
    assert AES128(key).encrypt(block) == encrypted != block


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    with suppress(AddressError):
        interfaces_in(parse_messages(data))


@given(st.lists(st.tuples(st.sampled_from((16, 20, 24)), st.binary(max_size=80)), max_size=4))
def test_any_messages_are_interfaces_or_an_error(bodies: list[tuple[int, bytes]]) -> None:
    with suppress(AddressError):
        interfaces_in(Message(kind, 0, 1, body) for kind, body in bodies)
