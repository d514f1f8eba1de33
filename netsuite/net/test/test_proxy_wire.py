import struct
from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.net._proxy_header import (
    ALPN,
    AUTHORITY,
    CRC32C,
    MAX_PATH,
    MAX_UNIQUE_ID,
    NETNS,
    NOOP,
    SSL,
    SSL_CIPHER,
    SSL_COMMON_NAME,
    SSL_KEY_ALGORITHM,
    SSL_SIGNATURE_ALGORITHM,
    SSL_VERSION,
    UNIQUE_ID,
    ProxyAddress,
    ProxyError,
    ProxyHeader,
    ProxyTLS,
)
from netsuite.net._proxy_wire import (
    MAX_ANNOUNCED,
    MAX_LINE,
    SIGNATURE_V2,
    ProxyHeaderParser,
    crc32c,
    encode_v1,
    encode_v2,
)

IPV4 = ProxyHeader(
    source=ProxyAddress(IPv4Address("192.168.0.1"), 56324),
    destination=ProxyAddress(IPv4Address("192.168.0.11"), 443),
)
IPV6 = ProxyHeader(
    source=ProxyAddress(IPv6Address("2001:db8::1"), 0),
    destination=ProxyAddress(IPv6Address("::ffff:192.0.2.1"), 65535),
)
LINE = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
WORST = b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n"
#: As HAProxy sends the same connection (section 2.2).
BINARY = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c c0a80001 c0a8000b dc04 01bb")


def parse(data: bytes, max_announced: int = MAX_ANNOUNCED) -> ProxyHeader:
    """The header that ``data`` is, all of it."""
    parser = ProxyHeaderParser(max_announced)
    header = parser.feed(data)
    assert header is not None, "it is incomplete"
    assert parser.rest == b""
    return header


def binary(body: bytes, family: int = 0x11, command: int = 0x21) -> bytes:
    return SIGNATURE_V2 + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def with_tlvs(*tlvs: tuple[int, bytes]) -> bytes:
    return binary(BINARY[16:] + b"".join(tlv(*each) for each in tlvs))


class ParserCase(SynchronousTestCase):
    def assert_refused(self, data: bytes, words: str, max_announced: int = MAX_ANNOUNCED) -> None:
        error = self.assertRaises(ProxyError, ProxyHeaderParser(max_announced).feed, data)
        self.assertIn(words, str(error))
        self.assertTrue(str(error).isprintable())

    def assert_incomplete(self, data: bytes) -> None:
        parser = ProxyHeaderParser()
        self.assertIsNone(parser.feed(data))
        self.assertEqual(parser.received, len(data))
        self.assertEqual(parser.rest, b"")


class FeedTest(ParserCase):
    def test_both_versions_say_the_same(self) -> None:
        self.assertEqual(parse(LINE), IPV4)
        self.assertEqual(parse(BINARY), IPV4)

    def test_byte_by_byte(self) -> None:
        for data in (LINE, BINARY, WORST, encode_v2(IPV6)):
            parser = ProxyHeaderParser()
            answers = [parser.feed(data[place : place + 1]) for place in range(len(data))]
            self.assertEqual(answers[:-1], [None] * (len(data) - 1))
            self.assertIsInstance(answers[-1], ProxyHeader)
            self.assertEqual(parser.rest, b"")

    def test_what_follows_is_kept(self) -> None:
        for data in (LINE, BINARY):
            parser = ProxyHeaderParser()
            self.assertIsNone(parser.feed(data[:10]))
            self.assertEqual(parser.feed(data[10:] + data + b"\r\n"), IPV4)
            self.assertEqual(parser.rest, data + b"\r\n")

    def test_nothing_is_incomplete(self) -> None:
        self.assert_incomplete(b"")

    def test_other_protocols_are_told_at_the_first_byte_that_differs(self) -> None:
        for good, bad in (
            (b"", b"G"),
            (b"", b"\x16"),
            (b"P", b"O"),
            (b"PROX", b"X"),
            (b"PROXY", b"\t"),
            (b"PROXY", b"\r"),
            (b"\r", b"P"),
            (b"\r\n\r\n", b"\x01"),
            (b"\r\n\r\n\x00\r\nQUIT", b"\r"),
        ):
            self.assert_incomplete(good)
            self.assert_refused(good + bad, f"it begins with {good + bad!r}")

    def test_a_wrong_beginning_is_cut_short(self) -> None:
        self.assert_refused(b"GET " * 1000, "begins with b'GET GET GET GET '")

    def test_nothing_is_fed_after_the_header(self) -> None:
        parser = ProxyHeaderParser()
        parser.feed(LINE)
        self.assertRaises(RuntimeError, parser.feed, b"x")

    def test_an_error_stays(self) -> None:
        parser = ProxyHeaderParser()
        for _ in range(2):
            self.assertRaises(ProxyError, parser.feed, b"x")


