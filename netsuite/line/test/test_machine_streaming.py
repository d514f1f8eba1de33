"""Back-pressure: nothing is begun for a peer that does not read, nothing is lost or said twice."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred

from netsuite.line import Limits, LineApp, Session
from netsuite.line.test.talk import Talk

BUFFER = 100


class StreamingCase(Talk):
    limits = Limits(idle=None, buffer=BUFFER, parallel=2)

    def make_app(self) -> LineApp:
        app = super().make_app()
        self.begun = self.pulled = 0
        self.promised: Deferred[Any] = Deferred()
        self.ended: list[str] = []

        @app.command()
        def add(a: int, b: int) -> int:
            self.begun += 1
            return a + b

        @app.command()
        def raw(size: int) -> bytes:
            return b"x" * size

        @app.command()
        def count(upto: int) -> Iterator[str]:
            try:
                for each in range(upto):
                    self.pulled += 1
                    yield str(each)
            finally:
                self.ended.append("count")

        @app.command()
        async def stream(upto: int) -> AsyncIterator[str]:
            try:
                for each in range(upto):
                    self.pulled += 1
                    yield str(each)
            finally:
                self.ended.append("stream")

        @app.command()
        async def feed() -> AsyncIterator[str]:
            while True:
                line = await self.promised
                if line is None:
                    break
                yield line

        @app.command(parallel=True)
        async def slow() -> Any:
            return await self.promised

        return app

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def stall(self, _: bytes) -> None:
        """At each write, the transport has enough."""
        if self.wire.producer is not None:
            self.protocol.pauseProducing()

    def read(self) -> None:
        """The peer has read, and at the next write the transport has enough again."""
        self.protocol.resumeProducing()

    def read_all(self, enough: Callable[[], bool]) -> int:
        """How often the peer has to read until it is enough."""
        times = 0
        while not enough():
            self.read()
            self.clock.turn()
            times += 1
            self.assertLess(times, 10_000)
        return times

    def advance(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.turn()


def lines(upto: int) -> bytes:
    return b"".join(b"%d\n" % each for each in range(upto)) + b".\n"


class BatchTests(StreamingCase):
    def test_a_batch_goes_on_where_it_was_paused(self) -> None:
        script = b"".join(b"add %d 0\n" % each for each in range(1000))
        expected = b"".join(b"%d\n" % each for each in range(1000))
        self.wire.on_write = self.stall
        self.protocol.dataReceived(script)
        self.assertLess(len(self.sent), 2 * BUFFER)
        self.assertLess(self.begun, 2 * BUFFER)
        self.assertEqual(self.sent, expected[: len(self.sent)])
        self.assertFalse(self.wire.reading)
        times = self.read_all(lambda: len(self.sent) >= len(expected))
        self.assertGreater(times, len(expected) // (2 * BUFFER))
        self.assertEqual(self.sent, expected)
        self.read()
        self.assertTrue(self.wire.reading)

    def test_nothing_is_begun_while_the_peer_does_not_read(self) -> None:
        self.protocol.pauseProducing()
        self.assertFalse(self.wire.reading)
        self.assertEqual(self.say(b"add 1 2\nadd 3"), b"")
        self.assertEqual(self.say(b" 4\nadd 5 6\n"), b"")
        self.assertEqual(self.begun, 0)
        self.protocol.resumeProducing()
        self.assertEqual(self.sent, b"3\n7\n11\n")
        self.assertTrue(self.wire.reading)

    def test_part_of_a_line_waits_for_the_rest(self) -> None:
        self.protocol.pauseProducing()
        self.say(b"add 1")
        self.protocol.resumeProducing()
        self.assertTrue(self.wire.reading)
        self.assertEqual(self.say(b" 2\n"), b"3\n")

    def test_a_reply_that_comes_meanwhile_waits(self) -> None:
        self.say(b"slow\nadd 1 2\n")
        self.protocol.pauseProducing()
        self.promised.callback("now")
        self.assertEqual(self.sent, b"")
        self.protocol.resumeProducing()
        self.assertEqual(self.sent, b"now\n3\n")

    def test_replies_are_put_together(self) -> None:
        writes: list[int] = []
        self.wire.on_write = lambda data: writes.append(len(data))
        self.say(b"add 1 2\n" * 20)
        self.assertEqual(writes, [40])
        self.say(b"add 1 2\n" * 100)
        self.assertEqual(sum(writes), 240)
        self.assertLess(max(writes), BUFFER)

    def test_what_was_said_while_nobody_read_is_kept_once(self) -> None:
        self.protocol.pauseProducing()
        self.say(b"add 1 2\n" * 10)
        self.assertEqual(len(self.machine._requests.held), 80)
        self.assertEqual(self.machine._unsent, 0)
        self.assertFalse(self.machine._queue)


class GeneratorTests(StreamingCase):
    def test_lines_are_pulled_as_the_peer_reads(self) -> None:
        self.wire.on_write = self.stall
        self.say(b"count 1000\nadd 1 2\n")
        self.assertLess(len(self.sent), 2 * BUFFER)
        before = self.pulled
        self.assertLess(before, BUFFER)
        self.advance(100)
        self.assertEqual(self.pulled, before, "the peer does not read")
        self.assertEqual(self.begun, 0)
        expected = lines(1000) + b"3\n"
        self.read_all(lambda: len(self.sent) >= len(expected))
        self.assertEqual(self.sent, expected)
        self.assertEqual(self.ended, ["count"])

    def test_asynchronous_lines_are_pulled_as_the_peer_reads(self) -> None:
        self.wire.on_write = self.stall
        self.say(b"stream 1000\nadd 1 2\n")
        self.assertLess(len(self.sent), 2 * BUFFER)
        before = self.pulled
        self.assertLess(before, BUFFER)
        self.advance(100)
        self.assertEqual(self.pulled, before, "the peer does not read")
        expected = lines(1000) + b"3\n"
        self.read_all(lambda: len(self.sent) >= len(expected))
        self.assertEqual(self.sent, expected)
        self.assertEqual(self.ended, ["stream"])

    def test_others_have_their_turn_though_the_peer_reads_all(self) -> None:
        for command in (b"count 1000000000\n", b"stream 1000000000\n"):
            self.connect()
            self.say(command)
            for _ in range(10):
                before = len(self.sent)
                self.assertLess(before, 2 * BUFFER * 11)
                self.advance()
                self.assertGreater(len(self.sent), before)
            self.lose()

    def test_a_peer_that_reads_before_the_turn_is_over(self) -> None:
        self.say(b"count 1000\n")
        self.protocol.pauseProducing()
        self.protocol.resumeProducing()
        self.advance(1000)
        self.assertEqual(self.sent, lines(1000))

    def test_commands_in_other_turns_wait(self) -> None:
        self.say(b"count 1000\n")
        self.say(b"add 1 2\n")
        self.advance(1000)
        self.assertEqual(self.sent, lines(1000) + b"3\n")

    def test_it_ends_with_the_connection(self) -> None:
        for command in (b"count 1000\n", b"stream 1000\n"):
            self.connect()
            self.wire.on_write = self.stall
            self.say(command)
            before = len(self.sent)
            self.assertEqual(self.ended, [])
            self.lose()
            self.assertEqual(self.ended, [command.split()[0].decode()])
            self.protocol.resumeProducing()
            self.advance()
            self.assertEqual(len(self.sent), before)
            self.ended.clear()

    def test_no_turn_is_waited_for_when_the_connection_is_gone(self) -> None:
        self.say(b"count 1000\n")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_goes_on_when_the_peer_sends_no_more(self) -> None:
        self.wire.on_write = self.stall
        self.say(b"count 1000\nadd 1 2\n")
        self.protocol.readConnectionLost()
        self.assertEqual(self.wire.asked.count("close"), 0)
        self.read_all(lambda: "close" in self.wire.asked)
        self.assertEqual(self.sent, lines(1000) + b"3\n")


class PushTests(StreamingCase):
    def make_app(self) -> LineApp:
        app = super().make_app()
        self.told = 0

        @app.command()
        def flood(session: Session) -> int:
            sent = 0
            while sent < 10_000 and session.send("x" * 10):
                sent += 1
            return sent

        return app

    def setUp(self) -> None:
        super().setUp()
        self.session.on_writable(self.tell)

    def tell(self) -> None:
        self.told += 1

    def test_not_while_the_peer_does_not_read(self) -> None:
        self.assertTrue(self.session.writable)
        self.protocol.pauseProducing()
        self.assertFalse(self.session.writable)
        self.assertFalse(self.session.send("a"))
        self.assertFalse(self.session.send_raw(b"a"))
        self.assertEqual((self.told, self.sent), (0, b""))
        self.protocol.resumeProducing()
        self.assertEqual((self.told, self.sent), (1, b""))
        self.assertTrue(self.session.send("a"))

    def test_who_was_not_refused_is_not_told(self) -> None:
        self.protocol.pauseProducing()
        self.protocol.resumeProducing()
        self.assertEqual(self.told, 0)

    def test_not_within_a_reply_of_several_lines(self) -> None:
        self.say(b"feed\nadd 1 2\n")
        self.assertTrue(self.session.send("before"))
        promised, self.promised = self.promised, Deferred()
        promised.callback("line")
        self.assertFalse(self.session.writable)
        self.assertFalse(self.session.send("within"))
        promised, self.promised = self.promised, Deferred()
        promised.callback("another")
        self.assertEqual(self.told, 0)
        self.promised.callback(None)
        self.assertEqual(self.told, 1)
        self.assertTrue(self.session.send("behind"))
        self.assertEqual(self.sent, b"* before\nline\nanother\n.\n3\n* behind\n")

    def test_not_within_one_that_waits_for_its_turn(self) -> None:
        self.say(b"count 1000\n")
        self.assertFalse(self.session.send("within"))
        self.advance(1000)
        self.assertEqual((self.told, self.sent), (1, lines(1000)))

    def test_in_a_command_they_are_bounded_too(self) -> None:
        self.wire.on_write = self.stall
        self.say(b"flood\n")
        self.assertLess(len(self.sent), 2 * BUFFER)
        self.read_all(lambda: self.sent.endswith(b"\n") and b"* " not in self.sent[-4:])
        pushes = self.sent.count(b"* xxxxxxxxxx\n")
        self.assertLess(pushes, BUFFER)
        self.assertTrue(self.sent.endswith(b"\n%d\n" % pushes))

    def test_who_is_told_may_push_until_it_is_enough_again(self) -> None:
        def push() -> None:
            while self.session.send("x"):
                pass

        self.session.on_writable(push)
        self.wire.on_write = self.stall
        self.protocol.pauseProducing()
        self.session.send("x")
        for told in range(1, 5):
            self.protocol.resumeProducing()
            self.assertEqual(self.told, told)
            self.assertEqual(self.sent, b"* x\n" * told)

    def test_what_one_raises_keeps_nobody_from_hearing(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        self.session._on_writable = ()
        self.session.on_writable(fail)
        self.session.on_writable(self.tell)
        self.protocol.pauseProducing()
        self.session.send("x")
        self.protocol.resumeProducing()
        self.assertEqual(self.told, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.say(b"add 1 2\n"), b"3\n")

    def test_a_session_that_is_over(self) -> None:
        self.lose()
        self.assertFalse(self.session.writable)
        self.assertFalse(self.session.send("x"))
        self.assertEqual((self.told, self.sent), (0, b""))
