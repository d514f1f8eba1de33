"""Sessions of line applications over SSH, packet by packet."""

import struct
from typing import Any

import pytest
from twisted.conch.ssh.common import NS
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Limits, Session
from netsuite.line._ssh_channel import LINGER_SECONDS, MIN_PACKET, WINDOW
from netsuite.line.test._front_app import Echo, FrontApp
from netsuite.line.test._screen import Screen
from netsuite.net import Drainable, Expirable
from tests import ssh_peer as ssh
from tests.ssh_peer import HUGE, Exchange

pytestmark = pytest.mark.once


class SessionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.come_in()

    def come_in(self, app: FrontApp | None = None, **given: Any) -> None:
        self.exchange = Exchange(app, **given)
        self.app = self.exchange.app
        self.exchange.come_in()


class CommandTests(SessionCase):
    """Commands that are given with the connection."""

    def test_a_reply_and_a_status(self) -> None:
        self.assertEqual(self.exchange.command(b"add 1 2"), (b"3\n", 0))

    def test_an_error(self) -> None:
        said, status = self.exchange.command(b"add 1 x")
        self.assertTrue(said.startswith(b"ERR bad-argument "))
        self.assertEqual(status, 1)

    def test_lines_are_text(self) -> None:
        self.assertEqual(self.exchange.command(b"say .a|*b|c"), (b".a\n*b\nc\n", 0))

    def test_lines_that_break_off(self) -> None:
        @self.app.command()
        def broken() -> Any:
            yield "one"
            raise ZeroDivisionError

        said, status = self.exchange.command(b"broken")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(status, 1)
        self.assertEqual(said, b"one\nERR failed BROKEN failed\n")

    def test_errors_of_an_application_with_its_own(self) -> None:
        app = FrontApp(format_error=lambda error: f"-ERR {error.text}\r\n".encode())
        self.come_in(app)
        said, status = self.exchange.command(b"nonsense")
        self.assertTrue(said.startswith(b"-ERR "))
        self.assertEqual(status, 1)
        self.assertEqual(app.replies.errors, 1)

    def test_nobody_is_greeted(self) -> None:
        self.come_in(FrontApp(greeting="hello"))
        self.assertEqual(self.exchange.command(b"add 1 2"), (b"3\n", 0))

    def test_a_command_that_takes_time(self) -> None:
        channel = self.exchange.open()
        assert channel is not None
        self.exchange.request(channel, b"exec", NS(b"wait"))
        self.exchange.end_of_file(channel)
        self.assertEqual(self.exchange.take(), [])
        self.app.waiting[0].callback("done")
        self.assertEqual(self.exchange.said(), b"done\n")

    def test_many_lines(self) -> None:
        said, status = self.exchange.command(b"count 50000")
        self.assertEqual((said.count(b"\n"), status), (50_000, 0))

    def test_on_a_terminal(self) -> None:
        self.assertEqual(self.exchange.command(b"say a|b", pty=True), (b"a\r\nb\r\n", 0))

    def test_an_interrupt(self) -> None:
        for pty, how in ((True, b"\x03"), (False, None)):
            channel = self.exchange.open()
            assert channel is not None
            if pty:
                self.exchange.pty(channel)
            self.exchange.request(channel, b"exec", NS(b"wait"))
            if how:
                said = self.exchange.say(channel, how)
            else:
                self.assertTrue(self.exchange.request(channel, b"signal", NS(b"INT")))
                said = self.exchange.said()
            self.assertTrue(said.startswith(b"ERR interrupted "))

    def test_standard_input_is_the_literal(self) -> None:
        self.assertEqual(self.exchange.command(b"store k {5}", stdin=b"hello"), (b"5\n", 0))
        self.assertEqual(self.exchange.command(b"store k {0}"), (b"0\n", 0))

    def test_standard_input_is_nothing_else(self) -> None:
        self.assertEqual(self.exchange.command(b"add 1 2", stdin=b"add 3 4\n"), (b"3\n", 0))
        stdin = b"helloadd 3 4\n"
        self.assertEqual(self.exchange.command(b"store k {5}", stdin=stdin), (b"5\n", 0))

    def test_a_literal_that_is_not_all_there(self) -> None:
        said, status = self.exchange.command(b"store k {5}", stdin=b"hel")
        self.assertEqual(said, b"ERR bad-literal expected 2 more bytes on standard input\n")
        self.assertEqual(status, 1)

    def test_several_lines(self) -> None:
        said, status = self.exchange.command(b"add 1 2\nadd 3 4")
        self.assertEqual((said, status), (b"ERR bad-argument expected one line\n", 1))

    def test_a_line_that_is_too_long(self) -> None:
        self.come_in(FrontApp(limits=Limits(line_length=20)))
        said, status = self.exchange.command(b"x" * 21)
        self.assertTrue(said.startswith(b"ERR line-too-long "))
        self.assertEqual(status, 1)
        self.assertEqual(self.exchange.command(b"add " + b"1" * 14 + b" 2")[1], 0)

    def test_nothing_at_all(self) -> None:
        self.assertEqual(self.exchange.command(b""), (b"", 0))


