"""What one peer can make us hold, at each limit and one past it."""

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred

from netsuite.line import Block, CommandError, Limits, LineApp, Rest, Session
from netsuite.line._requests import SKIPPED
from netsuite.line._steps import TURN
from netsuite.line.test.talk import Talk


class LimitsCase(Talk):
    def make_app(self) -> LineApp:
        app = super().make_app()
        self.waiting: list[Deferred[Any]] = []
        self.begun: list[str] = []

        @app.command()
        def say(text: Rest) -> str:
            self.begun.append(text)
            return text

        @app.command()
        def wait() -> Deferred[Any]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @app.command()
        def store(data: Block) -> int:
            return len(data)

        @app.command(roles=["x"])
        def store_for_few(data: Block) -> int:
            raise NotImplementedError

        return app

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def answer(self) -> bytes:
        before = len(self.sent)
        self.waiting.pop(0).callback("done")
        return self.since(before)

    def turns(self) -> None:
        """Have as many turns as are asked for."""
        soon = self.clock.seconds() + 1
        while any(call.getTime() < soon for call in self.clock.getDelayedCalls()):
            self.clock.turn()

    @property
    def held(self) -> int:
        return len(self.machine._requests.held)


class LineLengthTests(LimitsCase):
    limits = Limits(idle=None, line_length=20)

    def test_at_the_limit(self) -> None:
        text = b"x" * 16
        for line in (b"say " + text + b"\n", b"say " + text + b"\r\n"):
            self.assertEqual(self.say(line), text + b"\n")
            self.assertEqual(self.say(line * 3), (text + b"\n") * 3)

    def test_one_past_the_limit(self) -> None:
        text = b"x" * 17
        error = b"ERR line-too-long say: expected at most 20 bytes\n"
        for line in (b"say " + text + b"\n", b"say " + text + b"\r\n"):
            self.assertEqual(self.say(line), error)
            self.assertEqual(self.say(b"say a\n" + line + b"say b\n"), b"a\n" + error + b"b\n")

    def test_long_ones_between_short_ones(self) -> None:
        self.assertEqual(self.say(b"say a\nsay b\nsay " + b"x" * 16), b"a\nb\n")
        self.assertEqual(self.say(b"\r\n"), b"x" * 16 + b"\n")
        self.assertEqual(
            self.say(b"say c\nsay " + b"x" * 18),
            b"c\nERR line-too-long say: expected at most 20 bytes\n",
        )
        self.assertEqual(self.say(b"xx\nsay d\n"), b"d\n")

    def test_a_line_without_an_end(self) -> None:
        sent = self.say(b"x" * 20 * SKIPPED)
        self.assertIn(b"ERR line-too-long", sent)
        self.assertEqual(self.wire.asked, [])
        self.assertLess(self.held, 2)
        self.assertEqual(self.say(b"xsay a\n"), b"ERR line-too-long there is no end of it\n")
        self.assertEqual(self.wire.asked, ["close"])
        self.assertEqual(self.say(b"\nsay b\n"), b"")
        self.assertEqual(self.begun, [])

    def test_it_is_answered_in_its_place(self) -> None:
        self.say(b"wait\n" + b"x" * 400 + b"\nsay a\n")
        self.assertEqual(self.sent, b"")
        self.assertIn("pause", self.wire.asked)
        sent = self.answer()
        self.assertTrue(sent.startswith(b"done\nERR line-too-long "))
        self.assertTrue(sent.endswith(b"ERR line-too-long there is no end of it\n"))
        self.assertEqual(self.wire.asked[-1], "close")
        self.assertEqual(self.begun, [])