class LineTest(ParserCase):
    def test_families(self) -> None:
        self.assertEqual(
            parse(b"PROXY TCP6 2001:DB8:0::1 ::ffff:192.0.2.1 0 65535\r\n"),
            IPV6,
        )
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN what ever\xff  \r\n", WORST):
            self.assertEqual(parse(line), ProxyHeader())

    def test_the_longest_line(self) -> None:
        self.assertEqual(len(WORST), MAX_LINE)
        self.assert_incomplete(WORST[:-1])
        self.assert_refused(WORST[:-2] + b"5\r\n", "expected a line that ends in CR LF")
        self.assert_refused(WORST[:-2] + b"55", "expected CR LF within 107 bytes")
        self.assert_refused(WORST[:-2] + b"55\r\n", "expected CR LF within 107 bytes")

    def test_line_ends(self) -> None:
        self.assert_incomplete(LINE[:-1])
        self.assert_refused(LINE[:-2] + b"\n", "ends in CR LF")
        self.assert_refused(LINE[:-2] + b"\rx", "ends in CR LF")
        self.assert_refused(LINE[:-2] + b"\r\r\n", "ends in CR LF")
        self.assert_refused(b"PROXY UNKNOWN\n\r\n", "ends in CR LF")
        self.assert_refused(b"PROXY UNKNOWN a\rb\r\n", "ends in CR LF")

    def test_words(self) -> None:
        rest = b" 1.2.3.4 5.6.7.8 1 2\r\n"
        for word in (b"tcp4", b"TCP", b"TCP5", b"UDP4", b"", b"UNKNOWN2", b"unknown"):
            self.assert_refused(b"PROXY " + word + rest, "expected TCP4, TCP6 or UNKNOWN")

    def test_spaces(self) -> None:
        for line in (
            b"PROXY TCP4",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1",
            b"PROXY TCP4 1.2.3.4  5.6.7.8 1 2",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 ",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3",
        ):
            self.assert_refused(line + b"\r\n", "one space between each")
        self.assert_refused(b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "expected TCP4")

    def test_addresses(self) -> None:
        for family, address in (
            ("4", "1.2.3.04"),
            ("4", "1.2.3"),
            ("4", "1.2.3.256"),
            ("4", "::1"),
            ("4", ""),
            ("4", "1.2.3.4\t"),
            ("6", "1.2.3.4"),
            ("6", "fe80::1%eth0"),
            ("6", "[::1]"),
            ("6", "::1::"),
            ("6", "12345::"),
        ):
            good = "5.6.7.8" if family == "4" else "::"
            expected = f"address {address!r}: expected IPv{family}, as TCP{family} announces"
            for pair in (f"{address} {good}", f"{good} {address}"):
                self.assert_refused(f"PROXY TCP{family} {pair} 1 2\r\n".encode(), expected)

    def test_ports(self) -> None:
        for port in ("65536", "00", "01", "-1", "+1", "", "1_0", "0x1", "99999999"):
            for pair in (f"{port} 2", f"2 {port}"):
                line = f"PROXY TCP4 1.2.3.4 5.6.7.8 {pair}\r\n"
                self.assert_refused(line.encode(), f"port {port!r}: expected a number")

    def test_only_ascii(self) -> None:
        self.assert_refused("PROXY TCP4 \u0661.2.3.4 5.6.7.8 1 2\r\n".encode(), "expected ASCII")