class ScriptTests(SessionCase):
    """Shells without a terminal."""

    def test_lines_are_those_of_tcp(self) -> None:
        self.come_in(FrontApp(greeting="hello"))
        channel = self.exchange.shell()
        self.assertEqual(self.exchange.said(), b"* hello\r\n")
        said = self.exchange.say(channel, b"add 1 2\nsay .a|b\r\nadd x\n")
        self.assertTrue(said.startswith(b"3\r\n..a\r\nb\r\n.\r\nERR bad-argument "))

    def test_what_came_before_the_shell_was_there(self) -> None:
        channel = self.exchange.open()
        assert channel is not None
        number = struct.pack(">L", channel)
        self.exchange.send(ssh.CHANNEL_DATA, number + NS(b"add 1 2\n"))
        self.exchange.send(ssh.CHANNEL_REQUEST, number + NS(b"shell") + b"\0")
        self.exchange.send(ssh.CHANNEL_DATA, number + NS(b"add 3 4\n"))
        self.exchange.end_of_file(channel)
        self.assertEqual(self.exchange.said(), b"3\r\n7\r\n")

    def test_the_end_comes_after_all_is_answered(self) -> None:
        channel = self.exchange.shell()
        self.exchange.say(channel, b"wait\nadd 1 2\n")
        self.exchange.end_of_file(channel)
        self.assertEqual(self.exchange.take(), [])
        self.app.waiting[0].callback("done")
        numbers = [number for number, _ in self.exchange.take()]
        self.assertEqual(numbers[-3:], [ssh.CHANNEL_REQUEST, ssh.CHANNEL_EOF, ssh.CHANNEL_CLOSE])

    def test_quit(self) -> None:
        channel = self.exchange.shell()
        self.exchange.say(channel, b"quit\n")
        self.exchange.close(channel)
        self.exchange.run()
        self.assertTrue(self.app.sessions[-1].ended)
        self.assertEqual(self.exchange.channels, {})

    def test_the_peer_closes_amid_a_command(self) -> None:
        channel = self.exchange.shell()
        self.exchange.say(channel, b"wait\n")
        self.exchange.close(channel)
        self.exchange.run()
        self.assertTrue(self.app.waiting[0].called)
        self.assertTrue(self.app.sessions[-1].ended)
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])

    def test_the_end_before_anything(self) -> None:
        channel = self.exchange.open()
        assert channel is not None
        self.exchange.end_of_file(channel)
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])

    def test_an_abort(self) -> None:
        self.exchange.shell()
        self.app.sessions[-1].abort()
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])

    def test_silence(self) -> None:
        self.exchange.shell()
        for _ in range(4):
            self.exchange.clock.advance(75)
        self.assertTrue(self.exchange.said().startswith(b"ERR timeout "))

    def test_tls_does_not_begin_within_it(self) -> None:
        channel = self.exchange.shell()

        @self.app.command("STARTTLS", exclusive=True)
        def starttls(session: Session) -> None:
            session.start_tls(None)

        self.assertTrue(self.exchange.say(channel, b"starttls\n").startswith(b"ERR not-allowed "))

    def test_another_protocol_takes_over(self) -> None:
        @self.app.command(exclusive=True)
        def take(session: Session) -> None:
            session.upgrade(lambda transport, rest: Echo())

        channel = self.exchange.shell()
        self.assertEqual(self.exchange.say(channel, b"take\nab"), b"OK\r\nab")
        self.assertEqual(self.exchange.say(channel, b"c"), b"c")
        self.exchange.server.drain(self.exchange.clock, 1.0)
        numbers = [number for number, _ in self.exchange.take()]
        self.assertEqual(numbers, [ssh.CHANNEL_REQUEST, ssh.CHANNEL_EOF, ssh.CHANNEL_CLOSE])


