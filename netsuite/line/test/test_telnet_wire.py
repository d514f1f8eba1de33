from twisted.trial.unittest import SynchronousTestCase

from netsuite.line._telnet_options import Options, Side
from netsuite.line._telnet_wire import (
    AYT,
    BINARY,
    DO,
    DONT,
    ECHO,
    IAC,
    IP,
    MAX_SUBNEGOTIATION,
    SB,
    SE,
    WILL,
    WINDOW_SIZE,
    WONT,
    Command,
    Data,
    Event,
    Negotiation,
    Subnegotiation,
    TelnetDecoder,
    TelnetEncoder,
)


def decoded(*pieces: bytes, binary: bool = False) -> list[Event]:
    """All events, data that stands together as one."""
    decoder = TelnetDecoder()
    decoder.binary = binary
    events: list[Event] = []
    for piece in pieces:
        decoder.feed(piece)
        while (event := decoder.next()) is not None:
            if isinstance(event, Data) and events and isinstance(events[-1], Data):
                events[-1] = Data(events[-1].data + event.data)
            else:
                events.append(event)
    return events


class DecoderTests(SynchronousTestCase):
    def test_text_is_data(self) -> None:
        self.assertEqual(decoded(b"add 1 2\r\n"), [Data(b"add 1 2\r\n")])

    def test_iac_twice_is_a_byte(self) -> None:
        self.assertEqual(decoded(b"a\xff\xffb"), [Data(b"a\xffb")])

    def test_return_nul_is_a_return(self) -> None:
        self.assertEqual(decoded(b"a\r\0b\r\0\0"), [Data(b"a\rb\r\0")])

    def test_a_nul_by_itself_stays(self) -> None:
        self.assertEqual(decoded(b"a\0b"), [Data(b"a\0b")])

    def test_a_nul_behind_a_return_and_a_command_stays(self) -> None:
        self.assertEqual(decoded(b"\r\xff\xf6\0"), [Data(b"\r"), Command(AYT), Data(b"\0")])

    def test_binary_data_stays(self) -> None:
        self.assertEqual(decoded(b"a\r\0b", binary=True), [Data(b"a\r\0b")])

    def test_commands(self) -> None:
        self.assertEqual(decoded(bytes([IAC, IP, IAC, AYT])), [Command(IP), Command(AYT)])

    def test_a_command_that_there_is_not(self) -> None:
        self.assertEqual(decoded(b"\xffA"), [Command(65)])

    def test_negotiations(self) -> None:
        self.assertEqual(
            decoded(bytes([IAC, DO, ECHO, IAC, WONT, 200])),
            [Negotiation(DO, ECHO), Negotiation(WONT, 200)],
        )

    def test_a_subnegotiation(self) -> None:
        size = bytes([IAC, SB, WINDOW_SIZE, 0, IAC, IAC, 0, 24, IAC, SE])
        self.assertEqual(decoded(size), [Subnegotiation(WINDOW_SIZE, b"\0\xff\0\x18")])

    def test_a_subnegotiation_of_nothing_is_nothing(self) -> None:
        self.assertEqual(decoded(bytes([IAC, SB, IAC, SE]) + b"x"), [Data(b"x")])

    def test_a_command_ends_a_subnegotiation_that_has_no_end(self) -> None:
        self.assertEqual(
            decoded(bytes([IAC, SB, 1, 2, IAC, AYT]) + b"x"), [Command(AYT), Data(b"x")]
        )

    def test_the_longest_subnegotiation(self) -> None:
        for size, expected in ((MAX_SUBNEGOTIATION - 1, 1), (MAX_SUBNEGOTIATION, 0)):
            whole = bytes([IAC, SB, WINDOW_SIZE]) + b"x" * size + bytes([IAC, SE])
            self.assertEqual(len(decoded(whole)), expected)

    def test_one_without_end_is_not_kept(self) -> None:
        decoder = TelnetDecoder()
        decoder.feed(bytes([IAC, SB, 1]))
        for _ in range(100):
            decoder.feed(b"x" * 1000 + bytes([IAC, IAC]))
            self.assertIsNone(decoder.next())
            held = len(decoder._held) + len(decoder._inside or b"")
            self.assertLessEqual(held, MAX_SUBNEGOTIATION)


