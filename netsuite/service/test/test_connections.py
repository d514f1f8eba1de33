from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IProtocolFactory, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.service._admission import Refusal
from netsuite.service._connections import Connection, Gate

PEER = IPv4Address("TCP", "192.0.2.1", 5000)
DONE = Failure(ConnectionDone())


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
