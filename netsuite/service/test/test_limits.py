from dataclasses import replace
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net.test.fake_sockets import FakeSocket, SocketReactor, connect
from netsuite.service._admission import Refusal
from netsuite.service._connections import Connection
from netsuite.service._limits import CLOSE_SECONDS, StreamLimits, StreamRules

PEER = IPv4Address("TCP", "192.0.2.7", 50_000)
#: How late a timeout may be noticed, as a part of the shortest one.
LATE = 1 / 8


class Plain(Protocol):
    received = 0
    reason: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason.type


class Polite(Plain):
    """Has words of its own for a peer whose time is up."""

    said: str | None = None

    def expire(self, reason: str) -> None:
        self.said = reason
        assert self.transport is not None
        self.transport.write(b"time is up: " + reason.encode())
        self.transport.loseConnection()


class Stubborn(Plain):
    """Does not go when it is told to."""

    def expire(self, reason: str) -> None: ...


class Broken(Plain):
    def expire(self, reason: str) -> None:
        raise RuntimeError("a bug")


class LimitsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.ended: dict[int, tuple[float, str | None]] = {}

    def limits(self, **rules: Any) -> StreamLimits:
        self.watch: Any = StreamLimits(StreamRules(**rules), self.reactor)
        return self.watch

    def connect(
        self, protocol: Any = None, client: int | None = 7, window: int = 2**40
    ) -> Connection:
        """A connection that is watched as a gate would have it watched."""
        address: IAddress = PEER if client else UNIXAddress("/peer")
        connection = Connection(address, self.reactor.seconds())
        connection.client = client
        connection.protocol = protocol or Plain()
        transport = connect(connection.protocol, self.reactor, FakeSocket(window))
        connection.transport = connection.meter = transport

        def lost(reason: Failure) -> None:
            self.ended[connection.number] = (self.reactor.seconds(), connection.ended)
            self.watch.closed(connection, reason)

        transport.on_lost = lost
        self.watch.opened(connection)
        return connection

    def assert_ended(self, connection: Connection, reason: str, after: float, late: float) -> None:
        """It ended for ``reason``, not before ``after`` and no more than ``late`` later."""
        self.assertIn(connection.number, self.ended, f"{reason}: not ended")
        when, why = self.ended[connection.number]
        self.assertEqual(why, reason)
        self.assertTrue(after <= when <= after + late + 1e-6, f"{when} is not {after}..+{late}")

    def assert_open(self, *connections: Connection) -> None:
        for each in connections:
            self.assertNotIn(each.number, self.ended)


