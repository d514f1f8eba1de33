from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from netsuite.echo import (
    ChargenFactory,
    DaytimeFactory,
    DiscardFactory,
    EchoFactory,
    QuoteFactory,
    TimeFactory,
)
from netsuite.echo._wire import CHARGEN_CYCLE, QUOTES
from netsuite.echo.protocol import LINGER_BYTES, LINGER_SECONDS, QUIET_SECONDS, CountingFactory
from netsuite.net import Drainable, Expirable

NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC


class Transport(StringTransport):
    """One that keeps the order of closing, as real ones do."""

    write_closed = False
    aborted = False

    def write(self, data: bytes) -> None:
        assert not self.write_closed
        super().write(data)

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True


class ProtocolCase(SynchronousTestCase):
    def connect(self, factory: CountingFactory) -> Any:
        self.factory = factory
        self.transport = Transport()
        self.protocol: Any = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.protocol))
        return self.protocol

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class EchoTests(ProtocolCase):
    def setUp(self) -> None:
        self.connect(EchoFactory())

    def test_what_comes_in_goes_out(self) -> None:
        for chunk in (b"h", b"ello\r\n", b"\0\xff" * 1000):
            self.protocol.dataReceived(chunk)
        self.assertEqual(self.transport.value(), b"hello\r\n" + b"\0\xff" * 1000)

    def test_reading_waits_while_there_is_enough_to_send(self) -> None:
        self.assertIs(self.transport.producer, self.protocol)
        self.assertTrue(self.transport.streaming)
        assert self.transport.producer is not None
        self.transport.producer.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.transport.producer.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")

    def test_half_close_delivers_and_closes(self) -> None:
        self.protocol.dataReceived(b"hi")
        self.protocol.readConnectionLost()
        self.assertIsNone(self.transport.producer, "or the transport would never close")
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.aborted)
        self.assertEqual(self.transport.value(), b"hi")

    def test_time_is_up(self) -> None:
        self.assertIsInstance(self.protocol, Expirable)
        self.protocol.dataReceived(b"hi")
        self.protocol.expire("idle")
        self.assertIsNone(self.transport.producer, "or the transport would never close")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.transport.value(), b"hi")

    def test_counters(self) -> None:
        self.protocol.dataReceived(b"hello")
        counters = self.factory.counters
        self.assertEqual((counters.opened, counters.active), (1, 1))
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (5, 5))
        self.lose()
        self.assertEqual((counters.opened, counters.active), (1, 0))
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (5, 5))


class SilenceTests(ProtocolCase):
    """When a draining echo or discard connection counts as finished."""

    factories: tuple[type[CountingFactory], ...] = (EchoFactory, DiscardFactory)

    def drain(self, factory: type[CountingFactory], grace: float) -> Clock:
        clock = Clock()
        protocol = self.connect(factory())
        self.assertIsInstance(protocol, Drainable)
        protocol.dataReceived(b"before")
        protocol.drain(clock, grace)
        return clock

    def pass_by(self, clock: Clock, seconds: float) -> None:
        """Let time pass as it does: a little at a time."""
        clock.pump([0.1] * round(seconds * 10))

    def test_silence_ends_it(self) -> None:
        for factory in self.factories:
            clock = self.drain(factory, 10)
            self.pass_by(clock, QUIET_SECONDS - 0.1)
            self.assertFalse(self.transport.disconnecting)
            self.pass_by(clock, 1.1)
            self.assertTrue(self.transport.disconnecting)

    def test_half_of_a_short_grace_is_silence(self) -> None:
        for factory in self.factories:
            clock = self.drain(factory, 2)
            self.pass_by(clock, 1.9)
            self.assertTrue(self.transport.disconnecting)

    def test_silence_counts_from_the_last_byte(self) -> None:
        """A byte that comes late must not lead to the deadline."""
        for factory in self.factories:
            clock = self.drain(factory, 10)
            self.pass_by(clock, 1)
            self.protocol.dataReceived(b"late")
            self.pass_by(clock, QUIET_SECONDS - 0.1)
            self.assertFalse(self.transport.disconnecting)
            self.pass_by(clock, QUIET_SECONDS / 5)
            self.assertTrue(self.transport.disconnecting)

    def test_data_goes_on(self) -> None:
        for factory in self.factories:
            clock = self.drain(factory, 100)
            for _ in range(3):
                self.protocol.dataReceived(b"more")
                self.pass_by(clock, QUIET_SECONDS)
                self.assertFalse(self.transport.disconnecting)
            self.pass_by(clock, QUIET_SECONDS)
            self.assertTrue(self.transport.disconnecting)

    def test_a_slow_reader_is_not_silent(self) -> None:
        clock = self.drain(EchoFactory, 100)
        self.protocol.pauseProducing()
        self.pass_by(clock, 3 * QUIET_SECONDS)
        self.assertFalse(self.transport.disconnecting)
        self.protocol.resumeProducing()
        self.pass_by(clock, QUIET_SECONDS + 1)
        self.assertTrue(self.transport.disconnecting)

    def test_nothing_is_left_behind_by_a_connection_that_goes(self) -> None:
        for factory in self.factories:
            clock = self.drain(factory, 10)
            self.lose()
            self.assertEqual(clock.getDelayedCalls(), [])