class BinaryTest(ParserCase):
    def test_ipv6_and_mapped_addresses(self) -> None:
        body = IPv6Address("2001:db8::1").packed + IPv6Address("::ffff:c000:201").packed
        self.assertEqual(parse(binary(body + b"\x00\x00\xff\xff", 0x21)), IPV6)

    def test_paths(self) -> None:
        def header(source: bytes, destination: bytes) -> ProxyHeader:
            body = source.ljust(MAX_PATH, b"\0") + destination.ljust(MAX_PATH, b"\0")
            return parse(binary(body, 0x31))

        for path in (b"", b"/run/a.sock", b"\0abstract", b"x" * MAX_PATH, b"\0a\0b"):
            found = header(path, b"/run/b")
            self.assertEqual((found.source, found.destination), (path, b"/run/b"))
        self.assertEqual(header(b"/run/a\0garbage", b"").source, b"/run/a")

    def test_version_and_command(self) -> None:
        for byte in (0x00, 0x01, 0x10, 0x11, 0x22, 0x2F, 0x31, 0xFF):
            self.assert_refused(SIGNATURE_V2 + bytes([byte]), f"version and command {byte:#04x}")

    def test_family_and_transport(self) -> None:
        for byte in (0x13, 0x1F, 0x23, 0x33, 0x40, 0x41, 0xF1, 0xFF):
            self.assert_refused(
                SIGNATURE_V2 + bytes([0x21, byte]), f"family and transport {byte:#04x}"
            )

    def test_unspecified_counts_as_unknown(self) -> None:
        for byte in (0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x32):
            for body in (b"", b"whatever it is"):
                self.assertEqual(parse(binary(body, byte)), ProxyHeader())

    def test_local_ignores_the_rest(self) -> None:
        for byte in (0x00, 0x11, 0x21, 0xFF):
            for body in (b"", b"x", BINARY[16:]):
                self.assertEqual(parse(binary(body, byte, 0x20)), ProxyHeader(command="local"))

    def test_addresses_that_are_cut_short(self) -> None:
        for byte, size in ((0x11, 12), (0x21, 36), (0x31, 216)):
            parse(binary(bytes(size), byte))
            self.assert_refused(binary(bytes(size - 1), byte), f"{size - 1} bytes of addresses")

    def test_the_longest_header(self) -> None:
        filler = tlv(NOOP, bytes(MAX_ANNOUNCED - 12 - 3))
        header = binary(BINARY[16:] + filler)
        self.assertEqual(len(header), 16 + MAX_ANNOUNCED)
        parse(header)
        announced = (MAX_ANNOUNCED + 1).to_bytes(2, "big")
        self.assert_refused(BINARY[:14] + announced, "16 + 4097 bytes: expected up to 16 + 4096")
        self.assert_incomplete(BINARY[:14] + announced[:1])

    def test_a_limit_of_ones_own(self) -> None:
        self.assertEqual(parse(BINARY, 12), IPV4)
        self.assert_refused(BINARY, "16 + 12 bytes: expected up to 16 + 11", 11)


