from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Block, CommandError, LineApp, LineFactory, Rest
from netsuite.line._client_calls import BUFFER, SKIPPED
from netsuite.line.client import (
    LineArgumentError,
    LineBusyError,
    LineClient,
    LineConnectionError,
    LineError,
    LineTimeoutError,
    LineTooLargeError,
    LineWireError,
)
from netsuite.line.test.memory import HIGH, READ, MemoryEndpoint, settle

T = TypeVar("T")


class Script(Protocol):
    """A server that says what the test says."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class ClientCase(SynchronousTestCase):
    """A client of an application, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.app = self.make_app()
        self.ran: list[str] = []
        self.held: list[Deferred[str]] = []
        self.pulled = 0
        self.clients: list[LineClient] = []
        self.endpoint = MemoryEndpoint(self.clock, self.build)

    def build(self) -> Any:
        return LineFactory(self.app, self.clock).buildProtocol(None)

    def make_app(self) -> LineApp:
        app = LineApp("test")

        @app.command()
        def add(a: int, b: int) -> int:
            self.ran.append(f"{a}+{b}")
            return a + b

        @app.command(parallel=True)
        def hold(_: str) -> Deferred[str]:
            self.held.append(Deferred())
            return self.held[-1]

        @app.command()
        def count(upto: int) -> Iterator[str]:
            for each in range(upto):
                self.pulled += 1
                yield str(each)

        @app.command()
        def half(upto: int) -> Iterator[str]:
            yield from map(str, range(upto))
            raise CommandError("failed", "that was half")

        @app.command()
        def store(key: str, data: Block) -> str:
            return f"{key} {data!r}"

        @app.command()
        def say(text: Rest) -> str:
            return text

        return app

    def client(self, **options: Any) -> LineClient:
        options.setdefault("retry", float)
        client = LineClient(self.endpoint, reactor=self.clock, **options)
        if not self.clients:
            self.addCleanup(self.finish)
        self.clients.append(client)
        return client

    def finish(self) -> None:
        for client in self.clients:
            closed = client.close()
            settle(self.clock)
            self.successResultOf(closed)
        for each in self.endpoint.connections:
            if each.connected:
                each.abortConnection()
        settle(self.clock)
        self.assertEqual([], self.clock.getDelayedCalls())

    def result(self, awaited: Deferred[T] | Coroutine[Any, Any, T]) -> T:
        settle(self.clock)
        deferred = awaited if isinstance(awaited, Deferred) else Deferred.fromCoroutine(awaited)
        settle(self.clock)
        return self.successResultOf(deferred)

    def failure(self, awaited: Deferred[Any] | Coroutine[Any, Any, Any], kind: type[T]) -> T:
        settle(self.clock)
        deferred = awaited if isinstance(awaited, Deferred) else Deferred.fromCoroutine(awaited)
        settle(self.clock)
        error = self.failureResultOf(deferred).value
        self.assertIs(type(error), kind)
        assert isinstance(error, kind)
        return error

    def pending(self, deferred: Deferred[Any]) -> None:
        settle(self.clock)
        self.assertNoResult(deferred)

    def lose(self) -> None:
        """The newest connection goes away."""
        self.endpoint.connections[-1].abortConnection()
        settle(self.clock)


class ScriptCase(ClientCase):
    """A client of a server that says what the test says."""

    def build(self) -> Script:
        self.server = Script()
        return self.server

    def connected(self, **options: Any) -> LineClient:
        client = self.client(**options)
        self.result(client.connect())
        return client