class LiteralTests(LimitsCase):
    limits = Limits(idle=None, line_length=40, literal=10)

    def test_at_the_limit_and_past_it(self) -> None:
        self.assertEqual(self.say(b"store {10}\n0123456789\n"), b"10\n")
        self.assertEqual(
            self.say(b"store {11}\r\n0123456789x\r\nsay a\n"),
            b"ERR literal-too-large expected at most 10 bytes\na\n",
        )
        self.assertEqual(
            self.say(b"store {160}\n" + b"x" * 160 + b"\nsay a\n"),
            b"ERR literal-too-large expected at most 10 bytes\na\n",
        )
        self.assertEqual(
            self.say(b"store {161}\nsay a\n"), b"ERR literal-too-large expected at most 10 bytes\n"
        )
        self.assertEqual(self.wire.asked, ["close"])
        self.assertEqual(self.begun, ["a", "a"])

    def test_one_that_comes_byte_by_byte(self) -> None:
        sent = b"".join(
            self.say(bytes([byte])) for byte in b"say a\nstore {3}\r\n\n\n\n\r\nsay b\n"
        )
        self.assertEqual(sent, b"a\n3\nb\n")

    def test_of_a_command_that_a_peer_may_not_give(self) -> None:
        self.assertEqual(
            self.say(b"store-for-few {6}\nsay a\n\nsay b\n"),
            b"ERR not-allowed STORE-FOR-FEW is not for you\nb\n",
        )

    def test_behind_a_slow_command(self) -> None:
        self.say(b"wait\nstore {3}\nabc\nsay a\n")
        self.assertEqual(self.answer(), b"done\n3\na\n")


class QueueTests(LimitsCase):
    limits = Limits(idle=None, queued=2)

    def test_nothing_more_is_read_when_it_is_full(self) -> None:
        self.say(b"wait\nsay a\n")
        self.assertTrue(self.wire.reading)
        self.say(b"say b\n")
        self.assertFalse(self.wire.reading)
        self.say(b"say c\nsay d\nwait\nsay e")
        self.assertEqual(len(self.machine._queue), 2)
        self.assertEqual(self.answer(), b"done\na\nb\nc\nd\n")
        self.assertTrue(self.wire.reading)
        self.say(b"\n")
        self.assertEqual(self.answer(), b"done\ne\n")

    def test_bytes_that_wait_are_limited_too(self) -> None:
        self.limits = Limits(idle=None, buffer=10)
        self.app = self.make_app()
        self.connect()
        self.say(b"wait\nsay 34567\nsay a\n")
        self.assertEqual(len(self.machine._queue), 2)
        self.assertFalse(self.wire.reading)
        self.say(b"say b\n")
        self.assertEqual(len(self.machine._queue), 2)
        self.assertEqual(self.answer(), b"done\n34567\na\nb\n")
        self.assertTrue(self.wire.reading)


class RefusalTests(LimitsCase):
    limits = Limits(idle=None, queued=2, queue_full="refuse", line_length=20)

    refusal = b"ERR queue-full expected at most 2 commands to wait\n"

    def test_at_the_limit_and_past_it(self) -> None:
        self.say(b"wait\nsay a\nsay b\n")
        self.assertTrue(self.wire.reading)
        self.say(b"say c\n")
        self.assertEqual(self.answer(), b"done\na\nb\n" + self.refusal)
        self.assertEqual(self.say(b"say d\n"), b"d\n")

    def test_many_are_held_as_one(self) -> None:
        self.say(b"wait\nsay a\nsay b\n")
        for _ in range(100):
            self.say(b"say c\n" * 100)
        self.assertEqual(len(self.machine._queue), 3)
        self.assertEqual(self.held, 0)
        before = len(self.sent)
        self.answer()
        self.turns()
        self.assertEqual(self.since(before), b"done\na\nb\n" + self.refusal * 10_000)
        self.assertEqual(self.begun, ["a", "b"])

    def test_they_are_said_as_the_peer_reads(self) -> None:
        self.say(b"wait\nsay a\nsay b\n" + b"say c\n" * 10_000)
        self.turns()
        self.wire.on_write = lambda _: self.pause()
        self.answer()
        self.assertLess(len(self.sent), self.limits.buffer)
        while not self.wire.reading:
            self.protocol.resumeProducing()
            self.turns()
        self.assertEqual(self.sent, b"done\na\nb\n" + self.refusal * 10_000)

    def test_a_literal_is_not_taken_for_commands(self) -> None:
        self.say(b"wait\nsay a\nsay b\nstore {6}\nsay c\n\n")
        self.assertEqual(self.answer(), b"done\na\nb\n" + self.refusal)

    def test_a_line_without_an_end_is_the_end(self) -> None:
        self.say(b"wait\nsay a\nsay b\nsay c\n" + b"x" * 321 + b"\nsay d\n")
        sent = self.answer()
        self.assertTrue(sent.startswith(b"done\na\nb\n" + self.refusal))
        self.assertTrue(sent.endswith(b"ERR line-too-long there is no end of it\n"))
        self.assertEqual(self.wire.asked[-1], "close")


