import socket
import struct
import sys
from ipaddress import ip_address
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net import datagram
from netsuite.net.datagram import UnicastPort


def ipv4_information(local: str, destination: str) -> tuple[int, int, bytes]:
    packed = struct.pack("=i", 3) + ip_address(local).packed + ip_address(destination).packed
    return socket.IPPROTO_IP, 8, packed


def ipv6_information(destination: str) -> tuple[int, int, bytes]:
    packed = ip_address(destination).packed + struct.pack("=i", 3)
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed


class Receiver:
    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused: list[tuple[bytes, Any]] = []
        self.port: UnicastPort | None = None

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))
        if self.port is not None:
            self.port.write(data, addr)

    def datagramRefused(self, data: bytes, addr: Any) -> None:
        self.refused.append((data, addr))


class FakeSocket:
    def __init__(self, *incoming: tuple[bytes, list[tuple[int, int, bytes]], Any]) -> None:
        self.incoming = [*incoming]
        self.sent: list[Any] = []
        self.error: OSError | None = None

    def recvmsg(self, size: int, ancillary_size: int) -> Any:
        if not self.incoming:
            raise BlockingIOError
        data, ancillary, peer = self.incoming.pop(0)
        return data, ancillary, 0, peer

    def sendmsg(self, buffers: list[bytes], ancillary: Any, flags: int, peer: Any) -> int:
        if self.error:
            raise self.error
        self.sent.append((b"".join(buffers), ancillary, peer))
        return len(self.sent[-1][0])

    def sendto(self, data: bytes, peer: Any) -> int:
        self.sent.append((data, None, peer))
        return len(data)


PEER = ("192.0.2.77", 4000)


class UnicastPortTests(SynchronousTestCase):
    def port(self, *incoming: tuple[bytes, list[tuple[int, int, bytes]], Any]) -> UnicastPort:
        self.receiver = Receiver()
        port = UnicastPort(0, self.receiver, "127.0.0.1", reactor=object())
        port.connected = True
        self.socket = FakeSocket(*incoming)
        port.socket = self.socket  # type: ignore[assignment]  # enough of one
        return port

    def test_unicast_is_received(self) -> None:
        port = self.port((b"hi", [ipv4_information("192.0.2.1", "192.0.2.1")], PEER))
        port.doRead()
        self.assertEqual(self.receiver.received, [(b"hi", PEER)])

    def test_the_answer_comes_from_the_address_that_was_asked(self) -> None:
        port = self.port((b"hi", [ipv4_information("192.0.2.1", "192.0.2.1")], PEER))
        self.receiver.port = port
        port.doRead()
        [(data, [(level, kind, information)], peer)] = self.socket.sent
        self.assertEqual((data, level, kind, peer), (b"hi", socket.IPPROTO_IP, 8, PEER))
        self.assertEqual(information, bytes(4) + ip_address("192.0.2.1").packed + bytes(4))

    def test_the_answer_keeps_a_link_local_scope(self) -> None:
        peer = ("fe80::7", 4000, 0, 3)
        port = self.port((b"hi", [ipv6_information("fe80::1")], peer))
        self.receiver.port = port
        port.doRead()
        self.assertEqual(self.receiver.received, [(b"hi", ("fe80::7", 4000))])
        self.assertEqual(self.socket.sent[0][2], peer)

    def test_what_was_not_for_us_alone_is_refused(self) -> None:
        for information in (
            ipv4_information("192.0.2.1", "192.0.2.255"),
            ipv4_information("192.0.2.1", "255.255.255.255"),
            ipv4_information("192.0.2.1", "224.0.0.1"),
            ipv4_information("239.1.2.3", "239.1.2.3"),
            ipv6_information("ff02::1"),
        ):
            port = self.port((b"hi", [information], PEER))
            port.doRead()
            self.assertEqual(self.receiver.received, [])
            self.assertEqual(self.receiver.refused, [(b"hi", PEER)])

    def test_unknown_destination_is_refused(self) -> None:
        self.port((b"hi", [], PEER)).doRead()
        self.assertEqual(self.receiver.refused, [(b"hi", PEER)])

    def test_a_failing_protocol_does_not_close_the_port(self) -> None:
        good = [ipv4_information("192.0.2.1", "192.0.2.1")]
        port = self.port((b"bad", good, PEER), (b"good", good, PEER))

        def fail_once(data: bytes, addr: Any) -> None:
            if data == b"bad":
                raise RuntimeError("a bug")
            self.receiver.received.append((data, addr))

        self.receiver.datagramReceived = fail_once  # type: ignore[method-assign]  # for once
        port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.receiver.received, [(b"good", PEER)])

    def test_one_turn_reads_a_bounded_number(self) -> None:
        one = (b"x", [ipv4_information("192.0.2.1", "192.0.2.1")], PEER)
        port = self.port(*[one] * (datagram._READS_A_TURN + 1))
        port.doRead()
        self.assertEqual(len(self.receiver.received), datagram._READS_A_TURN)
        self.assertEqual(len(self.socket.incoming), 1)

    def test_a_datagram_that_cannot_be_sent_is_dropped(self) -> None:
        port = self.port((b"hi", [ipv4_information("192.0.2.1", "192.0.2.1")], PEER))
        sent: list[int] = []
        self.receiver.datagramReceived = lambda data, addr: sent.append(  # type: ignore[method-assign]  # for once
            port.write(data, addr)
        )
        self.socket.error = PermissionError(1, "by a firewall")
        port.doRead()
        self.assertEqual(sent, [0])

    def test_elsewhere_than_on_linux_it_says_so(self) -> None:
        self.patch(sys, "platform", "darwin")
        with self.assertRaises(CannotListenError) as caught:
            self.port().startListening()
        self.assertIn("Linux", str(caught.exception))