class CallTests(ClientCase):
    def test_a_call(self) -> None:
        self.assertEqual(self.result(self.client().call("ADD", 1, 2)), "3")

    def test_a_coroutine(self) -> None:
        async def main() -> list[str]:
            async with self.client() as client:
                self.assertTrue(client.is_connected)
                return [await client.call("ADD", 1, 2), await client.call("SAY", rest="a  b")]

        self.assertEqual(self.result(main()), ["3", "a  b"])
        self.assertFalse(self.endpoint.connections[0].connected)

    def test_an_error_is_a_value(self) -> None:
        client = self.client()
        first, second = client.call("ADD", "x", 2), client.call("ADD", 1, 2)
        error = self.failure(first, LineError)
        self.assertEqual(error.code, "bad-argument")
        self.assertIn('a "x"', error.text)
        self.assertEqual(self.result(second), "3")

    def test_lines(self) -> None:
        client = self.client()
        self.assertEqual(self.result(client.lines("COUNT", 3)), ["0", "1", "2"])
        self.assertEqual(self.result(client.lines("COUNT", 0)), [])

    def test_lines_that_end_with_an_error(self) -> None:
        error = self.failure(self.client().lines("HALF", 3), LineError)
        self.assertEqual(str(error), "failed that was half")

    def test_a_literal(self) -> None:
        reply = self.result(self.client().call("STORE", "k", literal=b"a\r\n\xff"))
        self.assertEqual(reply, repr(b"a\r\n\xff").join(["k ", ""]))

    def test_what_cannot_be_sent(self) -> None:
        client = self.client(line_length=20)
        self.failure(client.call("A", None), LineArgumentError)  # type: ignore[arg-type]  # so it is
        self.failure(client.lines("COUNT", "x" * 20), LineArgumentError)
        self.failure(anext(client.stream("A B")), LineArgumentError)
        self.assertEqual(self.endpoint.tries, 0)

    def test_calls_go_out_at_once_and_in_order(self) -> None:
        client = self.client()
        self.result(client.connect())
        calls = [client.call("ADD", each, each) for each in range(1000)]
        self.assertEqual(len(b"".join(self.endpoint.connections[0].inbox).split(b"\r\n")), 1001)
        settle(self.clock)
        replies = [self.successResultOf(each) for each in calls]
        self.assertEqual(replies, [str(2 * each) for each in range(1000)])

    def test_replies_of_all_kinds_are_matched_in_order(self) -> None:
        client = self.client()

        async def streamed() -> list[str]:
            return [line async for line in client.stream("COUNT", 2)]

        one, some = client.call("HOLD", "x"), client.lines("COUNT", 2)
        stream = Deferred.fromCoroutine(streamed())
        error, last = client.call("UNKNOWN"), client.call("ADD", 1, 1)
        for each in (one, some, stream, error, last):
            self.pending(each)
        self.held[0].callback("held")
        self.assertEqual(self.result(one), "held")
        self.assertEqual(self.result(some), ["0", "1"])
        self.assertEqual(self.result(stream), ["0", "1"])
        self.failure(error, LineError)
        self.assertEqual(self.result(last), "2")

    def test_a_call_from_the_callback_of_another(self) -> None:
        client = self.client()
        second = client.call("ADD", 1, 2).addCallback(lambda three: client.call("ADD", three, 1))
        self.assertEqual(self.result(second), "4")

    def test_a_reply_may_be_as_long_as_said(self) -> None:
        client = self.client()
        self.assertEqual(len(self.result(client.lines("COUNT", 10, most=20))), 10)
        error = self.failure(client.lines("COUNT", 10, most=19), LineTooLargeError)
        self.assertIn("expected at most 19 characters", str(error))
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")
        self.assertEqual(self.endpoint.tries, 1)

    def test_lines_as_they_were_typed(self) -> None:
        client = self.client()
        self.assertEqual(self.result(client.call_line('say "as  it is')), '"as  it is')
        self.assertEqual(self.result(client.call_line("STORE k {2}", b"\r\n")), "k b'\\r\\n'")
        stream = client.stream_line("count 1")
        self.assertEqual(self.result(anext(stream)), "0")
        error = self.failure(client.call_line("SAY " + "x" * 9000), LineArgumentError)
        self.assertIn("expected at most 8192", str(error))
        self.failure(client.call_line(" "), LineArgumentError)
        self.failure(anext(client.stream_line("a\nb")), LineArgumentError)

    def test_push(self) -> None:
        self.app.greeting = "welcome"
        pushed: list[str] = []
        self.result(self.client(on_push=pushed.append).connect())
        settle(self.clock)
        self.assertEqual(pushed, ["welcome"])

    def test_a_callback_that_fails_is_logged(self) -> None:
        self.app.greeting = "welcome"

        def broken(_: str) -> None:
            raise RuntimeError("mine")

        self.assertEqual(self.result(self.client(on_push=broken).call("ADD", 1, 2)), "3")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class FlightTests(ScriptCase):
    """How much is on its way."""

    def test_so_many_are_sent_and_no_more(self) -> None:
        client = self.connected(max_in_flight=2)
        calls = [client.call("A", each) for each in range(4)]
        settle(self.clock)
        self.assertEqual(self.server.received, b"A 0\r\nA 1\r\n")
        self.server.say(b"a\r\n")
        settle(self.clock)
        self.assertEqual(self.server.received, b"A 0\r\nA 1\r\nA 2\r\n")
        self.server.say(b"b\r\nc\r\nd\r\n"[:6])
        settle(self.clock)
        self.server.say(b"d\r\n")
        settle(self.clock)
        self.assertEqual([self.successResultOf(each) for each in calls], ["a", "b", "c", "d"])

    def test_so_many_wait_and_no_more(self) -> None:
        client = self.connected(max_in_flight=1, max_waiting=2)
        calls = [client.call("A") for _ in range(3)]
        error = self.failure(client.call("A"), LineBusyError)
        self.assertEqual(str(error), "A: 2 calls wait already")
        self.server.say(b"a\r\n")
        settle(self.clock)
        calls.append(client.call("A"))
        self.failure(client.call("A"), LineBusyError)
        for _ in range(3):
            self.server.say(b"a\r\n")
            settle(self.clock)
        self.assertEqual([self.successResultOf(each) for each in calls], ["a"] * 4)

    def test_a_call_by_a_callback_is_behind_those_that_wait(self) -> None:
        client = self.connected(max_in_flight=1)
        first, second = client.call("A"), client.call("B")
        first.addCallback(lambda _: client.call("C"))
        for each in (b"a\r\n", b"b\r\n", b"c\r\n"):
            self.server.say(each)
            settle(self.clock)
        self.assertEqual((self.result(first), self.result(second)), ("c", "b"))
        self.assertEqual(self.server.received, b"A\r\nB\r\nC\r\n")

    def test_nothing_is_sent_to_a_server_that_does_not_read(self) -> None:
        client = self.connected()
        side = self.endpoint.connections[0]
        side.pauseProducing()
        calls = [client.call("A", "x" * 1000) for _ in range(500)]
        settle(self.clock)
        self.assertLess(side.waiting, HIGH + 2000)
        side.resumeProducing()
        settle(self.clock)
        self.assertEqual(self.server.received.count(b"\r\n"), 500)
        self.server.say(b"a\r\n" * 500)
        settle(self.clock)
        self.assertEqual({self.successResultOf(each) for each in calls}, {"a"})

    def test_a_cancelled_call_that_was_not_sent_never_is(self) -> None:
        client = self.connected(max_in_flight=1)
        first, second, third = (client.call(name) for name in "ABC")
        second.cancel()
        self.failure(second, CancelledError)
        self.server.say(b"a\r\n")
        settle(self.clock)
        self.server.say(b"c\r\n")
        self.assertEqual((self.result(first), self.result(third)), ("a", "c"))
        self.assertEqual(self.server.received, b"A\r\nC\r\n")

    def test_the_reply_to_a_cancelled_call_is_nobody_elses(self) -> None:
        client = self.connected()
        first, second, third = client.call("A"), client.lines("B"), client.call("C")
        first.cancel()
        second.cancel()
        self.server.say(b"a\r\nb\r\nb\r\n.\r\nc\r\n")
        self.assertEqual(self.result(third), "c")
        self.failure(first, CancelledError)
        self.failure(second, CancelledError)
        self.assertTrue(client.is_connected)


