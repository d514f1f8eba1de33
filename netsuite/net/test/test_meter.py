import errno
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any
from unittest import mock

from twisted.internet import main, tcp, unix
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net._dual_stack import ListeningPorts
from netsuite.net._shaping import MOST_TURN, stream_bucket
from netsuite.net.metered import SHORTEST_WAIT, Direction, MeteredTCP, MeteredUNIX, meter
from netsuite.net.test.fake_sockets import FakeSocket, SocketReactor, connect


class FakePort:
    def __init__(self, transport: Any) -> None:
        self.transport = transport


class BuyingTests(SynchronousTestCase):
    def direction(self, rate: float, sharers: int = 1) -> list[Direction]:
        bucket = stream_bucket(rate)
        return [Direction([bucket], Clock(), lambda: None) for _ in range(sharers)]

    def test_what_is_bought_at_once_grows_to_a_turn(self) -> None:
        [direction] = self.direction(1e5)
        bought = []
        for _ in range(6):
            direction.credit = 0
            direction.refill()
            direction.grow()
            bought.append(direction.credit)
        self.assertEqual(bought, [512, 1024, 2048, 4096, 5000, 5000])

    def test_debts_are_paid_in_whole_steps(self) -> None:
        [direction] = self.direction(1e6)
        direction.credit = -direction.step
        direction.refill()
        self.assertEqual(direction.credit, direction.step)

    def test_the_fastest_buy_ahead_what_needs_no_timer(self) -> None:
        [direction] = self.direction(1e9)
        direction.refill()
        self.assertGreater(direction.credit, MOST_TURN)
        self.assertLessEqual(direction.credit, MOST_TURN + 1e9 * SHORTEST_WAIT / 4)
        self.assertFalse(direction.waiting)

    def test_they_leave_something_to_the_others(self) -> None:
        sharers = self.direction(1e9, 5)
        for direction in sharers:
            direction.refill()
        self.assertFalse(any(direction.waiting for direction in sharers))


class ReadSizeTests(SynchronousTestCase):
    def test_one_call_reads_as_much_as_was_just_paid(self) -> None:
        for rate, sizes in [(1e5, [512, 1024, 2048, 4096, 5000]), (1e10, [MOST_TURN] * 5)]:
            reactor, socket = SocketReactor(), FakeSocket()
            transport = connect(Protocol(), reactor, socket)
            transport.shape([stream_bucket(rate)], [], reactor)
            socket.incoming += bytes(10_000_000)
            reactor.run(2)
            self.assertEqual(socket.calls[:5], sizes)


class SendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.transport = connect(Protocol(), SocketReactor(), self.socket)

    def test_what_the_kernel_does_not_take_waits(self) -> None:
        self.socket.window = 10
        self.assertEqual(self.transport.writeSomeData(b"x" * 12), 10)
        self.assertEqual(self.transport.writeSomeData(b"xx"), 0)

    def test_no_more_than_twisted_sends_at_once(self) -> None:
        limit = self.transport.SEND_LIMIT
        self.assertEqual(self.transport.writeSomeData(b"x" * (limit + 1)), limit)

    def test_a_connection_that_is_gone(self) -> None:

        def send(data: bytes) -> int:
            raise ConnectionResetError(errno.ECONNRESET, "gone")

        self.socket.send = send  # type: ignore[method-assign]  # for once
        self.assertIs(self.transport.writeSomeData(b"x"), main.CONNECTION_LOST)
        self.assertEqual(self.transport.bytes_sent, 0)


class MeterTests(SynchronousTestCase):
    def test_small_writes_go_out_at_once(self) -> None:
        for kind, options in [(tcp.Server, [(IPPROTO_TCP, TCP_NODELAY, 1)]), (unix.Server, [])]:
            port: Any = FakePort(kind)
            port.socket = mock.Mock()
            meter(port)
            found = [call.args for call in port.socket.setsockopt.call_args_list]
            self.assertEqual(found, options)

    def test_kinds(self) -> None:
        for before, after in [(tcp.Server, MeteredTCP), (unix.Server, MeteredUNIX)]:
            port: Any = FakePort(before)
            self.assertTrue(meter(port))
            self.assertIs(port.transport, after)
            self.assertTrue(meter(port), "twice is once")
            self.assertIs(port.transport, after)

    def test_other_kinds_stay_as_they_are(self) -> None:
        class Own(tcp.Server):
            """Somebody else's."""

        port: Any = FakePort(Own)
        self.assertFalse(meter(port))
        self.assertIs(port.transport, Own)
        odd: Any = object()
        self.assertFalse(meter(odd))

    def test_each_of_several(self) -> None:
        both: Any = [FakePort(tcp.Server), FakePort(tcp.Server)]
        self.assertTrue(meter(ListeningPorts(both)))
        self.assertEqual([each.transport for each in both], [MeteredTCP, MeteredTCP])
        mixed: Any = [FakePort(tcp.Server), FakePort(object)]
        self.assertFalse(meter(ListeningPorts(mixed)))
        self.assertIs(mixed[0].transport, MeteredTCP)
