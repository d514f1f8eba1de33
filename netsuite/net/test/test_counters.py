from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from netsuite.net import ConnectionCounters, DatagramCounters


@dataclass(eq=False)
class FakeConnection:
    bytes_received: int = 0
    bytes_sent: int = 0


class ConnectionCountersTests(SynchronousTestCase):
    def test_open_and_closed_connections_add_up(self) -> None:
        counters = ConnectionCounters()
        first, second = FakeConnection(), FakeConnection()
        counters.connection_opened(first)
        counters.connection_opened(second)
        first.bytes_received, first.bytes_sent = 3, 4
        second.bytes_received = 10
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (13, 4))
        counters.connection_closed(first)
        first.bytes_received = 1000  # gone: no longer looked at
        self.assertEqual((counters.bytes_received, counters.bytes_sent), (13, 4))
        self.assertEqual((counters.opened, counters.closed, counters.active), (2, 1, 1))

    def test_repr_shows_the_totals(self) -> None:
        self.assertIn("opened=0 active=0", repr(ConnectionCounters()))


class DatagramCountersTests(SynchronousTestCase):
    def test_drops_are_counted_by_reason(self) -> None:
        counters = DatagramCounters()
        for reason in ("rate", "rate", "too_short"):
            counters.drop(reason)
        self.assertEqual(counters.dropped, {"rate": 2, "too_short": 1})
