import base64
import contextlib
import struct
import zlib
from ipaddress import IPv4Interface, IPv6Interface

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._errors import AddressError
from netsuite.ip._interfaces import Interface, Message, interfaces_in, parse_messages
from netsuite.ip._mac import MAC

# What Linux 6.18 answered in a network namespace with a pair of veth interfaces, compressed.
CAPTURED = zlib.decompress(
    base64.b85decode(
        "c-rllL2DC16vzKFn@zW=)u;hQK_iM*JXqS)L#!HY1;rlpR!R>l4G4-wuq8K_oIHr1p&!G8hnzfl^ymi=58}at7qh-"
        "M`_gP?H=9HoY9tSmH_XiY&zspdzjXWF1@h2P0LoA43mJ#ocTEp40SC`E0T0vo;s7qqW^-"
        "{^{F0gJAw%Da{G93cFfab3_*3Gqi9aoIGYA6q7bU(d{)YI9_^bFCOpsrc`L{%;Xmnhh5xuk0e_8yj@mVa3zb$!RFg_"
        ">y4BL9Q{Sn9Tzt{#n#bMh4T%t48($3=f=8LWBRu!|(3A~~H*O7CEd7_;kM7(V(Wh}|^^k}(OlXP};j%vcF`31_DYia"
        "K26lU&)F+XGv6^XF(49Ip4g>$*>mnY#rP~hcOHRN`5#ytGmJy+JS^Hx^QNI4(>+m+ODW0}@k;d=JGl5%h!V;jU4smA"
        "~GRuvK=U8+j9b2!*DK7;Fi1~>grF?K6cy-WEvySE>AvO8<B8^Z3-E)2Vuh20@zyR%#G5xcd;ZY}Iq!fw@r-"
        "R8DVh3pQ3@HR2KZKkYQew5hV;>g;N@{h7Rk0Y3*)wZiIpM=lIHEi2!rVna^GQC7huf2^ko$EY}=|<!)nXVG@-"
        "cP2t##U1DOxs7d`2DtCHMTNf-"
        "f2u%`^a?1X8NQ4m|h!Yrsu{?A12fFh%){AYMkk{G1JFP|A(1gptjS&^f3Pd^=awTp5F}lsPKwX^Js*9`~NQ<d=rxuC"
        "I$h&xAG^Zb=)^~&RPv<qs6}c+Y#5|yH!fkDz>#g%x`GcBHx$ReM>9nhkGo<PhKVMtEKJIANU-"
        "x9@DFvHun|P^t*_x;x(*39bIFA^cQ4}It|8htu%gV$+hXXU)P)Twvn_~)@ewtd|r2AdUeykn^%{;_mh{CoL8=&yjr!"
        "WBenP&ArmS{"
    )
)

#: The second answer in it, the one with addresses: eight messages and the last.
ANSWER = CAPTURED[-652:]

NEWLINK, NEWADDR, DONE = 16, 20, 3
ADDRESS, NAME, MTU = 1, 3, 4
LOCAL = 2
INET, INET6 = 2, 10


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(index: int, *attributes: bytes, flags: int = 0) -> Message:
    body = struct.pack("=BxHiII", 0, 1, index, flags, 0) + b"".join(attributes)
    return Message(NEWLINK, 0, 1, body)


def address(index: int, family: int, length: int, *attributes: bytes) -> Message:
    body = struct.pack("=BBBBI", family, length, 0, 0, index) + b"".join(attributes)
    return Message(NEWADDR, 0, 2, body)


class CapturedTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        up = {"UP", "RUNNING", "LOWER_UP"}
        self.assertEqual(
            interfaces_in(parse_messages(CAPTURED)),
            (
                Interface(
                    "lo",
                    1,
                    MAC("00:00:00:00:00:00"),
                    frozenset(up | {"LOOPBACK"}),
                    65536,
                    (IPv4Interface("127.0.0.1/8"), IPv6Interface("::1/128")),
                ),
                Interface(
                    "vb",
                    2,
                    MAC("02:00:00:00:00:0b"),
                    frozenset(up | {"BROADCAST", "MULTICAST"}),
                    1500,
                    (
                        IPv6Interface("2001:db8:1::1/128"),
                        IPv6Interface("fe80::ff:fe00:b%vb/64"),
                    ),
                ),
                Interface(
                    "va",
                    3,
                    MAC("02:00:00:00:00:0a"),
                    frozenset(up | {"BROADCAST", "MULTICAST"}),
                    1400,
                    (
                        IPv4Interface("192.0.2.1/24"),
                        IPv4Interface("198.51.100.1/32"),
                        IPv6Interface("2001:db8::1/64"),
                        IPv6Interface("fe80::ff:fe00:a%va/64"),
                    ),
                ),
            ),
        )

    def test_messages(self) -> None:
        messages = list(parse_messages(CAPTURED))
        kinds = [message.kind for message in messages]
        self.assertEqual(kinds, [NEWLINK] * 3 + [DONE] + [NEWADDR] * 8 + [DONE])
        self.assertEqual([message.sequence for message in messages], [1] * 4 + [2] * 9)

    def test_cut_anywhere(self) -> None:
        whole = set()
        for size in range(len(ANSWER)):
            try:
                interfaces_in(parse_messages(ANSWER[:size]))
            except AddressError:
                continue
            whole.add(size)
        self.assertEqual(len(whole), 9)  # between two messages, and nowhere else

    def test_any_octet_changed(self) -> None:
        for position in range(len(ANSWER)):
            changed = bytearray(ANSWER)
            changed[position] ^= 0xFF
            with contextlib.suppress(AddressError):
                interfaces_in([link(1), *parse_messages(bytes(changed))])


