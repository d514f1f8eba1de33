from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.net._shaping import ClientBuckets, RateBucket, stream_bucket
from netsuite.net.metered import (
    SHORTEST_WAIT,
    Direction,
    MeteredUNIX,
)
from netsuite.net.test.fake_sockets import FakeSocket, SocketReactor, connect

RATE = 100_000.0
TURN = 5000
#: What may pass in a time: what the rate says, the bucket's two turns and one in hand.
BURST = 3 * TURN


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.reasons: list[type[BaseException] | None] = []
        self.ends = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.ends += 1

    def writeConnectionLost(self) -> None: ...

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reasons.append(reason.type)


class MeteredCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.socket = FakeSocket()
        self.protocol = Recorder()
        self.transport = connect(self.protocol, self.reactor, self.socket)

    def shape(self, rate: float = RATE) -> None:
        self.transport.shape([stream_bucket(rate)], [stream_bucket(rate)], self.reactor)

    def assert_nothing_is_left(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual((self.reactor.readers, self.reactor.writers), (set(), set()))


class UnshapedTests(MeteredCase):
    def test_bytes_are_counted(self) -> None:
        self.socket.incoming += b"question"
        self.transport.write(b"an ")
        self.transport.write(b"answer")
        self.reactor.run(0)
        self.assertEqual(bytes(self.protocol.received), b"question")
        self.assertEqual(bytes(self.socket.received), b"an answer")
        self.assertEqual((self.transport.bytes_received, self.transport.bytes_sent), (8, 9))

    def test_it_moves_as_much_at_once_as_stock(self) -> None:
        self.socket.incoming += bytes(100_000)
        self.reactor.run(0)
        self.assertEqual(self.socket.calls, [65_536, 34_464])
        self.assertNotIn("bufferSize", vars(self.transport))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_unsent(self) -> None:
        self.socket.window = 3
        self.assertFalse(self.transport.unsent)
        self.transport.write(b"123456")
        self.assertTrue(self.transport.unsent)
        self.reactor.run(0)
        self.assertTrue(self.transport.unsent)
        self.socket.window = 6
        self.reactor.run(0)
        self.assertFalse(self.transport.unsent)

    def test_the_end_is_told_once_after_the_protocol(self) -> None:
        told: list[Any] = []
        self.transport.on_lost = lambda reason: told.append((reason.type, self.protocol.reasons[:]))
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(told, [(ConnectionDone, [ConnectionDone])])

    def test_the_end_is_told_though_the_protocol_fails(self) -> None:
        told: list[Failure] = []
        self.transport.on_lost = told.append

        def fail(reason: Failure) -> None:
            raise RuntimeError("a bug")

        self.protocol.connectionLost = fail  # type: ignore[method-assign,assignment]  # that is the point
        with self.assertRaises(RuntimeError):
            self.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(told), 1)


class UNIXTests(MeteredCase):
    def test_a_unix_connection_counts_too(self) -> None:
        transport: Any = MeteredUNIX(FakeSocket(), Recorder(), b"/peer", None, 0, self.reactor)
        transport.write(b"hello")
        self.reactor.run(0)
        self.assertEqual(transport.bytes_sent, 5)

    def test_unix_writes_are_cut_too(self) -> None:
        socket = FakeSocket()
        transport: Any = MeteredUNIX(socket, Recorder(), b"/peer", None, 0, self.reactor)
        transport.shape([], [stream_bucket(RATE)], self.reactor)
        transport.write(bytes(1_000_000))
        self.reactor.run(4)
        self.assertTrue(4 * RATE - TURN <= len(socket.received) <= 4 * RATE + BURST)


