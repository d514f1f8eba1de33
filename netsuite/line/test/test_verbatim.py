"""Applications with a wire of their own: words, blocks, and replies in pieces."""

from collections.abc import Iterator

from twisted.internet.defer import Deferred, succeed

from netsuite.line import Block, CommandError, Limits, LineApp, Session, Words
from netsuite.line.test.talk import Talk, Wire


def colons(line: bytes) -> list[bytes]:
    return line.removesuffix(b"\r").split(b":") if line else []


def errors(error: CommandError) -> bytes:
    return f"!{error.code}\n".encode()


class VerbatimCase(Talk):
    limits = Limits(idle=None, line_length=100, literal=10, buffer=1000)

    def make_app(self) -> LineApp:
        self.endless = 0

        def unknown(session: Session, line: bytes) -> bytes:
            return b"? " + line + b"\n"

        app = LineApp(
            "test",
            limits=self.limits,
            exact=True,
            builtins=False,
            words=colons,
            fallback=unknown,
            format_error=errors,
        )

        def length(words: list[bytes]) -> int | None:
            return int(words[1]) if words[1].isdigit() else None

        @app.command("echo")
        def echo(words: Words) -> bytes:
            return b"|".join(words) + b"\n"

        @app.command("put", length=length)
        def put(words: Words, block: Block = b"none") -> bytes:
            return b"%b=%b\n" % (words[-1], block)

        @app.command("rare", roles=["few"], length=length)
        def rare(words: Words, block: Block = b"none") -> bytes:
            raise NotImplementedError

        @app.command("quiet", length=length)
        def quiet(words: Words, block: Block = b"") -> bytes:
            return b""

        @app.command("much")
        def much(words: Words) -> Iterator[bytes] | bytes:
            return iter([b"%05d" % number for number in range(int(words[1]))])

        @app.command("endless")
        def endless(words: Words) -> object:
            return self._endless()

        @app.command("wrong")
        def wrong(session: Session, words: Words) -> bytes:
            raise ValueError(session, words)

        @app.command("later")
        def later(words: Words) -> Deferred[bytes]:
            self.waiting: Deferred[bytes] = Deferred()
            return self.waiting if len(words) > 1 else succeed(b"now\n")

        @app.command("bye")
        def bye(session: Session, words: Words) -> bytes:
            session.close()
            return b"bye\n"

        @app.command("typed")
        def typed(number: int) -> int:
            return number + 1

        return app

    def _endless(self) -> Iterator[bytes]:
        while True:
            self.endless += 1
            yield bytes(100)

    def setUp(self) -> None:
        super().setUp()
        self.connect()


class WordTests(VerbatimCase):
    def test_words_are_what_the_application_says(self) -> None:
        self.assertEqual(self.say(b'echo:a b:"c\r\n'), b'echo|a b|"c\n')

    def test_lines_without_a_command(self) -> None:
        self.assertEqual(self.say(b"ECHO:a\n"), b"? ECHO:a\n")
        self.assertEqual(self.say(b"\n\r\n"), b"? \n? \n")

    def test_typed_commands_work_as_well(self) -> None:
        self.assertEqual(self.say(b"typed:7\ntyped:x\n"), b"8\r\n!bad-argument\n")

    def test_several_at_once(self) -> None:
        self.assertEqual(self.say(b"echo:1\necho:2\necho:"), b"echo|1\necho|2\n")
        self.assertEqual(self.say(b"3"), b"")
        self.assertEqual(self.say(b"\n"), b"echo|3\n")

    def test_exceptions(self) -> None:
        self.assertEqual(self.say(b"wrong:1\necho:2\n"), b"!failed\necho|2\n")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_replies_that_come_later(self) -> None:
        self.assertEqual(self.say(b"later\necho:1\n"), b"now\necho|1\n")
        self.assertEqual(self.say(b"later:1\necho:2\nput:2\nab"), b"")
        before = len(self.sent)
        self.waiting.callback(b"done\n")
        self.assertEqual(self.since(before), b"done\necho|2\n2=ab\n")

    def test_close(self) -> None:
        self.assertEqual(self.say(b"echo:1\nbye\necho:2\n"), b"echo|1\nbye\n")
        self.assertEqual(self.wire.asked, ["close"])


