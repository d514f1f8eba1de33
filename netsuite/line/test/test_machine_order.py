"""Replies come in the order of the commands, whenever they are there and whatever goes wrong."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed

from netsuite.line import CommandError, Limits, LineApp, Session, Words
from netsuite.line.test.talk import Talk


class BrokenError(Exception):
    """Something that a command raises and nobody expects."""


class OrderCase(Talk):
    def make_app(self) -> LineApp:
        app = super().make_app()
        self.promised: dict[str, Deferred[Any]] = {}
        self.begun: list[str] = []

        @app.command()
        def say(word: str) -> str:
            self.begun.append(word)
            return word

        @app.command()
        def wait(name: str) -> Deferred[Any]:
            self.begun.append(name)
            return self.promise(name)

        @app.command(parallel=True)
        async def fetch(name: str) -> Any:
            self.begun.append(name)
            return await self.promise(name)

        @app.command(parallel=True)
        def word(word: str) -> str:
            self.begun.append(word)
            return word

        @app.command()
        def count(upto: int) -> Iterator[str]:
            for each in range(upto):
                yield str(each)

        @app.command()
        async def later(*names: str) -> AsyncIterator[str]:
            for each in names:
                yield await self.promise(each)

        @app.command(parallel=True)
        async def rows(name: str) -> list[str]:
            found: list[str] = await self.promise(name)
            return found

        @app.command()
        def refuse() -> None:
            raise CommandError("no-way", "not today")

        @app.command()
        def fail() -> None:
            raise BrokenError("a secret")

        @app.command()
        def lines_then_fail(upto: int) -> Iterator[str]:
            yield from map(str, range(upto))
            raise BrokenError("a secret")

        @app.command()
        def lines_then_refuse(upto: int) -> Iterator[str]:
            yield from map(str, range(upto))
            raise CommandError("no-more", "that was it")

        return app

    def promise(self, name: str) -> Deferred[Any]:
        deferred = self.promised[name] = Deferred()
        return deferred

    def keep(self, name: str, value: Any) -> bytes:
        """What is sent when a promise is kept."""
        before = len(self.sent)
        self.promised.pop(name).callback(value)
        return self.since(before)

    def setUp(self) -> None:
        super().setUp()
        self.connect()


class OneAfterAnotherTests(OrderCase):
    def test_at_once(self) -> None:
        self.assertEqual(self.say(b"say a\nsay b\r\n\nsay c\n"), b"a\nb\nc\n")

    def test_a_slow_one_holds_up_what_follows(self) -> None:
        self.assertEqual(self.say(b"say a\nwait b\nsay c\nbad\nsay d\n"), b"a\n")
        self.assertEqual(self.begun, ["a", "b"])
        expected = b'b\nc\nERR unknown-command "bad": HELP lists the commands\nd\n'
        self.assertEqual(self.keep("b", "b"), expected)

    def test_what_comes_while_one_is_slow(self) -> None:
        self.say(b"wait a\n")
        for byte in b"say b\nsay c\n":
            self.assertEqual(self.say(bytes([byte])), b"")
        self.assertEqual(self.keep("a", None), b"OK\nb\nc\n")

    def test_a_promise_that_is_kept_already(self) -> None:
        self.app.command("NOW")(lambda: succeed(5))
        self.assertEqual(self.say(b"say a\nnow\nsay b\nnow\n"), b"a\n5\nb\n5\n")

    def test_lines_between_others(self) -> None:
        self.assertEqual(self.say(b"say a\ncount 2\nsay b\ncount 0\n"), b"a\n0\n1\n.\nb\n.\n")

    def test_asynchronous_lines(self) -> None:
        self.assertEqual(self.say(b"later a b\nsay c\n"), b"")
        self.assertEqual(self.keep("a", "one"), b"one\n")
        self.assertEqual(self.keep("b", ".two"), b"..two\n.\nc\n")

    def test_a_list_that_is_promised(self) -> None:
        self.assertEqual(self.say(b"rows a\nsay b\n"), b"")
        self.assertEqual(self.keep("a", ["1", "* 2", "ERR"]), b"1\n.* 2\n.ERR\n.\nb\n")

    def test_bytes_go_out_as_they_are(self) -> None:
        self.app.command("RAW")(lambda: b"* \r\n\0")
        self.app.command("NONE")(lambda: b"")
        self.assertEqual(self.say(b"raw\nsay a\nnone\nsay b\n"), b"* \r\n\0a\nb\n")

    def test_all_at_once_or_byte_by_byte(self) -> None:
        script = b'say a\nsay "b c"\ncount 3\nfoo\nrefuse\nsay d\n'
        whole = self.say(script)
        pieces = b"".join(self.say(bytes([byte])) for byte in script)
        self.assertEqual(pieces, whole)


class ArgumentTests(OrderCase):
    """Commands of each number of arguments, with a session and without, take the short way."""

    def test_numbers_of_arguments(self) -> None:
        def join(*values: object) -> str:
            return ",".join(map(repr, values))

        @self.app.command()
        def none() -> str:
            return join()

        @self.app.command()
        def one(a: int) -> str:
            return join(a)

        @self.app.command()
        def two(a: int, b: float) -> str:
            return join(a, b)

        @self.app.command()
        def three(a: int, b: float, c: str) -> str:
            return join(a, b, c)

        @self.app.command()
        def named_one(session: Session, a: int) -> str:
            return join(session.user, a)

        @self.app.command()
        def named_words(session: Session, words: Words) -> str:
            return join(session.user, *words)

        @self.app.command()
        def all_words(words: Words) -> str:
            return join(*words)

        for line, reply in (
            (b"none", b""),
            (b"one 1", b"1"),
            (b"two 1 2", b"1,2.0"),
            (b"three 1 2 x", b"1,2.0,'x'"),
            (b"named-one 1", b"None,1"),
            (b"named-words 1_0", b"None,b'named-words',b'1_0'"),
            (b"named-words 1", b"None,b'named-words',b'1'"),
            (b"all-words", b"b'all-words'"),
        ):
            self.assertEqual(self.say(line + b"\n"), reply + b"\n")
            self.assertEqual(self.say(line + b'\nsay "x"\n'), reply + b"\nx\n")
        for line in (
            *(b"one x", b"one 1_0", b"two 1 x", b"two x 1", b"three 1 x y", b"named-one x"),
            *(b"one", b"two 1", b"three 1 2", b"named-one", b"none 1", b"one 1 2"),
        ):
            for end in (b"\n", b'\nsay "x"\n'):
                self.assertTrue(self.say(line + end).startswith(b"ERR bad-argument "), line)


class ErrorTests(OrderCase):
    def test_one_that_is_meant_for_the_peer(self) -> None:
        self.assertEqual(self.say(b"refuse\nsay a\n"), b"ERR no-way not today\na\n")
        self.assertEqual(self.say(b'say ""\nrefuse\n'), b"\nERR no-way not today\n")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_one_that_is_not(self) -> None:
        for script in (b"fail\nsay a\n", b'fail\nsay "a"\n'):
            self.assertEqual(self.say(script), b"ERR failed FAIL failed\na\n")
            self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    def test_promises_that_are_broken(self) -> None:
        self.say(b"wait a\nwait b\nsay c\n")
        before = len(self.sent)
        self.promised["a"].errback(CommandError("no-way", "x"))
        self.promised["b"].errback(BrokenError("a secret"))
        self.assertEqual(self.since(before), b"ERR no-way x\nERR failed WAIT failed\nc\n")
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    def test_before_the_first_line_it_is_one_line(self) -> None:
        self.assertEqual(
            self.say(b"lines-then-fail 0\nlines-then-refuse 0\nsay a\n"),
            b"ERR failed LINES-THEN-FAIL failed\nERR no-more that was it\na\n",
        )
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    def test_behind_the_first_line_it_is_the_end(self) -> None:
        self.assertEqual(
            self.say(b"lines-then-fail 1\nlines-then-refuse 2\nsay a\n"),
            b"0\n. ERR failed LINES-THEN-FAIL failed\n0\n1\n. ERR no-more that was it\na\n",
        )
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    def test_asynchronous_lines_that_break_off(self) -> None:
        self.say(b"later a b\nsay c\n")
        self.keep("a", "one")
        before = len(self.sent)
        self.promised["b"].errback(BrokenError("a secret"))
        self.assertEqual(self.since(before), b". ERR failed LATER failed\nc\n")
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    def test_what_is_no_reply(self) -> None:
        for value in (object(), ["a"], "a\nb", "\ud800", 10**5000, {}):
            self.app.command("ODD")(lambda value=value: value)
            odd = self.app.commands.find(b"ODD")
            self.assertEqual(odd.words, 0)
            for script in (b"odd\nsay a\n", b'odd\nsay "a"\n'):
                self.assertEqual(self.say(script), b"ERR failed ODD failed\na\n")
                self.assertEqual(len(self.flushLoggedErrors()), 1)
            self.app.commands.remove("ODD")

    def test_what_is_promised_and_is_no_reply(self) -> None:
        for value in (object(), "a\nb", 10**5000):
            self.say(b"wait a\nsay b\n")
            self.assertEqual(self.keep("a", value), b"ERR failed WAIT failed\nb\n")
            self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_what_are_no_lines(self) -> None:
        for value in ("text", b"bytes", 5):
            self.say(b"rows a\nsay b\n")
            self.assertEqual(self.keep("a", value), b"ERR failed ROWS failed\nb\n")
            self.assertEqual(len(self.flushLoggedErrors()), 1)

        @self.app.command()
        def odd() -> Iterator[str]:
            return 5  # type: ignore[return-value]  # that is it

        self.assertEqual(self.say(b"odd\nsay b\n"), b"ERR failed ODD failed\nb\n")
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_lines_that_are_none(self) -> None:
        closed: list[str] = []

        @self.app.command()
        def odd() -> Iterator[Any]:
            try:
                yield "a"
                yield None
                raise AssertionError("it is over")
            finally:
                closed.append("odd")

        @self.app.command()
        async def odder() -> AsyncIterator[Any]:
            try:
                yield "a"
                yield "b\nc"
                raise AssertionError("it is over")
            finally:
                closed.append("odder")

        self.assertEqual(
            self.say(b"odd\nodder\nsay b\n"),
            b"a\n. ERR failed ODD failed\na\n. ERR failed ODDER failed\nb\n",
        )
        self.assertEqual(closed, ["odd", "odder"])
        self.assertEqual(len(self.flushLoggedErrors()), 2)

    def test_a_generator_that_fails_when_it_is_closed(self) -> None:
        @self.app.command()
        def odd() -> Iterator[Any]:
            try:
                yield None
            finally:
                raise BrokenError

        @self.app.command()
        async def odder() -> AsyncIterator[Any]:
            try:
                yield None
            finally:
                raise BrokenError

        self.assertEqual(
            self.say(b"odd\nodder\nsay b\n"),
            b"ERR failed ODD failed\nERR failed ODDER failed\nb\n",
        )
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 2)
        self.assertEqual(len(self.flushLoggedErrors()), 2)


class ParallelTests(OrderCase):
    limits = Limits(idle=None, parallel=3)

    def test_whichever_comes_first(self) -> None:
        self.assertEqual(self.say(b"fetch a\nfetch b\nword x\n"), b"")
        self.assertEqual(self.begun, ["a", "b", "x"])
        self.assertEqual(self.keep("b", "2"), b"")
        self.assertEqual(self.keep("a", "1"), b"1\n2\nx\n")

    def test_at_the_limit_and_past_it(self) -> None:
        self.say(b"fetch a\nfetch b\nfetch c\nfetch d\n")
        self.assertEqual(self.begun, ["a", "b", "c"])
        self.assertEqual(self.keep("b", "2"), b"")
        self.assertEqual(self.begun, ["a", "b", "c"], "its reply is kept")
        self.assertEqual(self.keep("a", "1"), b"1\n2\n")
        self.assertEqual(self.begun, ["a", "b", "c", "d"])
        self.assertEqual(self.keep("d", "4"), b"")
        self.assertEqual(self.keep("c", "3"), b"3\n4\n")

    def test_others_wait_for_them_and_they_for_others(self) -> None:
        self.say(b"fetch a\nsay b\nfetch c\n")
        self.assertEqual(self.begun, ["a"])
        self.assertEqual(self.keep("a", "1"), b"1\nb\n")
        self.assertEqual(self.begun, ["a", "b", "c"])
        self.assertEqual(self.keep("c", "3"), b"3\n")
        self.say(b"wait d\nfetch e\n")
        self.assertEqual(self.begun[3:], ["d"])

    def test_errors_keep_their_place(self) -> None:
        self.assertEqual(self.say(b"fetch a\nbad\nfetch b\n"), b"")
        self.assertEqual(self.begun, ["a", "b"])
        self.assertEqual(self.keep("b", "2"), b"")
        self.assertEqual(
            self.keep("a", "1"), b'1\nERR unknown-command "bad": HELP lists the commands\n2\n'
        )

    def test_lines_keep_their_place(self) -> None:
        self.say(b"rows a\nrows b\nfetch c\n")
        self.assertEqual(self.keep("b", ["3", "4"]), b"")
        self.assertEqual(self.keep("c", "5"), b"")
        self.assertEqual(self.keep("a", ["1", "2"]), b"1\n2\n.\n3\n4\n.\n5\n")

    def test_a_failure_keeps_its_place(self) -> None:
        self.say(b"fetch a\nfetch b\n")
        self.promised["b"].errback(BrokenError())
        self.assertEqual(self.keep("a", "1"), b"1\nERR failed FETCH failed\n")
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)

    def test_all_kinds_in_any_order_of_completion(self) -> None:
        script = b"fetch a\nword x\nbad\nfetch b\nrows c\nsay y\ncount 2\nwait d\nsay z\n"
        expected = (
            b'1\nx\nERR unknown-command "bad": HELP lists the commands\n2\n3\n.\ny\n0\n1\n.\n4\nz\n'
        )
        values: dict[str, Any] = {"a": "1", "b": "2", "c": ["3"], "d": "4"}
        for order in ("abcd", "bacd", "badc", "dcba"):
            self.connect()
            self.promised.clear()
            self.say(script)
            left = list(order)
            while left:
                name = next(each for each in left if each in self.promised)
                left.remove(name)
                self.keep(name, values[name])
            self.assertEqual(self.sent, expected, order)


class SessionTests(OrderCase):
    """What commands do with their session while they run."""

    def make_app(self) -> LineApp:
        app = super().make_app()

        @app.command()
        def notify(session: Session, text: str) -> str:
            self.assertTrue(session.send(text))
            return "told"

        @app.command()
        def leave(session: Session) -> str:
            session.close()
            return "bye"

        @app.command()
        def rename(session: Session, user: str) -> str:
            session.login(user, frozenset({"x"}))
            return session.user or ""

        @app.command(roles=["x"])
        def special() -> str:
            return "special"

        return app

    def test_a_push_in_a_command_comes_before_its_reply(self) -> None:
        self.assertEqual(
            self.say(b'say a\nnotify hi\nsay b\nnotify "you there"\n'),
            b"a\n* hi\ntold\nb\n* you there\ntold\n",
        )

    def test_a_push_between_commands(self) -> None:
        self.say(b"say a\n")
        self.assertTrue(self.session.send("hi"))
        self.say(b"wait b\n")
        self.assertTrue(self.session.send("ho"))
        self.assertEqual(self.keep("b", "b"), b"b\n")
        self.assertEqual(self.sent, b"a\n* hi\n* ho\nb\n")

    def test_closing_in_a_command_lets_it_answer(self) -> None:
        self.assertEqual(self.say(b"say a\nleave\nsay b\n"), b"a\nbye\n")
        self.assertEqual(self.wire.asked, ["close"])
        self.assertEqual(self.begun, ["a"])

    def test_logging_in_counts_for_the_next_command(self) -> None:
        self.assertEqual(
            self.say(b"special\nrename ann\nspecial\n"),
            b"ERR not-allowed SPECIAL is not for you\nann\nspecial\n",
        )
