"""A connection that is handed over, or that goes on with TLS."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from netsuite.line import Command, CommandError, Limits, LineApp, Session
from netsuite.line._tls import hand_over
from netsuite.line.test.talk import Talk, Wire


class Next(Protocol):
    """Takes a connection over."""

    def __init__(self) -> None:
        self.received = b""
        self.lost = 0

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"next\n")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost += 1


class TLSWire(Wire):
    """A transport that can begin TLS, and says so."""

    def startTLS(self, context: object) -> None:
        if context == "broken":
            raise ValueError("no certificate")
        self.asked.append(f"tls {context}")


class TurningCase(Talk):
    limits = Limits(idle=None)

    def make_app(self) -> LineApp:
        app = super().make_app()
        self.waiting: list[Deferred[Any]] = []
        self.next = Next()
        self.taken: list[tuple[Any, bytes]] = []

        def take(transport: Any, rest: bytes) -> Next:
            self.taken.append((transport, rest))
            return self.next

        @app.command()
        def say(word: str) -> str:
            return word

        @app.command(parallel=True)
        def wait() -> Deferred[Any]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @app.command(exclusive=True)
        def upgrade(session: Session, how: str = "") -> str:
            session.upgrade(take)
            if how == "error":
                raise CommandError("no", "not now")
            if how == "failure":
                raise ZeroDivisionError
            if how == "nothing":
                return "two\nlines"
            return "going"

        @app.command(exclusive=True)
        async def upgrade_later(session: Session) -> str:
            self.waiting.append(Deferred())
            how = await self.waiting[-1]
            session.upgrade(take)
            if how is None:
                raise CommandError("no", "not now")
            return "going"

        @app.command()
        def wrong(session: Session) -> None:
            session.upgrade(take)

        @app.command(exclusive=True)
        def stay(session: Session) -> None:
            pass

        @app.command(exclusive=True)
        def encrypt(session: Session, context: str) -> None:
            session.start_tls(context)

        @app.command(exclusive=True)
        async def encrypt_later(session: Session) -> None:
            session.start_tls("context")
            self.waiting.append(Deferred())
            await self.waiting[-1]

        return app

    def setUp(self) -> None:
        super().setUp()
        self.connect(TLSWire())


class UpgradeTests(TurningCase):
    def test_what_follows_is_handed_over_as_it_is(self) -> None:
        for rest in (b"", b"x", b"\r\n\0\xff", b"say a\nsay b"):
            self.next = Next()
            self.taken.clear()
            self.connect()
            ended: list[None] = []
            self.session.on_end(partial(ended.append, None))
            self.assertEqual(self.say(b"say a\nupgrade\n" + rest), b"a\ngoing\nnext\n")
            self.assertEqual(self.taken, [(self.wire, rest)])
            self.assertEqual(self.next.received, rest)
            self.assertIs(self.next.transport, self.wire)
            self.assertIsNone(self.wire.producer)
            self.assertTrue(self.wire.reading)
            self.assertEqual(len(ended), 1)
            handed: Any = self.wire
            self.assertIs(handed.protocol, self.next)

    def test_timers_and_counts_end(self) -> None:
        self.limits = Limits(idle=100.0)
        self.app = self.make_app()
        self.connect()
        self.say(b"upgrade\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        counters = self.factory.counters
        self.assertEqual((counters.opened, counters.closed), (1, 1))

    def test_we_have_nothing_to_do_with_it_any_more(self) -> None:
        self.say(b"upgrade\n")
        before = len(self.sent)
        self.assertEqual(self.say(b"say a\n"), b"")
        self.assertFalse(self.session.send("x"))
        self.close()
        self.protocol.drain(self.clock, 1)
        self.assertEqual((self.since(before), self.wire.asked), (b"", []))

    def test_behind_what_was_begun(self) -> None:
        self.say(b"wait\nupgrade\nrest")
        self.assertEqual(self.taken, [])
        self.waiting[0].callback("done")
        self.assertEqual(self.sent, b"done\ngoing\nnext\n")
        self.assertEqual(self.next.received, b"rest")
        self.assertTrue(self.wire.reading)

    def test_when_its_own_answer_is_there(self) -> None:
        self.say(b"upgrade-later\nre")
        self.say(b"st")
        self.assertEqual(self.taken, [])
        self.assertTrue(self.session.send("still here"))
        self.waiting[0].callback("yes")
        self.assertEqual(self.sent, b"* still here\ngoing\nnext\n")
        self.assertEqual(self.next.received, b"rest")

    def test_not_before_the_peer_has_read(self) -> None:
        self.wire.on_write = lambda data: self.pause() if data == b"going\n" else None
        self.say(b"upgrade\nrest")
        self.assertEqual(self.taken, [])
        self.assertFalse(self.session.send("x"))
        self.protocol.resumeProducing()
        self.assertEqual((self.sent, self.next.received), (b"going\nnext\n", b"rest"))
        self.assertTrue(self.wire.reading)

    def test_a_command_that_fails_stays(self) -> None:
        for how, error in (
            (b"error", b"ERR no not now\n"),
            (b"failure", b"ERR failed UPGRADE failed\n"),
            (b"nothing", b"ERR failed UPGRADE failed\n"),
        ):
            self.assertEqual(self.say(b"upgrade %s\nsay a\n" % how), error + b"a\n")
        self.assertEqual(len(self.flushLoggedErrors()), 2)
        self.say(b"upgrade-later\nsay b\n")
        before = len(self.sent)
        self.waiting[0].callback(None)
        self.assertEqual(self.since(before), b"ERR no not now\nb\n")
        self.assertEqual(self.taken, [])
        self.assertTrue(self.session.send("x"))

    def test_only_exclusive_commands_may(self) -> None:
        for script in (b"wrong\nsay a\n", b"stay\nwrong\nsay a\n"):
            self.assertTrue(self.say(script).endswith(b"ERR failed WRONG failed\na\n"))
            (failure,) = self.flushLoggedErrors(RuntimeError)
            self.assertIn("declared exclusive", failure.getErrorMessage())
        self.say(b"stay\n")
        self.assertEqual(self.say(b"wrong\n"), b"ERR failed WRONG failed\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        with self.assertRaises(RuntimeError):
            self.session.upgrade(lambda transport, rest: self.next)

    def test_nobody_who_takes_it(self) -> None:
        def fail(transport: Any, rest: bytes) -> Next:
            raise ZeroDivisionError

        @self.app.command(exclusive=True)
        def give(session: Session) -> None:
            session.upgrade(fail)

        self.assertEqual(self.say(b"give\nsay a\n"), b"OK\n")
        self.assertEqual(self.wire.asked, ["abort"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.lose()
        counters = self.factory.counters
        self.assertEqual((counters.opened, counters.closed), (1, 1))

    def test_nobody_at_all(self) -> None:
        @self.app.command(exclusive=True)
        def give(session: Session) -> None:
            session.upgrade(lambda transport, rest: None)

        self.assertEqual(self.say(b"give\nsay a\n"), b"OK\n")
        self.assertEqual(self.wire.asked, ["abort"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_the_peer_s_end_in_between(self) -> None:
        self.say(b"upgrade-later\nrest")
        self.end()
        self.waiting[0].callback("yes")
        self.assertEqual(self.next.received, b"rest")
        self.assertEqual(self.wire.asked[-1], "close")


class StartTLSTests(TurningCase):
    def test_behind_the_answer(self) -> None:
        self.session.login("ann", frozenset({"x"}))
        self.assertEqual(self.say(b"encrypt context\n"), b"OK\n")
        self.assertEqual(self.wire.asked, ["tls context"])
        self.assertTrue(self.session.secure)
        self.assertEqual((self.session.user, self.session.roles), (None, frozenset()))
        self.assertEqual(self.say(b"say a\n"), b"a\n")

    def test_rules_for_plain_text_end_with_it(self) -> None:
        class Encrypted:
            def concerns(self, session: Session) -> bool:
                return not session.secure

            def forbids(self, session: Session, command: Command) -> CommandError | None:
                if session.secure or command.name == "ENCRYPT":
                    return None
                return CommandError("not-allowed", "in plain text")

        self.app.rules.append(Encrypted())
        self.connect(TLSWire())
        self.assertEqual(self.say(b"say a\n"), b"ERR not-allowed in plain text\n")
        self.say(b"encrypt context\n")
        self.assertEqual(self.say(b"say a\n"), b"a\n")
        self.assertEqual(self.machine._state, 0, "no command needs a look any more")

    def test_what_follows_in_plain_text_is_refused(self) -> None:
        for rest in (b"say a\n", b"\n", b"x"):
            self.connect(TLSWire())
            self.assertEqual(
                self.say(b"encrypt context\n" + rest),
                b"ERR not-allowed TLS: expected nothing behind the command before its reply\n",
            )
            self.assertEqual(self.wire.asked, ["close"])
            self.assertFalse(self.session.secure)

    def test_what_follows_before_the_answer_is_the_end(self) -> None:
        self.say(b"encrypt-later\n")
        self.say(b"say a\n")
        self.waiting[0].callback(None)
        self.assertEqual(self.sent, b"OK\n")
        self.assertEqual(self.wire.asked[-1], "abort")
        self.assertNotIn("tls context", self.wire.asked)

    def test_pushes_wait_for_it(self) -> None:
        told: list[None] = []
        self.session.on_writable(lambda: told.append(None))
        self.say(b"encrypt-later\n")
        self.assertFalse(self.session.send("x"))
        self.waiting[0].callback(None)
        self.assertEqual((self.wire.asked, len(told)), (["pause", "tls context", "resume"], 1))
        self.assertTrue(self.session.send("x"))

    def test_not_before_the_peer_has_read(self) -> None:
        self.wire.on_write = lambda _: self.pause()
        self.say(b"encrypt context\n")
        self.assertEqual(self.wire.asked, ["pause"])
        self.protocol.resumeProducing()
        self.assertEqual(self.wire.asked, ["pause", "tls context", "resume"])

    def test_a_context_that_fails_is_the_end(self) -> None:
        self.assertEqual(self.say(b"encrypt broken\n"), b"OK\n")
        self.assertEqual(self.wire.asked, ["abort"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertFalse(self.session.secure)

    def test_the_peer_s_end_in_between(self) -> None:
        self.say(b"encrypt-later\n")
        self.end()
        self.waiting[0].callback(None)
        self.assertEqual(self.wire.asked[-1], "close")


class Layer:
    """Something between a transport and a protocol."""

    def __init__(self, wrapped: Any) -> None:
        self.wrappedProtocol = wrapped


class HandOverTests(TurningCase):
    def test_the_innermost_has_it(self) -> None:
        after = Next()
        transport: Any = Wire()
        transport.protocol = self.protocol
        hand_over(transport, self.protocol, after)
        self.assertIs(transport.protocol, after)
        # TLS that the transport has begun by itself, and something above it.
        outer = transport.protocol = Layer(Layer(self.protocol))
        hand_over(transport, self.protocol, after)
        self.assertIs(transport.protocol, outer)
        self.assertIs(outer.wrappedProtocol.wrappedProtocol, after)
        # TLS that is the protocol's transport.
        layer: Any = Layer(self.protocol)
        layer.protocol = "another's"
        hand_over(layer, self.protocol, after)
        self.assertIs(layer.wrappedProtocol, after)

    def test_the_end_is_told_to_whoever_has_it(self) -> None:
        self.say(b"upgrade\n")
        handed: Any = self.wire
        handed.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.next.lost, 1)
