import pickle

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._errors import AddressError
from netsuite.ip._mac import MAC, MACNotation
from netsuite.ip.test import shown

SHORT = bytes.fromhex("001b44113ab7")
LONG = bytes.fromhex("001b44fffe113ab7")
EXPECTED = "expected a MAC address of 6 or 8 octets, as in 00:1b:44:11:3a:b7"


class ReadingTests(SynchronousTestCase):
    def test_every_notation(self) -> None:
        for text in ("00:1b:44:11:3a:b7", "00-1b-44-11-3a-b7", "001b.4411.3ab7", "001b44113ab7"):
            self.assertEqual(MAC(text).packed, SHORT)
            self.assertEqual(MAC(text.upper()).packed, SHORT)

    def test_every_notation_of_eui64(self) -> None:
        for text in (
            "00:1b:44:ff:fe:11:3a:b7",
            "00-1b-44-ff-fe-11-3a-b7",
            "001b.44ff.fe11.3ab7",
            "001b44fffe113ab7",
        ):
            self.assertEqual(MAC(text).packed, LONG)

    def test_octets(self) -> None:
        self.assertEqual(MAC(SHORT).packed, SHORT)
        self.assertEqual(MAC(LONG).packed, LONG)
        self.assertEqual(bytes(MAC(SHORT)), SHORT)

    def test_number(self) -> None:
        self.assertEqual(MAC.from_int(0x001B44113AB7), MAC(SHORT))
        self.assertEqual(MAC.from_int(0x001B44FFFE113AB7, 64), MAC(LONG))
        self.assertEqual(int(MAC(SHORT)), 0x001B44113AB7)
        self.assertEqual(MAC.from_int(0).packed, bytes(6))
        self.assertTrue(MAC.from_int((1 << 48) - 1).is_broadcast)

    def test_other_texts_are_refused(self) -> None:
        for text in (
            "",
            "00:1b:44:11:3a",
            "00:1b:44:11:3a:b7:",
            "00:1b:44:11:3a:b7:00",
            "00:1b-44:11:3a:b7",
            "00:1b:44:11:3a-b7",
            "00:1b:44:ff:fe:11:3a-b7",
            "001b:4411:3ab7",
            "001b-4411-3ab7",
            "001b.4411",
            "001b.4411.3ab7.0000.0000",
            "001b44113ab",
            "001b44113ab7a",
            "0:1b:44:11:3a:b7",
            "00:1b:44:11:3a:g7",
            " 00:1b:44:11:3a:b7",
            "00:1b:44:11:3a:b7\n",
            "00 1b 44 11 3a b7",
            "\uff100:1b:44:11:3a:b7",
            "001b44113ab\uff17",
            "0" * 1_000_000,
        ):
            with self.assertRaises(AddressError) as caught:
                MAC(text)
            self.assertEqual(str(caught.exception), f"{shown(text)}: {EXPECTED}")

    def test_other_octets_are_refused(self) -> None:
        for octets in (b"", bytes(5), bytes(7), bytes(9)):
            with self.assertRaises(AddressError) as caught:
                MAC(octets)
            self.assertEqual(str(caught.exception), f"{octets!r}: {EXPECTED}")

    def test_other_numbers_are_refused(self) -> None:
        for value, bits in ((-1, 48), (1 << 48, 48), (1 << 64, 64)):
            with self.assertRaises(AddressError) as caught:
                MAC.from_int(value, bits)
            self.assertEqual(
                str(caught.exception), f"{value}: expected a number from 0 to 2**{bits} - 1"
            )
        with self.assertRaises(AddressError) as caught:
            MAC.from_int(0, 56)
        self.assertEqual(str(caught.exception), "56: expected 48 or 64 bits")


class WritingTests(SynchronousTestCase):
    def test_every_notation(self) -> None:
        mac = MAC(SHORT)
        self.assertEqual(str(mac), "00:1b:44:11:3a:b7")
        self.assertEqual(mac.format(), "00:1b:44:11:3a:b7")
        self.assertEqual(mac.format(MACNotation.HYPHEN, upper=True), "00-1B-44-11-3A-B7")
        self.assertEqual(mac.format(MACNotation.DOT), "001b.4411.3ab7")
        self.assertEqual(mac.format(MACNotation.BARE), "001b44113ab7")
        self.assertEqual(repr(mac), "MAC('00:1b:44:11:3a:b7')")

    def test_format_specifications(self) -> None:
        mac = MAC(SHORT)
        self.assertEqual(f"{mac}", "00:1b:44:11:3a:b7")
        self.assertEqual(f"{mac:colon}", "00:1b:44:11:3a:b7")
        self.assertEqual(f"{mac:HYPHEN}", "00-1B-44-11-3A-B7")
        self.assertEqual(f"{mac:dot}", "001b.4411.3ab7")
        self.assertEqual(f"{mac:BARE}", "001B44113AB7")

    def test_other_specifications_are_refused(self) -> None:
        for spec in ("x", "Dot", ":"):
            with self.assertRaises(AddressError) as caught:
                format(MAC(SHORT), spec)
            self.assertEqual(
                str(caught.exception),
                f"{spec!r}: expected a notation: colon, hyphen, dot, bare, "
                "or one of these in capitals",
            )

    def test_round_trip(self) -> None:
        for octets in (SHORT, LONG):
            for notation in MACNotation:
                for upper in (False, True):
                    text = MAC(octets).format(notation, upper=upper)
                    self.assertEqual(MAC(text).packed, octets)


