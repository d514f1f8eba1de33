from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer

from netsuite.ip import IPSet
from netsuite.net import proxy
from netsuite.net.proxy import (
    HEADER_SECONDS,
    MAX_ANNOUNCED,
    ProxyAddress,
    ProxyFactory,
    ProxyHeader,
    ProxyProtocol,
    encode_v1,
    encode_v2,
    is_trusted,
    proxy_header,
)

PROXY = IPv4Address("TCP", "10.0.0.1", 40000)
HERE = IPv4Address("TCP", "10.0.0.2", 8080)
CLIENT = IPv4Address("TCP", "192.0.2.1", 1234)
SITE = IPv4Address("TCP", "198.51.100.1", 443)
HEADER = ProxyHeader(
    source=ProxyAddress(ip_address("192.0.2.1"), 1234),
    destination=ProxyAddress(ip_address("198.51.100.1"), 443),
    tlvs=((0xEA, b"x"),),
)
DATA = encode_v2(HEADER)


class RawTransport(StringTransport):
    """What Twisted's sockets do with their protocol and with reading."""

    def __init__(self, protocol: IProtocol, peer: IAddress = PROXY) -> None:
        super().__init__(HERE, peer)
        self.protocol = protocol
        self.reading = True
        self.aborted = False

    def startReading(self) -> None:
        self.reading = True

    def stopReading(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.startReading()

    def pauseProducing(self) -> None:
        self.stopReading()

    def loseConnection(self) -> None:
        self.stopReading()
        super().loseConnection()

    def abortConnection(self) -> None:
        self.stopReading()
        self.aborted = True

    def lose(self) -> None:
        """The connection is gone."""
        self.stopReading()
        self.protocol.connectionLost(connectionDone)


class Recorder(Protocol):
    """Keeps what it hears, in order."""

    transport: Any

    def __init__(self, made: Callable[[Any], object] = lambda transport: None) -> None:
        self.heard: list[object] = []
        self._made = made

    def connectionMade(self) -> None:
        self.heard.append((self.transport.getPeer(), self.transport.getHost()))
        self._made(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.heard.append("lost")


class BrokenError(Exception):
    """A bug in somebody's protocol."""


class Building:
    """A factory that has nothing but ``buildProtocol``."""

    def __init__(self, built: Any) -> None:
        self._built = built
        self.clients: list[IAddress] = []

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        self.clients.append(addr)
        if isinstance(self._built, Exception):
            raise self._built
        built: IProtocol | None = self._built
        return built


class ProxyCase(SynchronousTestCase):
    def connect(self, built: Any = Recorder, max_announced: int = MAX_ANNOUNCED) -> None:
        """A connection, and what is to be built on it: None refuses the client."""
        self.clock = Clock()
        self.built = Recorder() if built is Recorder else built
        self.factory = Building(self.built)
        self.refused: list[tuple[str, IAddress]] = []
        self.protocol = ProxyProtocol(
            self.factory,
            self.clock,
            refused=lambda *each: self.refused.append(each),
            max_announced=max_announced,
        )
        self.transport = RawTransport(self.protocol)
        self.protocol.makeConnection(self.transport)

    def receive(self, data: bytes) -> None:
        """Bytes come, for whoever is the transport's protocol now."""
        self.transport.protocol.dataReceived(data)

    def assert_refused(self, reason: str) -> None:
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.refused, [(reason, self.transport.getPeer())])
        self.assertEqual(self.factory.clients, [])
        self.assert_nothing_left()
        self.receive(DATA)  # too late
        self.transport.lose()
        self.assertEqual(len(self.refused), 1)
        self.assertEqual(self.factory.clients, [])

    def assert_nothing_left(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assert_transport_is_its_own(self) -> None:
        for name in ("startReading", "stopReading"):
            self.assertNotIn(name, vars(self.transport))


class HandOverTest(ProxyCase):
    def test_header_alone(self) -> None:
        self.connect()
        self.receive(DATA)
        self.assertEqual(self.factory.clients, [CLIENT])
        self.assertIs(self.transport.protocol, self.built)
        self.assertEqual(self.built.heard, [(CLIENT, SITE)])
        self.assertIsNone(self.built.transport.producer)
        self.assertFalse(self.transport.disconnecting or self.transport.aborted)
        self.assertTrue(self.transport.reading)
        self.assertEqual(self.refused, [])
        self.assert_nothing_left()
        self.assert_transport_is_its_own()

    def test_header_and_data(self) -> None:
        self.connect()
        self.receive(DATA + b"hello")
        self.receive(b"world")
        self.assertEqual(self.built.heard, [(CLIENT, SITE), b"hello", b"world"])
        self.assert_nothing_left()
        self.assert_transport_is_its_own()

    def test_byte_by_byte(self) -> None:
        for header in (encode_v1(HEADER), DATA):
            self.connect()
            for byte in header + b"hi":
                self.receive(bytes([byte]))
            self.assertEqual(self.built.heard, [(CLIENT, SITE), b"h", b"i"])

    def test_the_end_reaches_the_protocol(self) -> None:
        self.connect()
        self.receive(DATA)
        self.transport.lose()
        self.assertEqual(self.built.heard[1:], ["lost"])
        self.assertEqual(self.refused, [])

    def test_half_close_is_the_protocols(self) -> None:
        """Twisted asks the transport's protocol whether it knows of half-close."""

        @implementer(IHalfCloseableProtocol)
        class HalfClose(Recorder):
            def readConnectionLost(self) -> None: ...

            def writeConnectionLost(self) -> None: ...

        self.connect(HalfClose())
        self.assertFalse(IHalfCloseableProtocol.providedBy(self.transport.protocol))
        self.receive(DATA)
        self.assertTrue(IHalfCloseableProtocol.providedBy(self.transport.protocol))

    def test_addresses(self) -> None:
        def ends(header: ProxyHeader) -> tuple[IAddress, object]:
            self.connect()
            self.receive(encode_v2(header))
            return self.factory.clients[0], self.built.heard[0]

        mapped = ProxyAddress(ip_address("::ffff:192.0.2.1"), 1)
        client = IPv6Address("TCP", "::ffff:192.0.2.1", 1)
        found = ends(ProxyHeader(source=mapped, destination=mapped))
        self.assertEqual(found, (client, (client, client)))

        path, unnamed = UNIXAddress(b"/run/a"), UNIXAddress(None)
        found = ends(ProxyHeader(source=b"", destination=b"/run/a"))
        self.assertEqual(found, (unnamed, (unnamed, path)))

    def test_without_addresses_the_connections_own(self) -> None:
        for header in (ProxyHeader(), ProxyHeader(command="local")):
            self.connect()
            self.receive(encode_v2(header))
            self.assertEqual(self.factory.clients, [PROXY])
            self.assertEqual(self.built.heard, [(PROXY, HERE)])
            self.assertEqual(proxy_header(self.transport), header)

    def test_the_header_is_there_to_read(self) -> None:
        seen: list[ProxyHeader | None] = []
        self.connect(Recorder(lambda transport: seen.append(proxy_header(transport))))
        self.assertIsNone(proxy_header(self.transport))
        self.receive(DATA)
        self.assertEqual(seen, [HEADER])
        self.assertIsNone(proxy_header(object()))

    def test_refused_by_the_factory(self) -> None:
        self.connect(None)
        self.receive(DATA + b"hello")
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(proxy_header(self.transport))
        self.assertEqual(self.transport.getPeer(), PROXY)
        self.assert_nothing_left()
        self.receive(b"late")
        self.transport.lose()
        self.assertEqual(self.factory.clients, [CLIENT])

    def test_a_factory_that_fails(self) -> None:
        """It ends the connection, as an exception in dataReceived does."""
        self.connect(BrokenError())
        self.assertRaises(BrokenError, self.receive, DATA)
        self.assert_nothing_left()
        self.transport.lose()
        self.assertEqual(self.refused, [])

    def test_a_protocol_that_fails(self) -> None:
        def fail(transport: object) -> None:
            raise BrokenError

        self.connect(Recorder(fail))
        self.assertRaises(BrokenError, self.receive, DATA + b"hello")
        self.assertIs(self.transport.protocol, self.built)
        self.transport.lose()
        self.assertEqual(self.built.heard, [(CLIENT, SITE), "lost"])
        self.assert_nothing_left()

    def test_a_transport_that_cannot_be_handed_over(self) -> None:
        clock, factory = Clock(), Building(Recorder())
        protocol = ProxyProtocol(factory, clock)
        transport = RawTransport(Recorder())
        protocol.makeConnection(transport)
        self.assertTrue(transport.aborted)
        protocol.dataReceived(DATA)
        self.assertEqual(factory.clients, [])
        self.assertEqual(clock.getDelayedCalls(), [])


class PausingTest(ProxyCase):
    """A protocol that stops reading while it is made."""

    def pausing(self) -> None:
        self.connect(Recorder(RawTransport.pauseProducing))
        self.receive(DATA + b"hello")
        self.assertEqual(self.built.heard, [(CLIENT, SITE)])
        self.assertFalse(self.transport.reading)

    def test_data_wait_until_it_resumes(self) -> None:
        self.pausing()
        self.clock.advance(100)
        self.assertEqual(self.built.heard[1:], [])
        self.transport.resumeProducing()
        self.assertEqual(self.built.heard[1:], [])  # not before resumeProducing has returned
        self.assertFalse(self.transport.reading)
        self.clock.advance(0)
        self.assertEqual(self.built.heard[1:], [b"hello"])
        self.assertTrue(self.transport.reading)
        self.assert_nothing_left()
        self.assert_transport_is_its_own()

    def test_it_may_pause_again(self) -> None:
        self.pausing()
        for _ in range(3):
            self.transport.resumeProducing()
            self.transport.resumeProducing()
            self.transport.pauseProducing()
            self.clock.advance(1)
            self.assert_nothing_left()
        self.assertEqual(self.built.heard[1:], [])
        self.transport.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.built.heard[1:], [b"hello"])

    def test_pausing_and_resuming_at_once(self) -> None:
        def both(transport: RawTransport) -> None:
            transport.pauseProducing()
            transport.resumeProducing()

        self.connect(Recorder(both))
        self.receive(DATA + b"hello")
        self.assertEqual(self.built.heard[1:], [b"hello"])
        self.assertTrue(self.transport.reading)
        self.assert_nothing_left()

    def test_it_may_pause_on_delivery(self) -> None:
        class PausesOnData(Recorder):
            def dataReceived(self, data: bytes) -> None:
                self.transport.pauseProducing()

        self.connect(PausesOnData())
        self.receive(DATA + b"hello")
        self.assertFalse(self.transport.reading)
        self.assert_transport_is_its_own()

    def test_nothing_is_delivered_once_it_has_closed(self) -> None:
        for close in (RawTransport.loseConnection, RawTransport.abortConnection):
            self.connect(Recorder(close))
            self.receive(DATA + b"hello")
            self.clock.advance(1)
            self.assertEqual(self.built.heard, [(CLIENT, SITE)])

    def test_the_connection_is_lost_meanwhile(self) -> None:
        self.pausing()
        self.transport.resumeProducing()
        self.transport.lose()
        self.assert_nothing_left()
        self.assertEqual(self.built.heard[1:], ["lost"])

    def test_a_protocol_that_fails(self) -> None:
        class Failing(Recorder):
            def dataReceived(self, data: bytes) -> None:
                raise BrokenError

        self.connect(Failing(RawTransport.pauseProducing))
        self.receive(DATA + b"hello")
        self.transport.resumeProducing()
        self.clock.advance(0)
        self.assertTrue(self.transport.aborted)
        self.assertEqual(len(self.flushLoggedErrors(BrokenError)), 1)


class RefusalTest(ProxyCase):
    def test_no_header(self) -> None:
        self.connect()
        self.receive(b"GET / HTTP/1.1\r\n")
        self.assert_refused("proxy_header")

    def test_a_bad_header(self) -> None:
        for data in (encode_v1(HEADER)[:-2] + b"\n", DATA[:12] + b"\x31"):
            self.connect()
            self.receive(data)
            self.assert_refused("proxy_header")

    def test_timeout(self) -> None:
        for received in (b"", b"PROXY", DATA[:-1]):
            self.connect()
            self.receive(received)
            self.clock.advance(HEADER_SECONDS - 0.01)
            self.assertFalse(self.transport.aborted)
            self.clock.advance(0.01)
            self.assert_refused("proxy_timeout")

    def test_bytes_do_not_prolong_the_time(self) -> None:
        self.connect()
        for byte in DATA[:4]:
            self.clock.advance(HEADER_SECONDS / 4)
            self.receive(bytes([byte]))
        self.assert_refused("proxy_timeout")

    def test_closed_within_the_header(self) -> None:
        self.connect()
        self.receive(DATA[:-1])
        self.transport.lose()
        self.assertEqual(self.refused, [("proxy_header", PROXY)])
        self.assert_nothing_left()

    def test_closed_without_a_byte(self) -> None:
        self.connect()
        self.transport.lose()
        self.assertEqual(self.refused, [])
        self.assert_nothing_left()

    def test_a_longest_header(self) -> None:
        for limit, clients in ((len(DATA) - 16, [CLIENT]), (len(DATA) - 17, [])):
            self.connect(max_announced=limit)
            self.receive(DATA)
            self.assertEqual(self.factory.clients, clients)


class ISpeaking(Interface):
    """Something that a factory may provide."""


@implementer(ISpeaking)
class Speaking(Factory):
    protocol = Recorder
    word = "hello"


class FactoryTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wrapped = Speaking()
        self.told: list[tuple[str, IAddress]] = []
        self.factory = ProxyFactory(
            self.wrapped,
            IPSet(["10.0.0.0/8", "fe80::/10"]),
            self.clock,
            2.0,
            lambda *each: self.told.append(each),
        )

    def test_it_is_like_the_wrapped_one(self) -> None:
        self.assertTrue(ISpeaking.providedBy(self.factory))
        self.assertTrue(IProtocolFactory.providedBy(self.factory))
        self.assertEqual(self.factory.word, "hello")
        self.assertRaises(AttributeError, getattr, self.factory, "nothing")
        self.factory.doStart()
        self.assertEqual(self.wrapped.numPorts, 1)
        self.factory.doStop()

    def test_a_proxy(self) -> None:
        protocol = self.factory.buildProtocol(PROXY)
        assert protocol is not None
        transport = RawTransport(protocol)
        protocol.makeConnection(transport)
        transport.protocol.dataReceived(DATA + b"hello")
        built = transport.protocol
        assert isinstance(built, Recorder)
        self.assertIs(built.factory, self.wrapped)
        self.assertEqual(built.heard, [(CLIENT, SITE), b"hello"])
        self.assertEqual(self.factory.refusals, {})

    def test_who_is_trusted(self) -> None:
        for peer, trusted in (
            (PROXY, True),
            (IPv4Address("TCP", "11.0.0.1", 1), False),
            (IPv6Address("TCP", "::ffff:10.0.0.1", 1), True),
            (IPv6Address("TCP", "::ffff:11.0.0.1", 1), False),
            (IPv6Address("TCP", "fe80::1%eth0", 1), True),
            (IPv6Address("TCP", "2001:db8::1", 1), False),
            (UNIXAddress(b"/run/x"), True),
            (UNIXAddress(None), True),
            (HostnameAddress(b"proxy.example", 1), False),
        ):
            self.assertEqual(is_trusted(peer, self.factory.trusted), trusted)
            self.assertEqual(self.factory.buildProtocol(peer) is not None, trusted)
        self.assertEqual(self.factory.refusals, {"proxy_source": 4})
        self.assertEqual({reason for reason, _ in self.told}, {"proxy_source"})
        self.assertEqual(self.told[0][1], IPv4Address("TCP", "11.0.0.1", 1))

    def test_trust_may_change(self) -> None:
        self.factory.trusted = IPSet()
        self.assertIsNone(self.factory.buildProtocol(PROXY))

    def test_refusals_are_counted(self) -> None:
        for data in (b"x", b"", b"", b"y"):
            protocol = self.factory.buildProtocol(PROXY)
            assert protocol is not None
            protocol.makeConnection(RawTransport(protocol))
            protocol.dataReceived(data)
        self.clock.advance(1.9)
        self.assertEqual(self.factory.refusals, {"proxy_header": 2})
        self.clock.advance(0.2)
        self.assertEqual(self.factory.refusals, {"proxy_header": 2, "proxy_timeout": 2})
        self.assertEqual(len(self.told), 4)


class FaceTest(SynchronousTestCase):
    def test_every_public_name_is_there(self) -> None:
        for name in proxy.__all__:
            self.assertTrue(hasattr(proxy, name), name)