class TLVTest(ParserCase):
    def test_each(self) -> None:
        tlvs = (
            (ALPN, b"h2"),
            (AUTHORITY, "bücher.example".encode()),
            (NOOP, b""),
            (UNIQUE_ID, b"\x00" * MAX_UNIQUE_ID),
            (NETNS, b"blue"),
            (0xEA, b"\x01vpce-1"),
        )
        header = parse(with_tlvs(*tlvs))
        self.assertEqual(header.tlvs, tlvs)
        self.assertEqual(header.alpn, b"h2")
        self.assertEqual(header.authority, "bücher.example")
        self.assertEqual(header.unique_id, bytes(128))
        self.assertEqual(header.namespace, "blue")
        self.assertEqual(header.tlv(0xEA), b"\x01vpce-1")
        self.assertIsNone(header.tlv(0xEB))
        self.assertIsNone(header.tls)

    def test_none(self) -> None:
        header = parse(BINARY)
        self.assertEqual(header.tlvs, ())
        for value in (header.alpn, header.authority, header.unique_id, header.namespace):
            self.assertIsNone(value)

    def test_the_first_of_two(self) -> None:
        header = parse(with_tlvs((AUTHORITY, b"a"), (AUTHORITY, b"b")))
        self.assertEqual(header.authority, "a")

    def test_past_the_end(self) -> None:
        for tail in (b"\x04", b"\x04\x00", b"\x04\x00\x01", b"\x04\x00\x03ab"):
            self.assert_refused(binary(BINARY[16:] + tail), "TLV of type 0x04: it goes past")

    def test_what_they_may_hold(self) -> None:
        for kind in (AUTHORITY, NETNS):
            self.assert_refused(with_tlvs((kind, b"\xff")), "expected UTF-8")
        self.assert_refused(
            with_tlvs((UNIQUE_ID, bytes(MAX_UNIQUE_ID + 1))), "unique id of 129 bytes"
        )


class TLSTest(ParserCase):
    def test_a_client_with_a_certificate(self) -> None:
        texts = {
            SSL_VERSION: b"TLSv1.3",
            SSL_COMMON_NAME: "Ännchen".encode(),
            SSL_CIPHER: b"TLS_AES_256_GCM_SHA384",
            SSL_SIGNATURE_ALGORITHM: b"RSA-SHA256",
            SSL_KEY_ALGORITHM: b"RSA2048",
        }
        value = b"\x07\x00\x00\x00\x00" + b"".join(tlv(*each) for each in texts.items())
        tls = parse(with_tlvs((SSL, value))).tls
        assert tls is not None
        self.assertTrue(tls.verified)
        self.assertEqual(tls.version, "TLSv1.3")
        self.assertEqual(tls.common_name, "Ännchen")
        self.assertEqual(tls.cipher, "TLS_AES_256_GCM_SHA384")
        self.assertEqual(tls.signature_algorithm, "RSA-SHA256")
        self.assertEqual(tls.key_algorithm, "RSA2048")

    def test_who_is_verified(self) -> None:
        for client, verify, verified in (
            (0x01, 0, False),  # no certificate at all
            (0x03, 0, True),
            (0x05, 0, True),
            (0x03, 1, False),
            (0x05, 0xFFFFFFFF, False),
        ):
            tls = parse(with_tlvs((SSL, struct.pack("!BI", client, verify)))).tls
            self.assertEqual(tls, ProxyTLS(client, verify))
            assert tls is not None
            self.assertEqual(tls.verified, verified)
            self.assertIsNone(tls.common_name)

    def test_a_client_without_tls(self) -> None:
        self.assertIsNone(parse(with_tlvs((SSL, bytes(5)))).tls)

    def test_malformed(self) -> None:
        self.assert_refused(with_tlvs((SSL, bytes(4))), "4 bytes: expected at least 5")
        self.assert_refused(with_tlvs((SSL, bytes(5) + b"\x21\x00\x02a")), "0x21: it goes past")
        self.assert_refused(
            with_tlvs((SSL, bytes(5) + tlv(SSL_COMMON_NAME, b"\xff"))), "0x22: expected UTF-8"
        )


