from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.ip import AccessList, IPSet
from netsuite.net.certificates import ServerCertificates, TLSConfig
from netsuite.net.test.fake_sockets import SocketReactor, connect
from netsuite.net.tls import TLSFactory, TLSProtocol
from netsuite.service._admission import Admission, AdmissionRules, Refusal
from netsuite.service._connections import Connection, Gate
from netsuite.service._refusal import LINGER_SECONDS, MOST_SPOKEN_TO

PEER = IPv4Address("TCP", "192.0.2.7", 50_000)
DONE = Failure(ConnectionDone())
CERTIFICATES = ServerCertificates(TLSConfig(self_signed=True))


class Plain(Protocol):
    lost = 0

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost += 1


class RealTransport(StringTransport):
    """A transport that ends as Twisted's do: by a connectionLost of its own."""

    protocol: Any = None

    def connectionLost(self, reason: Failure) -> None:
        self.protocol.connectionLost(reason)


@implementer(IProtocolNegotiationFactory)
class NegotiatingFactory(Factory):
    protocol = Plain
    colour = "green"

    def acceptableProtocols(self) -> list[bytes]:
        return [b"h2"]


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[int] = []
        self.refusals: list[Refusal] = []
        self.factory = Gate(NegotiatingFactory(), Clock(), observers=(self,))

    def opened(self, connection: Connection) -> None:
        """Observe."""

    def closed(self, connection: Connection, reason: Failure) -> None:
        self.told.append(len(self.factory.connections))

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def connect(self, transport: Any) -> Any:
        protocol = self.factory.buildProtocol(PEER)
        assert protocol is not None
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol

    def test_it_stands_for_what_it_wraps(self) -> None:
        self.assertTrue(IProtocolFactory.providedBy(self.factory))
        self.assertTrue(IProtocolNegotiationFactory.providedBy(self.factory))
        self.assertEqual(self.factory.acceptableProtocols(), [b"h2"])
        self.assertEqual(self.factory.colour, "green")
        self.assertEqual(self.factory.logPrefix(), "NegotiatingFactory")

    def test_protocols_stay_themselves(self) -> None:
        protocol = self.connect(RealTransport())
        self.assertIs(type(protocol), Plain)
        self.assertNotIn("makeConnection", vars(protocol))

    def test_a_connection_is_known_until_it_is_gone(self) -> None:
        transport = RealTransport()
        protocol = self.connect(transport)
        self.assertEqual(len(self.factory.connections), 1)
        transport.connectionLost(DONE)
        self.assertEqual(protocol.lost, 1)
        self.assertEqual(self.told, [0], "told once, after the protocol was")
        self.assertNotIn("connectionLost", vars(transport), "no cycle is left behind")

    def test_a_transport_without_an_end_of_its_own(self) -> None:
        protocol = self.connect(StringTransport())
        protocol.connectionLost(DONE)
        self.assertEqual((protocol.lost, self.told), (1, [0]))

    def test_a_transport_handed_to_another_protocol(self) -> None:
        transport = RealTransport()
        first = self.connect(transport)
        transport.protocol = second = Plain()
        transport.connectionLost(DONE)
        self.assertEqual((first.lost, second.lost, self.told), (0, 1, [0]))

    def test_a_protocol_that_fails_at_the_end_is_gone_all_the_same(self) -> None:
        transport = RealTransport()
        self.connect(transport)

        def fail(reason: Failure) -> None:
            raise RuntimeError("a bug")

        transport.protocol.connectionLost = fail
        with self.assertRaises(RuntimeError):
            transport.connectionLost(DONE)
        self.assertEqual(self.told, [0])

    def test_refused_by_the_wrapped_factory(self) -> None:
        self.factory.wrapped.buildProtocol = lambda addr: None  # type: ignore[method-assign]  # for once
        self.assertIsNone(self.factory.buildProtocol(None))  # type: ignore[arg-type]  # no address needed

    def test_refused_while_refusing(self) -> None:
        self.factory.refusing = True
        self.assertIsNone(self.factory.buildProtocol(None))  # type: ignore[arg-type]  # no address needed

    def test_abort(self) -> None:
        class Abortable(RealTransport):
            aborted = False

            def abortConnection(self) -> None:
                self.aborted = True

        transport = Abortable()
        self.connect(transport)
        [connection] = self.factory.connections
        connection.abort()
        self.assertTrue(transport.aborted)