class PersonTests(SessionCase):
    """Shells on a terminal."""

    def begin(self, columns: int = 80, name: bytes = b"xterm") -> None:
        self.screen = Screen(columns)
        channel = self.exchange.open()
        assert channel is not None
        self.channel = channel
        self.assertTrue(self.exchange.pty(channel, columns, name))
        self.assertTrue(self.exchange.request(channel, b"shell"))
        self.screen.feed(self.exchange.said())

    def see(self, data: bytes) -> None:
        self.screen.feed(self.exchange.say(self.channel, data))

    def test_a_prompt_and_a_command(self) -> None:
        self.begin()
        self.see(b"plu\t1 2\r")
        self.assertEqual(self.screen.rows, ["calc> plus 1 2", "3", "calc>"])
        self.see(b"paint re\t\r")
        self.assertEqual(self.screen.rows[-3:], ["calc> paint red", "red", "calc>"])

    def test_history(self) -> None:
        self.begin()
        self.see(b"add 1 2\r\x1b[A")
        self.assertEqual(self.screen.rows, ["calc> add 1 2", "3", "calc> add 1 2"])

    def test_the_greeting_stands_above(self) -> None:
        self.come_in(FrontApp(greeting="hello"))
        self.begin()
        self.assertEqual(self.screen.rows, ["* hello", "calc>"])

    def test_another_size(self) -> None:
        self.begin()
        size = struct.pack(">4L", 30, 24, 0, 0)
        self.assertTrue(self.exchange.request(self.channel, b"window-change", size))
        self.screen.feed(self.exchange.said())
        self.screen.columns = 30
        self.see(b"x" * 50)
        self.assertLess(len(self.screen.row), 30)

    def test_a_signal_is_a_key(self) -> None:
        self.begin()
        self.see(b"abc")
        self.assertTrue(self.exchange.request(self.channel, b"signal", NS(b"INT")))
        self.screen.feed(self.exchange.said())
        self.assertEqual(self.screen.rows, ["calc> abc^C", "calc>"])
        self.assertFalse(self.exchange.request(self.channel, b"signal", NS(b"HUP")))

    def test_a_terminal_that_knows_nothing(self) -> None:
        self.begin(name=b"dumb")
        said = self.exchange.say(self.channel, b"ab\x0c\x1b[D\t")
        self.assertNotIn(b"\x1b", said)

    def test_the_end_by_a_key(self) -> None:
        self.begin()
        self.see(b"\x04")
        self.exchange.close(self.channel)
        self.exchange.run()
        self.assertTrue(self.app.sessions[-1].ended)


class RequestTests(SessionCase):
    def test_what_there_is_not(self) -> None:
        channel = self.exchange.open()
        assert channel is not None
        for name, data in (
            (b"env", NS(b"A") + NS(b"b")),
            (b"subsystem", NS(b"sftp")),
            (b"x11-req", b""),
            (b"auth-agent-req@openssh.com", b""),
            (b"\xff\xff", b""),
            (b"window-change", b""),
            (b"signal", b""),
        ):
            self.assertFalse(self.exchange.request(channel, name, data), name)

    def test_requests_that_are_none(self) -> None:
        channel = self.exchange.open()
        assert channel is not None
        for name in (b"pty-req", b"exec"):
            self.assertFalse(self.exchange.request(channel, name, b"\0"), name)

    def test_one_session_a_channel(self) -> None:
        channel = self.exchange.shell()
        self.assertFalse(self.exchange.request(channel, b"shell"))
        self.assertFalse(self.exchange.request(channel, b"exec", NS(b"add 1 2")))
        self.assertFalse(self.exchange.pty(channel))

    def test_so_many_channels(self) -> None:
        self.come_in(channels=2)
        first = self.exchange.shell()
        self.assertIsNotNone(self.exchange.open())
        self.assertIsNone(self.exchange.open())
        self.exchange.close(first)
        self.exchange.run()
        self.exchange.take()
        self.assertIsNotNone(self.exchange.open())

    def test_packets_that_are_too_small(self) -> None:
        self.assertIsNone(self.exchange.open(packet=MIN_PACKET - 1))
        self.assertIsNotNone(self.exchange.open(packet=MIN_PACKET))

    def test_a_channel_for_nothing(self) -> None:
        self.exchange.open()
        self.exchange.clock.advance(29)
        self.assertEqual(self.exchange.take(), [])
        self.exchange.clock.advance(2)
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])

    def test_a_connection_for_nothing(self) -> None:
        self.exchange.clock.advance(299)
        self.exchange.close(self.exchange.shell())
        self.exchange.run()
        self.exchange.clock.advance(299)
        self.assertFalse(self.exchange.to_peer.disconnecting)
        self.exchange.clock.advance(2)
        self.assertTrue(self.exchange.to_peer.disconnecting)


