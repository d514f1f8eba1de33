"""What happens in the middle of something else: writes that pause, bring bytes, or end it all."""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred

from netsuite.line import Limits, LineApp, Session
from netsuite.line.test.talk import Talk


class ReentrancyCase(Talk):
    limits = Limits(idle=None, buffer=1)

    def make_app(self) -> LineApp:
        app = super().make_app()
        self.inside: Callable[[], object] = lambda: None

        @app.command()
        def say(word: str) -> str:
            return word

        @app.command()
        def do(word: str) -> str:
            self.inside()
            return word

        @app.command()
        def lines(upto: int) -> Iterator[str]:
            yield "first"
            self.inside()
            yield from map(str, range(upto))

        @app.command()
        async def promise(word: str) -> str:
            self.inside()
            return word

        return app

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def once(self, function: Callable[[], object]) -> Callable[..., None]:
        """A function that does something the first time only."""
        left = [function]

        def called(*_: object) -> None:
            if left:
                left.pop()()

        return called


SCRIPT = b'say a\nsay b\nsay "c d"\nlines 2\nsay e\n'
EXPECTED = b"a\nb\nc d\nfirst\n0\n1\n.\ne\n"


class WriteTests(ReentrancyCase):
    scripts = (b"say a\n", b"say a\nsay b\n", SCRIPT)

    def finish(self) -> None:
        for _ in range(20):
            self.clock.turn()

    def test_a_write_that_pauses(self) -> None:
        self.wire.on_write = lambda _: self.protocol.pauseProducing()
        self.say(SCRIPT)
        for _ in range(20):
            self.protocol.resumeProducing()
            self.clock.turn()
        self.assertEqual(self.sent, EXPECTED)

    def test_a_write_that_pauses_and_goes_on(self) -> None:
        def blink(_: bytes) -> None:
            self.protocol.pauseProducing()
            self.protocol.resumeProducing()

        for script in self.scripts:
            self.connect()
            self.wire.on_write = blink
            self.say(script)
            self.finish()
            self.assertEqual(self.sent, EXPECTED[: len(self.sent)])
            self.assertTrue(self.wire.reading, script)
            self.assertEqual(self.say(b"say more\n"), b"more\n")

    def test_a_push_in_a_command_that_pauses_and_goes_on(self) -> None:
        def blink(_: bytes = b"") -> None:
            self.protocol.pauseProducing()
            self.protocol.resumeProducing()

        self.inside = lambda: self.session.send("x")
        for on_write in (blink, self.once(blink)):
            self.wire.on_write = on_write
            self.assertEqual(self.say(b"do a\n"), b"* x\na\n")
            self.assertTrue(self.wire.reading)

    def test_a_write_that_brings_more(self) -> None:
        for script in self.scripts:
            self.connect()
            self.wire.on_write = self.once(lambda: self.protocol.dataReceived(b"say more\n"))
            self.say(script)
            self.finish()
            self.assertIn(b"more\n", self.sent)
            without = self.sent.replace(b"more\n", b"", 1)
            self.assertEqual(without, EXPECTED[: len(without)])

    def test_a_write_that_brings_part_of_a_line(self) -> None:
        self.wire.on_write = self.once(lambda: self.protocol.dataReceived(b"y more\n"))
        self.say(b"say a\nsay b\nsa")
        self.assertEqual(self.sent, b"a\nb\nmore\n")

    def test_a_write_that_ends_it(self) -> None:
        for end in (self.lose, self.abort):
            for script in (
                b"say a\n",
                b"say a\nsay b\n",
                SCRIPT,
                b"lines 100\n",
                b"promise a\nsay b\n",
            ):
                self.connect()
                self.wire.on_write = self.once(end)
                self.say(script)
                first = len(self.sent)
                self.finish()
                self.assertEqual(len(self.sent), first, script)
                self.assertLess(first, len(EXPECTED))

    def test_a_write_that_closes(self) -> None:
        self.wire.on_write = self.once(self.close)
        self.say(SCRIPT)
        self.finish()
        self.assertEqual(self.wire.asked[-1], "close")
        self.assertEqual(self.sent, b"a\n")

    def test_a_write_that_is_the_last_half(self) -> None:
        self.wire.on_write = self.once(self.end)
        self.say(SCRIPT)
        self.finish()
        self.assertEqual(self.sent, EXPECTED)
        self.assertEqual(self.wire.asked[-1], "close")


class CommandTests(ReentrancyCase):
    """Things that a command does from inside."""

    scripts: tuple[bytes, ...] = (
        b"do a\nsay b\n",
        b'do "a"\nsay b\n',
        b"promise a\nsay b\n",
        b"lines 0\nsay b\n",
    )

    def each(self, inside: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """Each script and what came of it."""
        for script in self.scripts:
            self.connect()
            self.inside = inside
            self.say(script)
            for _ in range(5):
                self.clock.turn()
            yield script, self.sent

    def test_bytes_that_come_wait(self) -> None:
        def inside() -> None:
            self.inside = lambda: None
            self.protocol.dataReceived(b"say c\n")

        for script, sent in self.each(inside):
            self.assertIn(sent, (b"a\nb\nc\n", b"first\n.\nb\nc\n"), script)

    def test_pausing(self) -> None:
        for script, sent in self.each(self.pause):
            self.assertNotIn(b"b\n", sent, script)
            self.inside = lambda: None
            self.protocol.resumeProducing()
            for _ in range(5):
                self.clock.turn()
            self.assertIn(self.sent, (b"a\nb\n", b"first\n.\nb\n"), script)

    def test_pausing_and_going_on(self) -> None:
        def inside() -> None:
            self.protocol.pauseProducing()
            self.protocol.resumeProducing()

        for script, sent in self.each(inside):
            self.assertIn(sent, (b"a\nb\n", b"first\n.\nb\n"), script)
            self.assertTrue(self.wire.reading, script)

    def test_closing(self) -> None:
        for script, sent in self.each(self.close):
            self.assertIn(sent, (b"a\n", b"first\n.\n"), script)
            self.assertEqual(self.wire.asked[-1], "close", script)

    def test_aborting(self) -> None:
        for script, sent in self.each(self.abort):
            self.assertIn(sent, (b"", b"first\n"), script)
            self.assertEqual(self.wire.asked[-1], "abort", script)

    def test_the_end(self) -> None:
        for script, sent in self.each(self.lose):
            self.assertIn(sent, (b"", b"first\n"), script)

    def test_the_peer_s_end(self) -> None:
        for script, sent in self.each(self.end):
            self.assertIn(sent, (b"a\nb\n", b"first\n.\nb\n"), script)
            self.assertEqual(self.wire.asked[-1], "close", script)

    def test_a_promise_that_is_kept_by_the_next_command(self) -> None:
        promised: Deferred[Any] = Deferred()

        @self.app.command(parallel=True)
        async def wait() -> Any:
            return await promised

        @self.app.command(parallel=True)
        def keep(session: Session) -> str:
            promised.callback("kept")
            return "done"

        self.assertEqual(self.say(b"wait\nkeep\nsay a\n"), b"kept\ndone\na\n")
