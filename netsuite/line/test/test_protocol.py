"""The adapter between a conversation and Twisted's transports: time, counts and closing."""

import gc
import tracemalloc
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from netsuite.line import CommandError, Limits, LineApp, LineFactory, Session
from netsuite.line.protocol import CLOSE_SECONDS, LINGER_SECONDS
from netsuite.line.test.talk import Talk, Wire
from netsuite.net import Drainable, Expirable, Refusing


class TCPWire(Wire):
    """A transport that closes one direction at a time, as TCP does."""

    def __init__(self) -> None:
        super().__init__()
        alsoProvides(self, ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.asked.append(f"no delay {enabled}")

    def loseWriteConnection(self) -> None:
        self.asked.append("close writing")


class ProtocolCase(Talk):
    def make_app(self) -> LineApp:
        app = super().make_app()
        self.waiting: list[Deferred[Any]] = []

        @app.command()
        def say(word: str) -> str:
            return word

        @app.command()
        def wait() -> Deferred[Any]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        return app

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    @property
    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())


class InterfaceTests(ProtocolCase):
    def test_what_it_is(self) -> None:
        for interface in (IHalfCloseableProtocol, IHandshakeListener, IPushProducer):
            self.assertTrue(verifyObject(interface, self.protocol))
        self.assertIsInstance(self.protocol, Drainable)
        self.assertIsInstance(self.protocol, Expirable)
        self.assertIsInstance(self.factory, Refusing)
        self.assertIs(self.wire.producer, self.protocol)
        self.assertTrue(self.wire.streaming)

    def test_what_a_peer_is_told_that_is_not_let_in(self) -> None:
        self.assertEqual(self.factory.refusal("too_many"), b"ERR not-allowed too many\n")

    def test_counts(self) -> None:
        counters = self.factory.counters
        self.assertEqual((counters.opened, counters.closed), (1, 0))
        self.say(b"say a\nfoo\nsay b\n")
        sent = len(self.sent)
        self.session.send("push")
        self.assertEqual(self.protocol.bytes_received, 16)
        self.assertEqual(self.protocol.bytes_sent, sent + 7)
        self.assertEqual(self.protocol.replies_sent, 4)
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (16, sent + 7))
        self.assertEqual(counters.replies_sent, 4)
        self.protocol.stopProducing()
        self.lose()
        self.assertEqual((counters.opened, counters.closed), (1, 1))
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (16, sent + 7))
        self.assertEqual(counters.replies_sent, 4)
        self.assertEqual(self.app.replies.errors, 1)

    def test_what_is_written_in_one_piece_counts_once(self) -> None:
        self.say(b"say a\n")
        self.assertEqual(self.protocol.replies_sent, 1)
        self.say(b"say a\nsay b\n")
        self.assertEqual(self.protocol.replies_sent, 3)
        self.assertEqual(self.protocol.bytes_sent, 6)

    def test_busy(self) -> None:
        self.assertFalse(self.protocol.busy)
        self.say(b"wait\n")
        self.assertTrue(self.protocol.busy)
        self.pause()
        self.assertFalse(self.protocol.busy, "it is the peer that we wait for")


