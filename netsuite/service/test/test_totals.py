import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import IPSet
from netsuite.net.test.fake_sockets import SocketReactor, connect
from netsuite.service import json_line
from netsuite.service._admission import Refusal
from netsuite.service._connections import Connection, Gate
from netsuite.service._stats import Histogram, ListenerStats
from netsuite.service._totals import (
    REFUSAL_LINES,
    REFUSAL_LINES_A_SECOND,
    RefusalLog,
    Totals,
)

PEER = IPv4Address("TCP", "192.0.2.7", 50_000)


class TotalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.durations = Histogram((1.0, 10.0))
        self.totals = Totals("echo", self.durations, self.reactor.seconds)

    def gate(self, **more: Any) -> Gate:
        factory = Factory.forProtocol(Protocol)
        gate = Gate(factory, self.reactor, observers=(self.totals,), **more)
        self.totals.watch(gate)
        return gate

    def connect(self, gate: Gate) -> Any:
        return connect(gate.buildProtocol(PEER), self.reactor)

    def stats(self) -> ListenerStats:
        return self.totals.stats(["127.0.0.1:7"])

    def test_nothing_yet(self) -> None:
        self.assertEqual(self.stats(), ListenerStats(name="echo", addresses=["127.0.0.1:7"]))

    def test_what_the_service_counts(self) -> None:
        counts = {"lines": 1}
        totals = Totals("echo", self.durations, self.reactor.seconds, lambda: counts)
        before = totals.stats([])
        counts["lines"] = 2
        self.assertEqual((before.counts, totals.stats([]).counts), ({"lines": 1}, {"lines": 2}))

    def test_open_and_closed(self) -> None:
        gate, other = self.gate(), self.gate()
        connections = [self.connect(gate), self.connect(gate), self.connect(other)]
        self.assertEqual((self.stats().accepted, self.stats().active), (3, 3))
        self.reactor.advance(2)
        connections[0].connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.stats().accepted, self.stats().active), (3, 2))
        self.assertEqual(self.durations.counts, [0, 1, 0])

    def test_bytes_of_open_and_closed_connections(self) -> None:
        gate = self.gate()
        first, second = self.connect(gate), self.connect(gate)
        for each in (first, second):
            each.socket.incoming += b"12345"
            each.write(b"123")
        self.reactor.run(0)
        self.assertEqual((self.stats().bytes_received, self.stats().bytes_sent), (10, 6))
        first.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.stats().bytes_received, self.stats().bytes_sent), (10, 6))

    def test_why_we_ended_them(self) -> None:
        gate = self.gate()
        for reason in ("idle", "idle", "drain", None):
            transport = self.connect(gate)
            [connection] = gate.connections
            connection.ended = reason
            transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.stats().cut, {"idle": 2, "drain": 1})

    def test_why_they_were_not_let_in(self) -> None:
        for refusal in (Refusal.ACCESS, Refusal.BANNED, Refusal.ACCESS):
            self.totals.refused(PEER, refusal)
        refused = self.stats().refused
        self.assertEqual(refused, {"access": 2, "banned": 1})
        self.assertEqual(json.dumps(refused), '{"access": 2, "banned": 1}')
        self.assertEqual([type(name) for name in refused], [str, str])

    def test_who_never_said_whom_it_speaks_for_is_no_connection(self) -> None:
        """But its bytes are bytes."""
        gate = self.gate(proxies=IPSet(["192.0.2.0/24"]))
        transport = self.connect(gate)
        transport.socket.incoming += b"PROXY "
        self.reactor.run(0)
        self.assertEqual((self.stats().accepted, self.stats().bytes_received), (0, 6))
        transport.abortConnection()
        self.reactor.run(0)
        stats = self.stats()
        self.assertEqual((stats.accepted, stats.active, stats.bytes_received), (0, 0, 6))
        self.assertEqual((stats.refused, self.durations.count), ({"proxy_header": 1}, 0))

    def test_a_moment_stays_what_it_was(self) -> None:
        before = self.stats()
        self.totals.refused(PEER, Refusal.ACCESS)
        self.assertEqual(before.refused, {})


class RefusalLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = RefusalLog("echo", self.clock.seconds)
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def refuse(self, count: int, refusal: Refusal = Refusal.ACCESS) -> list[str]:
        """The lines of so many refusals."""
        self.events.clear()
        for _ in range(count):
            self.log.refused(PEER, refusal)
        return [json.loads(json_line(event) or "")["message"] for event in self.events]

    def test_a_line(self) -> None:
        self.assertEqual(self.refuse(1), ["192.0.2.7:50000 refused: access"])
        [event] = self.events
        self.assertEqual((event["reason"], event["service"], event["more"]), ("access", "echo", 0))
        self.assertEqual(event["log_level"].name, "info")

    def test_so_many_and_no_more(self) -> None:
        self.assertEqual(len(self.refuse(REFUSAL_LINES)), REFUSAL_LINES)
        self.assertEqual(self.refuse(1), [], "one past it")

    def test_the_next_line_says_how_many_were_left_out(self) -> None:
        self.refuse(REFUSAL_LINES + 812)
        self.clock.advance(1 / REFUSAL_LINES_A_SECOND)
        self.assertEqual(self.refuse(1), ["192.0.2.7:50000 refused: access (812 more before)"])
        self.clock.advance(1 / REFUSAL_LINES_A_SECOND)
        self.assertEqual(self.refuse(1), ["192.0.2.7:50000 refused: access"])

    def test_a_flood_has_a_line_a_second(self) -> None:
        self.refuse(REFUSAL_LINES)
        lines = 0
        for _ in range(100):
            self.clock.advance(0.1)
            lines += len(self.refuse(50))
        self.assertTrue(9 <= lines * REFUSAL_LINES_A_SECOND <= 10, lines)

    def test_a_flood_for_one_reason_hides_no_other(self) -> None:
        self.refuse(1000)
        self.assertEqual(self.refuse(1, Refusal.BANNED), ["192.0.2.7:50000 refused: banned"])

    def test_open_and_closed_connections_are_the_access_logs_business(self) -> None:
        connection = Connection(PEER)
        self.log.opened(connection)
        self.log.closed(connection, Failure(ConnectionDone()))
        self.assertEqual(self.events, [])