class ReadingTests(MeteredCase):
    def test_reading_stops_when_the_credit_is_used_up_and_goes_on(self) -> None:
        self.shape()
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(0)
        read = len(self.protocol.received)
        self.assertTrue(0 < read <= BURST, read)
        self.assertNotIn(self.transport, self.reactor.readers)
        self.reactor.run(1)
        self.assertTrue(RATE - TURN <= len(self.protocol.received) <= RATE + BURST)
        self.reactor.run(8)
        self.assertTrue(9 * RATE - TURN <= len(self.protocol.received) <= 9 * RATE + BURST)
        self.reactor.run(2)
        self.assertEqual(len(self.protocol.received), 1_000_000, "nothing is lost")

    def test_bytes_flow_evenly(self) -> None:
        self.shape()
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(1)
        for _ in range(40):
            before = len(self.protocol.received)
            self.reactor.run(0.1)
            moved = len(self.protocol.received) - before
            self.assertTrue(RATE / 10 - TURN <= moved <= RATE / 10 + TURN, moved)

    def test_a_call_reads_no_more_than_a_turn(self) -> None:
        self.shape()
        self.socket.incoming += bytes(100_000)
        self.reactor.run(1)
        self.assertEqual(max(self.socket.calls), TURN)

    def test_no_more_turns_are_bought_than_are_needed(self) -> None:
        direction = Direction([stream_bucket(RATE)], self.reactor, lambda: None)
        for credit, bought in [(0, 1), (-1, 1), (1 - TURN, 1), (-TURN, 2), (-3 * TURN - 1, 4)]:
            direction.credit, direction.step = credit, TURN
            direction.refill()
            self.assertEqual(direction.credit, credit + bought * TURN)
            direction.end()

    def test_nothing_is_read_while_a_bucket_is_in_debt(self) -> None:
        """A client that uses up its rate and connects again has gained nothing."""
        bucket = stream_bucket(RATE)
        bucket.reserve(2 * TURN + int(RATE), 0)  # a second and no more
        self.transport.shape([bucket], [], self.reactor)
        self.socket.incoming += bytes(TURN)
        self.reactor.run(0.9)
        self.assertEqual(len(self.protocol.received), 0)
        self.reactor.run(0.2)
        self.assertEqual(len(self.protocol.received), TURN)

    def test_a_pause_by_the_protocol_outlasts_the_wait(self) -> None:
        self.shape()
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(0)
        before = len(self.protocol.received)
        self.transport.pauseProducing()
        self.reactor.run(10)
        self.assertEqual(len(self.protocol.received), before)
        self.transport.resumeProducing()
        self.reactor.run(0)
        self.assertGreater(len(self.protocol.received), before)

    def test_resuming_does_not_cut_the_wait_short(self) -> None:
        self.shape()
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(0)
        before = len(self.protocol.received)
        self.transport.pauseProducing()
        self.transport.resumeProducing()
        self.reactor.run(0)
        self.assertEqual(len(self.protocol.received), before)
        self.reactor.run(1)
        self.assertTrue(RATE - TURN <= len(self.protocol.received) <= RATE + BURST)

    def test_the_peer_may_close_its_direction_during_a_wait(self) -> None:
        self.shape()
        self.socket.incoming += bytes(50_000)
        self.socket.ended = True
        self.reactor.run(0)
        self.assertEqual(self.protocol.ends, 0)
        self.reactor.run(1)
        self.assertEqual((len(self.protocol.received), self.protocol.ends), (50_000, 1))
        self.reactor.run(10)
        self.assertEqual(self.protocol.ends, 1, "told once")
        self.transport.write(b"still here")
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"still here")

    def test_aborted_during_a_wait(self) -> None:
        self.shape()
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(0)
        self.transport.abortConnection()
        self.reactor.run(0)
        self.assertEqual(self.protocol.reasons, [ConnectionAborted])
        self.assert_nothing_is_left()

    def test_closed_during_a_wait(self) -> None:
        self.shape()
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(0)
        before = len(self.protocol.received)
        self.transport.loseConnection()
        self.reactor.run(10)
        self.assertEqual(len(self.protocol.received), before)
        self.assertEqual(self.protocol.reasons, [ConnectionDone])
        self.assert_nothing_is_left()

    def test_a_wait_too_short_for_a_timer_is_left_to_the_next(self) -> None:
        rate = 1e9
        self.shape(rate)
        self.socket.incoming += bytes(10_000_000)
        self.reactor.run(0)
        self.assertLessEqual(len(self.protocol.received), rate * SHORTEST_WAIT + 4 * 65_536)
        self.reactor.run(0.01)
        self.assertEqual(len(self.protocol.received), 10_000_000)

    def test_what_was_not_used_goes_back_once(self) -> None:
        bucket = RateBucket(RATE, 10 * TURN)
        bucket.reserve(10 * TURN, 0)
        self.transport.shape([bucket], [], self.reactor)
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(bucket.reserve(TURN, 0), TURN / RATE)

    def test_both_buckets_pay(self) -> None:
        mine, ours = stream_bucket(RATE), stream_bucket(RATE / 2)
        self.transport.shape([mine, ours], [], self.reactor)
        self.socket.incoming += bytes(1_000_000)
        self.reactor.run(4)
        self.assertTrue(2 * RATE - TURN <= len(self.protocol.received) <= 2 * RATE + BURST)


