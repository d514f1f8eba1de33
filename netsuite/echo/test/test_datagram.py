from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from netsuite.echo import REFLECTOR_PORTS, AnsweringDatagramProtocol, DatagramGuard, Drop
from netsuite.echo._machine import Answer
from netsuite.echo._wire import CHARGEN_CYCLE, QUOTES
from netsuite.echo.datagram import (
    chargen_answer,
    daytime_answer,
    discard_answer,
    echo_answer,
    quote_answer,
    time_answer,
)
from netsuite.net import DatagramCounters

PEER = ("192.0.2.77", 40_000)
NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC


class GuardTests(SynchronousTestCase):
    def test_a_client_is_answered(self) -> None:
        self.assertIsNone(DatagramGuard().check("192.0.2.1", 1024, 0))

    def test_reflector_ports_are_not(self) -> None:
        guard = DatagramGuard()
        for port in (0, 7, 9, 13, 17, 19, 37, 53, 123, 161, 389, 520, 1900, 5353, 11211):
            self.assertIn(port, REFLECTOR_PORTS)
            self.assertEqual(guard.check("192.0.2.1", port, 0), Drop.REFLECTOR_PORT)

    def test_nor_are_our_own_ports(self) -> None:
        guard = DatagramGuard()
        self.assertIsNone(guard.check("192.0.2.1", 9007, 0))
        guard.add_own_port(9007)
        self.assertEqual(guard.check("192.0.2.1", 9007, 0), Drop.REFLECTOR_PORT)

    def test_a_network_shares_a_bucket(self) -> None:
        for one, two, other in [
            ("192.0.2.1", "192.0.2.254", "192.0.3.1"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ]:
            guard = DatagramGuard(rate=1, burst=1)
            self.assertIsNone(guard.check(one, 1024, 0))
            self.assertEqual(guard.check(two, 1024, 0), Drop.RATE)
            self.assertIsNone(guard.check(other, 1024, 0))
            self.assertIsNone(guard.check(two, 1024, 1))


class FakePort:
    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []
        self.broken = False

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", "192.0.2.1", 9007)

    def write(self, data: bytes, addr: Any) -> int:
        if self.broken:
            return 0
        self.sent.append((data, addr))
        return len(data)


class ProtocolTests(SynchronousTestCase):
    def listen(self, answer: Answer, **limits: float) -> AnsweringDatagramProtocol:
        self.port = FakePort()
        self.counters = DatagramCounters()
        protocol = AnsweringDatagramProtocol(
            answer, DatagramGuard(**limits), self.counters, lambda: 0.0
        )
        protocol.makeConnection(self.port)  # type: ignore[arg-type]  # enough of a port
        return protocol

    def ask(self, answer: Answer, request: bytes) -> bytes | None:
        """The answer to one request, None if there was none."""
        self.listen(answer).datagramReceived(request, PEER)
        if not self.port.sent:
            return None
        [(data, addr)] = self.port.sent
        self.assertEqual(addr, PEER)
        return data

    def test_echo(self) -> None:
        for request in (b"", b"x", b"\0\xff" * 30_000):
            self.assertEqual(self.ask(echo_answer, request), request)
            self.assertEqual((self.counters.answered, self.counters.dropped), (1, {}))
            self.assertEqual(self.counters.bytes_sent, len(request))

    def test_discard(self) -> None:
        self.assertIsNone(self.ask(discard_answer, b"hello"))
        self.assertEqual((self.counters.received, self.counters.bytes_received), (1, 5))
        self.assertEqual(self.counters.dropped, {Drop.NO_ANSWER: 1})

    def test_chargen_is_as_long_as_the_request_up_to_512(self) -> None:
        for asked, got in [(0, 0), (1, 1), (100, 100), (512, 512), (513, 512), (9000, 512)]:
            self.assertEqual(self.ask(chargen_answer, b"?" * asked), CHARGEN_CYCLE[:got])

    def test_quote_daytime_and_time_fit_or_are_not_sent(self) -> None:
        for answer, expected in [
            (quote_answer(lambda: NOON), QUOTES[int(NOON // 86_400) % len(QUOTES)]),
            (daytime_answer(lambda: NOON), b"Sunday, November 22, 2026 12:00:00-UTC\r\n"),
            (time_answer(lambda: NOON), (int(NOON) + 2_208_988_800).to_bytes(4, "big")),
        ]:
            self.assertEqual(self.ask(answer, bytes(len(expected))), expected)
            self.assertIsNone(self.ask(answer, bytes(len(expected) - 1)))
            self.assertEqual(self.counters.dropped, {Drop.TOO_SHORT: 1})

    def test_its_own_port_is_no_client(self) -> None:
        self.listen(echo_answer).datagramReceived(b"loop", ("127.0.0.1", 9007))
        self.assertEqual(self.port.sent, [])
        self.assertEqual(self.counters.dropped, {Drop.REFLECTOR_PORT: 1})

    def test_the_rate_is_counted(self) -> None:
        protocol = self.listen(echo_answer, rate=1, burst=2)
        for _ in range(5):
            protocol.datagramReceived(b"x", PEER)
        self.assertEqual((self.counters.received, self.counters.answered), (5, 2))
        self.assertEqual(self.counters.dropped, {Drop.RATE: 3})

    def test_what_gets_no_answer_takes_no_token(self) -> None:
        protocol = self.listen(time_answer(), rate=1, burst=1)
        protocol.datagramReceived(b"", PEER)
        protocol.datagramReceived(b"    ", PEER)
        self.assertEqual(self.counters.answered, 1)

    def test_broadcast_is_counted_and_not_answered(self) -> None:
        self.listen(echo_answer).datagramRefused(b"x", PEER)
        self.assertEqual(self.port.sent, [])
        self.assertEqual(self.counters.dropped, {Drop.NOT_UNICAST: 1})

    def test_what_could_not_be_sent_is_counted(self) -> None:
        protocol = self.listen(echo_answer)
        self.port.broken = True
        protocol.datagramReceived(b"x", PEER)
        self.assertEqual(
            (self.counters.answered, self.counters.dropped), (0, {Drop.SEND_FAILED: 1})
        )