class SlowPeerTests(SessionCase):
    """What is held for a peer that does not read, and what it can make us take."""

    def channel(self) -> Any:
        return next(iter(self.exchange.channels.values()))

    def assert_bounded(self) -> None:
        self.assertLess(len(self.channel()._unsent), 128 * 1024)
        self.assertLess(len(self.exchange.to_peer.value()), 256 * 1024)

    def test_a_window_that_is_used_up(self) -> None:
        for pty in (False, True):
            self.come_in()
            channel = self.exchange.open(window=1000)
            assert channel is not None
            if pty:
                self.exchange.pty(channel)
            self.exchange.request(channel, b"shell")
            said = self.exchange.say(channel, b"count 1000000\n")
            self.exchange.clock.pump([0] * 50)
            self.assert_bounded()
            self.assertLessEqual(len(said), 1000)
            pulled = self.app.pulled
            self.exchange.clock.pump([0] * 50)
            self.assertEqual(self.app.pulled, pulled)
            self.assertLess(pulled, 100_000)
            more = struct.pack(">2L", channel, 500_000)
            self.exchange.send(ssh.WINDOW_ADJUST, more)
            self.assertGreater(len(self.exchange.said()), 400_000)
            self.assertGreater(self.app.pulled, pulled)
            self.assert_bounded()

    def test_no_window_at_all(self) -> None:
        channel = self.exchange.open(window=0)
        assert channel is not None
        self.exchange.request(channel, b"shell")
        self.assertEqual(self.exchange.say(channel, b"add 1 2\nadd 3 4\n"), b"")
        for byte in b"3\r\n7\r\n":
            self.exchange.send(ssh.WINDOW_ADJUST, struct.pack(">2L", channel, 1))
            self.assertEqual(self.exchange.said(), bytes([byte]))

    def test_a_transport_that_is_full(self) -> None:
        channel = self.exchange.shell(HUGE)
        self.exchange.reads = False
        self.exchange.send(ssh.CHANNEL_DATA, struct.pack(">L", channel) + NS(b"count 1000000\n"))
        self.exchange.run()
        self.exchange.clock.pump([0] * 50)
        self.assert_bounded()
        self.assertFalse(self.exchange.to_peer.reading)
        pulled = self.app.pulled
        self.assertLess(pulled, 100_000)
        self.exchange.reads = True
        self.exchange.run()
        self.assertGreater(self.app.pulled, pulled)

    def test_requests_of_a_peer_that_does_not_read(self) -> None:
        channel = self.exchange.open()
        assert channel is not None
        self.exchange.reads = False
        for _ in range(300):
            for _ in range(100):
                self.exchange.send(
                    ssh.CHANNEL_REQUEST, struct.pack(">L", channel) + NS(b"env") + b"\1"
                )
            self.exchange.run()
        self.assertFalse(self.exchange.to_peer.reading)
        self.assert_bounded()

    def test_keys_that_never_come(self) -> None:
        channel = self.exchange.shell(HUGE)
        self.exchange.say(channel, b"wait\n")
        self.exchange.peer.sendKexInit()
        self.exchange.reads = False
        self.exchange.run()
        self.app.waiting[0].callback("x" * 1000)
        for _ in range(1000):
            self.app.sessions[-1].send("x" * 1000)
            self.exchange.clock.advance(0)
        self.assertLess(len(self.exchange.server._blockedByKeyExchange), 5)
        self.assert_bounded()

    def test_what_is_not_read_gives_no_window(self) -> None:
        self.come_in(FrontApp(limits=Limits(queued=5)))
        channel = self.exchange.shell()
        self.exchange.say(channel, b"wait\n")
        line = b"add 1 2\n" * 1000
        sent = 0
        while sent < WINDOW - 5 - len(line):
            self.exchange.send(ssh.CHANNEL_DATA, struct.pack(">L", channel) + NS(line))
            sent += len(line)
        numbers = [number for number, _ in self.exchange.take()]
        self.assertEqual(numbers, [])
        self.app.waiting[0].callback("done")
        packets = self.exchange.take()
        self.assertIn(ssh.WINDOW_ADJUST, [number for number, _ in packets])
        self.assertEqual(sum(number == ssh.CHANNEL_DATA for number, _ in packets) > 0, True)

    def test_more_than_the_window(self) -> None:
        self.come_in(FrontApp(limits=Limits(queued=5)))
        channel = self.exchange.shell()
        self.exchange.say(channel, b"wait\n")
        for _ in range(3):
            data = NS(b"add 1 2\n" * 4000)
            self.exchange.send(ssh.CHANNEL_DATA, struct.pack(">L", channel) + data)
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])

    def test_a_flood_of_keys_that_are_much_to_draw(self) -> None:
        channel = self.exchange.open(window=5000)
        assert channel is not None
        self.exchange.pty(channel)
        self.exchange.request(channel, b"shell")
        self.exchange.say(channel, b"\t" * 30_000)
        self.exchange.clock.pump([0] * 50)
        self.assert_bounded()

    def test_a_peer_that_never_takes_the_rest(self) -> None:
        channel = self.exchange.open(window=2)
        assert channel is not None
        self.exchange.request(channel, b"shell")
        self.assertEqual(self.exchange.say(channel, b"quit\n"), b"OK")
        self.exchange.clock.advance(LINGER_SECONDS)
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])
        self.assertTrue(self.app.sessions[-1].ended)