class TurnTests(LimitsCase):
    def check(self, line: bytes, reply: bytes) -> None:
        """Others have their turn in the middle of very many lines."""
        sent = self.say(line * 5 * TURN + b"say end")
        self.assertLess(sent.count(b"\n"), 3 * TURN)
        self.assertFalse(self.wire.reading)
        self.turns()
        self.assertTrue(self.wire.reading)
        self.assertEqual(self.sent, reply * 5 * TURN)
        self.assertEqual(self.say(b"\n"), b"end\n")

    def test_simple_lines(self) -> None:
        self.check(b"say c\n", b"c\n")

    def test_lines_that_need_a_closer_look(self) -> None:
        self.check(b'say "c"\n', b'"c"\n')

    def test_literals(self) -> None:
        self.check(b"store {2}\nab\n", b"2\n")

    def test_blank_lines(self) -> None:
        self.check(b"\n", b"")

    def test_what_came_last_is_answered_before_the_end(self) -> None:
        self.say(b"say c\n" * 5 * TURN)
        self.protocol.readConnectionLost()
        self.turns()
        self.assertEqual(self.sent, b"c\n" * 5 * TURN)
        self.assertEqual(self.wire.asked[-1], "close")

    def test_a_connection_that_is_lost_meanwhile(self) -> None:
        self.say(b"say c\n" * 5 * TURN)
        self.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ExclusiveTests(LimitsCase):
    def make_app(self) -> LineApp:
        app = super().make_app()

        @app.command(exclusive=True)
        def alone(session: Session) -> Deferred[Any]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @app.command(exclusive=True)
        def refuse(session: Session) -> None:
            raise CommandError("no", "never")

        return app

    def test_nothing_behind_it_is_looked_at(self) -> None:
        self.say(b"say a\nalone\nsay b\nfoo\n")
        self.assertEqual(self.held, len(b"say b\nfoo\n"))
        self.assertFalse(self.wire.reading)
        self.assertFalse(self.machine._queue)
        sent = self.answer()
        self.assertTrue(sent.startswith(b"done\nb\nERR unknown-command"))
        self.assertTrue(self.wire.reading)

    def test_nothing_behind_one_that_waits_is_looked_at(self) -> None:
        self.say(b"wait\nalone\nsay b\nfoo\n")
        self.assertEqual(self.held, len(b"say b\nfoo\n"))
        self.assertFalse(self.wire.reading)
        self.assertEqual(self.answer(), b"done\n")
        self.assertTrue(self.answer().startswith(b"done\nb\nERR"))

    def test_many_of_them_leave_the_queue_as_it_was(self) -> None:
        self.say(b"refuse\n" * 100)
        self.assertEqual(self.sent, b"ERR no never\n" * 100)
        self.assertEqual(self.machine._queue._bytes, 0)


class LinesTests(LimitsCase):
    """Replies of several lines take no more memory than others."""

    limits = Limits(idle=None, buffer=100)

    def test_what_is_put_together_is_bounded(self) -> None:
        most = 0

        @self.app.command()
        def many() -> Iterator[str]:
            nonlocal most
            for _ in range(1000):
                most = max(most, self.machine._unsent)
                yield "x" * 30

        self.say(b"many\n")
        while not self.sent.endswith(b"\n.\n"):
            self.clock.turn()
        self.assertEqual(self.sent.count(b"\n"), 1001)
        self.assertLess(most, 100)