class LineTests(VerbatimCase):
    def test_at_the_limit_and_one_past_it(self) -> None:
        line = b"echo:" + b"x" * 95
        self.assertEqual(self.say(line + b"\r\n"), line.replace(b":", b"|") + b"\n")
        self.assertEqual(self.say(line + b"\n"), line.replace(b":", b"|") + b"\n")
        self.assertEqual(self.say(b"echo:1\n" + line + b"x\necho:2\n"), b"echo|1\n!line-too-long\n")
        self.assertEqual(self.wire.asked, ["close"])

    def test_without_an_end(self) -> None:
        for _ in range(101):
            self.assertEqual(self.say(b"x"), b"")
        self.assertEqual(self.say(b"x"), b"!line-too-long\n")
        self.assertEqual(self.wire.asked, ["close"])


class BlockTests(VerbatimCase):
    def test_they_are_as_long_as_the_line_says(self) -> None:
        self.assertEqual(
            self.say(b"put:3\nab\necho:1\nput:0\nput:x\n"), b"3=ab\n\necho|1\n0=\nx=none\n"
        )

    def test_at_the_limit_and_one_past_it(self) -> None:
        self.assertEqual(self.say(b"put:10\n0123456789echo:1\n"), b"10=0123456789\necho|1\n")
        self.assertEqual(self.say(b"put:11\n0123456789\necho:1\n"), b"11=none\necho|1\n")

    def test_any_length_is_skipped(self) -> None:
        self.assertEqual(self.say(b"put:1000000\n"), b"")
        for _ in range(999):
            self.assertEqual(self.say(bytes(1000)), b"")
            self.assertEqual(len(self.machine._requests.held), 0)
        self.assertEqual(self.say(bytes(1000) + b"echo:1\n"), b"1000000=none\necho|1\n")

    def test_those_who_may_not(self) -> None:
        self.assertEqual(self.say(b"rare:3\nabcecho:1\n"), b"!not-allowed\necho|1\n")

    def test_nothing_is_said(self) -> None:
        self.assertEqual(self.say(b"quiet:3\nabc"), b"")
        self.assertEqual(self.say(b"quiet:3\nab"), b"")
        self.assertEqual(self.say(b"cquiet:x\n"), b"")
        self.assertEqual(self.wire.asked, [])


class PieceTests(VerbatimCase):
    def test_few(self) -> None:
        self.assertEqual(self.say(b"much:3\necho:1\n"), b"000000000100002echo|1\n")
        self.assertEqual(self.say(b"much:0\necho:1\n"), b"echo|1\n")

    def test_many_take_turns(self) -> None:
        said = self.say(b"much:1000\necho:1\n")
        self.assertLessEqual(len(said), 1000)
        turns = 0
        while not self.sent.endswith(b"echo|1\n"):
            self.clock.turn()
            turns += 1
        self.assertEqual(len(self.sent), 5007)
        self.assertGreater(turns, 4)

    def test_they_are_made_as_the_peer_reads(self) -> None:
        wire = Wire()
        self.connect(wire)
        wire.on_write = lambda _: self.pause()
        self.say(b"endless\n")
        for _ in range(10):
            self.clock.turn()
        made = self.endless
        self.assertLessEqual(made, 20)
        self.protocol.resumeProducing()
        self.clock.turn()
        self.assertGreater(self.endless, made)
        self.assertLessEqual(self.endless, 2 * made + 1)
        self.lose()

    def test_no_push_comes_between(self) -> None:
        self.say(b"much:1000\n")
        self.assertFalse(self.session.send("hello"))

    def test_what_fails_ends_the_connection(self) -> None:
        self.app.command("worse")(self._worse)
        self.assertEqual(self.say(b"worse\necho:1\n"), b"begun\n")
        self.assertEqual(self.wire.asked, ["close"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def _worse(self, words: Words) -> object:
        return (b"begun\n" if number else bytes(1 // number) for number in (1, 0))
