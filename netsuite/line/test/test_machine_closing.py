"""Every way in which a connection ends, and what becomes of what was begun."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from netsuite.line import CommandError, Limits, LineApp, Session
from netsuite.line.test.talk import Talk


class ClosingCase(Talk):
    limits = Limits(idle=None, buffer=50)

    def make_app(self) -> LineApp:
        app = super().make_app()
        self.waiting: list[Deferred[Any]] = []
        self.cancelled: list[str] = []
        self.begun: list[str] = []

        @app.command()
        def say(word: str) -> str:
            self.begun.append(word)
            return word

        @app.command()
        def wait() -> Deferred[Any]:
            return self.promise("wait")

        @app.command(parallel=True)
        async def fetch() -> Any:
            try:
                return await self.promise("promise")
            except CancelledError:
                self.cancelled.append("fetch")
                raise

        @app.command(parallel=True)
        async def stubborn() -> Any:
            try:
                return await self.promise("promise")
            except CancelledError:
                return await self.promise("another")

        @app.command(parallel=True)
        async def clumsy() -> Any:
            try:
                return await self.promise("promise")
            finally:
                raise ZeroDivisionError

        @app.command()
        def count() -> Iterator[str]:
            try:
                while True:
                    yield "line"
            finally:
                self.cancelled.append("count")

        @app.command()
        async def stream() -> AsyncIterator[str]:
            try:
                while True:
                    yield await self.promise("line")
            finally:
                self.cancelled.append("stream")

        @app.command()
        async def close_later(session: Session) -> str:
            session.close()
            return str(await self.promise("close"))

        return app

    def promise(self, name: str) -> Deferred[Any]:
        self.waiting.append(Deferred(lambda _: self.cancelled.append(name)))
        return self.waiting[-1]

    def answer(self, value: object = "done") -> bytes:
        before = len(self.sent)
        self.waiting.pop(0).callback(value)
        return self.since(before)

    def setUp(self) -> None:
        super().setUp()
        self.ended = 0
        self.connect()
        self.session.on_end(self.note_end)

    def note_end(self) -> None:
        self.ended += 1


class QuitTests(ClosingCase):
    def test_at_once(self) -> None:
        self.assertEqual(self.say(b"say a\nquit\nsay b\n"), b"a\nOK\n")
        self.assertEqual(self.wire.asked, ["close"])
        self.assertEqual(self.begun, ["a"])
        self.assertEqual(self.say(b"say c\n"), b"")

    def test_behind_a_slow_command(self) -> None:
        self.assertEqual(self.say(b"wait\nquit\nsay b\n"), b"")
        self.assertEqual(self.wire.asked, [])
        self.assertEqual(self.answer(), b"done\nOK\n")
        self.assertEqual(self.wire.asked, ["close"])
        self.assertEqual(self.begun, [])

    def test_behind_some_that_are_parallel(self) -> None:
        self.say(b"fetch\nfetch\nquit\n")
        self.assertEqual(self.answer(), b"done\n")
        self.assertEqual(self.wire.asked, [])
        self.assertEqual(self.answer(), b"done\nOK\n")
        self.assertEqual(self.wire.asked, ["close"])

    def test_to_a_peer_that_does_not_read(self) -> None:
        self.pause()
        self.say(b"quit\n")
        self.assertEqual(self.wire.asked, ["pause"])
        self.protocol.resumeProducing()
        self.assertEqual(self.sent, b"OK\n")
        self.assertEqual(self.wire.asked, ["pause", "resume", "close"])


class CloseTests(ClosingCase):
    def test_nothing_to_answer(self) -> None:
        self.close()
        self.assertEqual((self.sent, self.wire.asked), (b"", ["close"]))

    def test_what_was_begun_is_answered(self) -> None:
        self.say(b"wait\nsay b\n")
        self.close()
        self.assertFalse(self.wire.reading)
        self.assertEqual(self.answer(), b"done\n")
        self.assertEqual(self.wire.asked, ["pause", "resume", "close"])
        self.assertEqual(self.begun, [])

    def test_an_error_is_said_last(self) -> None:
        self.say(b"wait\n")
        self.session.close(CommandError("go-away", "now"))
        self.assertEqual(self.answer(), b"done\nERR go-away now\n")

    def test_the_first_error_is_said(self) -> None:
        self.say(b"wait\n")
        self.session.close()
        self.session.close(CommandError("first", ""))
        self.session.close(CommandError("second", ""))
        self.session.close()
        self.assertEqual(self.answer(), b"done\nERR first\n")
        self.assertEqual(self.wire.asked, ["pause", "resume", "close"])

    def test_in_an_asynchronous_command(self) -> None:
        self.say(b"close-later\nsay a\n")
        self.assertEqual(self.wire.asked, ["pause"])
        self.assertEqual(self.answer("bye"), b"bye\n")
        self.assertEqual(self.wire.asked[-1], "close")
        self.assertEqual(self.begun, [])

    def test_to_a_peer_that_does_not_read(self) -> None:
        self.pause()
        self.session.close(CommandError("go-away", ""))
        self.assertEqual(self.sent, b"ERR go-away\n")
        self.assertEqual(self.wire.asked, ["pause", "resume", "close"])
        self.protocol.resumeProducing()

    def test_in_the_middle_of_lines(self) -> None:
        self.say(b"stream\n")
        self.answer("one")
        self.session.close(CommandError("go-away", ""))
        self.assertEqual(self.answer("two"), b"two\n")
        self.assertNotIn("close", self.wire.asked)
        before = len(self.sent)
        self.waiting.pop(0).errback(CommandError("over", ""))
        self.assertEqual(self.since(before), b". ERR over\nERR go-away\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_when_it_is_over(self) -> None:
        self.close()
        self.close()
        self.abort()
        self.lose()
        self.close()
        self.abort()
        self.assertEqual(self.sent, b"")


class AbortTests(ClosingCase):
    def test_nothing_is_sent_any_more(self) -> None:
        self.say(b"wait\nsay a\n")
        self.abort()
        self.assertEqual(self.wire.asked, ["abort"])
        self.assertEqual(self.answer(), b"")
        self.assertEqual(self.say(b"say b\n"), b"")
        self.assertFalse(self.session.send("x"))
        self.lose()
        self.assertEqual(self.begun, [])


class EndOfInputTests(ClosingCase):
    def test_nothing_to_answer(self) -> None:
        self.end()
        self.assertEqual(self.wire.asked, ["close"])

    def test_all_that_has_come_is_answered(self) -> None:
        self.say(b"wait\nsay a\nwait\nsay b\n")
        self.end()
        self.assertEqual(self.answer(), b"done\na\n")
        self.assertNotIn("close", self.wire.asked)
        self.assertEqual(self.answer(), b"done\nb\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_more_than_the_queue_has_room_for(self) -> None:
        self.limits = Limits(idle=None, queued=1)
        self.app = self.make_app()
        self.connect()
        self.say(b"wait\n" + b"say a\n" * 10)
        self.end()
        self.assertEqual(self.answer(), b"done\n" + b"a\n" * 10)
        self.assertEqual(self.wire.asked[-1], "close")

    def test_part_of_a_line_is_no_command(self) -> None:
        self.assertEqual(self.say(b"say a\nsay b"), b"a\n")
        self.end()
        self.assertEqual(self.sent, b"a\n")
        self.assertEqual(self.wire.asked, ["close"])

    def test_a_peer_that_reads_later(self) -> None:
        self.pause()
        self.say(b"say a\nsay b\n")
        self.end()
        self.assertEqual((self.sent, self.wire.asked), (b"", ["pause"]))
        self.protocol.resumeProducing()
        self.assertEqual(self.sent, b"a\nb\n")
        self.assertEqual(self.wire.asked, ["pause", "close"])

    def test_programs_may_say_something_first(self) -> None:
        self.session.on_closing(lambda: self.session.send("bye"))
        self.say(b"wait\n")
        self.end()
        self.assertEqual(self.answer(), b"done\n* bye\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_before_the_reply_to_the_command_that_closes(self) -> None:
        left = ["a"]
        self.session.on_closing(lambda: left and self.session.send(left.pop()))
        self.assertEqual(self.say(b"say b\nquit\nsay c\n"), b"b\n* a\nOK\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_nothing_where_an_error_closes(self) -> None:
        self.session.on_closing(lambda: self.session.send("bye"))
        self.session.close(CommandError("timeout", "too late"))
        self.assertEqual(self.sent, b"ERR timeout too late\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_who_does_not_read_is_closed_where_there_is_nothing_to_say(self) -> None:
        self.pause()
        self.session.close()
        self.assertEqual(self.wire.asked[-1], "close")

    def test_an_error_does_not_wait_for_what_there_is_to_say(self) -> None:
        self.session.on_closing(lambda: self.session.send("bye"))
        self.pause()
        self.session.close()
        self.assertEqual(self.wire.asked, ["pause"])
        self.session.close(CommandError("timeout", "too late"))
        self.assertEqual((self.sent, self.wire.asked[-1]), (b"ERR timeout too late\n", "close"))

    def test_what_programs_say_waits_until_the_peer_reads(self) -> None:
        left = ["a", "b", "c"]

        def say() -> None:
            while left and self.session.send(left[0]):
                left.pop(0)

        self.session.on_closing(say)
        self.session.on_writable(say)
        self.wire.on_write = lambda _: self.pause()
        for said in (b"* a\n", b"* a\n* b\n", b"* a\n* b\n* c\n"):
            if left == ["a", "b", "c"]:
                self.end()
            else:
                self.protocol.resumeProducing()
            self.assertEqual(self.sent, said)
            self.assertNotIn("close", self.wire.asked)
        self.protocol.resumeProducing()
        self.assertEqual((self.sent, self.wire.asked[-1]), (said, "close"))

    def test_a_program_that_sends_once_holds_up_nothing(self) -> None:
        self.pause()
        self.assertFalse(self.session.send("lost"))
        self.end()
        self.protocol.resumeProducing()
        self.assertEqual((self.sent, self.wire.asked[-1]), (b"", "close"))

    def test_a_program_that_closes_or_aborts_while_it_may_speak(self) -> None:
        for act in (self.close, self.abort):
            self.connect()
            self.session.on_closing(act)
            self.end()
            self.assertEqual(self.wire.asked, [act.__name__])

    def test_programs_that_fail_while_they_may_speak_are_logged(self) -> None:
        self.session.on_closing(lambda: 1 / 0)
        self.session.on_closing(lambda: self.session.send("bye"))
        self.end()
        self.assertEqual((self.sent, self.wire.asked), (b"* bye\n", ["close"]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_quitting_as_well(self) -> None:
        self.say(b"wait\nquit\n")
        self.end()
        self.assertEqual(self.answer(), b"done\nOK\n")
        self.assertEqual(self.wire.asked[-1], "close")


class LostTests(ClosingCase):
    def test_promises_are_cancelled(self) -> None:
        self.say(b"fetch\nfetch\nwait\nsay a\n")
        self.lose()
        self.assertEqual(self.cancelled, ["promise", "fetch", "promise", "fetch"])
        self.assertEqual(self.begun, [])
        self.assertEqual((self.ended, self.sent), (1, b""))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertTrue(self.session.ended)

    def test_one_that_was_not_begun(self) -> None:
        self.say(b"wait\nwait\n")
        self.lose()
        self.assertEqual(self.cancelled, ["wait"])
        self.assertEqual(len(self.waiting), 1)

    def test_one_that_goes_on_all_the_same(self) -> None:
        self.say(b"stubborn\n")
        self.lose()
        self.assertEqual(self.cancelled, ["promise"])
        self.waiting[1].callback("too late")
        self.assertEqual(self.sent, b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_one_that_fails_then_is_logged(self) -> None:
        self.say(b"clumsy\nfetch\n")
        self.lose()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.cancelled, ["promise", "promise", "fetch"])
        self.say(b"say a\n")
        self.assertEqual((self.sent, self.begun), (b"", []))

    def test_one_that_somebody_else_cancels(self) -> None:
        self.say(b"wait\nsay a\n")
        before = len(self.sent)
        self.waiting[0].cancel()
        self.assertEqual(self.since(before), b"ERR failed WAIT failed\na\n")
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_generators_are_closed(self) -> None:
        self.wire.on_write = lambda _: self.pause()
        self.say(b"count\n")
        self.lose()
        self.assertEqual(self.cancelled, ["count"])

    def test_generators_that_wait_are_closed(self) -> None:
        self.say(b"stream\n")
        self.answer("line")
        self.lose()
        self.assertEqual(self.cancelled, ["line", "stream"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_generators_with_a_line_to_spare_are_closed(self) -> None:
        self.say(b"stream\n")
        self.pause()
        self.answer("line")
        self.assertEqual(self.cancelled, [])
        self.lose()
        self.assertEqual(self.cancelled, ["stream"])

    def test_a_generator_that_goes_on_all_the_same(self) -> None:
        @self.app.command()
        async def dogged() -> AsyncIterator[str]:
            try:
                yield await self.promise("line")
            except CancelledError:
                yield await self.promise("another")
            finally:
                await self.promise("last")
                self.cancelled.append("dogged")

        self.say(b"dogged\n")
        self.lose()
        self.assertEqual(self.cancelled, ["line"])
        self.waiting[1].callback("too late")
        self.waiting[2].callback("over")
        self.assertEqual(self.cancelled, ["line", "dogged"])
        self.assertEqual((self.sent, self.flushLoggedErrors()), (b"", []))

    def test_a_generator_that_fails_at_its_end_is_logged(self) -> None:
        @self.app.command()
        def clumsy_lines() -> Iterator[str]:
            try:
                while True:
                    yield "line"
            finally:
                raise ZeroDivisionError

        @self.app.command()
        async def clumsy_stream() -> AsyncIterator[str]:
            try:
                while True:
                    yield "line"
            finally:
                raise ZeroDivisionError

        for command in (b"clumsy-lines\n", b"clumsy-stream\n"):
            self.connect()
            self.session.on_end(self.note_end)
            self.wire.on_write = lambda _: self.pause()
            self.say(command)
            self.lose()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1, command)
        self.assertEqual(self.ended, 2)

    def test_all_hear_of_the_end(self) -> None:
        heard: list[str] = []
        self.session.on_end(lambda: heard.append("first"))
        self.session.on_end(lambda: 1 // 0)
        self.session.on_end(lambda: heard.append("last"))
        self.lose()
        self.assertEqual((heard, self.ended), (["last", "first"], 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.session.on_end(lambda: heard.append("late"))
        self.assertEqual(heard[-1], "late")

    def test_nothing_is_kept(self) -> None:
        self.pause()
        self.say(b"say a\n" * 100)
        self.lose()
        self.assertFalse(self.machine._requests.held)
        self.assertFalse(self.machine._queue)
        self.assertFalse(self.machine._slots)
