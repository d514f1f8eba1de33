"""Connections on uvloop keep to rates as the metered transports of Twisted's reactors do.

The same tests, but where uvloop is different: it reads first, and is told after that, so that
a connection may read a little before it is paid.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from netsuite.net._shaping import LEAST_TURN, SHORTEST_WAIT, ClientBuckets, stream_bucket
from netsuite.net.test import test_metered
from netsuite.net.test.fake_sockets import FakeSocket
from netsuite.net.test.fake_uv import READ_SIZE, UVClock, connect_uv
from netsuite.net.test.test_metered import BURST, RATE, TURN, Producer, Recorder

#: A producer is paused above it.
MARK = 64 * 1024
#: A rate at which uvloop reads as it likes.
FAST = 10_000_000.0


class Bounded(Producer):
    """Does not write for ever if nobody pauses it."""

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self.written < 10_000_000:
            self.written += self.BLOCK
            self._transport.write(bytes(self.BLOCK))


class OnUV:
    """The same, on a fake of uvloop's transport."""

    reactor: Any
    socket: Any
    protocol: Any
    transport: Any

    def setUp(self) -> None:
        self.reactor = UVClock()
        self.socket = FakeSocket()
        self.protocol = Recorder()
        self.transport = connect_uv(self.protocol, self.reactor, self.socket)


class UnshapedTests(OnUV, test_metered.UnshapedTests):
    def test_it_moves_as_much_at_once_as_stock(self) -> None:
        """It is more."""
        self.socket.incoming += bytes(READ_SIZE + 1000)
        self.reactor.run(0)
        self.assertEqual(self.socket.calls, [READ_SIZE, 1000])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_was_not_sent_is_not_counted(self) -> None:
        self.socket.window = 1000
        counts: list[int] = []
        self.transport.on_lost = lambda reason: counts.append(self.transport.bytes_sent)
        self.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.assertEqual(self.transport.bytes_sent, 1000)
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((counts, self.transport.bytes_sent), ([1000], 1000))

    def test_a_producer_goes_on_when_little_is_left_of_much(self) -> None:
        """Less than uvloop's mark, of which uvloop says nothing."""
        producer = Bounded(self.transport)
        producer.BLOCK = MARK + 1000
        self.transport.registerProducer(producer, True)
        self.socket.window = 50_000
        producer.resumeProducing()
        self.reactor.run(0)
        self.assertEqual((len(self.transport._uv.buffer), producer.pauses), (16_536, 1))
        self.socket.window = 100_000
        self.reactor.run(0)
        self.assertEqual(producer.written, 2 * producer.BLOCK)


class ReadingTests(OnUV, test_metered.ReadingTests):
    def test_a_call_reads_no_more_than_a_turn(self) -> None:
        self.shape()
        self.socket.incoming += bytes(100_000)
        self.reactor.run(1)
        self.assertLessEqual(max(self.socket.calls), TURN)

    def test_a_wait_too_short_for_a_timer_is_left_to_the_next(self) -> None:
        rate = 1e9
        self.shape(rate)
        self.socket.incoming += bytes(10_000_000)
        self.reactor.run(0)
        most = rate * SHORTEST_WAIT + 3 * MARK + READ_SIZE
        self.assertLessEqual(len(self.protocol.received), most)
        self.reactor.run(0.01)
        self.assertEqual(len(self.protocol.received), 10_000_000)

    def test_a_fast_rate(self) -> None:
        self.shape(FAST)
        self.socket.incoming += bytes(20_000_000)
        for seconds in (0, 0.1, 1):
            self.reactor.run(seconds)
            received = len(self.protocol.received)
            most = FAST * (self.reactor.seconds() + SHORTEST_WAIT) + 3 * MARK + READ_SIZE
            self.assertLessEqual(received, most)
            self.assertGreaterEqual(received, FAST * self.reactor.seconds())
        self.reactor.run(1)
        self.assertEqual(len(self.protocol.received), 20_000_000, "nothing is lost")

    def test_a_rate_within_what_is_read(self) -> None:
        """A protocol may have other rates from what it reads on."""
        self.shape(1000)

        def faster(data: bytes) -> None:
            self.protocol.received += data
            self.shape(RATE)

        self.protocol.dataReceived = faster
        self.socket.incoming += bytes(range(250)) * 400
        self.reactor.run(2)
        self.assertEqual(self.protocol.received, bytes(range(250)) * 400)

    def test_no_rate_from_within_what_is_read(self) -> None:
        for rate in (1000, FAST):
            self.setUp()
            self.shape(rate)

            def free(data: bytes) -> None:
                self.protocol.received += data
                self.transport.shape([], [], self.reactor)

            self.protocol.dataReceived = free
            self.socket.incoming += bytes(5_000_000)
            self.reactor.run(0)
            self.assertEqual(len(self.protocol.received), 5_000_000)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lost_from_within_what_is_read(self) -> None:
        for rate in (1000, FAST):
            self.setUp()
            self.shape(rate)
            self.protocol.dataReceived = lambda data: self.transport.loseConnection()
            self.socket.incoming += bytes(5_000_000)
            self.reactor.run(0)
            self.assertEqual(self.protocol.reasons, [ConnectionDone])
            self.assert_nothing_is_left()