class TimeoutTests(LimitsCase):
    def test_no_timeouts_no_timers(self) -> None:
        self.limits()
        self.connect()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nothing_is_left_when_the_last_one_is_gone(self) -> None:
        self.limits(idle_timeout=8, total_timeout=80, stall_timeout=8)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        connections = [self.connect() for _ in range(20)]
        for each in connections:
            self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
            each.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.connect().transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_idle(self) -> None:
        self.limits(idle_timeout=8)
        connections = []
        for _ in range(40):  # at all places in the turns
            connections.append((self.reactor.seconds(), self.connect()))
            self.reactor.run(0.037)
        self.reactor.run(12)
        for opened, connection in connections:
            self.assert_ended(connection, "idle", opened + 8, 8 * LATE)
            self.assertEqual(connection.application.reason, ConnectionDone, "closed in order")

    def test_a_byte_in_either_direction_is_not_idle(self) -> None:
        self.limits(idle_timeout=8)
        reader, writer, silent = self.connect(), self.connect(), self.connect()
        last = 0.0
        for _ in range(100):
            self.reactor.run(0.777)
            reader.transport.socket.incoming += b"x"
            writer.transport.write(b"x")
            last = self.reactor.seconds()
        self.assert_open(reader, writer)
        self.assert_ended(silent, "idle", 8, 8 * LATE)
        self.reactor.run(20)
        self.assert_ended(reader, "idle", last + 8, 8 * LATE)
        self.assert_ended(writer, "idle", last + 8, 8 * LATE)

    def test_idle_is_never_early_nor_late_whenever_the_last_byte_came(self) -> None:
        self.limits(idle_timeout=8)
        for step in range(30):
            connection = self.connect()
            self.reactor.run(1 + step * 0.071)
            connection.transport.socket.incoming += b"x"
            self.reactor.run(0)
            last = self.reactor.seconds()
            self.reactor.run(12)
            self.assert_ended(connection, "idle", last + 8, 8 * LATE)

    def test_total(self) -> None:
        self.limits(total_timeout=8)
        connections = []
        for _ in range(40):
            connections.append((self.reactor.seconds(), self.connect()))
            self.reactor.run(0.037)
        for _ in range(40):
            self.reactor.run(0.3)
            for _, each in connections:
                if each.number not in self.ended:
                    each.transport.socket.incoming += b"busy"
        for opened, connection in connections:
            self.assert_ended(connection, "total", opened + 8, 8 * LATE)

    def test_total_delivers_what_was_written(self) -> None:
        self.limits(total_timeout=8)
        connection = self.connect(window=3)
        connection.transport.write(b"123456")
        self.reactor.run(9.5)
        self.assert_open(connection)
        socket = connection.transport.socket
        socket.window = 100
        self.reactor.run(0)
        self.assertEqual(bytes(socket.received), b"123456")
        self.assert_ended(connection, "total", 9.5, 0)
        self.assertFalse(socket.reset)

    def test_stall(self) -> None:
        self.limits(stall_timeout=8)
        for step in range(30):
            connection = self.connect(window=3)
            self.reactor.run(step * 0.071)
            connection.transport.write(b"123456")
            self.reactor.run(0)
            last = self.reactor.seconds()
            self.reactor.run(12)
            self.assert_ended(connection, "stall", last + 8, 8 * LATE)
            self.assertEqual(connection.protocol.reason, ConnectionAborted)

    def test_a_peer_that_reads_a_little_does_not_stall(self) -> None:
        self.limits(stall_timeout=8)
        connection = self.connect(window=1)
        socket = connection.transport.socket
        connection.transport.write(bytes(1000))
        for _ in range(50):
            self.reactor.run(6.9)
            socket.window += 1
        self.assert_open(connection)

    def test_a_peer_with_nothing_to_read_does_not_stall(self) -> None:
        self.limits(stall_timeout=8)
        connection = self.connect()
        connection.transport.write(b"hello")
        self.reactor.run(100)
        self.assert_open(connection)

    def test_what_a_stalled_peer_sends_does_not_help_it(self) -> None:
        self.limits(stall_timeout=8, idle_timeout=8)
        connection = self.connect(window=1)
        socket = connection.transport.socket
        connection.transport.write(b"12")
        self.reactor.run(0)
        for _ in range(20):
            self.reactor.run(0.5)
            socket.incoming += b"x"
        self.assert_ended(connection, "stall", 8, 8 * LATE)

    def test_waiting_for_a_rate_is_neither_stalling_nor_idling(self) -> None:
        self.limits(rate=100, stall_timeout=2, idle_timeout=2)  # a turn is 5.12 s
        connection = self.connect()
        connection.transport.write(bytes(10_000))
        self.reactor.run(90)
        self.assert_open(connection)
        self.reactor.run(30)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 0)
        self.assertEqual(self.ended[connection.number][1], "idle")

    def test_reading_at_a_rate_is_not_idling(self) -> None:
        self.limits(rate=100, idle_timeout=2)
        connection = self.connect()
        connection.transport.socket.incoming += bytes(10_000)
        self.reactor.run(90)
        self.assert_open(connection)
        self.reactor.run(30)
        self.assertEqual(connection.protocol.received, 10_000)
        self.assertEqual(self.ended[connection.number][1], "idle")

    def test_a_stalled_peer_under_a_rate_is_stalled(self) -> None:
        self.limits(rate=100_000, stall_timeout=8)
        connection = self.connect(window=1000)
        connection.transport.write(bytes(100_000))
        self.reactor.run(0)
        self.reactor.run(10)
        self.assert_ended(connection, "stall", 8, 8 * LATE)

    def test_a_transport_that_counts_nothing_has_only_a_total(self) -> None:
        self.limits(idle_timeout=1, stall_timeout=1, total_timeout=8, rate=1)
        connection = Connection(PEER)
        transport: Any = StringTransport()
        connection.protocol, connection.transport = Plain(), transport
        self.watch.opened(connection)
        self.reactor.run(7.9)
        self.assertFalse(transport.disconnecting)
        self.reactor.run(0.3)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(connection.ended, "total")

    def test_the_shortest_counts_for_how_late(self) -> None:
        self.limits(idle_timeout=800, total_timeout=8)
        connection = self.connect()
        self.reactor.run(10)
        self.assert_ended(connection, "total", 8, 8 * LATE)

    def test_refusals_are_nothing_to_watch(self) -> None:
        self.limits(idle_timeout=1).refused(PEER, Refusal.ACCESS)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ToldTests(LimitsCase):
    def test_a_protocol_says_it_in_its_own_words(self) -> None:
        self.limits(idle_timeout=8, total_timeout=20)
        silent, busy = self.connect(Polite()), self.connect(Polite())
        for _ in range(11):
            self.reactor.run(2)
            if busy.number not in self.ended:
                busy.transport.socket.incoming += b"x"
        self.reactor.run(2)
        self.assertEqual((silent.protocol.said, busy.protocol.said), ("idle", "total"))
        self.assert_ended(silent, "idle", 8, 1)
        self.assert_ended(busy, "total", 20, 1)

    def test_who_does_not_go_is_cut(self) -> None:
        self.limits(idle_timeout=8)
        connection = self.connect(Stubborn())
        self.reactor.run(8 + CLOSE_SECONDS - 0.1)
        self.assert_open(connection)
        self.reactor.run(2)
        self.assert_ended(connection, "idle", 8 + CLOSE_SECONDS, 2 * 8 * LATE)
        self.assertEqual(connection.protocol.reason, ConnectionAborted)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_who_does_not_read_the_rest_is_cut(self) -> None:
        self.limits(total_timeout=8)
        connection = self.connect(window=3)
        connection.transport.write(b"123456")
        self.reactor.run(8 + CLOSE_SECONDS - 0.1)
        self.assert_open(connection)
        self.reactor.run(2)
        self.assert_ended(connection, "total", 8 + CLOSE_SECONDS, 2 * 8 * LATE)

    def test_told_once(self) -> None:
        self.limits(idle_timeout=1)
        told: list[str] = []
        protocol = Stubborn()
        protocol.expire = told.append  # type: ignore[method-assign,assignment]  # for once
        self.connect(protocol)
        self.reactor.run(1 + CLOSE_SECONDS)
        self.assertEqual(told, ["idle"])

    def test_who_was_told_is_cut_though_the_timeouts_end(self) -> None:
        self.limits(idle_timeout=8)
        connection = self.connect(Stubborn())
        self.reactor.run(9.5)
        self.assertIsNotNone(connection.told)
        self.watch.change(StreamRules())
        other = self.connect()
        self.reactor.run(CLOSE_SECONDS + 8)
        self.assertIn(connection.number, self.ended)
        self.assert_open(other)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_protocol_that_fails_is_cut_and_the_others_are_watched_on(self) -> None:
        self.limits(idle_timeout=8)
        broken = [self.connect(Broken()) for _ in range(16)]
        others = [self.connect() for _ in range(16)]
        self.reactor.run(10)
        for each in [*broken, *others]:
            self.assert_ended(each, "idle", 8, 8 * LATE)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 16)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ChangeTests(LimitsCase):
    def test_timeouts_hold_for_who_is_in(self) -> None:
        self.limits()
        connection = self.connect()
        self.reactor.run(100)
        self.watch.change(StreamRules(total_timeout=104))
        self.reactor.run(3.9)
        self.assert_open(connection)
        self.reactor.run(14)
        self.assert_ended(connection, "total", 104, 13)

    def test_timeouts_end_for_who_is_in(self) -> None:
        self.limits(idle_timeout=8)
        connection = self.connect()
        self.reactor.run(7)
        self.watch.change(StreamRules())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.reactor.run(100)
        self.assert_open(connection)

    def test_a_shorter_timeout_counts_from_the_last_byte(self) -> None:
        self.limits(idle_timeout=800)
        connection = self.connect()
        self.reactor.run(100)
        self.watch.change(StreamRules(idle_timeout=8))
        self.reactor.run(1.1)
        self.assert_ended(connection, "idle", 100, 1.1)

    def test_rates_hold_for_who_is_in(self) -> None:
        self.limits()
        connection = self.connect()
        self.watch.change(StreamRules(rate=100_000))
        connection.transport.socket.incoming += bytes(1_000_000)
        self.reactor.run(2)
        self.assertTrue(195_000 <= connection.protocol.received <= 215_000)
        self.watch.change(StreamRules())
        self.reactor.run(0)
        self.assertEqual(connection.protocol.received, 1_000_000)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_change_of_something_else_leaves_rates_alone(self) -> None:
        self.limits(rate=100_000)
        connection = self.connect()
        before = connection.transport._writing
        self.watch.change(replace(self.watch.rules, idle_timeout=8))
        self.assertIs(connection.transport._writing, before)