def behind_tls(gate: Any, clock: IReactorTime) -> TLSFactory:
    """What an ``ssl:`` endpoint does with a factory."""
    tls = TLSFactory(CERTIFICATES, False, gate, clock)
    gate.move_outside(tls)
    return tls


class ProxyCase(SynchronousTestCase):
    """A gate in front of transports of Twisted's own, over sockets in memory."""

    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.events: list[tuple[str, object]] = []
        self.made: list[Any] = []

    def opened(self, connection: Connection) -> None:
        self.events.append(("opened", connection.peer))

    def closed(self, connection: Connection, reason: Failure) -> None:
        self.events.append(("closed", connection.entered))

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        self.events.append((str(refusal), peer))

    def gate(self, factory: Any = None, **more: Any) -> Gate:
        return Gate(factory or NegotiatingFactory(), self.reactor, observers=(self,), **more)

    def connect(self, gate: Gate, peer: IAddress = PEER, sent: bytes = b"") -> Any:
        """The transport of a connection that came in, with what it has sent; None if it did not."""
        protocol = gate.buildProtocol(peer)
        if protocol is None:
            return None
        transport = connect(protocol, self.reactor)
        transport.far = transport.socket  # which a transport forgets at its end
        transport.far.incoming += sent
        self.reactor.run(0)
        return transport


