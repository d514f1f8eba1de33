from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IReactorTime, IReadDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from netsuite.service import DrainingService


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