class TimeTests(ScriptCase):
    def test_a_call_without_a_reply_ends_the_connection(self) -> None:
        client = self.connected(timeout=30)
        first = client.call("A")
        self.clock.advance(10)
        second = client.lines("B")
        self.clock.advance(19)
        self.pending(first)
        self.clock.advance(1)
        error = self.failure(first, LineTimeoutError)
        self.assertEqual(str(error), "A: no reply within 30 seconds")
        self.assertIsInstance(error, TimeoutError)
        others = self.failure(second, LineConnectionError)
        self.assertIn("no reply to A within 30 seconds", str(others))
        self.assertFalse(self.endpoint.connections[0].connected)

    def test_a_call_may_have_its_own_time(self) -> None:
        client = self.connected(timeout=30)
        short, never = client.call("A", timeout=1), client.call("B", timeout=float("inf"))
        self.clock.advance(1)
        error = self.failure(short, LineTimeoutError)
        self.assertEqual(str(error), "A: no reply within 1 second")
        self.failure(never, LineConnectionError)

    def test_a_client_may_have_no_limit(self) -> None:
        client = self.connected(timeout=None, keepalive=None)
        settle(self.clock)
        call = client.call("A")
        settle(self.clock)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.server.say(b"a\r\n")
        self.assertEqual(self.result(call), "a")

    def test_a_call_that_was_not_sent_leaves_the_connection_alone(self) -> None:
        client = self.connected(max_in_flight=1, timeout=30)
        first, second = client.call("A"), client.call("B", timeout=10)
        self.clock.advance(10)
        error = self.failure(second, LineTimeoutError)
        self.assertEqual(
            str(error), "B: not sent within 10 seconds: others have to be answered first"
        )
        self.server.say(b"a\r\n")
        self.assertEqual(self.result(first), "a")
        self.assertEqual(self.server.received, b"A\r\n")

    def test_a_cancelled_call_without_a_reply_ends_the_connection_too(self) -> None:
        client = self.connected(timeout=30)
        first, second = client.call("A"), client.call("B", timeout=100)
        first.cancel()
        self.failure(first, CancelledError)
        self.clock.advance(30)
        self.failure(second, LineConnectionError)

    def test_a_late_reply_is_nobodys(self) -> None:
        client = self.connected(timeout=1)
        first = client.call("A")
        self.clock.advance(1)
        self.server.say(b"a\r\n")
        self.failure(first, LineTimeoutError)
        second = client.call("B")
        self.clock.advance(1)
        settle(self.clock)
        self.server.say(b"b\r\n")
        self.failure(second, LineTimeoutError)