class GreetingTests(ProtocolCase):
    def test_it_comes_first(self) -> None:
        self.app.greeting = "hello"
        self.app.on_connect.append(lambda session: session.send("more"))
        self.connect()
        self.assertEqual(self.sent, b"* hello\n* more\n")

    def test_sessions_can_be_closed_at_once(self) -> None:
        def refuse(session: Session) -> None:
            session.close(CommandError("go-away", ""))

        self.app.on_connect.append(refuse)
        self.connect()
        self.assertEqual((self.sent, self.wire.asked), (b"ERR go-away\n", ["close"]))
        self.lose()
        self.assertEqual(self.timers, 0)

    def test_what_fails_at_the_beginning_is_the_end(self) -> None:
        def fail(session: Session) -> None:
            raise ZeroDivisionError

        self.app.on_connect.append(fail)
        self.connect()
        self.assertEqual(self.wire.asked, ["abort"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class IdleTests(ProtocolCase):
    limits = Limits(idle=100.0)

    error = b"ERR timeout nothing was said for 100 seconds\n"

    def test_silence(self) -> None:
        self.clock.pump([25] * 3 + [24.9])
        self.assertEqual(self.wire.asked, [])
        self.clock.advance(0.2)
        self.assertEqual((self.sent, self.wire.asked), (self.error, ["close"]))

    def test_not_while_something_is_said(self) -> None:
        for _ in range(10):
            self.clock.pump([25] * 3)
            self.say(b"s")
        self.assertEqual(self.wire.asked, [])
        for _ in range(10):
            self.clock.pump([25] * 3)
            self.session.send("x")
        self.assertEqual(self.wire.asked, [])
        self.clock.pump([25] * 5)
        self.assertEqual(self.wire.asked, ["close"])

    def test_not_while_the_peer_waits(self) -> None:
        self.say(b"wait\n")
        self.clock.pump([25] * 100)
        self.assertEqual(self.wire.asked, [])
        self.waiting[0].callback("a")
        self.clock.pump([25] * 5)
        self.assertTrue(self.sent.endswith(self.error))

    def test_a_peer_that_does_not_read_is_not_told(self) -> None:
        self.say(b"wait\nsay a\n")
        self.pause()
        self.clock.pump([25] * 3)
        self.assertEqual(self.wire.asked, ["pause"])
        self.clock.pump([25] * 2)
        self.assertEqual((self.sent, self.wire.asked), (b"", ["pause", "abort"]))

    def test_a_peer_that_reads_now_and_then(self) -> None:
        self.wire.on_write = lambda _: self.pause()
        for _ in range(10):
            self.say(b"say a\n")
            self.clock.pump([25] * 3)
            self.protocol.resumeProducing()
        self.assertNotIn("abort", self.wire.asked)

    def test_a_factory_has_a_limit_of_its_own(self) -> None:
        for idle, timers in ((None, 0), (40.0, 1)):
            self.factory.idle = idle
            before = self.timers
            protocol, wire = self.factory.buildProtocol(None), Wire()
            protocol.makeConnection(wire)
            self.assertEqual(self.timers, before + timers)
        self.clock.pump([10] * 4)
        self.assertEqual(wire.value(), b"ERR timeout nothing was said for 40 seconds\n")

    def test_it_ends_with_the_connection(self) -> None:
        self.assertEqual(self.timers, 1)
        self.lose()
        self.assertEqual(self.timers, 0)


class LoginTests(ProtocolCase):
    limits = Limits(idle=None, login=10.0)

    def make_app(self) -> LineApp:
        app = super().make_app()
        app.login_required = True
        return app

    def test_too_late(self) -> None:
        self.assertEqual(self.say(b"say a\n"), b"ERR not-allowed SAY: expected AUTH first\n")
        self.clock.advance(9.9)
        self.assertEqual(self.wire.asked, [])
        self.clock.advance(0.1)
        self.assertTrue(self.sent.endswith(b"ERR timeout expected AUTH within 10 seconds\n"))
        self.assertEqual(self.wire.asked, ["close"])

    def test_in_time(self) -> None:
        self.session.login("ann")
        self.clock.advance(100)
        self.assertEqual(self.wire.asked, [])
        self.assertEqual(self.say(b"say a\n"), b"a\n")

    def test_blank_lines_mean_nothing_before_it_either(self) -> None:
        self.assertEqual(self.say(b"\n\r\n \n"), b"")

    def test_it_ends_with_the_connection(self) -> None:
        self.assertEqual(self.timers, 1)
        self.lose()
        self.assertEqual(self.timers, 0)

    def test_no_limit(self) -> None:
        self.limits = Limits(idle=None, login=None)
        self.app = self.make_app()
        self.connect()
        self.assertEqual(self.timers, 1, "the first one's")


class ClosingTests(ProtocolCase):
    limits = Limits(idle=100.0)

    def test_our_direction_first(self) -> None:
        self.connect(TCPWire())
        self.say(b"quit\nmore that is not read\n")
        self.assertEqual(self.wire.asked, ["no delay True", "close writing"])
        self.assertIsNone(self.wire.producer)
        self.say(b"more\n")
        self.protocol.writeConnectionLost()
        self.end()
        self.assertEqual(self.wire.asked[2:], ["close"])
        self.lose()
        self.assertEqual(self.timers, 1, "the first one's")
        self.assertEqual(self.sent, b"OK\n")

    def test_a_peer_that_does_not_close(self) -> None:
        self.connect(TCPWire())
        self.say(b"quit\n")
        self.protocol.writeConnectionLost()
        self.clock.advance(LINGER_SECONDS - 1)
        self.assertNotIn("close", self.wire.asked)
        self.clock.advance(1)
        self.assertEqual(self.wire.asked[2:], ["close"])

    def test_a_peer_that_never_reads_the_rest(self) -> None:
        for wire in (Wire(), TCPWire()):
            self.connect(wire)
            self.close()
            self.clock.advance(CLOSE_SECONDS - 1)
            self.assertNotIn("abort", wire.asked)
            self.clock.advance(1)
            self.assertEqual(wire.asked[-1], "abort")

    def test_a_peer_that_has_closed_before(self) -> None:
        self.connect(TCPWire())
        self.say(b"wait\n")
        self.end()
        self.waiting[0].callback("done")
        self.assertEqual(self.wire.asked[-1], "close")
        self.assertNotIn("resume", self.wire.asked, "there is nothing to read")

    def test_tls_sees_to_it_itself(self) -> None:
        wire = TCPWire()
        alsoProvides(wire, ISSLTransport)
        self.connect(wire)
        self.close()
        self.assertEqual(self.wire.asked[-1], "close")

    def test_our_direction_may_end_by_itself(self) -> None:
        self.protocol.writeConnectionLost()
        self.assertEqual(self.timers, 1)
        self.assertEqual(self.wire.asked, [])

    def test_drained_with_nothing_to_do(self) -> None:
        self.protocol.drain(self.clock, 10)
        self.assertEqual((self.sent, self.wire.asked), (b"", ["close"]))

    def test_drained_with_something_to_do(self) -> None:
        self.say(b"wait\nsay a\nsay")
        self.protocol.drain(self.clock, 10)
        self.assertFalse(self.wire.reading)
        self.waiting[0].callback("done")
        self.assertEqual(self.sent, b"done\na\n")
        self.assertEqual(self.wire.asked, ["pause", "resume", "close"])

    def test_expired(self) -> None:
        self.say(b"wait\nsay a\n")
        self.protocol.expire("lifetime")
        self.assertEqual(self.sent, b"")
        self.waiting[0].callback("done")
        self.assertEqual(self.sent, b"done\nERR timeout lifetime time is over\n")
        self.assertEqual(self.wire.asked[-1], "close")


class HandshakeTests(ProtocolCase):
    """What is written before a TLS handshake waits for it, which has to be read."""

    def setUp(self) -> None:
        super().setUp()
        wire = Wire()
        alsoProvides(wire, ISSLTransport)
        self.connect(wire)

    def test_reading_goes_on_until_it_is_over(self) -> None:
        self.pause()
        self.assertTrue(self.wire.reading)
        self.protocol.handshakeCompleted()
        self.assertFalse(self.wire.reading)
        self.protocol.resumeProducing()
        self.assertTrue(self.wire.reading)

    def test_or_until_there_is_something(self) -> None:
        self.protocol.handshakeCompleted()
        self.pause()
        self.assertFalse(self.wire.reading)
        self.protocol.resumeProducing()
        self.say(b"say a\n")
        self.pause()
        self.assertFalse(self.wire.reading)


class AddressTests(SynchronousTestCase):
    def session(self, wire: Wire) -> Session:
        protocol = LineFactory(LineApp("test", limits=Limits(idle=None)), None).buildProtocol(None)  # type: ignore[arg-type]  # it is not asked
        protocol.makeConnection(wire)
        return protocol.session

    def test_who_it_is(self) -> None:
        for address, shown, host in (
            (IPv4Address("TCP", "192.0.2.1", 7), "192.0.2.1:7", "192.0.2.1"),
            (IPv6Address("TCP", "2001:db8::1", 7), "[2001:db8::1]:7", "2001:db8::1"),
            (UNIXAddress(b"/tmp/x\xff"), "unix:/tmp/x?", ""),
            (UNIXAddress(None), "unix:", ""),
        ):
            wire = Wire()
            wire.peerAddr = address
            session = self.session(wire)
            self.assertEqual((session.peer, session.host), (shown, host))
            self.assertFalse(session.secure)
            self.assertIn(shown, repr(session))

    def test_whether_somebody_reads_along(self) -> None:
        for interface in (ISSLTransport, IUNIXTransport):
            wire = Wire()
            alsoProvides(wire, interface)
            self.assertTrue(self.session(wire).secure)


class Bare:
    """A transport that is nothing but there."""

    __slots__ = ()
    peer = IPv4Address("TCP", "192.0.2.1", 7)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Have it."""

    def write(self, data: bytes) -> None:
        """Send."""

    def getPeer(self) -> IPv4Address:
        return self.peer


class MemoryTests(SynchronousTestCase):
    def test_a_connection_on_which_nothing_happens_takes_little(self) -> None:
        app = LineApp("test")
        app.command("SAY")(lambda: "x")
        factory = LineFactory(app, Clock())
        number = 1000
        wires: list[Any] = [Bare() for _ in range(number)]
        tracemalloc.start()
        try:
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for wire in wires:
                protocol = factory.buildProtocol(None)
                protocol.makeConnection(wire)
                protocol.dataReceived(b"say\r\n")
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertEqual(factory.counters.active, number)
        self.assertLess((after - before) / number, 2.5 * 1024)
