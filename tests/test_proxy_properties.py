"""PROXY headers: whatever is said is understood, and nothing else is taken for one."""

import random
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netsuite.net._proxy_header import AUTHORITY, CRC32C, MAX_PATH, MAX_UNIQUE_ID, NETNS, SSL
from netsuite.net._proxy_wire import SIGNATURE_V2
from netsuite.net.proxy import (
    ProxyAddress,
    ProxyError,
    ProxyHeader,
    ProxyHeaderParser,
    encode_v1,
    encode_v2,
)

pytestmark = pytest.mark.once

PORTS = st.integers(0, 65_535)
PATHS = st.binary(max_size=MAX_PATH).filter(
    lambda path: not path.endswith(b"\0") and b"\0" not in path[1:]
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40).map(str.encode)
LONG = 65_535


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


@st.composite
def tls_values(draw: st.DrawFn) -> bytes:
    inner = draw(st.lists(st.tuples(st.integers(0, 255), TEXTS), max_size=4))
    return draw(st.binary(min_size=5, max_size=5)) + b"".join(tlv(*each) for each in inner)


@st.composite
def tlvs(draw: st.DrawFn) -> tuple[int, bytes]:
    kind = draw(st.integers(0, 255).filter(lambda kind: kind != CRC32C) | st.just(SSL))
    if kind == SSL:
        return kind, draw(tls_values())
    if kind in {AUTHORITY, NETNS}:
        return kind, draw(TEXTS)
    return kind, draw(st.binary(max_size=MAX_UNIQUE_ID))


def ends(
    addresses: st.SearchStrategy[IPv4Address | IPv6Address],
) -> st.SearchStrategy[tuple[ProxyAddress, ProxyAddress]]:
    one = st.builds(ProxyAddress, addresses, PORTS)
    return st.tuples(one, one)


INET = ends(st.ip_addresses(v=4)) | ends(st.ip_addresses(v=6))
TLVS = st.lists(tlvs(), max_size=6).map(tuple)


@st.composite
def headers(draw: st.DrawFn) -> ProxyHeader:
    if draw(st.integers(0, 9)) == 0:
        return ProxyHeader(command=draw(st.sampled_from(("local", "proxy"))))
    if draw(st.booleans()):
        source, destination = draw(INET)
        return ProxyHeader(source=source, destination=destination, tlvs=draw(TLVS))
    return ProxyHeader(source=draw(PATHS), destination=draw(PATHS), tlvs=draw(TLVS))


@st.composite
def encoded(draw: st.DrawFn) -> bytes:
    header = draw(headers())
    return draw(st.sampled_from((encode_v1(header), encode_v2(header), checked(header))))


def checked(header: ProxyHeader) -> bytes:
    return encode_v2(header, checksum=True)


def refusal(message: str) -> str:
    """The same for all errors, whose messages are fit for a log."""
    assert message.isprintable()
    assert len(message) < 1000
    return "error"


def outcome(pieces: list[bytes]) -> tuple[ProxyHeader | str | None, bytes]:
    """What a parser makes of the pieces: a header, an error or nothing yet, and the rest."""
    parser = ProxyHeaderParser(LONG)
    for place, piece in enumerate(pieces):
        try:
            header = parser.feed(piece)
        except ProxyError as error:
            return refusal(str(error)), b""
        if header is not None:
            return header, parser.rest + b"".join(pieces[place + 1 :])
    return None, b""


def split(data: bytes, seed: int) -> list[bytes]:
    """The data in pieces of random lengths, some of them empty."""
    chooser = random.Random(seed)
    cuts = sorted(chooser.randint(0, len(data)) for _ in range(chooser.randint(0, 12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(headers(), st.binary(max_size=20))
def test_round_trip(header: ProxyHeader, rest: bytes) -> None:
    assert outcome([encode_v2(header) + rest]) == (header, rest)
    assert outcome([checked(header) + rest]) == (header, rest)


@given(INET, st.binary(max_size=20))
def test_round_trip_as_a_line(pair: tuple[ProxyAddress, ProxyAddress], rest: bytes) -> None:
    header = ProxyHeader(source=pair[0], destination=pair[1])
    assert outcome([encode_v1(header) + rest]) == (header, rest)


@given(encoded(), st.binary(max_size=20), st.integers())
def test_any_split_is_the_same(header: bytes, rest: bytes, seed: int) -> None:
    data = header + rest
    whole = outcome([data])
    assert isinstance(whole[0], ProxyHeader)
    assert outcome(split(data, seed)) == whole
    assert outcome([data[place : place + 1] for place in range(len(data))]) == whole


@given(encoded())
def test_no_part_of_a_header_is_one(data: bytes) -> None:
    for place in range(len(data)):
        assert outcome([data[:place]]) == (None, b"")


@given(st.binary(max_size=200), st.integers())
@example(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r", 0)
def test_no_bytes_crash_it(data: bytes, seed: int) -> None:
    for start in (b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE_V2):
        whole = outcome([start + data])
        assert outcome(split(start + data, seed)) == whole


@given(
    st.sampled_from((0x20, 0x21)),
    st.sampled_from((0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32)),
    st.binary(max_size=300),
)
def test_no_body_crashes_it(command: int, family: int, body: bytes) -> None:
    start = SIGNATURE_V2 + bytes([command, family]) + len(body).to_bytes(2, "big")
    header, rest = outcome([start + body + b"rest"])
    assert header is not None, "it is complete"
    if isinstance(header, ProxyHeader):
        assert rest == b"rest"
        # Whatever it says can be said again.
        assert outcome([encode_v2(header)]) == (header, b"")
        for name in ("alpn", "authority", "unique_id", "namespace", "tls"):
            getattr(header, name)


@given(encoded(), st.integers(0), st.integers(0, 255))
def test_one_byte_changed_is_never_a_crash(data: bytes, place: int, byte: int) -> None:
    place %= len(data)
    outcome([data[:place] + bytes([byte]) + data[place + 1 :]])


@given(headers().filter(lambda header: header.source is not None), st.data())
def test_a_checksum_notices_one_changed_byte(header: ProxyHeader, chosen: st.DataObject) -> None:
    data = checked(header)
    # The checksum's own type and length are not to be touched: it would not be one.
    places = [*range(16, len(data) - 7), *range(len(data) - 4, len(data))]
    place = chosen.draw(st.sampled_from(places))
    mask = chosen.draw(st.integers(1, 255))
    changed = data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]
    found, _ = outcome([changed])
    if found != "error":
        # A TLV's length has swallowed the checksum: it says something else, but not the same.
        assert found != header