class WireTests(ScriptCase):
    def test_a_server_that_breaks_the_wire(self) -> None:
        client = self.connected()
        first, second = client.call("A"), client.call("B")
        self.server.say(b"a\r\n.\r\n")
        self.assertEqual(self.result(first), "a")
        error = self.failure(second, LineWireError)
        self.assertIn("the end of several lines where there is one", str(error))
        self.assertFalse(client.is_connected)

    def test_a_reply_to_nothing(self) -> None:
        lost: list[Exception] = []
        self.connected(on_lost=lost.append)
        self.server.say(b"hello\r\n")
        settle(self.clock)
        self.assertEqual([type(each) for each in lost], [LineWireError])

    def test_a_line_that_is_too_long(self) -> None:
        client = self.connected(longest=10)
        self.server.say(b"* 34567890\r\n")
        call = client.call("A")
        self.server.say(b"12345678901\r\n")
        self.failure(call, LineWireError)

    def test_what_comes_behind_a_broken_line_is_not_looked_at(self) -> None:
        pushed: list[str] = []
        client = self.connected(on_push=pushed.append)
        calls = [client.call("A") for _ in range(3)]
        self.server.say(b".\r\n* push\r\nOK\r\nOK\r\n")
        settle(self.clock)
        for each in calls:
            self.failure(each, LineWireError)
        self.assertEqual(pushed, [])

    def test_the_servers_parting_word_is_why(self) -> None:
        lost: list[Exception] = []
        self.connected(on_lost=lost.append)
        self.server.say(b"ERR timeout nothing came for 300 seconds\r\n")
        assert self.server.transport is not None
        self.server.transport.loseConnection()
        settle(self.clock)
        self.assertEqual(
            [str(each) for each in lost],
            ["the connection was lost: the server has said: timeout nothing came for 300 seconds"],
        )