class ValueTests(SynchronousTestCase):
    def test_equal_and_hashable(self) -> None:
        self.assertEqual(MAC("001b44113ab7"), MAC(SHORT))
        self.assertEqual(len({MAC("001b44113ab7"), MAC(SHORT), MAC(LONG)}), 2)
        self.assertNotEqual(MAC(SHORT), SHORT)

    def test_ordered(self) -> None:
        low, high = MAC("00:00:00:00:00:01"), MAC("02:00:00:00:00:00")
        self.assertEqual(sorted([high, low]), [low, high])

    def test_frozen(self) -> None:
        def change() -> None:
            MAC(SHORT).packed = b""  # type: ignore[misc]  # what is tried

        self.assertRaises(AttributeError, change)

    def test_a_buffer_that_changes_later_is_copied(self) -> None:
        buffer = bytearray(SHORT)
        mac = MAC(buffer)
        buffer[0] = 1
        self.assertEqual(mac.packed, SHORT)
        self.assertEqual(hash(mac), hash(MAC(SHORT)))

    def test_pickles(self) -> None:
        self.assertEqual(pickle.loads(pickle.dumps(MAC(LONG))), MAC(LONG))

    def test_bits(self) -> None:
        self.assertEqual((MAC(SHORT).bits, MAC(LONG).bits), (48, 64))

    def test_marks(self) -> None:
        def marks(text: str) -> tuple[bool, bool, bool]:
            mac = MAC(text)
            return mac.is_multicast, mac.is_local, mac.is_broadcast

        self.assertEqual(marks("00:1b:44:11:3a:b7"), (False, False, False))
        self.assertEqual(marks("02:1b:44:11:3a:b7"), (False, True, False))
        self.assertEqual(marks("01:00:5e:00:00:01"), (True, False, False))
        self.assertEqual(marks("33:33:00:00:00:01"), (True, True, False))
        self.assertEqual(marks("ff:ff:ff:ff:ff:fe"), (True, True, False))
        self.assertEqual(marks("ff:ff:ff:ff:ff:ff"), (True, True, True))
        self.assertEqual(marks("ff:ff:ff:ff:ff:ff:ff:ff"), (True, True, True))

    def test_oui(self) -> None:
        self.assertEqual(MAC(SHORT).oui, b"\x00\x1b\x44")
        self.assertEqual(MAC(LONG).oui, b"\x00\x1b\x44")


class EUI64Tests(SynchronousTestCase):
    def test_the_example_of_rfc_2464_section_4(self) -> None:
        mac = MAC("34:56:78:9a:bc:de")
        self.assertEqual(str(mac.to_eui64()), "34:56:78:ff:fe:9a:bc:de")
        self.assertEqual(mac.interface_id, 0x3656_78FF_FE9A_BCDE)

    def test_there_and_back(self) -> None:
        for text in ("34:56:78:9a:bc:de", "52:54:00:12:34:56", "00:00:00:00:00:00"):
            mac = MAC(text)
            self.assertEqual(mac.to_eui64().to_eui48(), mac)
            self.assertEqual(MAC.from_interface_id(mac.interface_id), mac)

    def test_what_is_right_already_stays(self) -> None:
        self.assertEqual(MAC(LONG).to_eui64(), MAC(LONG))
        self.assertEqual(MAC(SHORT).to_eui48(), MAC(SHORT))

    def test_eui64_without_filler(self) -> None:
        mac = MAC("00:1b:44:00:00:11:3a:b7")
        self.assertEqual(MAC.from_interface_id(mac.interface_id), mac)
        with self.assertRaises(AddressError) as caught:
            mac.to_eui48()
        self.assertEqual(
            str(caught.exception),
            "'00:1b:44:00:00:11:3a:b7': expected an EUI-64 with ff:fe in its middle",
        )

    def test_identifier_out_of_range(self) -> None:
        for value in (-1, 1 << 64):
            with self.assertRaises(AddressError) as caught:
                MAC.from_interface_id(value)
            self.assertEqual(
                str(caught.exception), f"{value}: expected a number from 0 to 2**64 - 1"
            )
