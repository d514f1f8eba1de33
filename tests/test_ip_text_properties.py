"""Addresses in text: agreement with the C library and the standard library, round trips."""

import socket
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsuite.ip._embed import (
    EmbeddingKind,
    embedded_ipv4,
    eui64_address,
    isatap_address,
    mac_of,
    mapped_address,
    multicast_mac,
    nat64_address,
    six_to_four_network,
    solicited_node,
    teredo_address,
    teredo_parts,
)
from netsuite.ip._errors import AddressError
from netsuite.ip._mac import MAC, MACNotation
from netsuite.ip._names import from_ptr, ptr_name, ptr_zones
from netsuite.ip._parse import (
    Notation,
    is_numeric_host,
    parse_address,
    parse_host_port,
    parse_lenient,
    parse_network,
)
from netsuite.ip._rate import IPAddress, IPNetwork

pytestmark = pytest.mark.once

IPV4 = st.ip_addresses(v=4).map(lambda address: IPv4Address(int(address)))
IPV6 = st.ip_addresses(v=6).map(lambda address: IPv6Address(int(address)))
ADDRESSES = st.one_of(IPV4, IPV6)
HARDWARE = st.one_of(st.binary(min_size=6, max_size=6), st.binary(min_size=8, max_size=8)).map(MAC)

#: Texts that are near an address more often than not.
NEAR = st.one_of(
    st.text(),
    st.text("0123456789abcdefxX.:%[]/- \n", max_size=50),
    st.from_regex(r"[\[]?[0-9a-f:.]{0,40}(%[a-z0-9:\] ]{0,5})?[\]]?(:[0-9]{0,6})?", fullmatch=True),
)

NUMBERS = st.one_of(
    st.integers(0, 300).map(str),
    st.integers(0, 1 << 33).map(str),
    st.integers(0, 1 << 33).map(hex),
    st.integers(0, 1 << 33).map(lambda number: f"0{number:o}"),
    st.text("0123456789abcdefxX", max_size=12),
)

#: Characters that IDNA maps to those of addresses, and some that it does not.
IDNA_TEXTS = st.text(
    "01789abcfxX.:%-\u00ad\u00b2\u00b7\u200b\u2024\u2026\u2070\u2075\u2460\u2488\u24ea\u3002\ufb00"
    "\ufe52\uff05\uff0e\uff10\uff11\uff17\uff1a\uff21\uff46\uff58\uff61\u0661\U0001d7ce",
    max_size=20,
)


@st.composite
def networks(draw: st.DrawFn) -> IPNetwork:
    address: IPAddress = draw(ADDRESSES)
    length = draw(st.integers(0, address.max_prefixlen))
    return ip_network((int(address).to_bytes(len(address.packed), "big"), length), strict=False)


def read(text: str) -> IPAddress | None:
    try:
        return parse_lenient(text).address
    except AddressError:
        return None


