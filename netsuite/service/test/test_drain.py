from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IReactorTime, IReadDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from netsuite.ip import IPSet
from netsuite.net.certificates import ServerCertificates, TLSConfig
from netsuite.net.endpoints import server_endpoint
from netsuite.net.test.fake_sockets import SocketReactor, connect
from netsuite.net.tls import TLSFactory
from netsuite.service import DrainingService
from netsuite.service._admission import Admission, AdmissionRules, Refusal


class FakePort:
    """A listening port with connections that wait to be accepted."""

    def __init__(self, pending: int = 0) -> None:
        self.pending = pending
        self.factory: Any = None
        self.stopped: Deferred[None] | None = None
        alsoProvides(self, IReadDescriptor)

    def doRead(self) -> None:
        for _ in range(min(self.pending, 2)):
            self.pending -= 1
            self.connect()

    def connect(self) -> Any:
        protocol = self.factory.buildProtocol(None)
        if protocol is not None:
            transport = FakeTransport(protocol)
            protocol.makeConnection(transport)
        return protocol

    def stopListening(self) -> Deferred[None]:
        self.stopped = Deferred()
        return self.stopped


class FakeTransport(StringTransport):
    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.end()

    def end(self) -> None:
        self.connectionLost(Failure(ConnectionDone()))

    def connectionLost(self, reason: Failure) -> None:
        self.protocol.connectionLost(reason)


class FakeEndpoint:
    def __init__(self, port: FakePort) -> None:
        self.port = port
        self.result: Deferred[Any] | None = None

    def listen(self, factory: Any) -> Deferred[Any]:
        self.port.factory = factory
        return self.result if self.result is not None else succeed(self.port)


class Patient(Protocol):
    """Never closes by itself."""

    transport: FakeTransport


class Willing(Patient):
    asked: tuple[IReactorTime, float] | None = None

    def drain(self, clock: IReactorTime, grace: float) -> None:
        self.asked = (clock, grace)


class DrainingServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.port = FakePort()
        self.endpoint = FakeEndpoint(self.port)

    def serve(self, protocol: type[Protocol] = Patient, timeout: float = 10) -> DrainingService:
        self.service = DrainingService(
            self.endpoint,  # type: ignore[arg-type]  # enough of an endpoint
            Factory.forProtocol(protocol),
            self.clock,
            timeout,
        )
        self.service.startService()
        return self.service

    def test_listens_once(self) -> None:
        service = self.serve()
        self.assertIs(service.port, self.port)
        self.assertTrue(service.running)

    def test_stop_fires_when_the_port_is_closed(self) -> None:
        stopped = self.serve().stopService()
        self.assertNoResult(stopped)
        assert self.port.stopped is not None
        self.port.stopped.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def stop(self) -> Deferred[None]:
        stopped = self.service.stopService()
        assert self.port.stopped is not None
        self.port.stopped.callback(None)
        return stopped

    def test_stop_waits_for_connections(self) -> None:
        self.serve()
        first, second = self.port.connect(), self.port.connect()
        stopped = self.stop()
        first.transport.end()
        self.assertNoResult(stopped)
        second.transport.end()
        self.successResultOf(stopped)
        self.assertEqual(self.service.aborted, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_protocols_that_can_are_asked_to_finish(self) -> None:
        self.serve(Willing, 7)
        protocol = self.port.connect()
        stopped = self.stop()
        self.assertEqual(protocol.asked, (self.clock, 7))
        self.assertFalse(protocol.transport.aborted)
        protocol.transport.end()
        self.successResultOf(stopped)

    def test_what_is_left_when_time_is_up_is_aborted(self) -> None:
        self.serve(Willing, 7)
        protocol = self.port.connect()
        stopped = self.stop()
        self.clock.advance(6.9)
        self.assertFalse(protocol.transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(protocol.transport.aborted)
        self.successResultOf(stopped)
        self.assertEqual(self.service.aborted, 1)

    def test_abort_ends_the_drain_at_once(self) -> None:
        self.serve()
        protocol = self.port.connect()
        stopped = self.stop()
        self.service.abort()
        self.assertTrue(protocol.transport.aborted)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connections_already_made_are_taken_before_the_port_closes(self) -> None:
        self.serve()
        self.port.pending = 5
        stopped = self.stop()
        self.assertEqual((self.port.pending, self.service.active), (0, 5))
        self.service.abort()
        self.successResultOf(stopped)

    def test_a_flood_does_not_keep_it_from_stopping(self) -> None:
        self.serve()
        self.port.pending = 10_000
        self.stop()
        self.assertGreater(self.port.pending, 9_000)

    def test_none_after_that(self) -> None:
        self.serve()
        self.stop()
        self.assertIsNone(self.port.connect())

    def test_a_protocol_that_fails_to_drain_is_aborted_alone(self) -> None:
        class Broken(Patient):
            def drain(self, clock: IReactorTime, grace: float) -> None:
                raise RuntimeError("a bug")

        self.serve(Broken)
        self.port.connect()
        self.port.connect()
        self.successResultOf(self.stop())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_stopping_twice_is_stopping_once(self) -> None:
        self.serve()
        protocol = self.port.connect()
        first = self.stop()
        second = self.service.stopService()
        self.assertNoResult(second)
        protocol.transport.end()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_it_can_be_started_again(self) -> None:
        self.serve()
        self.successResultOf(self.stop())
        self.service.startService()
        self.assertIsNotNone(self.port.connect())
        self.service.abort()
        self.successResultOf(self.stop())

    def test_stop_without_start(self) -> None:
        service = DrainingService(self.endpoint, Factory(), self.clock)  # type: ignore[arg-type]  # enough of an endpoint
        self.successResultOf(service.stopService())

    def test_failing_to_listen_at_once_is_raised(self) -> None:
        self.endpoint.result = fail(CannotListenError("", 7, OSError("taken")))
        with self.assertRaises(CannotListenError):
            self.serve()
        self.assertIsNone(self.service.port)
        self.successResultOf(self.service.stopService())

    def test_failing_to_listen_later_is_logged(self) -> None:
        self.endpoint.result = Deferred()
        self.serve()
        self.endpoint.result.errback(CannotListenError("", 7, OSError("taken")))
        self.assertEqual(len(self.flushLoggedErrors(CannotListenError)), 1)

    def test_stop_before_it_listens(self) -> None:
        self.endpoint.result = Deferred()
        self.serve()
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.flushLoggedErrors(CancelledError), [])

    def test_a_zero_timeout_aborts_at_once(self) -> None:
        self.serve(timeout=0)
        protocol = self.port.connect()
        stopped = self.stop()
        self.clock.advance(0)
        self.assertTrue(protocol.transport.aborted)
        self.successResultOf(stopped)


class Watched(ServerCertificates):
    """Certificates that count who asks for them."""

    asked = 0

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:
        self.asked += 1
        return super().serverConnectionForTLS(tlsProtocol)


class LayersTests(SynchronousTestCase):
    """What an endpoint of ours brings, and what the daemon brings for one that has nothing."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def service(self, description: str, **more: Any) -> tuple[DrainingService, Any]:
        service = DrainingService(
            server_endpoint(self.reactor, description),
            Factory.forProtocol(Patient),
            self.reactor,
            **more,
        )
        service.startService()
        return service, self.reactor.tcpServers[-1][1]

    def connect(self, service: DrainingService) -> None:
        protocol = service.gate.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        assert protocol is not None
        protocol.makeConnection(StringTransport())

    def test_the_gate_is_next_to_the_socket(self) -> None:
        for description in ("tcp:80", "tcp:443:tlsSelfSigned=yes", "tcp:80:proxyFrom=192.0.2.1"):
            service, at_the_socket = self.service(description)
            self.assertIs(at_the_socket, service.gate)

    def test_own_tls_wins(self) -> None:
        others = Watched(TLSConfig(self_signed=True))
        service, _ = self.service("tcp:443:tlsSelfSigned=yes", certificates=others)
        self.assertIsInstance(service.gate.wrapped, TLSFactory)
        self.connect(service)
        self.assertEqual(others.asked, 0)

    def test_tls_for_one_that_has_none(self) -> None:
        certificates = Watched(TLSConfig(self_signed=True))
        service, _ = self.service("tcp:443", certificates=certificates)
        self.connect(service)
        self.assertEqual(certificates.asked, 1)

    def test_own_proxies_win_and_stay(self) -> None:
        service, _ = self.service(
            "tcp:80:proxyFrom=192.0.2.1:proxyTimeout=3", proxies=IPSet(["192.0.2.2"])
        )
        own = (IPSet(["192.0.2.1"]), 3)
        self.assertEqual((service.gate.proxies, service.gate.proxy_timeout), own)
        service.change_proxies(IPSet(["192.0.2.3"]), 9)
        self.assertEqual((service.gate.proxies, service.gate.proxy_timeout), own)

    def test_proxies_for_one_that_has_none(self) -> None:
        service, _ = self.service("tcp:80", proxies=IPSet(["192.0.2.2"]), proxy_timeout=4)
        self.assertEqual(service.gate.proxies, IPSet(["192.0.2.2"]))
        service.change_proxies(None, 9)
        self.assertIsNone(service.gate.proxies)


class DrainingBehindProxyTests(SynchronousTestCase):
    """Connections of which nobody knows yet for whom they are."""

    PROXIES = IPSet(["192.0.2.0/24"])
    HEADER = b"PROXY TCP4 203.0.113.9 192.0.2.1 4000 80\r\n"

    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.port = FakePort()
        self.service = DrainingService(
            FakeEndpoint(self.port),  # type: ignore[arg-type]  # enough of an endpoint
            Factory.forProtocol(Willing),
            self.reactor,
            proxies=self.PROXIES,
            proxy_timeout=3,
        )
        self.service.startService()
        protocol = self.service.gate.buildProtocol(IPv4Address("TCP", "192.0.2.9", 1))
        self.transport: Any = connect(protocol, self.reactor)

    def stop(self) -> Deferred[None]:
        stopped = self.service.stopService()
        assert self.port.stopped is not None
        self.port.stopped.callback(None)
        self.assertNoResult(stopped)
        return stopped

    def test_a_client_that_is_named_during_a_drain_is_asked_to_finish(self) -> None:
        stopped = self.stop()
        self.transport.socket.incoming += self.HEADER
        self.reactor.run(0)
        self.assertEqual(self.transport.protocol.asked, (self.reactor, 10))
        self.transport.loseConnection()
        self.reactor.run(0)
        self.successResultOf(stopped)
        self.assertEqual((self.service.aborted, self.reactor.getDelayedCalls()), (0, []))

    def test_one_that_is_never_named_is_gone_in_time(self) -> None:
        stopped = self.stop()
        self.reactor.run(3)
        self.successResultOf(stopped)
        self.assertEqual((self.service.aborted, self.reactor.getDelayedCalls()), (0, []))


class AdmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.port = FakePort()

    def service(self, **rules: Any) -> DrainingService:
        self.admission = Admission(AdmissionRules(**rules), self.clock.seconds)
        service = DrainingService(
            FakeEndpoint(self.port),  # type: ignore[arg-type]  # enough of an endpoint
            Factory.forProtocol(Patient),
            self.clock,
            admission=self.admission,
        )
        service.startService()
        return service

    def test_refused_connections_do_not_hide_those_that_wait_behind_them(self) -> None:
        """Who is refused leaves a place in the kernel's queue, and no more."""
        service = self.service()
        self.port.pending = 6
        decisions = [Refusal.ACCESS, Refusal.ACCESS, None, None, None, None]
        self.admission.refusal = lambda address: decisions.pop(0)  # type: ignore[method-assign]  # in this order
        service.stopService()
        self.assertEqual((service.active, self.port.pending), (4, 0))

    def test_a_flood_of_refused_connections_does_not_keep_it_from_stopping(self) -> None:
        service = self.service(max_connections=1)
        self.port.pending = 10_000
        service.stopService()
        self.assertGreater(self.port.pending, 9_000)

    def test_why_they_were_cut(self) -> None:
        service = self.service()
        self.port.connect()
        [connection] = service.gate.connections
        service.abort()
        self.assertEqual((connection.ended, self.admission.active), ("drain", 0))
