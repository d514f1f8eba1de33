import errno
import socket
from unittest import mock

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from netsuite.net import _dual_stack
from netsuite.net.endpoints import (
    EndpointError,
    ListeningPorts,
    address_text,
    listening_ports,
    parse_port,
    server_endpoint,
    tcp_description,
)


class ParsePortTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        self.assertEqual([parse_port(text) for text in ("0", "7", "65535")], [0, 7, 65535])

    def test_everything_else_is_refused_by_name(self) -> None:
        for text in (
            "",
            "65536",
            "-1",
            "+1",
            "1 ",
            "1_0",
            "0x1",
            "9e3",
            "http",
            "\u0661",
            "000001",
        ):
            with self.assertRaises(EndpointError) as caught:
                parse_port(text)
            self.assertIn(repr(text), str(caught.exception))
            self.assertIn("0 to 65535", str(caught.exception))


class TCPDescriptionTests(SynchronousTestCase):
    def test_forms(self) -> None:
        self.assertEqual(tcp_description(80), "dualstack:80")
        self.assertEqual(tcp_description(80, "127.0.0.1"), "tcp:80:interface=127.0.0.1")
        self.assertEqual(tcp_description(80, "::1"), r"tcp6:80:interface=\:\:1")


class ServerEndpointTests(SynchronousTestCase):
    def test_tcp(self) -> None:
        reactor = MemoryReactorClock()
        server_endpoint(reactor, "tcp:9000:interface=127.0.0.1").listen(Factory())
        [(port, _, backlog, interface)] = reactor.tcpServers
        self.assertEqual((port, backlog, interface), (9000, 50, "127.0.0.1"))

    def test_tcp6_description_round_trip(self) -> None:
        reactor = MemoryReactorClock()
        server_endpoint(reactor, tcp_description(9000, "::1")).listen(Factory())
        [(port, _, _, interface)] = reactor.tcpServers
        self.assertEqual((port, interface), (9000, "::1"))

    def test_unix(self) -> None:
        reactor = MemoryReactorClock()
        server_endpoint(reactor, "unix:/run/echo.sock:mode=600").listen(Factory())
        [(path, _, _, mode, _)] = reactor.unixServers
        self.assertEqual((path, mode), ("/run/echo.sock", 0o600))

    def assert_refused(self, description: str, *expected: str) -> None:
        with self.assertRaises(EndpointError) as caught:
            server_endpoint(MemoryReactorClock(), description)
        message = str(caught.exception)
        for each in (repr(description), *expected):
            self.assertIn(each, message)
        self.assertNotIn("\n", message)

    def test_bad_strings_say_why(self) -> None:
        self.assert_refused("", "no such kind: expected dualstack, tcp")
        self.assert_refused("unix:", "expected a path")
        self.assert_refused("dualstack", "0 to 65535")
        self.assert_refused("9000", "no such kind")
        self.assert_refused("tcp:", "''", "0 to 65535")
        self.assert_refused("tcp:port=http", "'http'", "0 to 65535")
        self.assert_refused("tcp:99999", "0 to 65535")
        self.assert_refused("tcp", "0 to 65535")
        self.assert_refused("tcp:9000:prot=1", "unexpected keyword argument 'prot'")
        self.assert_refused("tcp:9000:backlog=x", "'x' is not a number")
        self.assert_refused("dualstack:9000:mode=1", "'mode=1'", "dualstack:PORT")
        self.assert_refused("dualstack:9000:backlog=x", "'backlog=x'")
        self.assert_refused("tls:/nowhere:443", "/nowhere: expected a directory")
        self.assert_refused("systemd:domain=INET:index=7", "no such socket")
        self.assert_refused(
            "ssl:443:privateKey=/nowhere/key.pem", "/nowhere/key.pem", "No such file"
        )


class FakePort:
    def __init__(self, port: int) -> None:
        self.port = port
        self.listening = True

    def startListening(self) -> None:
        self.listening = True

    def stopListening(self) -> None:
        self.listening = False

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.port)