def inet_aton(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None


@given(st.text("0123456789abcdefxX. \n"))
def test_any_text_reads_as_inet_aton_reads_it(text: str) -> None:
    assert read(text) == inet_aton(text)


@given(st.lists(NUMBERS, min_size=1, max_size=5).map(".".join), st.sampled_from(["", " ", "\n0"]))
def test_any_numbers_read_as_inet_aton_reads_them(text: str, end: str) -> None:
    assert read(text + end) == inet_aton(text + end)


@given(IDNA_TEXTS)
def test_whatever_idna_makes_an_address_is_one(text: str) -> None:
    """getaddrinfo with AI_NUMERICHOST looks nothing up; it encodes as for any host."""
    try:
        found = socket.getaddrinfo(text, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    host = found[0][4][0]
    assert isinstance(host, str)
    lenient = parse_lenient(text)
    assert int(lenient.address) == int(ip_address(host))
    assert is_numeric_host(text)


@given(NEAR)
def test_strict_reads_what_ipaddress_reads_or_nothing(text: str) -> None:
    try:
        expected: IPAddress | None = ip_address(text)
    except ValueError:
        expected = None
    try:
        address = parse_address(text)
    except AddressError as error:
        # Zones are the one thing that is narrower, and length.
        assert expected is None or "%" in text or len(text) > 128
        assert repr(text) in str(error)  # noqa: PT017 - the other outcome is tested as well
    else:
        assert address == expected
        lenient = parse_lenient(text)
        assert lenient.address == address
        assert lenient.notation is Notation.STANDARD


@given(NEAR)
def test_no_text_raises_anything_but_the_error(text: str) -> None:
    for parse in (parse_address, parse_network, parse_host_port, parse_lenient, from_ptr, MAC):
        with suppress(AddressError):
            parse(text)
    is_numeric_host(text)


@given(ADDRESSES)
def test_addresses_round_trip(address: IPAddress) -> None:
    assert parse_address(str(address)) == address
    assert parse_address(address.exploded) == address
    assert from_ptr(ptr_name(address)) == address
    assert ptr_name(address) == address.reverse_pointer


@given(networks())
def test_networks_round_trip(network: IPNetwork) -> None:
    assert parse_network(str(network)) == network
    if network.version == 4:
        assert parse_network(network.with_netmask) == network


@given(networks())
def test_zones_cover_their_network(network: IPNetwork) -> None:
    parts = [ip_network(from_ptr(zone)) for zone in ptr_zones(network)]
    first, last = parts[0].network_address, parts[-1].broadcast_address
    assert int(first) <= int(network.network_address)
    assert int(last) >= int(network.broadcast_address)
    size = int(last) - int(first) + 1
    assert sum(part.num_addresses for part in parts) == size
    assert size == network.num_addresses or (network.version == 4 and size == 256)
    assert len(parts) <= (128 if network.version == 4 else 8)


@given(IPV4, st.integers(25, 31))
def test_classless_names_round_trip(address: IPv4Address, length: int) -> None:
    network = IPv4Network((int(address), length), strict=False)
    [zone] = ptr_zones(network, classless=True)
    assert from_ptr(zone) == network
    name = ptr_name(address, zone=network)
    assert name.endswith(f".{zone}")
    assert from_ptr(name) == address
    assert from_ptr(name.replace("/", "-")) == address


@given(NEAR, st.none() | st.integers(0, 65535))
def test_hosts_with_ports_round_trip(text: str, default: int | None) -> None:
    try:
        found = parse_host_port(text, default)
    except AddressError:
        return
    assert parse_host_port(str(found)) == found
    assert found.port is None or 0 <= found.port <= 65535
    assert not (isinstance(found.host, str) and is_numeric_host(found.host))


@given(HARDWARE)
def test_hardware_addresses_round_trip(mac: MAC) -> None:
    for notation in MACNotation:
        assert MAC(mac.format(notation)) == MAC(mac.format(notation, upper=True)) == mac
    assert MAC.from_int(int(mac), mac.bits) == mac
    assert MAC.from_interface_id(mac.interface_id).to_eui64() == mac.to_eui64()
    assert mac.to_eui64().interface_id == mac.interface_id


@given(st.binary(min_size=6, max_size=6).map(MAC), st.integers(1 << 61, (0xFF << 56) - 1))
def test_a_station_is_found_in_its_address(mac: MAC, prefix: int) -> None:
    address = eui64_address(IPv6Network((prefix << 64, 64)), mac)
    assert mac_of(address) == (None if mac.is_multicast else mac)


@given(IPV4, IPV6, st.sampled_from([32, 40, 48, 56, 64, 96]))
def test_nat64_round_trips(ipv4: IPv4Address, network: IPv6Address, length: int) -> None:
    prefix = IPv6Network((int(network) & ~(0xFF << 56), length), strict=False)
    address = nat64_address(prefix, ipv4)
    assert address in prefix
    assert address.packed[8] == 0
    nat64 = [e.ipv4 for e in embedded_ipv4(address, [prefix]) if e.kind is EmbeddingKind.NAT64]
    assert nat64 == [ipv4]


@given(IPV4, IPV4, st.integers(0, 65535), st.integers(0, 65535))
def test_teredo_round_trips(
    server: IPv4Address, client: IPv4Address, port: int, flags: int
) -> None:
    address = teredo_address(server, client, port, flags)
    parts = teredo_parts(address)
    assert parts is not None
    assert (parts.server, parts.client, parts.port, parts.flags) == (server, client, port, flags)
    assert address.teredo == (server, client)
    assert [e.ipv4 for e in embedded_ipv4(address)] == [server, client]


@given(IPV4)
def test_other_embeddings_round_trip(ipv4: IPv4Address) -> None:
    mapped = mapped_address(ipv4)
    assert mapped.ipv4_mapped == ipv4
    network = six_to_four_network(ipv4)
    assert network.network_address.sixtofour == ipv4
    isatap = isatap_address(IPv6Network("fe80::/64"), ipv4)
    for address, kind in (
        (mapped, EmbeddingKind.MAPPED),
        (network.network_address, EmbeddingKind.SIX_TO_FOUR),
        (network.broadcast_address, EmbeddingKind.SIX_TO_FOUR),
        (isatap, EmbeddingKind.ISATAP),
    ):
        [embedding] = embedded_ipv4(address)
        assert (embedding.kind, embedding.ipv4) == (kind, ipv4)


@given(ADDRESSES)
def test_any_address_has_its_embeddings_and_groups(address: IPAddress) -> None:
    if isinstance(address, IPv6Address):
        embedded_ipv4(address)
        mac_of(address)
        with suppress(AddressError):
            assert multicast_mac(solicited_node(address)).packed[:3] == b"\x33\x33\xff"
    with suppress(AddressError):
        assert multicast_mac(address).is_multicast
