import contextlib
from collections.abc import AsyncIterator

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from netsuite.line import Limits, LineFactory, Session
from netsuite.line import _telnet_wire as wire
from netsuite.line._telnet_wire import (
    AYT,
    BINARY,
    DO,
    DONT,
    EC,
    ECHO,
    EL,
    EOF,
    IAC,
    IP,
    SB,
    SE,
    SUPPRESS_GO_AHEAD,
    WILL,
    WINDOW_SIZE,
    WONT,
)
from netsuite.line.protocol import LINGER_SECONDS
from netsuite.line.starttls import StartTLS
from netsuite.line.telnet import TelnetFactory
from netsuite.line.test._front_app import Echo, FrontApp, Transport
from netsuite.line.test._screen import Screen
from netsuite.net import Drainable, Expirable, Refusing

OFFERS = bytes([IAC, DO, WINDOW_SIZE, IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD])
AGREED = bytes([IAC, DO, ECHO, IAC, DO, SUPPRESS_GO_AHEAD])


class TelnetCase(SynchronousTestCase):
    offers = True
    app: FrontApp

    def setUp(self) -> None:
        self.app = FrontApp()
        self.connect()

    def connect(self) -> None:
        self.clock = Clock()
        self.factory = TelnetFactory(self.app, self.clock, offers=self.offers)
        self.transport = Transport()
        self.protocol = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.assertEqual(self.transport.take(), OFFERS if self.offers else b"")

    def say(self, data: bytes) -> bytes:
        """What comes back, beside what comes later."""
        self.protocol.dataReceived(data)
        self.clock.advance(0)
        return self.transport.take()

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class TLSTests(SynchronousTestCase):
    """Until TLS has begun what is written waits, and reading must go on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = Transport()
        self.transport.room = -1  # full at once, and until the peer reads
        directlyProvides(self.transport, ISSLTransport)
        self.protocol = TelnetFactory(FrontApp(), self.clock).buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.addCleanup(self.protocol.connectionLost, Failure(ConnectionDone()))

    def test_it_reads_the_handshake(self) -> None:
        self.assertTrue(verifyObject(IHandshakeListener, self.protocol))
        self.assertTrue(self.transport.reading)

    def test_it_reads_no_more_than_it_can_answer_after_that(self) -> None:
        self.protocol.handshakeCompleted()
        self.assertFalse(self.transport.reading)
        self.transport.room = 64 * 1024
        self.transport.take()
        self.assertTrue(self.transport.reading)


class ScriptTests(TelnetCase):
    """A peer that negotiates nothing."""

    def test_interfaces(self) -> None:
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.protocol))
        self.assertIsInstance(self.protocol, Drainable)
        self.assertIsInstance(self.protocol, Expirable)
        self.assertIsInstance(self.factory, Refusing)

    def test_replies_are_those_of_tcp(self) -> None:
        script = (
            b"add 1 2\r\nhelp add\nsay .a|b\r\nadd x\r\nstore k {3}\r\nabc\r\n"
            b'raw "\\xff"\r\nquit\r\n'
        )
        factory = LineFactory(self.app, Clock())
        tcp = Transport()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(tcp)
        protocol.dataReceived(script)
        expected = tcp.value().replace(b"\xff", b"\xff\xff")
        self.assertEqual(self.say(script), expected)
        self.assertTrue(self.transport.disconnecting)

    def test_lines_end_in_return_and_feed_whatever_the_application_has(self) -> None:
        self.app = FrontApp(line_end=b"\n")
        self.connect()
        self.assertEqual(self.say(b"add 1 2\r\nsay a|b\r\n"), b"3\r\na\r\nb\r\n.\r\n")

    def test_the_greeting_comes_first(self) -> None:
        self.app = FrontApp(greeting="hello")
        factory = TelnetFactory(self.app, Clock())
        protocol, transport = factory.buildProtocol(None), Transport()
        protocol.makeConnection(transport)
        self.assertEqual(transport.value(), OFFERS + b"* hello\r\n")

    def test_a_line_comes_in_pieces(self) -> None:
        self.assertEqual(self.say(b"add"), b"")
        self.assertEqual(self.say(b" 1 2\r"), b"")
        self.assertEqual(self.say(b"\n"), b"3\r\n")

    def test_a_byte_iac(self) -> None:
        self.assertEqual(self.say(b"store k {2}\r\n\xff\xff\xff\xff\r\n"), b"2\r\n")

    def test_erasing_characters_and_lines(self) -> None:
        self.assertEqual(self.say(b"add 1 3" + bytes([IAC, EC]) + b"2\r\n"), b"3\r\n")
        self.assertEqual(self.say(b"say \xc3\xa9" + bytes([IAC, EC]) + b"e\r\n"), b"e\r\n.\r\n")
        self.assertEqual(self.say(b"nonsense" + bytes([IAC, EL]) + b"add 1 2\r\n"), b"3\r\n")
        self.assertEqual(self.say(b"nonsense" + bytes([IAC, IP]) + b"add 1 2\r\n"), b"3\r\n")

    def test_an_interrupt_gives_commands_up(self) -> None:
        self.say(b"wait\r\n")
        said = self.say(bytes([IAC, IP]) + b"add 1 2\r\n")
        self.assertEqual(said, b"ERR interrupted WAIT was given up\r\n3\r\n")
        self.assertTrue(self.app.waiting[0].called)

    def test_a_command_that_does_not_let_itself_be_interrupted(self) -> None:
        step: Deferred[None] = Deferred()

        @self.app.command()
        async def stubborn() -> AsyncIterator[str]:
            yield "one"
            try:
                await step
            except CancelledError:
                yield "two"

        @self.app.command()
        async def late() -> str:
            with contextlib.suppress(CancelledError):
                await step
            return "late"

        self.assertEqual(self.say(b"stubborn\r\n"), b"one\r\n")
        said = self.say(bytes([IAC, IP]) + b"add 1 2\r\n")
        self.assertEqual(said, b". ERR interrupted STUBBORN was given up\r\n3\r\n")
        step = Deferred()
        self.assertEqual(self.say(b"late\r\n"), b"")
        said = self.say(bytes([IAC, IP]) + b"add 1 2\r\n")
        self.assertEqual(said, b"ERR interrupted LATE was given up\r\n3\r\n")

    def test_there_is_nothing_to_erase(self) -> None:
        self.assertEqual(self.say(bytes([IAC, EC, IAC, EL]) + b"add 1 2\r\n"), b"3\r\n")

    def test_a_line_that_is_too_long(self) -> None:
        self.app = FrontApp(limits=Limits(line_length=20))
        self.connect()
        self.assertEqual(self.say(b"x" * 20), b"")
        self.assertIn(b"ERR line-too-long", self.say(b"x" * 200))
        self.assertLessEqual(len(self.protocol._line), 20)
        self.assertEqual(self.say(b"\r\nadd 1 2\r\n"), b"3\r\n")

    def test_are_you_there(self) -> None:
        self.assertEqual(self.say(bytes([IAC, AYT])), b"* calc is here\r\n")

    def test_end_of_file_ends_after_all_is_answered(self) -> None:
        self.assertEqual(self.say(b"wait\r\n" + bytes([IAC, EOF])), b"")
        self.assertFalse(self.transport.disconnecting)
        self.app.waiting[0].callback("done")
        self.assertEqual(self.transport.take(), b"done\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_the_peer_closes_its_direction(self) -> None:
        self.say(b"wait\r\n")
        self.protocol.readConnectionLost()
        self.protocol.writeConnectionLost()
        self.app.waiting[0].callback("done")
        self.assertEqual(self.transport.take(), b"done\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_what_we_do_not_do_is_refused(self) -> None:
        said = self.say(bytes([IAC, DO, 77, IAC, WILL, 78, IAC, WONT, 79, IAC, DONT, 80]))
        self.assertEqual(said, bytes([IAC, WONT, 77, IAC, DONT, 78]))

    def test_a_size_of_another_shape_is_nothing(self) -> None:
        self.say(bytes([IAC, SB, WINDOW_SIZE, 1, IAC, SE, IAC, SB, 77, 1, 2, 3, 4, IAC, SE]))
        self.assertEqual(self.protocol._columns, 0)

    def test_bytes_where_the_peer_wants_them(self) -> None:
        self.say(bytes([IAC, DO, BINARY, IAC, WILL, BINARY]))
        self.app.replies.line_end = b"\n"
        self.assertEqual(self.say(b"raw a\n"), b"a")
        self.assertEqual(self.say(b"store k {2}\n\r\0\n"), b"2\r\n")

    def test_counters(self) -> None:
        self.say(b"add 1 2\r\n")
        counters = self.factory.counters
        self.assertEqual((counters.opened, counters.active, counters.replies_sent), (1, 1, 1))
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (9, 3))
        self.lose()
        self.assertEqual((counters.active, counters.bytes_received), (0, 9))

    def test_silence(self) -> None:
        for _ in range(4):
            self.clock.advance(75)
        self.assertIn(b"ERR timeout", self.transport.take())
        self.assertTrue(self.transport.disconnecting)

    def test_drain_answers_what_was_begun(self) -> None:
        self.say(b"wait\r\n")
        self.protocol.drain(self.clock, 10.0)
        self.assertFalse(self.transport.disconnecting)
        self.app.waiting[0].callback("done")
        self.assertEqual(self.transport.take(), b"done\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_expire_says_so(self) -> None:
        self.protocol.expire("total")
        self.assertEqual(self.transport.take(), b"ERR timeout total time is over\r\n")
        self.assertTrue(self.transport.disconnecting)

    def test_refusal(self) -> None:
        self.assertEqual(self.factory.refusal("access"), b"ERR not-allowed access\r\n")

    def test_what_was_said_last_is_not_lost_to_a_reset(self) -> None:
        directlyProvides(self.transport, ITCPTransport)
        self.say(b"quit\r\n")
        self.assertTrue(self.transport.write_closed)
        self.assertFalse(self.transport.disconnecting)
        self.protocol.writeConnectionLost()
        self.assertEqual(self.say(b"add 1 2\r\n"), b"")
        self.protocol.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_does_not_close_has_its_time(self) -> None:
        directlyProvides(self.transport, ITCPTransport)
        self.say(b"quit\r\n")
        self.protocol.writeConnectionLost()
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.transport.disconnecting)

    def test_tls_does_not_begin_within_it(self) -> None:
        self.app.add(StartTLS(CertificateOptions()))
        self.assertTrue(self.say(b"starttls\r\n").startswith(b"ERR not-allowed"))
        self.assertNotIn(b"STARTTLS", self.say(b"help\r\n"))

    def test_an_abort(self) -> None:
        self.app.sessions[-1].abort()
        self.assertTrue(self.transport.aborted)

    def test_the_connection_is_lost_amid_a_command(self) -> None:
        self.say(b"wait\r\n")
        self.lose()
        self.assertTrue(self.app.waiting[0].called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_another_protocol_takes_over(self) -> None:
        taken = Echo()

        @self.app.command(exclusive=True)
        def take(session: Session) -> None:
            session.upgrade(lambda transport, rest: taken)

        self.assertEqual(self.say(b"take\r\nab"), b"OK\r\nab")
        self.assertEqual(self.say(b"c\xff\xff"), b"c\xff\xff")
        self.say(bytes([IAC, AYT]))
        self.protocol.drain(self.clock, 1.0)
        self.assertTrue(self.transport.disconnecting)
        self.lose()
        self.assertTrue(taken.lost)


class QuietTests(TelnetCase):
    """A factory that offers nothing by itself."""

    offers = False

    def test_nothing_but_lines(self) -> None:
        self.assertEqual(self.say(b"add 1 2\r\n"), b"3\r\n")

    def test_a_peer_that_asks_gets_a_terminal(self) -> None:
        said = self.say(AGREED)
        agreed = bytes([IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD])
        self.assertEqual(said, agreed + b"\r\0calc> ")


class PersonTests(TelnetCase):
    """A peer that lets us echo."""

    def setUp(self) -> None:
        super().setUp()
        self.screen = Screen()
        self.see(AGREED)

    def see(self, data: bytes) -> None:
        """Type, and see what the screen shows then."""
        said = self.say(data).replace(b"\r\0", b"\r")
        self.assertNotIn(b"\xff", said)
        self.screen.feed(said)

    def test_a_prompt(self) -> None:
        self.assertEqual(self.screen.rows, ["calc>"])

    def test_a_command(self) -> None:
        self.see(b"add 1 2\r\0")
        self.assertEqual(self.screen.rows, ["calc> add 1 2", "3", "calc>"])

    def test_lines_are_shown_as_they_are(self) -> None:
        self.see(b"say .a|*b|ERR c\r\n")
        self.assertEqual(self.screen.rows[1:], [".a", "*b", "ERR c", "calc>"])

    def test_errors_are_errors(self) -> None:
        self.see(b"add x\r\n")
        self.assertIn("ERR bad-argument", self.screen.rows[1])

    def test_control_characters_of_an_application_are_visible(self) -> None:
        self.see(b'raw "\\x1b[2J\\x9b\\n"\r')
        self.assertEqual(self.screen.rows[1:], ["^[[2J\\x9b", "calc>"])

    def test_history_and_completion(self) -> None:
        self.see(b"pai\tre\t\r\x1b[A")
        self.assertEqual(self.screen.rows, ["calc> paint red", "red", "calc> paint red"])

    def test_a_push_stands_above_the_line(self) -> None:
        self.see(b"add 1")
        self.app.sessions[-1].send("news")
        self.see(b"")
        self.assertEqual(self.screen.rows, ["* news", "calc> add 1"])

    def test_no_prompt_while_a_command_runs(self) -> None:
        self.see(b"wait\r")
        self.assertEqual(self.screen.rows, ["calc> wait", ""])
        self.app.waiting[0].callback("done")
        self.see(b"")
        self.assertEqual(self.screen.rows, ["calc> wait", "done", "calc>"])

    def test_an_interrupt_ends_lines_that_go_on(self) -> None:
        self.protocol.dataReceived(b"count 1000000\r")
        self.see(b"")
        self.see(b"\x03")
        self.see(b"")
        last, error, prompt = self.screen.rows[-3:]
        self.assertIn("^C", last)
        self.assertEqual((error, prompt), ("ERR interrupted COUNT was given up", "calc>"))
        self.assertLess(self.app.pulled, 100_000)

    def test_one_can_type_ahead(self) -> None:
        self.see(b"wait\radd 1 2")
        self.assertEqual(self.screen.rows, ["calc> wait", "calc> add 1 2"])
        self.app.waiting[0].callback("done")
        self.see(b"\r")
        self.assertEqual(self.screen.rows, ["calc> wait", "done", "calc> add 1 2", "3", "calc>"])

    def test_the_size_of_the_window(self) -> None:
        self.see(bytes([IAC, SB, WINDOW_SIZE, 0, 30, 0, 24, IAC, SE]))
        self.screen.columns = 30
        self.see(b"x" * 50)
        self.assertLess(len(self.screen.row), 30)

    def test_a_size_that_came_before(self) -> None:
        self.connect()
        self.screen = Screen(30)
        self.say(bytes([IAC, WILL, WINDOW_SIZE, IAC, SB, WINDOW_SIZE, 0, 30, 0, 24, IAC, SE]))
        self.see(AGREED)
        self.see(b"x" * 50)
        self.assertLess(len(self.screen.row), 30)

    def test_keys_by_telnet_commands(self) -> None:
        self.see(b"ab" + bytes([IAC, EC]) + b"c")
        self.assertEqual(self.screen.row, "calc> ac")
        self.see(bytes([IAC, EL]) + b"d")
        self.assertEqual(self.screen.row, "calc> d")
        self.see(bytes([IAC, IP]) + b"e")
        self.assertEqual(self.screen.rows, ["calc> d^C", "calc> e"])
        self.see(bytes([IAC, AYT]))
        self.assertEqual(self.screen.rows[-2:], ["* calc is here", "calc> e"])

    def test_the_end_by_a_key(self) -> None:
        self.see(b"\x04")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.screen.rows, ["calc>", ""])

    def test_quit(self) -> None:
        self.see(b"quit\r")
        self.assertEqual(self.screen.rows, ["calc> quit", "OK", ""])
        self.assertTrue(self.transport.disconnecting)

    def test_what_was_begun_before_is_on_the_line(self) -> None:
        self.connect()
        self.say(b"add 1")
        self.screen = Screen()
        self.see(AGREED)
        self.see(b" 2\r")
        self.assertEqual(self.screen.rows, ["calc> add 1 2", "3", "calc>"])

    def test_a_peer_that_changes_its_mind(self) -> None:
        said = self.say(b"nonsense" + bytes([IAC, DONT, ECHO]))
        self.assertIn(bytes([IAC, WONT, ECHO]), said)
        said = self.say(b"say .a\r\n")
        self.assertEqual(said.removeprefix(b"\0"), b"..a\r\n.\r\n")

    def test_a_peer_that_keeps_its_lines_gets_no_echo(self) -> None:
        self.connect()
        said = self.say(bytes([IAC, DO, ECHO, IAC, DONT, SUPPRESS_GO_AHEAD]))
        self.assertEqual(said, bytes([IAC, WONT, ECHO]))
        self.assertEqual(self.say(bytes([IAC, DONT, ECHO]) + b"add 1 2\r\n"), b"3\r\n")

    def test_keys_are_no_silence(self) -> None:
        for _ in range(10):
            self.clock.advance(74)
            self.say(b"x")
        self.assertFalse(self.transport.disconnecting)

    def test_silence(self) -> None:
        for _ in range(4):
            self.clock.advance(75)
        self.see(b"")
        self.assertIn("ERR timeout", self.screen.rows[0])
        self.assertTrue(self.transport.disconnecting)

    def test_secrets_are_not_seen(self) -> None:
        self.see(b"auth hush\r\x1b[A")
        self.assertEqual(self.screen.rows, ["calc> auth ****", "OK", "calc>"])
        self.assertEqual(self.screen.bells, 1)

    def test_a_lost_connection_leaves_no_timers(self) -> None:
        self.app.sessions[-1].send("news")
        self.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SlowReaderTests(TelnetCase):
    """What is held for a peer that does not read."""

    def assert_bounded(self) -> None:
        self.assertLess(len(self.transport.value()), 3 * self.transport.room)

    def test_lines_are_pulled_as_the_peer_reads(self) -> None:
        for agreed in (b"", AGREED):
            self.connect()
            self.say(agreed)
            self.protocol.dataReceived(b"count 1000000\r\n")
            self.clock.pump([0] * 100)
            self.assert_bounded()
            self.assertFalse(self.transport.reading)
            pulled = self.app.pulled
            self.clock.pump([0] * 100)
            self.assertEqual(self.app.pulled, pulled)
            self.transport.take()
            self.clock.pump([0] * 10)
            self.assertGreater(self.app.pulled, pulled)

    def test_commands_are_begun_as_the_peer_reads(self) -> None:
        self.protocol.dataReceived(b"help\r\n" * 2000)
        self.clock.pump([0] * 10)
        self.assert_bounded()
        self.assertFalse(self.transport.reading)
        said = b""
        for _ in range(300):
            said += self.transport.take()
            self.clock.advance(0)
        self.assertEqual(said.count(b"\r\n.\r\n"), 2000)
        self.assertTrue(self.transport.reading)

    def flood(self, flood: bytes, size: int) -> None:
        """Have the peer say something again and again, and then read."""
        self.protocol.dataReceived(flood * (size // len(flood)))
        self.clock.pump([0] * 20)
        self.assert_bounded()
        while not self.transport.reading:
            self.transport.take()
            self.clock.advance(0)
        self.transport.take()

    def test_a_flood_of_keys_that_are_much_to_draw(self) -> None:
        self.say(AGREED)
        for flood in (b"\t", b"add 1\r", b"\x1b[A", b"x\x15", bytes([IAC, AYT]), b"\x0c"):
            self.flood(flood, 8000)

    def test_a_flood_of_negotiations(self) -> None:
        self.flood(bytes([IAC, WILL, 77]), 100_000)
        self.flood(bytes([IAC, DO, ECHO, IAC, DO, SUPPRESS_GO_AHEAD, IAC, DONT, ECHO]), 100_000)

    def test_others_have_their_turn_among_many_commands(self) -> None:
        self.protocol.dataReceived(bytes([IAC, wire.NOP]) * 10_000)
        self.assertFalse(self.transport.reading)
        self.clock.pump([0] * 100)
        self.assertTrue(self.transport.reading)

    def test_others_have_their_turn_among_many_keys(self) -> None:
        self.say(AGREED)
        self.protocol.dataReceived(b"x\x7f" * 1000)
        self.assertFalse(self.transport.reading)
        self.clock.pump([0] * 100)
        self.assertTrue(self.transport.reading)

    def test_the_end_comes_after_all(self) -> None:
        self.protocol.dataReceived(b"count 100000\r\nadd 1 2\r\n")
        self.protocol.readConnectionLost()
        said = b""
        for _ in range(300):
            said += self.transport.take()
            self.clock.advance(0)
        self.assertTrue(said.endswith(b"99999\r\n.\r\n3\r\n"))
        self.assertTrue(self.transport.disconnecting)