class RateTests(LimitsCase):
    def read(self, connections: list[Connection], seconds: float) -> int:
        before = sum(each.protocol.received for each in connections)
        for each in connections:
            each.transport.socket.incoming += bytes(1_000_000)
        self.reactor.run(seconds)
        return int(sum(each.protocol.received for each in connections) - before)

    def test_each_connection_has_a_rate(self) -> None:
        self.limits(rate=100_000)
        both = [self.connect(), self.connect()]
        self.assertTrue(390_000 <= self.read(both, 2) <= 430_000)

    def test_each_client_has_a_rate(self) -> None:
        self.limits(client_rate=100_000)
        both = [self.connect(), self.connect()]
        other = self.connect(client=8)
        received = self.read([*both, other], 2)
        self.assertTrue(390_000 <= received <= 430_000)
        self.assertTrue(195_000 <= other.protocol.received <= 215_000)

    def test_the_lower_one_counts(self) -> None:
        self.limits(rate=50_000, client_rate=75_000)
        alone = self.connect()
        self.assertTrue(95_000 <= self.read([alone], 2) <= 110_000)
        both = [alone, self.connect()]
        self.assertTrue(145_000 <= self.read(both, 2) <= 170_000)

    def test_directions_have_rates_of_their_own(self) -> None:
        self.limits(rate=100_000, client_rate=100_000)
        connection = self.connect()
        connection.transport.write(bytes(1_000_000))
        self.assertTrue(195_000 <= self.read([connection], 2) <= 215_000)
        self.assertTrue(195_000 <= len(connection.transport.socket.received) <= 215_000)

    def test_peers_without_an_address_are_not_one_client(self) -> None:
        """Behind a proxy on a UNIX socket everybody would share one rate."""
        self.limits(client_rate=100_000)
        both = [self.connect(client=None), self.connect(client=None)]
        self.assertEqual(self.read(both, 0), 2_000_000)
        self.limits(rate=100_000, client_rate=100_000)
        both = [self.connect(client=None), self.connect(client=None)]
        self.assertTrue(390_000 <= self.read(both, 2) <= 430_000)

    def test_a_client_that_comes_back_finds_its_bucket(self) -> None:
        self.limits(client_rate=100_000)
        received = 0
        for _ in range(100):
            connection = self.connect()
            received += self.read([connection], 0.01)
            connection.transport.abortConnection()
            self.reactor.run(0)
        self.assertLessEqual(received, 115_000)


class RulesTests(SynchronousTestCase):
    def test_the_shortest_timeout(self) -> None:
        self.assertIsNone(StreamRules(rate=1).shortest_timeout)
        rules = StreamRules(idle_timeout=3, total_timeout=2, stall_timeout=4)
        self.assertEqual(rules.shortest_timeout, 2)