class StreamTests(ClientCase):
    async def all_of(self, client: LineClient, *command: Any) -> list[str]:
        return [line async for line in client.stream(*command)]

    def test_a_stream(self) -> None:
        client = self.client()
        self.assertEqual(self.result(self.all_of(client, "COUNT", 3)), ["0", "1", "2"])
        self.assertEqual(self.result(self.all_of(client, "COUNT", 0)), [])
        numbers = self.result(self.all_of(client, "COUNT", 50_000))
        self.assertEqual(numbers, [str(each) for each in range(50_000)])

    def test_errors_come_behind_the_lines(self) -> None:
        client = self.client()
        stream = client.stream("HALF", 1)
        self.assertEqual(self.result(anext(stream)), "0")
        self.failure(anext(stream), LineError)
        self.failure(anext(stream), StopAsyncIteration)
        self.failure(anext(client.stream("COUNT", "x")), LineError)

    def test_a_slow_consumer_stops_the_server(self) -> None:
        client = self.client()
        stream = client.stream("COUNT", 1_000_000)
        later = client.call("ADD", 1, 2)
        settle(self.clock)
        ends = self.endpoint.clients[0], self.endpoint.connections[0]
        self.assertTrue(ends[0].paused)
        self.assertLess(ends[0].waiting, 2 * HIGH + READ)
        pulled = self.pulled
        self.assertLess(pulled, 60_000)
        for number in range(20_000):
            self.assertEqual(self.result(anext(stream)), str(number))
        self.assertGreater(self.pulled, pulled)
        self.assertLess(self.pulled, pulled + 30_000)
        self.assertNoResult(later)
        stream.close()
        # More than is skipped was still to come.
        self.failure(later, LineConnectionError)

    def test_what_is_left_of_a_stream_is_skipped(self) -> None:
        client = self.client()
        for leave in (lambda stream: stream.close(), lambda stream: stream.__del__()):
            stream = client.stream("COUNT", 50_000)
            later = client.call("ADD", 1, 2)
            self.assertEqual(self.result(anext(stream)), "0")
            leave(stream)
            self.assertEqual(self.result(later), "3")
            self.failure(anext(stream), StopAsyncIteration)
        self.assertEqual(self.endpoint.tries, 1)

    def test_a_stream_that_nobody_has_any_more_is_skipped(self) -> None:
        client = self.client()

        async def first() -> str:
            async for line in client.stream("COUNT", 50_000):
                return line
            raise AssertionError

        self.assertEqual(self.result(first()), "0")
        self.assertEqual(self.result(client.call("ADD", 1, 2)), "3")

    def test_the_block_of_a_stream(self) -> None:
        client = self.client()

        async def main() -> str:
            async with client.stream("COUNT", 50_000) as stream:
                await anext(stream)
            return await client.call("ADD", 1, 2)

        self.assertEqual(self.result(main()), "3")

    def test_time_counts_only_while_the_consumer_waits(self) -> None:
        client = self.client(timeout=10)
        stream = client.stream("COUNT", 100_000)
        for _ in range(5):
            self.result(anext(stream))
            self.clock.advance(9.9)
            settle(self.clock)
        self.assertEqual(self.result(anext(stream)), "5")
        self.assertEqual(self.endpoint.tries, 1)
        stream.close()
        settle(self.clock)

    def test_one_consumer_at_a_time(self) -> None:
        client = self.client()
        client.call("HOLD", "x").addErrback(lambda _: None)
        stream = client.stream("COUNT", 1)
        first = Deferred.fromCoroutine(anext(stream))
        self.failure(anext(stream), RuntimeError)
        first.cancel()
        self.failure(first, CancelledError)
        self.held[0].callback("")
        self.assertEqual(self.result(anext(stream)), "0")


class ScriptedStreamTests(ScriptCase):
    def test_a_line_that_does_not_come(self) -> None:
        client = self.connected(timeout=10)
        stream = client.stream("A")
        self.server.say(b"a\r\n")
        self.assertEqual(self.result(anext(stream)), "a")
        second = Deferred.fromCoroutine(anext(stream))
        self.clock.advance(9)
        self.server.say(b"b\r\n")
        self.assertEqual(self.result(second), "b")
        third = Deferred.fromCoroutine(anext(stream))
        self.clock.advance(10)
        error = self.failure(third, LineTimeoutError)
        self.assertEqual(str(error), "A: no reply within 10 seconds")

    def test_a_first_line_that_does_not_come_though_nobody_asks(self) -> None:
        client = self.connected(timeout=10)
        stream, later = client.stream("A"), client.call("B")
        self.clock.advance(10)
        self.failure(later, LineConnectionError)
        self.failure(anext(stream), LineTimeoutError)

    def test_what_came_before_the_end_of_the_connection_is_still_there(self) -> None:
        client = self.connected()
        stream, later = client.stream("A"), client.call("B")
        count = BUFFER // 2
        self.server.say(b"x\r\n" * (count + 10))
        settle(self.clock)
        self.assertTrue(self.endpoint.clients[0].paused)
        self.endpoint.clients[0].lose(OSError("gone"), OSError("gone"))
        self.assertNoResult(later)

        async def rest() -> int:
            found = 0
            try:
                async for _ in stream:
                    found += 1
            except LineConnectionError:
                return found
            raise AssertionError

        self.assertGreater(self.result(rest()), count)
        self.failure(later, LineConnectionError)

    def test_so_much_is_skipped_and_no_more(self) -> None:
        for extra, kind in ((b"", None), (b"\r\n", LineConnectionError)):
            client = self.connected()
            stream, later = client.stream("A"), client.call("B")
            stream.close()
            self.server.say((b"x" * 1023 + b"\r\n") * (SKIPPED // 1024) + extra)
            settle(self.clock)
            self.server.say(b".\r\nb\r\n")
            if kind is None:
                self.assertEqual(self.result(later), "b")
            else:
                self.assertIn("does not end", str(self.failure(later, kind)))