class WritingTests(OnUV, test_metered.WritingTests):
    def test_a_push_producer_is_paused_and_goes_on(self) -> None:
        producer = Producer(self.transport)
        self.shape()
        self.transport.registerProducer(producer, True)
        producer.resumeProducing()
        self.reactor.run(4)
        self.assertGreater(producer.pauses, 2)
        self.assertTrue(4 * RATE - TURN <= len(self.socket.received) <= 4 * RATE + BURST)
        self.assertLessEqual(producer.written - len(self.socket.received), MARK + producer.BLOCK)

    def test_what_is_asked_to_wait_is_not_counted_as_sent(self) -> None:
        self.shape()
        self.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.assertEqual(self.transport.bytes_sent, len(self.socket.received))
        self.reactor.run(0.5)
        self.assertEqual(self.transport.bytes_sent, len(self.socket.received))
        sent = len(self.socket.received)
        self.transport.abortConnection()
        self.reactor.run(0)
        self.assertEqual(self.transport.bytes_sent, sent)

    def test_a_fast_rate(self) -> None:
        self.shape(FAST)
        self.transport.write(bytes(20_000_000))
        self.reactor.run(0.5)
        self.assertLessEqual(len(self.socket.received), FAST * (0.5 + SHORTEST_WAIT) + 3 * MARK)
        self.reactor.run(2)
        self.assertEqual(len(self.socket.received), 20_000_000)

    def test_rates_while_the_peer_reads_nothing(self) -> None:
        """What waits for the peer is not written twice, and comes before what waits for a rate."""
        data = bytes(index % 251 for index in range(300_000))
        self.socket.window = 10
        self.transport.write(data[:100_000])
        self.shape(RATE)
        self.transport.write(data[100_000:200_000])
        self.reactor.run(1)
        self.transport.shape([], [], self.reactor)
        self.transport.write(data[200_000:])
        self.reactor.run(1)
        self.socket.window = 2**40
        self.reactor.run(1)
        self.assertEqual(self.socket.received, data)


class ThrottledTests(OnUV, test_metered.ThrottledTests): ...


class ReshapingTests(OnUV, test_metered.ReshapingTests):
    def test_a_producer_is_kept_small_after_a_rate_has_ended(self) -> None:
        producer = Bounded(self.transport)
        self.transport.registerProducer(producer, True)
        self.shape()
        self.transport.shape([], [], self.reactor)
        self.socket.window = 0
        producer.resumeProducing()
        self.reactor.run(0)
        self.assertEqual(producer.pauses, 1)
        self.assertLessEqual(producer.written, MARK + 2 * producer.BLOCK)

    def test_a_producer_goes_on_after_a_rate_has_ended(self) -> None:
        producer = Bounded(self.transport)
        self.shape(1000)
        self.transport.registerProducer(producer, True)
        producer.resumeProducing()
        self.reactor.run(1)
        self.socket.window = len(self.socket.received) + 1_000_000
        self.transport.shape([], [], self.reactor)
        self.reactor.run(0)
        self.assertEqual(len(self.socket.received), self.socket.window)
        self.assertLessEqual(producer.written, self.socket.window + MARK + 2 * producer.BLOCK)

    def test_closing_goes_on_after_a_rate_has_ended(self) -> None:
        self.shape(1000)
        self.transport.write(bytes(100_000))
        self.transport.loseConnection()
        self.reactor.run(1)
        self.transport.shape([], [], self.reactor)
        self.reactor.run(0)
        self.assertEqual(len(self.socket.received), 100_000)
        self.assertEqual(self.protocol.reasons, [ConnectionDone])
        self.assert_nothing_is_left()

    def test_a_rate_for_each_direction_alone(self) -> None:
        self.transport.shape([stream_bucket(RATE)], [], self.reactor)
        self.socket.incoming += bytes(1_000_000)
        self.transport.write(bytes(1_000_000))
        self.reactor.run(0)
        self.assertLessEqual(len(self.protocol.received), BURST)
        self.assertEqual(len(self.socket.received), 1_000_000)
        self.transport.shape([], [stream_bucket(RATE)], self.reactor)
        self.transport.write(bytes(1_000_000))
        self.reactor.run(0)
        self.assertEqual(len(self.protocol.received), 1_000_000)
        self.assertLessEqual(len(self.socket.received), 1_000_000 + BURST)

    def test_no_rate_for_what_is_lost(self) -> None:
        bucket = stream_bucket(RATE)
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.transport.shape([bucket], [bucket], self.reactor)
        self.assertFalse(self.transport.throttled)
        self.assertFalse(self.transport.unsent)
        self.assertEqual(bucket.reserve(2 * TURN, 0), 0)


class SharedTests(test_metered.SharedTests):
    def setUp(self) -> None:
        self.reactor: Any = UVClock()
        self.patch(test_metered, "connect", connect_uv)

    def test_many_connections_at_once_gain_nothing(self) -> None:
        """But the little that each reads before it knows."""
        bucket = ClientBuckets(RATE).join("a")
        protocols = [self.connect(bucket) for _ in range(100)]
        self.reactor.run(1)
        received = sum(len(each.received) for each in protocols)
        self.assertLessEqual(received, RATE + BURST + 100 * LEAST_TURN)
        for protocol in protocols:
            transport: Any = protocol.transport
            transport.abortConnection()
        self.reactor.run(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def short_connections(self, rate: float) -> int:
        """What 200 of one client's read in two seconds."""
        buckets = ClientBuckets(rate)
        received = 0
        for _ in range(200):
            protocol = Recorder()
            transport = connect_uv(protocol, self.reactor)
            transport.shape([buckets.join("a")], [], self.reactor)
            transport.socket.incoming += bytes(1_000_000)
            self.reactor.run(0.01)
            received += len(protocol.received)
            transport.abortConnection()
            self.reactor.run(0)
        return received

    def test_many_short_connections_under_a_fast_rate_gain_nothing(self) -> None:
        rate = 2_000_000.0
        self.assertLessEqual(self.short_connections(rate), 2 * rate + 3 * MARK + READ_SIZE)

    def test_many_short_connections_under_a_slow_rate_gain_nothing(self) -> None:
        rate = 5_000.0
        self.assertLessEqual(self.short_connections(rate), 2 * rate + 4 * LEAST_TURN)