class DaemonTests(SessionCase):
    def test_promises(self) -> None:
        self.assertIsInstance(self.exchange.server, Drainable)
        self.assertIsInstance(self.exchange.server, Expirable)

    def test_drain_answers_what_was_begun(self) -> None:
        channel = self.exchange.shell()
        self.exchange.say(channel, b"wait\n")
        self.exchange.server.drain(self.exchange.clock, 10.0)
        self.assertIsNone(self.exchange.open())
        self.app.waiting[0].callback("done")
        self.assertEqual(self.exchange.said(), b"done\r\n")
        self.assertFalse(self.exchange.to_peer.disconnecting)
        self.exchange.close(channel)
        self.exchange.run()
        self.exchange.clock.advance(1)
        self.exchange.run()
        self.assertEqual(self.exchange.peer.goodbye, b"shutting down")

    def test_drain_of_those_with_nothing_begun(self) -> None:
        for far in (lambda _: None, Exchange.run, Exchange.secure, Exchange.come_in):
            exchange = Exchange()
            far(exchange)
            exchange.server.drain(exchange.clock, 10.0)
            self.assertTrue(exchange.to_peer.disconnecting)

    def test_drain_of_a_channel_without_a_session(self) -> None:
        self.exchange.open()
        self.exchange.server.drain(self.exchange.clock, 10.0)
        self.assertEqual([number for number, _ in self.exchange.take()], [ssh.CHANNEL_CLOSE])

    def test_expire_says_so(self) -> None:
        self.exchange.shell()
        self.exchange.server.expire("idle")
        self.assertEqual(self.exchange.said(), b"ERR timeout idle time is over\r\n")

    def test_counters(self) -> None:
        self.exchange.say(self.exchange.shell(), b"add 1 2\n")
        counters = self.exchange.factory.counters
        self.assertEqual((counters.opened, counters.active), (1, 1))
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (8, 3))
        sessions = self.exchange.factory.sessions.counters
        self.assertEqual((sessions.active, sessions.replies_sent), (1, 1))
        self.exchange.server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((counters.active, sessions.active), (0, 0))
        self.assertEqual(counters.bytes_sent, 3)

    def test_a_lost_connection_ends_its_sessions(self) -> None:
        self.exchange.say(self.exchange.shell(), b"wait\n")
        self.exchange.server.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.app.sessions[-1].ended)
        self.assertTrue(self.app.waiting[0].called)
        self.assertEqual(self.exchange.clock.getDelayedCalls(), [])