class WritingTests(MeteredCase):
    def test_writes_are_cut_to_the_credit(self) -> None:
        self.shape()
        self.transport.write(bytes(1_000_000))
        self.reactor.run(0)
        self.assertLessEqual(len(self.socket.received), BURST)
        self.assertLessEqual(max(self.socket.calls), TURN)
        self.reactor.run(4)
        self.assertTrue(4 * RATE - TURN <= len(self.socket.received) <= 4 * RATE + BURST)
        self.reactor.run(7)
        self.assertEqual(len(self.socket.received), 1_000_000)
        self.assertEqual(self.transport.bytes_sent, 1_000_000)

    def test_what_is_written_arrives_in_order(self) -> None:
        self.shape()
        data = bytes(index % 251 for index in range(60_000))
        for start in range(0, len(data), 777):
            self.transport.write(data[start : start + 777])
            self.reactor.run(0.001)
        self.reactor.run(2)
        self.assertEqual(bytes(self.socket.received), data)

    def test_nothing_spins_while_it_waits(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.assertNotIn(self.transport, self.reactor.writers)
        self.transport.write(b"more")
        self.reactor.run(0)
        self.assertNotIn(self.transport, self.reactor.writers)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_a_push_producer_is_paused_and_goes_on(self) -> None:
        producer = Producer(self.transport)
        self.shape()
        self.transport.registerProducer(producer, True)
        producer.resumeProducing()
        self.reactor.run(4)
        self.assertGreater(producer.pauses, 5)
        self.assertTrue(4 * RATE - TURN <= len(self.socket.received) <= 4 * RATE + BURST)
        self.assertLessEqual(producer.written - len(self.socket.received), 2 * TURN)

    def test_a_pull_producer_is_asked_no_more_than_the_rate(self) -> None:
        producer = Producer(self.transport, push=False)
        self.shape()
        self.transport.registerProducer(producer, False)
        self.reactor.run(4)
        self.assertTrue(4 * RATE - TURN <= len(self.socket.received) <= 4 * RATE + BURST)
        self.assertLessEqual(producer.written - len(self.socket.received), 2 * TURN)

    def test_unsent_is_the_peers_business_not_the_rates(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.assertFalse(self.transport.unsent, "it waits for the rate")
        self.socket.window = len(self.socket.received)
        self.reactor.run(1)
        self.assertTrue(self.transport.unsent, "the peer reads nothing")

    def test_all_of_it_is_sent_before_closing(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.transport.loseConnection()
        self.reactor.run(0.5)
        self.assertEqual(self.protocol.reasons, [])
        self.reactor.run(1)
        self.assertEqual(len(self.socket.received), 100_000)
        self.assertEqual(self.protocol.reasons, [ConnectionDone])
        self.assertFalse(self.socket.reset)
        self.assert_nothing_is_left()

    def test_all_of_it_is_sent_before_half_closing(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.transport.loseWriteConnection()
        self.reactor.run(0.5)
        self.assertFalse(self.socket.shut)
        self.reactor.run(1)
        self.assertTrue(self.socket.shut)
        self.assertEqual(len(self.socket.received), 100_000)

    def test_aborted_during_a_wait(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.transport.abortConnection()
        self.reactor.run(0)
        self.assertEqual(self.protocol.reasons, [ConnectionAborted])
        self.assertTrue(self.socket.reset)
        self.assert_nothing_is_left()


class ThrottledTests(MeteredCase):
    def test_neither_direction_waits(self) -> None:
        self.assertFalse(self.transport.throttled)
        self.shape()
        self.assertFalse(self.transport.throttled)

    def test_reading_waits(self) -> None:
        self.shape()
        self.socket.incoming += bytes(100_000)
        self.reactor.run(0)
        self.assertTrue(self.transport.throttled)
        self.reactor.run(2)
        self.assertFalse(self.transport.throttled)

    def test_writing_waits(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.assertTrue(self.transport.throttled)
        self.reactor.run(2)
        self.assertFalse(self.transport.throttled)


class ReshapingTests(MeteredCase):
    def test_a_rate_can_change_during_a_wait(self) -> None:
        self.shape(1000)
        self.socket.incoming += bytes(1_000_000)
        self.transport.write(bytes(1_000_000))
        self.reactor.run(0)
        self.shape(RATE)
        received, sent = len(self.protocol.received), len(self.socket.received)
        self.reactor.run(2)
        for moved in (len(self.protocol.received) - received, len(self.socket.received) - sent):
            self.assertTrue(2 * RATE - TURN <= moved <= 2 * RATE + BURST, moved)

    def test_a_rate_can_end_during_a_wait(self) -> None:
        self.shape(1000)
        self.socket.incoming += bytes(1_000_000)
        self.transport.write(bytes(1_000_000))
        self.reactor.run(0)
        self.transport.shape([], [], self.reactor)
        self.reactor.run(0)
        self.assertEqual(len(self.protocol.received), 1_000_000)
        self.assertEqual(len(self.socket.received), 1_000_000)
        self.assertEqual(self.transport.bufferSize, 65_536)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_protocol_that_paused_stays_paused(self) -> None:
        self.shape()
        self.transport.pauseProducing()
        self.shape(1000)
        self.transport.shape([], [], self.reactor)
        self.socket.incoming += b"hello"
        self.reactor.run(1)
        self.assertEqual(bytes(self.protocol.received), b"")

    def test_what_was_not_used_goes_back(self) -> None:
        bucket = stream_bucket(RATE)
        self.transport.shape([bucket], [], self.reactor)
        self.transport.shape([], [], self.reactor)
        self.assertEqual(bucket.reserve(2 * TURN, 0), 0)


class SharedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SocketReactor()

    def connect(self, bucket: RateBucket) -> Recorder:
        protocol = Recorder()
        transport = connect(protocol, self.reactor)
        transport.shape([bucket], [], self.reactor)
        transport.socket.incoming += bytes(1_000_000)
        return protocol

    def test_connections_of_one_client_take_turns(self) -> None:
        bucket = ClientBuckets(RATE).join("a")
        protocols = [self.connect(bucket) for _ in range(4)]
        self.reactor.run(8)
        shares = [len(each.received) for each in protocols]
        self.assertTrue(8 * RATE - 4 * TURN <= sum(shares) <= 8 * RATE + BURST, shares)
        self.assertLessEqual(max(shares) - min(shares), 2 * TURN)

    def test_many_short_connections_gain_nothing(self) -> None:
        buckets = ClientBuckets(RATE)
        received = 0
        for _ in range(200):
            protocol = self.connect(buckets.join("a"))
            self.reactor.run(0.01)
            received += len(protocol.received)
            transport: Any = protocol.transport
            transport.abortConnection()
            self.reactor.run(0)
        self.assertLessEqual(received, 2 * RATE + BURST)

    def test_what_was_read_beyond_is_paid_by_the_next_one(self) -> None:
        buckets = ClientBuckets(RATE)
        received = 0
        for _ in range(200):
            protocol = Recorder()
            transport = connect(protocol, self.reactor)
            transport.shape([buckets.join("a")], [], self.reactor)
            transport.socket.incoming += bytes(TURN - 1)
            self.reactor.run(0)
            transport.socket.incoming += bytes(TURN)
            self.reactor.run(0.05)
            received += len(protocol.received)
            transport.abortConnection()
            self.reactor.run(0)
        self.assertLessEqual(received, RATE * self.reactor.seconds() + BURST)

    def test_silent_connections_cost_the_others_nothing(self) -> None:
        bucket = ClientBuckets(RATE).join("a")
        for _ in range(100):
            silent = connect(Recorder(), self.reactor)
            silent.shape([bucket], [bucket], self.reactor)
        protocol = self.connect(bucket)
        self.reactor.run(0)
        self.assertGreater(len(protocol.received), 0)

    def test_many_connections_at_once_gain_nothing(self) -> None:
        bucket = ClientBuckets(RATE).join("a")
        protocols = [self.connect(bucket) for _ in range(100)]
        self.reactor.run(1)
        self.assertLessEqual(sum(len(each.received) for each in protocols), RATE + BURST)
        for protocol in protocols:
            transport: Any = protocol.transport
            transport.abortConnection()
        self.reactor.run(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Producer:
    """Writes blocks, as long as it may."""

    BLOCK = 1000

    def __init__(self, transport: Any, *, push: bool = True) -> None:
        self._transport = transport
        self._push = push
        self._paused = False
        self.pauses = 0
        self.written = 0

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused:
            self.written += self.BLOCK
            self._transport.write(bytes(self.BLOCK))
            if not self._push:
                return

    def pauseProducing(self) -> None:
        self._paused = True
        self.pauses += 1

    def stopProducing(self) -> None:
        self._paused = True