class ListeningPortsTests(SynchronousTestCase):
    def test_several_are_one(self) -> None:
        first, second = FakePort(1), FakePort(2)
        both = ListeningPorts([first, second])  # type: ignore[list-item]  # enough of a port
        verifyObject(IListeningPort, both)
        self.assertEqual(both.getHost(), first.getHost())
        self.assertEqual(listening_ports(both), (first, second))
        self.successResultOf(both.stopListening())
        self.assertEqual((first.listening, second.listening), (False, False))
        both.startListening()
        self.assertEqual((first.listening, second.listening), (True, True))


class FakeSocket:
    """A socket that binds what its test lets it bind."""

    def __init__(self, family: int, errors: list[int | None]) -> None:
        self.family = family
        self._errors = errors
        self.closed = False
        self.bound: tuple[str, int] | None = None

    def setblocking(self, flag: bool) -> None: ...

    def setsockopt(self, *option: int) -> None: ...

    def listen(self, backlog: int) -> None: ...

    def bind(self, address: tuple[str, int]) -> None:
        error = self._errors.pop(0)
        if error is not None:
            raise OSError(error, "refused by the test")
        self.bound = (address[0], address[1] or 40_000)

    def getsockname(self) -> tuple[str, int]:
        assert self.bound is not None
        return self.bound

    def close(self) -> None:
        self.closed = True


class SharedPortTests(SynchronousTestCase):
    def test_goes_with_ports_alone(self) -> None:
        for description in (
            "unix:/run/x:reusePort=yes",
            "systemd:domain=INET:index=0:reusePort=yes",
        ):
            with self.assertRaises(EndpointError) as caught:
                server_endpoint(MemoryReactorClock(), description)
            self.assertIn("reusePort", str(caught.exception))


class DualStackTests(SynchronousTestCase):
    def listen(self, port: int, errors: list[int | None]) -> list[FakeSocket]:
        """Listen with binds that fail as told, in order; returns the sockets made."""
        self.made: list[FakeSocket] = []

        def new(family: int, kind: int) -> FakeSocket:
            self.made.append(FakeSocket(family, errors))
            return self.made[-1]

        with mock.patch.object(socket, "socket", new):
            _dual_stack.listen_dual_stack(port, 5, False)
        return self.made

    def test_both_families_share_the_number(self) -> None:
        ipv4, ipv6 = self.listen(0, [None, None])
        self.assertEqual((ipv4.family, ipv4.bound), (socket.AF_INET, ("0.0.0.0", 40_000)))
        self.assertEqual((ipv6.family, ipv6.bound), (socket.AF_INET6, ("::", 40_000)))

    def test_without_ipv6(self) -> None:
        ipv4, ipv6 = self.listen(7, [None, errno.EADDRNOTAVAIL])
        self.assertFalse(ipv4.closed)
        self.assertTrue(ipv6.closed)

    def test_without_ipv4(self) -> None:
        ipv4, ipv6 = self.listen(7, [errno.EADDRNOTAVAIL, None])
        self.assertTrue(ipv4.closed)
        self.assertEqual(ipv6.bound, ("::", 7))

    def test_with_neither(self) -> None:
        with self.assertRaises(CannotListenError):
            self.listen(7, [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])

    def test_a_number_taken_in_one_family_takes_neither(self) -> None:
        with self.assertRaises(CannotListenError) as caught:
            self.listen(7, [None, errno.EADDRINUSE])
        self.assertEqual(caught.exception.socketError.errno, errno.EADDRINUSE)
        self.assertEqual([each.closed for each in self.made], [True, True])

    def test_any_port_tries_another_number(self) -> None:
        made = self.listen(0, [None, errno.EADDRINUSE, None, None])
        self.assertEqual([each.closed for each in made], [True, True, False, False])

    def test_any_port_gives_up_in_the_end(self) -> None:
        with self.assertRaises(CannotListenError):
            self.listen(0, [None, errno.EADDRINUSE] * 16)


class AddressTextTests(SynchronousTestCase):
    def test_forms(self) -> None:
        self.assertEqual(address_text(IPv4Address("TCP", "192.0.2.1", 7)), "192.0.2.1:7")
        self.assertEqual(address_text(IPv6Address("TCP", "2001:db8::1", 7)), "[2001:db8::1]:7")
        self.assertEqual(address_text(UNIXAddress("/run/echo")), "unix:/run/echo")