class BehindProxyTests(ProxyCase):
    PROXIES = IPSet(["192.0.2.0/24"])
    HEADER = b"PROXY TCP4 203.0.113.9 192.0.2.1 4000 80\r\n"
    CLIENT = IPv4Address("TCP", "203.0.113.9", 4000)

    def admission(self, **rules: Any) -> Admission:
        return Admission(AdmissionRules(**rules), self.reactor.seconds)

    def test_who_is_no_proxy_is_refused(self) -> None:
        gate = self.gate(proxies=self.PROXIES)
        spoofer = IPv4Address("TCP", "198.51.100.1", 1)
        self.assertIsNone(self.connect(gate, spoofer, self.HEADER))
        self.assertEqual(self.events, [("proxy_source", spoofer)])
        self.assertEqual(gate.connections, set())

    def test_a_mapped_proxy_is_an_ipv4_proxy(self) -> None:
        gate = self.gate(proxies=self.PROXIES)
        mapped = IPv6Address("TCP", "::ffff:192.0.2.1", 1)
        self.assertIsNotNone(self.connect(gate, mapped))
        outside = IPv6Address("TCP", "::ffff:198.51.100.1", 1)
        self.assertIsNone(self.connect(gate, outside))

    def test_a_peer_on_a_unix_socket_is_a_proxy(self) -> None:
        gate = self.gate(proxies=self.PROXIES)
        self.connect(gate, UNIXAddress("/run/proxy"), self.HEADER)
        self.assertEqual(self.events, [("opened", self.CLIENT)])

    def test_the_client_that_the_header_names_is_let_in(self) -> None:
        admission = self.admission(max_per_client=1)
        gate = self.gate(proxies=self.PROXIES, admission=admission)
        first = self.connect(gate)
        self.assertEqual((self.events, admission.active), ([], 0), "nobody knows for whom it is")
        self.assertEqual(len(gate.connections), 1)
        first.far.incoming += self.HEADER
        self.reactor.run(0)
        self.assertEqual((self.events, admission.active), ([("opened", self.CLIENT)], 1))
        [connection] = gate.connections
        self.assertEqual(connection.client, admission.client_of(ip_address("203.0.113.9")))
        self.assertIsInstance(connection.application, Plain)
        first.loseConnection()
        self.reactor.run(0)
        self.assertEqual(self.events[1:], [("closed", True)])
        self.assertEqual((admission.active, gate.connections), (0, set()))

    def test_limits_are_those_of_the_client_not_of_the_proxy(self) -> None:
        admission = self.admission(max_per_client=1)
        gate = self.gate(proxies=self.PROXIES, admission=admission)
        for last in range(1, 6):
            header = self.HEADER.replace(b"203.0.113.9", b"203.0.113.%d" % last)
            self.connect(gate, sent=header)
        self.assertEqual(admission.active, 5)
        again = self.connect(gate, sent=self.HEADER.replace(b"203.0.113.9", b"203.0.113.1"))
        self.assertEqual(self.events[5][0], "client_connections")
        self.assertTrue(again.far.closed)
        self.assertEqual(self.events[6:], [("closed", False)])
        self.assertEqual(admission.active, 5, "who was not let in does not leave")

    def test_access_and_bans_are_about_the_client(self) -> None:
        admission = self.admission(access=AccessList.from_text("deny 203.0.113.9\ndefault allow\n"))
        admission.bans.ban(ip_network("203.0.113.8/32"))
        gate = self.gate(proxies=self.PROXIES, admission=admission)
        self.connect(gate, sent=self.HEADER)
        self.connect(gate, sent=self.HEADER.replace(b"113.9", b"113.8"))
        self.connect(gate, sent=self.HEADER.replace(b"113.9", b"113.7"))
        self.assertEqual(
            [name for name, _ in self.events if name != "closed"], ["access", "banned", "opened"]
        )

    def test_a_proxys_own_connection_counts_for_the_proxy(self) -> None:
        """A health check: the header names nobody."""
        admission = self.admission(max_per_client=1)
        gate = self.gate(proxies=self.PROXIES, admission=admission)
        self.connect(gate, sent=b"PROXY UNKNOWN\r\n")
        self.assertEqual(self.events, [("opened", PEER)])

    def test_a_bad_header(self) -> None:
        gate = self.gate(proxies=self.PROXIES, admission=self.admission())
        transport = self.connect(gate, sent=b"GET / HTTP/1.1\r\n\r\n")
        self.reactor.run(0)
        self.assertEqual(self.events, [("proxy_header", PEER), ("closed", False)])
        self.assertTrue(transport.far.reset)

    def test_no_header_in_time(self) -> None:
        gate = self.gate(proxies=self.PROXIES, admission=self.admission(), proxy_timeout=3)
        self.connect(gate, sent=b"PROXY TCP4 ")
        self.reactor.run(2.9)
        self.assertEqual(self.events, [])
        self.reactor.run(0.2)
        self.assertEqual(self.events, [("proxy_timeout", PEER), ("closed", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_who_has_yet_to_say_who_it_is_counts(self) -> None:
        admission = self.admission(max_connections=3)
        gate = self.gate(proxies=self.PROXIES, admission=admission)
        waiting = [self.connect(gate) for _ in range(3)]
        self.assertIsNone(self.connect(gate))
        self.assertEqual(self.events, [("connections", PEER)])
        for transport in waiting[:2]:
            transport.far.incoming += self.HEADER
        self.reactor.run(0)
        self.assertEqual(admission.active, 2)
        self.assertIsNone(self.connect(gate), "2 are in and 1 waits")
        waiting[2].abortConnection()
        self.reactor.run(0)
        last = self.connect(gate, sent=self.HEADER)
        self.assertEqual(admission.active, 3)
        for transport in (*waiting[:2], last):
            transport.abortConnection()
        self.reactor.run(0)
        again = [self.connect(gate) for _ in range(4)]
        self.assertEqual(again[3], None)
        self.assertNotIn(None, again[:3])

    def test_who_is_not_let_in_waits_no_more(self) -> None:
        admission = self.admission(max_connections=1, access=AccessList(default=False))
        gate = self.gate(proxies=self.PROXIES, admission=admission)
        for _ in range(3):
            self.assertIsNotNone(self.connect(gate, sent=self.HEADER))
        self.assertEqual([name for name, _ in self.events], ["access", "closed"] * 3)

    def test_a_factory_that_refuses_the_client(self) -> None:
        factory = NegotiatingFactory()
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign]  # for once
        gate = self.gate(factory, proxies=self.PROXIES, admission=self.admission())
        self.connect(gate, sent=self.HEADER)
        self.assertEqual(self.events, [("protocol", self.CLIENT), ("closed", False)])

    def test_bytes_behind_the_header_are_the_protocols(self) -> None:
        class Recorder(Plain):
            received = b""

            def dataReceived(self, data: bytes) -> None:
                self.received += data

        gate = self.gate(Factory.forProtocol(Recorder), proxies=self.PROXIES)
        self.connect(gate, sent=self.HEADER + b"hello")
        [connection] = gate.connections
        self.assertEqual(connection.application.received, b"hello")
        self.assertEqual(connection.bytes_received, len(self.HEADER) + 5)

    def test_the_list_can_change(self) -> None:
        gate = self.gate(proxies=self.PROXIES)
        waiting = self.connect(gate)
        gate.proxies = None
        self.connect(gate, IPv4Address("TCP", "198.51.100.1", 1))
        self.assertEqual(self.events[0][0], "opened")
        waiting.far.incoming += self.HEADER
        self.reactor.run(0)
        self.assertEqual(self.events[1], ("opened", self.CLIENT), "what has begun is finished")
        self.assertEqual(len(gate.connections), 2)

    def test_with_tls_the_header_comes_first(self) -> None:
        gate = self.gate(proxies=self.PROXIES)
        behind_tls(gate, self.reactor)
        self.connect(gate, sent=self.HEADER)
        [connection] = gate.connections
        self.assertIsInstance(connection.transport.protocol, TLSProtocol)
        self.assertIsInstance(connection.application, Plain)
        self.assertEqual(self.events, [("opened", self.CLIENT)])
        connection.abort()
        self.reactor.run(0)
        self.assertEqual(self.events[1:], [("closed", True)])


class TLSTests(ProxyCase):
    def test_the_gate_changes_places_with_tls(self) -> None:
        gate = self.gate()
        tls = behind_tls(gate, self.reactor)
        self.assertIs(gate.wrapped, tls)
        self.assertIsInstance(tls.wrappedFactory, NegotiatingFactory)
        transport = self.connect(gate)
        self.assertIsInstance(transport.protocol, TLSProtocol)
        [connection] = gate.connections
        self.assertIsInstance(connection.application, Plain)
        transport.abortConnection()
        self.reactor.run(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nothing_is_built_for_who_is_refused(self) -> None:
        """A handshake costs more than an accept."""
        admission = Admission(AdmissionRules(max_connections=1), self.reactor.seconds)
        gate = self.gate(admission=admission)
        behind_tls(gate, self.reactor)
        self.connect(gate)
        self.assertIsNone(self.connect(gate))
        self.assertEqual(self.events[1:], [("connections", PEER)])


class AdmissionTests(ProxyCase):
    def test_in_and_out(self) -> None:
        admission = Admission(AdmissionRules(max_per_client=2), self.reactor.seconds)
        gate = self.gate(admission=admission)
        first, second = self.connect(gate), self.connect(gate)
        self.assertIsNone(self.connect(gate))
        self.assertEqual(admission.active, 2)
        first.loseConnection()
        self.reactor.run(0)
        self.assertEqual(admission.active, 1)
        self.assertIsNotNone(self.connect(gate))
        second.abortConnection()
        self.reactor.run(0)
        self.assertEqual(admission.active, 1)

    def test_gates_share_an_admission(self) -> None:
        admission = Admission(AdmissionRules(max_connections=2), self.reactor.seconds)
        one, other = self.gate(admission=admission), self.gate(admission=admission)
        self.connect(one)
        self.connect(other)
        self.assertIsNone(self.connect(one))
        self.assertIsNone(self.connect(other))

    def test_a_protocol_that_is_not_built_is_not_counted(self) -> None:
        factory = NegotiatingFactory()
        admission = Admission(AdmissionRules(), self.reactor.seconds)
        gate = self.gate(factory, admission=admission)
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign]  # for once
        self.assertIsNone(self.connect(gate))
        self.assertEqual((self.events, admission.active), ([("protocol", PEER)], 0))

    def test_a_protocol_that_fails_at_the_start_is_gone_in_the_end(self) -> None:
        class Broken(Plain):
            def connectionMade(self) -> None:
                raise RuntimeError("a bug")

        admission = Admission(AdmissionRules(), self.reactor.seconds)
        gate = self.gate(Factory.forProtocol(Broken), admission=admission)
        with self.assertRaises(RuntimeError):
            self.connect(gate)
        [connection] = gate.connections
        connection.abort()
        self.reactor.run(0)
        self.assertEqual((admission.active, gate.connections), (0, set()))


class WordyFactory(NegotiatingFactory):
    """Has words for some of those that are not let in."""

    def refusal(self, reason: str) -> bytes | None:
        return None if reason == "banned" else b"no: " + reason.encode() + b"\r\n"


class RefusalTests(ProxyCase):
    def full(self, **more: Any) -> Gate:
        """A gate with nobody let in."""
        self.admission = Admission(AdmissionRules(max_connections=1), self.reactor.seconds)
        self.admission.enter(None)
        return self.gate(WordyFactory(), admission=self.admission, **more)

    def test_said_and_closed(self) -> None:
        gate = self.full()
        transport = self.connect(gate)
        self.assertEqual(bytes(transport.far.received), b"no: connections\r\n")
        self.assertTrue(transport.far.shut)
        self.assertFalse(transport.far.closed, "the peer has to read it first")
        self.assertEqual(self.events, [("connections", PEER)])
        transport.far.ended = True
        self.reactor.run(0)
        self.assertTrue(transport.far.closed)
        self.assertFalse(transport.far.reset)
        self.assertEqual(self.events[1:], [("closed", False)])
        self.assertEqual(self.admission.active, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_words_for_this_reason(self) -> None:
        gate = self.full()
        self.admission.bans.ban(ip_network("192.0.2.7/32"))
        self.assertIsNone(self.connect(gate))

    def test_bounded(self) -> None:
        gate = self.full()
        spoken_to = [self.connect(gate) for _ in range(MOST_SPOKEN_TO)]
        self.assertNotIn(None, spoken_to)
        self.assertIsNone(self.connect(gate), "one past it")
        self.assertEqual(len(self.events), MOST_SPOKEN_TO + 1)
        spoken_to[0].far.ended = True
        self.reactor.run(0)
        self.assertIsNotNone(self.connect(gate))
        self.assertIsNone(self.connect(gate))
        self.reactor.run(LINGER_SECONDS)
        self.assertEqual(gate.connections, set())
        self.assertIsNotNone(self.connect(gate))

    def test_behind_a_proxy(self) -> None:
        gate = self.full(proxies=BehindProxyTests.PROXIES)
        self.admission.change(AdmissionRules(access=AccessList(default=False)))
        transport = self.connect(gate, sent=BehindProxyTests.HEADER)
        self.assertEqual(bytes(transport.far.received), b"no: access\r\n")
        self.assertEqual(self.events, [("access", BehindProxyTests.CLIENT)])
        transport.far.ended = True
        self.reactor.run(0)
        self.assertEqual(self.events[1:], [("closed", False)])

    def test_not_under_tls(self) -> None:
        """It would cost a handshake to say so."""
        gate = self.full()
        behind_tls(gate, self.reactor)
        self.assertIsNone(self.connect(gate))

    def test_an_unmet_refusal_of_the_gate_itself_has_words_too(self) -> None:
        gate = self.gate(WordyFactory(), admission=None)
        gate.refusing = True
        self.assertIsNone(self.connect(gate), "while it stops, nothing is said")


class ClosingTests(ProxyCase):
    def close(self, protocol: type[Protocol]) -> Any:
        gate = self.gate(Factory.forProtocol(protocol))
        transport = self.connect(gate)
        [self.connection] = gate.connections
        self.connection.close("idle", 5.0)
        self.reactor.run(0)
        return transport

    def test_in_order(self) -> None:
        transport = self.close(Plain)
        self.assertTrue(transport.far.closed)
        self.assertFalse(transport.far.reset)
        self.assertEqual((self.connection.ended, self.connection.told), ("idle", 5.0))

    def test_in_the_protocols_own_words(self) -> None:
        class Polite(Plain):
            def expire(self, reason: str) -> None:
                assert self.transport is not None
                self.transport.write(reason.encode())

        transport = self.close(Polite)
        self.assertEqual(bytes(transport.far.received), b"idle")
        self.assertFalse(transport.far.closed)

    def test_the_first_reason_stays(self) -> None:
        class Stubborn(Plain):
            def expire(self, reason: str) -> None: ...

        self.close(Stubborn)
        self.connection.cut("drain")
        self.reactor.run(0)
        self.assertEqual(self.connection.ended, "idle")

    def test_a_connection_that_is_not_made_yet_can_be_cut(self) -> None:
        connection = Connection(PEER)
        connection.cut("ban")
        self.assertEqual(connection.ended, "ban")
        self.assertEqual((connection.bytes_received, connection.bytes_sent), (0, 0))