class InterfacesInTests(SynchronousTestCase):
    def test_bare(self) -> None:
        self.assertEqual(interfaces_in([link(7)]), (Interface("", 7),))
        self.assertEqual(interfaces_in([]), ())

    def test_by_index(self) -> None:
        found = interfaces_in([link(9), link(2), link(5)])
        self.assertEqual([interface.index for interface in found], [2, 5, 9])

    def test_address_before_its_link_and_without_one(self) -> None:
        one = address(3, INET, 24, attribute(ADDRESS, bytes([192, 0, 2, 1])))
        other = address(4, INET, 24, attribute(ADDRESS, bytes([192, 0, 2, 2])))
        [found] = interfaces_in([one, other, link(3)])
        self.assertEqual(found.addresses, (IPv4Interface("192.0.2.1/24"),))

    def test_local_address_of_a_point_to_point_link(self) -> None:
        here, there = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
        one = address(3, INET, 32, attribute(ADDRESS, there), attribute(LOCAL, here))
        [found] = interfaces_in([link(3), one])
        self.assertEqual(found.addresses, (IPv4Interface("192.0.2.1/32"),))

    def test_other_families_and_kinds(self) -> None:
        other = address(3, 28, 24, attribute(ADDRESS, b"mpls"))
        [found] = interfaces_in([Message(24, 0, 1, b"route"), link(3), other])
        self.assertEqual(found.addresses, ())

    def test_zone_of_a_name_that_cannot_be_one(self) -> None:
        packed = bytes.fromhex("fe800000000000000000000000000001")
        one = address(3, INET6, 64, attribute(ADDRESS, packed))
        [found] = interfaces_in([link(3, attribute(NAME, b"a%b\0")), one])
        self.assertEqual(found.name, "a%b")
        self.assertEqual(found.addresses, (IPv6Interface("fe80::1%3/64"),))

    def test_name_that_is_not_utf8(self) -> None:
        [found] = interfaces_in([link(3, attribute(NAME, b"\xff0\0"))])
        self.assertEqual(found.name, "\udcff0")

    def test_hardware_addresses(self) -> None:
        for octets, mac in (
            (b"", None),
            (bytes(4), None),  # a tunnel over IPv4
            (b"\2\0\0\0\0\1", MAC("02:00:00:00:00:01")),
            (b"\2\0\0\0\0\0\0\1", MAC("02:00:00:00:00:00:00:01")),
            (bytes(20), None),  # InfiniBand
        ):
            [found] = interfaces_in([link(3, attribute(ADDRESS, octets))])
            self.assertEqual(found.mac, mac)

    def test_flags(self) -> None:
        [found] = interfaces_in([link(3, flags=0xFFF8_0000 | 1 << 18 | 1 << 3 | 1)])
        self.assertEqual(found.flags, {"UP", "LOOPBACK", "ECHO"})

    def test_flag_bits_of_an_attribute(self) -> None:
        [found] = interfaces_in([link(3, attribute(0xC000 | MTU, struct.pack("=I", 9000)))])
        self.assertEqual(found.mtu, 9000)

    def test_nonsense(self) -> None:
        for messages in (
            [Message(NEWLINK, 0, 1, bytes(15))],
            [link(3), Message(NEWADDR, 0, 1, bytes(7))],
            [link(3, b"\1")],
            [link(3, struct.pack("=HH", 3, NAME))],
            [link(3, struct.pack("=HH", 9, NAME) + b"name")],
            [link(3, attribute(MTU, b"\1"))],
            [link(3), address(3, INET, 24)],
            [link(3), address(3, INET, 33, attribute(ADDRESS, bytes(4)))],
            [link(3), address(3, INET, 24, attribute(ADDRESS, bytes(16)))],
            [link(3), address(3, INET6, 129, attribute(ADDRESS, bytes(16)))],
            [link(3), address(3, INET6, 64, attribute(ADDRESS, bytes(4)))],
        ):
            with self.assertRaises(AddressError):
                interfaces_in(messages)