class ChecksumTest(ParserCase):
    def test_known_values(self) -> None:
        # RFC 3720 appendix B.4
        self.assertEqual(crc32c(bytes(32)), 0x8A9136AA)
        self.assertEqual(crc32c(b"\xff" * 32), 0x62A8AB43)
        self.assertEqual(crc32c(bytes(range(32))), 0x46DD794E)

    def test_verified_and_left_out(self) -> None:
        data = encode_v2(IPV4, checksum=True)
        self.assertEqual(data[28:31], b"\x03\x00\x04")
        self.assertEqual(parse(data), IPV4)

    def test_any_change_is_noticed(self) -> None:
        data = encode_v2(IPV4, checksum=True)
        for place in range(16, len(data)):
            if 28 <= place < 31:
                continue  # the TLV's type and length
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            self.assert_refused(changed, "checksum")

    def test_in_the_middle(self) -> None:
        start = BINARY[16:] + tlv(ALPN, b"h2")
        data = binary(start + tlv(CRC32C, bytes(4)) + tlv(NETNS, b"x"))
        place = 16 + len(start) + 3
        data = data[:place] + crc32c(data).to_bytes(4, "big") + data[place + 4 :]
        self.assertEqual(parse(data).tlvs, ((ALPN, b"h2"), (NETNS, b"x")))

    def test_malformed(self) -> None:
        self.assert_refused(with_tlvs((CRC32C, bytes(3))), "checksum of 3 bytes: expected 4")

    def test_only_one(self) -> None:
        start = BINARY[16:] + tlv(CRC32C, bytes(4)) + tlv(CRC32C, b"zzzz")
        data = binary(start)
        data = data[:31] + crc32c(data).to_bytes(4, "big") + data[35:]
        self.assert_refused(data, "a second checksum")


class EncodeTest(SynchronousTestCase):
    def test_version_1(self) -> None:
        self.assertEqual(encode_v1(IPV4), LINE)
        self.assertEqual(parse(encode_v1(IPV6)), IPV6)
        for header in (
            ProxyHeader(),
            ProxyHeader(command="local"),
            ProxyHeader(source=b"/a", destination=b"/b"),
        ):
            self.assertEqual(encode_v1(header), b"PROXY UNKNOWN\r\n")

    def test_version_2(self) -> None:
        self.assertEqual(encode_v2(IPV4), BINARY)
        self.assertEqual(encode_v2(ProxyHeader()), binary(b"", 0))
        self.assertEqual(encode_v2(ProxyHeader(command="local")), binary(b"", 0, 0x20))
        self.assertEqual(encode_v2(ProxyHeader(), checksum=True), binary(b"", 0))

    def test_too_long(self) -> None:
        most = 65_535 - 12 - 3
        header = ProxyHeader(
            source=IPV4.source, destination=IPV4.destination, tlvs=((NOOP, bytes(most)),)
        )
        data = encode_v2(header)
        self.assertEqual(parse(data, 65_535), header)
        self.assertRaises(ValueError, encode_v2, header, checksum=True)


class HeaderTest(SynchronousTestCase):
    def assert_no_header(self, **fields: Any) -> None:
        self.assertRaises(ValueError, ProxyHeader, **fields)

    def test_text(self) -> None:
        self.assertEqual(str(IPV4.source), "192.168.0.1:56324")
        self.assertEqual(str(IPV6.source), "[2001:db8::1]:0")

    def test_immutable(self) -> None:
        with self.assertRaises(FrozenInstanceError):
            IPV4.tlvs = ()  # type: ignore[misc]  # which is the point

    def test_addresses_that_cannot_be(self) -> None:
        for port in (-1, 65_536):
            self.assertRaises(ValueError, ProxyAddress, ip_address("::1"), port)
        self.assertRaises(ValueError, ProxyAddress, ip_address("fe80::1%1"), 1)

    def test_headers_that_cannot_be(self) -> None:
        both = {"source": IPV4.source, "destination": IPV4.destination}
        self.assert_no_header(source=IPV4.source)
        self.assert_no_header(destination=IPV4.destination)
        self.assert_no_header(source=IPV4.source, destination=IPV6.destination)
        self.assert_no_header(source=IPV4.source, destination=b"/run/x")
        self.assert_no_header(command="local", **both)
        self.assert_no_header(command="tunnel", **both)
        self.assert_no_header(tlvs=((NOOP, b""),))
        for path in (b"x" * (MAX_PATH + 1), b"a\0", b"a\0b", b"\0"):
            self.assert_no_header(source=path, destination=b"")
        for bad in ((256, b""), (-1, b""), (CRC32C, bytes(4)), (NOOP, bytes(65_536))):
            self.assert_no_header(tlvs=(bad,), **both)
