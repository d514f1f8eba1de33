"""Whatever a program raises is the failure of the command that raised it, and nothing more."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator

from twisted.internet.defer import Deferred

from netsuite.line import Limits, LineApp, Session, Words
from netsuite.line.test.talk import Talk

KINDS = {"value": ValueError, "exit": SystemExit, "cancelled": asyncio.CancelledError}


def fail(kind: str) -> None:
    if kind == "exit":
        sys.exit("no")
    raise KINDS[kind](kind)


class RaisedTests(Talk):
    limits = Limits(idle=None)

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def make_app(self) -> LineApp:
        app = super().make_app()

        @app.command()
        def ok() -> str:
            return "fine"

        @app.command()
        def now(kind: str) -> str:
            fail(kind)
            return "not reached"

        @app.command()
        async def later(kind: str) -> str:
            fail(kind)
            return "not reached"

        @app.command()
        def lines(kind: str) -> Iterator[str]:
            yield "1"
            fail(kind)
            yield "not reached"

        @app.command()
        async def pulled(kind: str) -> AsyncIterator[str]:
            yield "1"
            fail(kind)
            yield "not reached"

        @app.command()
        def wait() -> Deferred[str]:
            self.waiting: Deferred[str] = Deferred()
            return self.waiting

        return app

    def logged(self, kind: str) -> None:
        self.assertEqual(len(self.flushLoggedErrors(KINDS[kind])), 1)

    def test_in_a_command(self) -> None:
        for name in ("now", "later"):
            for kind in KINDS:
                failed = f"ERR failed {name.upper()} failed\n"
                said = self.say(f"ok\n{name} {kind}\nok\n".encode())
                self.assertEqual(said.decode(), f"fine\n{failed}fine\n")
                self.logged(kind)
                self.assertEqual(self.say(f'{name} "{kind}"\n'.encode()).decode(), failed)
                self.logged(kind)

    def test_behind_others(self) -> None:
        for kind in KINDS:
            before = len(self.sent)
            self.say(f"wait\nok\nnow {kind}\nok\n".encode())
            self.waiting.callback("done")
            said = self.since(before)
            self.assertEqual(said, b"done\nfine\nERR failed NOW failed\nfine\n")
            self.logged(kind)

    def test_in_the_middle_of_lines(self) -> None:
        for name in ("lines", "pulled"):
            for kind in KINDS:
                said = self.say(f"ok\n{name} {kind}\nok\n".encode()).decode()
                self.assertEqual(said, f"fine\n1\n. ERR failed {name.upper()} failed\nfine\n")
                self.logged(kind)

    def test_in_what_is_called_at_the_end(self) -> None:
        for kind in KINDS:
            ended: list[str] = []
            self.connect()
            self.session.on_end(lambda ended=ended: ended.append("all"))  # type: ignore[misc]  # bound here
            self.session.on_end(lambda kind=kind: fail(kind))  # type: ignore[misc]  # bound here
            self.lose()
            self.assertEqual(ended, ["all"])
            self.logged(kind)

    def test_where_the_wire_is_the_program_s_own(self) -> None:
        app = LineApp("own", exact=True, builtins=False, words=bytes.split, line_end=b"\n")

        @app.command("now")
        def now(words: Words) -> bytes:
            fail(words[1].decode())
            return b"not reached\n"

        @app.command("pieces")
        def pieces(session: Session, words: Words) -> Iterator[bytes]:
            yield b"1"
            fail(words[1].decode())

        for kind in KINDS:
            client = app.test_client()
            self.assertEqual(client.send(f"now {kind}\n".encode()), b"ERR failed now failed\n")
            self.logged(kind)
            self.assertEqual(client.send(f"pieces {kind}\n".encode()), b"1")
            self.assertTrue(client.closed)
            self.logged(kind)