class EncoderTests(SynchronousTestCase):
    def encoded(self, *pieces: bytes) -> bytes:
        encoder = TelnetEncoder()
        return b"".join(map(encoder.encode, pieces))

    def test_lines_end_in_return_and_feed(self) -> None:
        self.assertEqual(self.encoded(b"a\nb\r\nc\n"), b"a\r\nb\r\nc\r\n")

    def test_a_return_for_itself(self) -> None:
        self.assertEqual(self.encoded(b"\ra\r\rb"), b"\r\0a\r\0\r\0b")

    def test_iac_is_doubled(self) -> None:
        self.assertEqual(self.encoded(b"a\xff"), b"a\xff\xff")

    def test_bytes_are_left_alone(self) -> None:
        encoder = TelnetEncoder()
        encoder.binary = True
        self.assertEqual(encoder.encode(b"a\nb\r\xff"), b"a\nb\r\xff\xff")


class OptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.options = Options(ours=[ECHO, BINARY], theirs=[WINDOW_SIZE, BINARY])

    def hear(self, verb: int, option: int) -> bytes:
        return self.options.hear(verb, option)

    def test_what_we_do_is_agreed_to(self) -> None:
        self.assertEqual(self.hear(DO, ECHO), bytes([IAC, WILL, ECHO]))
        self.assertTrue(self.options.on(Side.OURS, ECHO))
        self.assertEqual(self.hear(DO, ECHO), b"")

    def test_what_we_do_not_do_is_refused(self) -> None:
        self.assertEqual(self.hear(DO, 77), bytes([IAC, WONT, 77]))
        self.assertEqual(self.hear(WILL, ECHO), bytes([IAC, DONT, ECHO]))
        self.assertEqual(self.hear(WONT, 77), b"")
        self.assertEqual(self.hear(DONT, 77), b"")

    def test_a_no_is_agreed_to(self) -> None:
        self.hear(WILL, WINDOW_SIZE)
        self.assertEqual(self.hear(WONT, WINDOW_SIZE), bytes([IAC, DONT, WINDOW_SIZE]))
        self.assertFalse(self.options.on(Side.THEIRS, WINDOW_SIZE))
        self.assertEqual(self.hear(WONT, WINDOW_SIZE), b"")

    def test_an_answer_is_not_answered(self) -> None:
        self.assertEqual(self.options.ask(Side.OURS, ECHO, True), bytes([IAC, WILL, ECHO]))
        self.assertFalse(self.options.settled(Side.OURS, ECHO))
        self.assertEqual(self.hear(DO, ECHO), b"")
        self.assertTrue(self.options.settled(Side.OURS, ECHO))
        self.assertTrue(self.options.on(Side.OURS, ECHO))

    def test_an_offer_that_is_refused(self) -> None:
        self.options.ask(Side.OURS, ECHO, True)
        self.assertEqual(self.hear(DONT, ECHO), b"")
        self.assertFalse(self.options.on(Side.OURS, ECHO))

    def test_asking_twice_asks_once(self) -> None:
        self.options.ask(Side.OURS, ECHO, True)
        self.assertEqual(self.options.ask(Side.OURS, ECHO, True), b"")

    def test_a_change_of_mind_waits_for_the_answer(self) -> None:
        self.options.ask(Side.OURS, ECHO, True)
        self.assertEqual(self.options.ask(Side.OURS, ECHO, False), b"")
        self.assertEqual(self.hear(DO, ECHO), bytes([IAC, WONT, ECHO]))
        self.assertEqual(self.hear(DONT, ECHO), b"")
        self.assertFalse(self.options.on(Side.OURS, ECHO))

    def test_a_change_of_mind_about_a_no(self) -> None:
        self.hear(DO, ECHO)
        self.assertEqual(self.options.ask(Side.OURS, ECHO, False), bytes([IAC, WONT, ECHO]))
        self.options.ask(Side.OURS, ECHO, True)
        self.assertEqual(self.hear(DONT, ECHO), bytes([IAC, WILL, ECHO]))
        self.assertEqual(self.hear(DO, ECHO), b"")
        self.assertTrue(self.options.on(Side.OURS, ECHO))

    def test_two_changes_of_mind_are_none(self) -> None:
        self.options.ask(Side.OURS, ECHO, True)
        self.options.ask(Side.OURS, ECHO, False)
        self.options.ask(Side.OURS, ECHO, True)
        self.assertEqual(self.hear(DO, ECHO), b"")
        self.assertTrue(self.options.on(Side.OURS, ECHO))

    def test_a_yes_to_a_no_is_an_error_of_the_peer(self) -> None:
        self.hear(DO, ECHO)
        self.options.ask(Side.OURS, ECHO, False)
        self.assertEqual(self.hear(DO, ECHO), b"")
        self.assertFalse(self.options.on(Side.OURS, ECHO))
