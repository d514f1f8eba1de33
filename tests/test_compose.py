"""netsuite inside somebody else's Twisted program, on the reactor that runs the tests."""

from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, serverFromString
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.echo import EchoFactory
from netsuite.echo.service import EchoConfig, ServiceConfig, build_service
from netsuite.net.endpoints import server_endpoint
from netsuite.service import Daemon, DaemonConfig, DrainingService, Listener, StartError

PATIENCE = 60.0


@pytest.fixture
def reactor() -> Any:
    """The reactor that pytest-twisted runs."""
    from twisted.internet import reactor

    return reactor


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """Sends, half-closes, and gathers what comes back."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.heard: Deferred[None] = Deferred()
        self.closed: Deferred[type[BaseException] | None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if not self.heard.called:
            self.heard.callback(None)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None: ...

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed.callback(reason.type)


async def connect(reactor: Any, port: int) -> Client:
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    client = await endpoint.connect(Factory.forProtocol(Client)).addTimeout(PATIENCE, reactor)
    assert isinstance(client, Client)
    return client


async def test_a_factory_on_a_stock_endpoint(reactor: Any) -> None:
    factory = EchoFactory()
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    try:
        client = await connect(reactor, port.getHost().port)
        client.transport.write(b"x" * 1_000_000)
        client.transport.loseWriteConnection()
        assert await client.closed.addTimeout(PATIENCE, reactor) is error.ConnectionDone
        assert client.received == b"x" * 1_000_000
        assert factory.counters.bytes_sent == 1_000_000
    finally:
        await port.stopListening()


async def test_any_endpoint_and_factory_can_be_drained(reactor: Any) -> None:
    """A stock factory, in a DrainingService: it waits for connections to close."""

    class Upper(Protocol):
        def dataReceived(self, data: bytes) -> None:
            assert self.transport is not None
            self.transport.write(data.upper())

    service = DrainingService(
        server_endpoint(reactor, "tcp:0:interface=127.0.0.1"), Factory.forProtocol(Upper), reactor
    )
    service.startService()
    assert service.port is not None
    port = service.port.getHost().port  # type: ignore[attr-defined]  # TCP's has one
    client = await connect(reactor, port)
    client.transport.write(b"hello")
    await client.heard.addTimeout(PATIENCE, reactor)
    stopped = service.stopService()
    with pytest.raises(error.ConnectionRefusedError):
        await connect(reactor, port)
    assert not stopped.called
    client.transport.loseConnection()
    await stopped.addTimeout(PATIENCE, reactor)
    assert (client.received, service.active, service.aborted) == (b"HELLO", 0, 0)


async def test_the_service_without_twistd(reactor: Any) -> None:
    config = EchoConfig(
        services=(ServiceConfig(listen=("dualstack:0",)),),
        daemon=DaemonConfig(drain_timeout=0.2),
    )
    service = build_service(config, reactor)
    service.startService()
    ipv4, ipv6 = service.addresses
    assert ipv4.port == ipv6.port  # type: ignore[attr-defined]  # both TCP
    client = await connect(reactor, ipv4.port)  # type: ignore[attr-defined]  # TCP
    client.transport.write(b"hello")
    await client.heard.addTimeout(PATIENCE, reactor)
    assert service.counters["echo"].active == 1
    await service.stopService().addTimeout(PATIENCE, reactor)
    await client.closed.addTimeout(PATIENCE, reactor)
    assert client.received == b"hello"
    assert (service.counters["echo"].active, service.aborted) == (0, 0)


async def test_a_daemon_of_one_s_own_listens_nowhere_if_it_cannot_listen_everywhere(
    reactor: Any,
) -> None:
    first = Daemon(
        DaemonConfig(),
        [Listener(name="first", factory=EchoFactory(), endpoints=("tcp:0:interface=127.0.0.1",))],
        reactor,
    )
    first.startService()
    [taken] = first.addresses
    second = Daemon(
        DaemonConfig(),
        [
            Listener(
                name="second",
                factory=EchoFactory(),
                endpoints=(
                    "tcp:0:interface=127.0.0.1",
                    f"tcp:{taken.port}:interface=127.0.0.1",  # type: ignore[attr-defined]  # TCP
                ),
            )
        ],
        reactor,
    )
    with pytest.raises(StartError, match="address already in use"):
        second.startService()
    assert second.addresses == ()
    await first.stopService().addTimeout(PATIENCE, reactor)
