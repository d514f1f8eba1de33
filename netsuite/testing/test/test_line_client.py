"""The peer in memory that programs test their applications with."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Block, CommandError, Limits, LineApp, Session
from netsuite.testing import LineTestClient, NoReplyError


def make_app(**options: Any) -> LineApp:
    app = LineApp("test", **options)

    @app.command()
    def add(a: int, b: int) -> int:
        return a + b

    @app.command()
    def say(text: str) -> str:
        return text

    @app.command()
    def count(upto: int) -> Iterator[str]:
        yield from map(str, range(upto))

    @app.command()
    def marks() -> list[str]:
        return [".", "* x", "ERR x", "", ". ERR x"]

    @app.command()
    def break_off(lines: int) -> Iterator[str]:
        yield from map(str, range(lines))
        raise CommandError("broken", "off")

    @app.command()
    def forever() -> Iterator[str]:
        while True:
            yield "x" * 1000

    @app.command()
    async def sleep(session: Session, seconds: float) -> float:
        await deferLater(session.clock, seconds, lambda: None)
        return seconds

    @app.command()
    async def ticks(session: Session, number: int) -> AsyncIterator[str]:
        for each in range(number):
            await deferLater(session.clock, 1, lambda: None)
            yield str(each)

    @app.command()
    def store(key: str, data: Block) -> str:
        return f"{key} {len(data)}"

    @app.command(roles=["x"])
    def who(session: Session) -> str:
        return f"{session.user} {session.peer} {session.secure}"

    return app


class ClientCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = make_app().test_client()


class AskTests(ClientCase):
    def test_one_line(self) -> None:
        self.assertIsInstance(self.client, LineTestClient)
        self.assertEqual(self.client.ask("ADD 1 2"), "3")
        self.assertEqual(self.client.ask('say ". x"'), ". x")
        self.assertEqual(self.client.ask('say "ERR x"'), "ERR x")
        self.assertEqual(self.client.ask("say é"), "é")

    def test_several_lines(self) -> None:
        self.assertEqual(self.client.lines("count 3"), ["0", "1", "2"])
        self.assertEqual(self.client.lines("count 0"), [])
        self.assertEqual(self.client.lines("marks"), [".", "* x", "ERR x", "", ". ERR x"])

    def test_errors(self) -> None:
        for ask in (self.client.ask, self.client.lines):
            with self.assertRaises(CommandError) as caught:
                ask("add 1 x")
            self.assertEqual(caught.exception.code, "bad-argument")
            self.assertEqual(caught.exception.text, 'b "x": expected a whole number')
        for lines in (0, 2):
            with self.assertRaises(CommandError) as caught:
                self.client.lines(f"break-off {lines}")
            self.assertEqual(str(caught.exception), "broken off")
        self.assertEqual(self.client.ask("add 1 2"), "3")

    def test_literals(self) -> None:
        self.assertEqual(self.client.ask("store key", literal=b"a\r\n\0"), "key 4")
        self.assertEqual(self.client.ask("store key", literal=b""), "key 0")

    def test_bytes(self) -> None:
        self.assertEqual(self.client.send(b"add 1 2\nad"), b"3\r\n")
        self.assertEqual(self.client.send(b"d 3 4\r\n"), b"7\r\n")
        self.assertEqual(self.client.take(), b"")
        self.assertEqual(self.client.replies, b"3\r\n7\r\n")

    def test_the_line_end_of_the_application(self) -> None:
        client = make_app(line_end=b"\n").test_client()
        self.assertEqual(client.send(b"add 1 2\n"), b"3\n")
        self.assertEqual(client.lines("count 2"), ["0", "1"])

    def test_more_than_is_read_at_once(self) -> None:
        self.assertEqual(len(self.client.lines("count 500000")), 500_000)

    def test_without_end(self) -> None:
        first = self.client.send(b"forever\n")
        self.assertGreater(len(first), 2**20)
        self.assertLess(len(first), 2**21)
        self.assertGreater(len(self.client.take()), 2**20)
        self.client.disconnect()
        with self.assertRaisesRegex(NoReplyError, "no reply yet"):
            make_app().test_client().lines("forever")


class TimeTests(ClientCase):
    def test_replies_that_come_later(self) -> None:
        with self.assertRaisesRegex(NoReplyError, "no reply yet"):
            self.client.ask("sleep 10")
        self.client.clock.advance(9)
        with self.assertRaises(NoReplyError):
            self.client.reply()
        self.client.clock.advance(1)
        self.assertEqual(self.client.reply(), "10.0")

    def test_lines_that_come_later(self) -> None:
        with self.assertRaises(NoReplyError):
            self.client.lines("ticks 2")
        self.client.clock.advance(1)
        with self.assertRaises(NoReplyError):
            self.client.reply_lines()
        self.client.clock.advance(1)
        self.assertEqual(self.client.reply_lines(), ["0", "1"], "nothing was lost")

    def test_a_reply_is_not_taken_for_another_s(self) -> None:
        self.client.send(b"sleep 1\n")
        self.client.clock.advance(1)
        with self.assertRaisesRegex(NoReplyError, "add 1 2: expected the replies before it"):
            self.client.ask("add 1 2")
        self.assertEqual(self.client.reply(), "1.0")
        self.assertEqual(self.client.ask("add 1 2"), "3")

    def test_a_clock_of_one_s_own(self) -> None:
        clock = Clock()
        clients = [make_app().test_client(clock=clock) for _ in range(2)]
        for client in clients:
            client.send(b"sleep 1\n")
        clock.advance(1)
        self.assertEqual([client.reply() for client in clients], ["1.0", "1.0"])

    def test_limits_of_time(self) -> None:
        client = make_app(limits=Limits(idle=10.0)).test_client()
        client.clock.pump([2.5] * 5)
        self.assertEqual(client.take(), b"ERR timeout nothing was said for 10 seconds\r\n")
        self.assertTrue(client.closed)


class PushTests(ClientCase):
    def test_they_are_apart_from_replies(self) -> None:
        client = make_app(greeting="hello").test_client()
        client.session.send("one")
        self.assertEqual(client.ask("add 1 2"), "3")
        client.session.send("two")
        self.assertEqual(client.ask('say "* x"'), "* x")
        self.assertEqual(client.pushes, ["hello", "one", "two"])

    def test_they_are_among_the_bytes(self) -> None:
        self.client.session.send("one")
        self.assertEqual(self.client.send(b"add 1 2\n"), b"* one\r\n3\r\n")


class ReadingTests(ClientCase):
    def test_a_peer_that_stops(self) -> None:
        self.client.peer_stops_reading()
        self.assertEqual(self.client.send(b"add 1 2\n"), b"")
        self.assertFalse(self.client.session.writable)
        self.assertEqual(self.client.send(b"add 3 4\n"), b"")
        self.client.peer_reads()
        self.assertTrue(self.client.session.writable)
        self.assertEqual(self.client.take(), b"3\r\n7\r\n")

    def test_room_on_the_way(self) -> None:
        self.client.peer_stops_reading(room=6)
        self.client.send(b"add 1 2\nadd 3 4\n")
        self.assertTrue(self.client.session.writable)
        self.client.send(b"add 1 2\n")
        self.assertFalse(self.client.session.writable)
        self.client.peer_reads()
        self.assertEqual(self.client.take(), b"3\r\n7\r\n3\r\n")

    def test_lines_wait(self) -> None:
        self.client.peer_stops_reading()
        with self.assertRaises(NoReplyError):
            self.client.lines("count 100000")
        self.client.peer_reads()
        self.assertEqual(len(self.client.reply_lines()), 100_000)

    def test_more_than_the_application_reads(self) -> None:
        client = make_app(limits=Limits(queued=1)).test_client()
        client.send(b"sleep 1\n" + b"add 1 2\n" * 20_000)
        client.clock.advance(1)
        self.assertEqual(client.take(), b"1.0\r\n" + b"3\r\n" * 20_000)


class EndTests(ClientCase):
    def test_the_application_closes(self) -> None:
        self.assertFalse(self.client.closed)
        self.assertEqual(self.client.ask("quit"), "OK")
        self.assertTrue(self.client.closed)
        self.assertTrue(self.client.session.ended)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        with self.assertRaises(ConnectionError):
            self.client.send(b"add 1 2\n")

    def test_not_before_the_peer_has_read_all(self) -> None:
        self.client.peer_stops_reading()
        self.client.send(b"add 1 2\nquit\n")
        self.assertFalse(self.client.closed)
        self.client.peer_reads()
        self.assertEqual(self.client.take(), b"3\r\nOK\r\n")
        self.assertTrue(self.client.closed)

    def test_the_application_aborts(self) -> None:
        self.client.session.abort()
        self.assertTrue(self.client.closed)
        self.assertEqual(self.client.take(), b"")
        self.assertTrue(self.client.session.ended)

    def test_the_peer_disconnects(self) -> None:
        ended: list[None] = []
        self.client.session.on_end(lambda: ended.append(None))
        self.client.send(b"sleep 10\n")
        self.client.disconnect()
        self.client.disconnect()
        self.assertEqual((len(ended), self.client.closed), (1, True))
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_the_peer_sends_no_more(self) -> None:
        self.client.send(b"sleep 1\nadd 1 2\n")
        self.client.half_close()
        self.assertFalse(self.client.closed)
        self.client.clock.advance(1)
        self.assertEqual(self.client.take(), b"1.0\r\n3\r\n")
        self.assertTrue(self.client.closed)
        with self.assertRaises(ConnectionError):
            self.client.send(b"add 1 2\n")


class WhoTests(SynchronousTestCase):
    def test_by_itself(self) -> None:
        session = make_app().test_client().session
        self.assertEqual(
            (session.user, session.peer, session.host), (None, "127.0.0.1:1", "127.0.0.1")
        )
        self.assertFalse(session.secure)

    def test_somebody(self) -> None:
        client = make_app().test_client(host="2001:db8::1", secure=True, user="ann", roles=["x"])
        self.assertEqual(client.ask("who"), "ann [2001:db8::1]:1 True")

    def test_clients_share_the_application_only(self) -> None:
        app = make_app()
        first, second = app.test_client(), app.test_client(user="ann")
        first.session.state["key"] = 1
        self.assertEqual(second.session.state, {})
        first.send(b"sleep 1\n")
        second.clock.advance(1)
        self.assertEqual(first.take(), b"")
        first.disconnect()
        self.assertEqual(second.ask("add 1 2"), "3")


class TurningTests(SynchronousTestCase):
    def test_tls_is_noted(self) -> None:
        app = make_app()

        @app.command(exclusive=True)
        def starttls(session: Session) -> None:
            session.start_tls(object())

        client = app.test_client()
        self.assertFalse(client.tls)
        self.assertEqual(client.ask("starttls"), "OK")
        self.assertTrue(client.tls)
        self.assertTrue(client.session.secure)
        self.assertEqual(client.ask("add 1 2"), "3")

    def test_another_protocol(self) -> None:
        class Upper(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(data.upper())

        app = make_app()

        @app.command(exclusive=True)
        def shout(session: Session) -> str:
            session.upgrade(lambda transport, rest: Upper())
            return "go on"

        client = app.test_client()
        self.assertEqual(client.send(b"shout\nabc"), b"go on\r\nABC")
        self.assertEqual(client.send(b"def"), b"DEF")
        client.half_close()
        self.assertTrue(client.closed)


class PromiseTests(SynchronousTestCase):
    def test_a_promise_that_the_test_keeps(self) -> None:
        app = LineApp("test")
        promised: Deferred[str] = Deferred()
        app.command("WAIT")(lambda: promised)

        @app.command()
        def bye(session: Session) -> None:
            session.close()

        client = app.test_client()
        client.send(b"wait\nbye\n")
        promised.callback("here")
        self.assertTrue(client.closed)
        self.assertEqual(client.reply(), "here")
        self.assertEqual(client.reply(), "OK")
        self.assertTrue(client.session.ended)