class DiscardTests(ProtocolCase):
    def test_nothing_comes_back(self) -> None:
        self.connect(DiscardFactory())
        self.protocol.dataReceived(b"x" * 100)
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.factory.counters.bytes_received, 100)
        self.assertEqual(self.factory.counters.bytes_sent, 0)
        self.protocol.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)


class ChargenTests(ProtocolCase):
    def setUp(self) -> None:
        self.connect(ChargenFactory())

    def test_the_pattern_goes_on_across_writes(self) -> None:
        assert self.transport.producer is not None
        self.assertFalse(self.transport.streaming)
        for _ in range(2):
            self.transport.producer.resumeProducing()
        sent = self.transport.value()
        self.assertGreater(len(sent), 2 * 60_000)
        self.assertEqual(sent, CHARGEN_CYCLE * (len(sent) // len(CHARGEN_CYCLE)))
        self.assertEqual(self.factory.counters.bytes_sent, len(sent))

    def test_it_writes_only_when_asked(self) -> None:
        self.assertLess(len(self.transport.value()), 2**16)

    def test_input_is_thrown_away_and_half_close_changes_nothing(self) -> None:
        self.protocol.dataReceived(b"stop it")
        self.protocol.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.assertIs(self.transport.producer, self.protocol)

    def test_time_is_up(self) -> None:
        self.protocol.expire("total")
        self.assertIsNone(self.transport.producer)
        self.assertTrue(self.transport.disconnecting)

    def test_drain_ends_it(self) -> None:
        self.protocol.drain(Clock(), 10)
        self.assertIsNone(self.transport.producer)
        self.assertTrue(self.transport.disconnecting)


class AnswerTests(ProtocolCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_each_says_its_own(self) -> None:
        for kind, expected in [
            (QuoteFactory, QUOTES[int(NOON // 86_400) % len(QUOTES)]),
            (DaytimeFactory, b"Sunday, November 22, 2026 12:00:00-UTC\r\n"),
            (TimeFactory, (int(NOON) + 2_208_988_800).to_bytes(4, "big")),
        ]:
            self.connect(kind(self.clock, lambda: NOON))
            self.assertEqual(self.transport.value(), expected)
            self.assertTrue(self.transport.write_closed)
            self.assertFalse(self.transport.disconnecting)
            self.assertEqual(self.factory.counters.bytes_sent, len(expected))

    def test_the_answer_is_of_the_moment(self) -> None:
        now = [NOON]
        factory = TimeFactory(self.clock, lambda: now[0])
        self.connect(factory)
        first = self.transport.value()
        now[0] += 1
        self.connect(factory)
        self.assertEqual(
            int.from_bytes(self.transport.value(), "big") - int.from_bytes(first, "big"), 1
        )

    def test_the_peer_closes_first(self) -> None:
        self.connect(TimeFactory(self.clock))
        self.protocol.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_does_not_close_is_cut(self) -> None:
        self.connect(TimeFactory(self.clock))
        self.clock.advance(LINGER_SECONDS - 0.1)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.aborted)
        self.lose()

    def test_a_peer_that_talks_is_heard_to_a_bound(self) -> None:
        self.connect(TimeFactory(self.clock))
        self.protocol.dataReceived(b"x" * LINGER_BYTES)
        self.assertFalse(self.transport.disconnecting)
        self.protocol.dataReceived(b"x")
        self.assertTrue(self.transport.disconnecting)

    def test_drain_leaves_the_answer_alone(self) -> None:
        self.connect(TimeFactory(self.clock))
        self.protocol.drain(self.clock, 10)
        self.assertEqual((self.transport.disconnecting, self.transport.aborted), (False, False))
