"""TLS, addresses, other people's sockets, and connections that are not made, as with Twisted's."""

import random
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from OpenSSL.SSL import Error as TLSError
from twisted.internet import error, ssl
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    serverFromString,
    wrapClientTLS,
)
from twisted.internet.interfaces import ISSLTransport

from tests.reactors import Building, Recorder, World, aborted, on_both, stopped
from tests.test_reactor_connections import Sender


def contexts(certificate: Path) -> tuple[Any, Any]:
    """For a server, and for a client that trusts it."""
    key = (certificate / "key.pem").read_bytes()
    cert = (certificate / "cert.pem").read_bytes()
    server = ssl.PrivateCertificate.loadPEM(key + cert).options()
    client = ssl.CertificateOptions(trustRoot=ssl.Certificate.loadPEM(cert))
    return server, client


async def secured(world: World, certificate: Path, server: Recorder, client: Recorder) -> None:
    """A TLS connection by endpoints."""
    endpoint = serverFromString(
        world.reactor,
        f"ssl:0:interface=127.0.0.1:privateKey={certificate / 'key.pem'}"
        f":certKey={certificate / 'cert.pem'}",
    )
    port: Any = await endpoint.listen(Building(lambda: server))
    authority = ssl.Certificate.loadPEM((certificate / "cert.pem").read_bytes())
    options = ssl.optionsForClientTLS("localhost", trustRoot=authority)
    host = HostnameEndpoint(world.reactor, b"127.0.0.1", port.getHost().port)
    await wrapClientTLS(options, host).connect(Building(lambda: client))
    await world.until(lambda: server.transport is not None)
    for each in (server, client):
        world.closing(partial(aborted, each))
    await stopped(port)


@on_both
async def test_ten_megabytes_each_way(world: World, certificate: Path) -> None:
    server, client = Recorder(), Recorder()
    await secured(world, certificate, server, client)
    data = random.Random(4).randbytes(10_000_000)
    for each in (server, client):
        for start in range(0, len(data), 333_333):
            each.wire.write(data[start : start + 333_333])
    await world.until(lambda: len(server.received) >= len(data) <= len(client.received))
    assert server.received == data
    assert client.received == data
    client.wire.write(b"goodbye")
    client.wire.loseConnection()
    await world.until(lambda: server.lost and client.lost)
    assert server.received[len(data) :] == b"goodbye"
    assert (server.lost, client.lost) == ([error.ConnectionDone], [error.ConnectionDone])


@on_both
async def test_a_producer_under_tls(world: World, certificate: Path) -> None:
    server, client = Recorder(), Recorder()
    await secured(world, certificate, server, client)
    sender = Sender(server.wire, 10_000_000, 50_000)
    server.wire.registerProducer(sender, True)
    client.wire.pauseProducing()
    sender.resumeProducing()
    await world.until(lambda: sender.paused)
    await world.turns()
    assert sender.left > 0
    client.wire.resumeProducing()
    server.wire.loseConnection()
    await world.until(lambda: client.lost)
    assert len(client.received) == 10_000_000
    assert client.lost == [error.ConnectionDone]
    assert sender.asked_too_much == 0


@on_both
async def test_aborted_under_tls(world: World, certificate: Path) -> None:
    """The peer does not take it for an orderly end."""
    server, client = Recorder(), Recorder()
    await secured(world, certificate, server, client)
    client.wire.write(b"hello")
    await world.until(lambda: server.received)
    server.wire.write(bytes(1_000_000))
    server.wire.abortConnection()
    await world.until(lambda: server.lost and client.lost)
    assert server.lost == [error.ConnectionLost], "what Twisted's TLS calls it"
    assert client.lost == [error.ConnectionLost]


@on_both
async def test_no_tls(world: World, certificate: Path) -> None:
    """A peer that speaks something else is told to go, and it is not logged as ours."""
    server_options, _ = contexts(certificate)
    protocol = Recorder()
    port = world.reactor.listenSSL(
        0, Building(lambda: protocol), server_options, interface="127.0.0.1"
    )
    world.closing(port.stopListening)
    peer = await world.connect(port, protocol)
    await peer.send(b"GET / HTTP/1.0\r\n\r\n")
    await peer.end()
    await world.until(lambda: protocol.lost)
    assert len(protocol.lost) == 1
    assert issubclass(protocol.lost[0] or int, TLSError)
    assert protocol.received == b""


class StartTLS(Recorder):
    """Says a line in the clear, and then begins."""

    def __init__(self, context: Any, data: bytes, *, asks: bool) -> None:
        super().__init__()
        self.context, self.data, self.asks = context, data, asks
        self.clear = bytearray()
        self.secure = False

    def connectionMade(self) -> None:
        if self.asks:
            self.wire.write(b"STARTTLS\r\n")

    def dataReceived(self, data: bytes) -> None:
        if self.secure:
            self.received += data
            return
        self.clear += data
        if self.clear.endswith(b"\r\n"):
            self.secure = True
            if not self.asks:
                self.wire.write(b"220 go ahead\r\n")
            self.wire.startTLS(self.context)
            assert ISSLTransport.providedBy(self.wire)
            self.wire.write(self.data[:10])
            self.wire.writeSequence([self.data[10:1000], self.data[1000:]])


@on_both
async def test_starttls_in_mid_stream(world: World, certificate: Path) -> None:
    ours, theirs = contexts(certificate)
    data = random.Random(5).randbytes(2_000_000)
    server, client = StartTLS(ours, data, asks=False), StartTLS(theirs, data, asks=True)
    await world.pair(server, client)
    await world.until(lambda: len(server.received) >= len(data) <= len(client.received))
    assert (bytes(server.clear), bytes(client.clear)) == (b"STARTTLS\r\n", b"220 go ahead\r\n")
    assert server.received == data
    assert client.received == data
    assert client.wire.getPeerCertificate() is not None
    assert client.wire.getPeer().port == server.wire.getHost().port
    server.wire.loseConnection()
    await world.until(lambda: server.lost and client.lost)
    assert (server.lost, client.lost) == ([error.ConnectionDone], [error.ConnectionDone])


@on_both
async def test_starttls_at_once(world: World, certificate: Path) -> None:
    """Within ``connectionMade``."""
    ours, theirs = contexts(certificate)

    def server_made(protocol: Recorder) -> None:
        protocol.wire.startTLS(ours)
        protocol.wire.write(b"a secret")

    def client_made(protocol: Recorder) -> None:
        protocol.wire.startTLS(theirs)
        protocol.wire.write(b"another")
        protocol.wire.loseConnection()

    server, client = Recorder(connectionMade=server_made), Recorder(connectionMade=client_made)
    await world.pair(server, client)
    await world.until(lambda: server.lost and client.lost)
    assert server.received == b"another"
    assert (server.lost, client.lost) == ([error.ConnectionDone], [error.ConnectionDone])


@on_both
async def test_starttls_with_a_producer(world: World, certificate: Path) -> None:
    ours, theirs = contexts(certificate)
    senders: list[Sender] = []

    def server_made(protocol: Recorder) -> None:
        sender = Sender(protocol.wire, 3_000_000, 30_000)
        senders.append(sender)
        protocol.wire.registerProducer(sender, True)
        protocol.wire.startTLS(ours)
        sender.resumeProducing()

    server = Recorder(connectionMade=server_made)
    client = Recorder(connectionMade=lambda self: self.wire.startTLS(theirs))
    await world.pair(server, client)
    await world.until(lambda: len(client.received) >= 3_000_000)
    assert senders[0].left == 0
    server.wire.loseConnection()
    await world.until(lambda: server.lost and client.lost)


# Addresses.


@on_both
async def test_ipv6(world: World) -> None:
    server, client = Recorder(), Recorder()
    port = await world.listen(lambda: server, interface="::1")
    number = port.getHost().port
    assert port.getHost() == IPv6Address("TCP", "::1", number)
    world.reactor.connectTCP("::1", number, Building(lambda: client))
    await world.until(lambda: server.transport is not None and client.transport is not None)
    for each in (server, client):
        world.closing(partial(aborted, each))
    ends = [IPv6Address("TCP", "::1", client.wire.getHost().port), port.getHost()]
    assert [client.wire.getHost(), client.wire.getPeer()] == ends
    assert [server.wire.getPeer(), server.wire.getHost()] == ends
    client.wire.write(b"hello")
    await world.until(lambda: server.received == b"hello")
    assert server.wire.getHandle().family == socket.AF_INET6
    assert [client.wire.getHost(), client.wire.getPeer()] == ends
    assert [server.wire.getPeer(), server.wire.getHost()] == ends
    await stopped(port)


@on_both
async def test_ipv4_on_ipv6(world: World) -> None:
    """Twisted calls the address of such a peer an IPv6 one."""
    server = Recorder()
    port = await world.listen(lambda: server, interface="::")
    with socket.create_connection(("127.0.0.1", port.getHost().port)):
        await world.until(lambda: server.transport is not None)
        assert server.wire.getPeer().host == "::ffff:127.0.0.1"
        assert server.wire.getHost().host == "::ffff:127.0.0.1"
        assert isinstance(server.wire.getPeer(), IPv6Address)
    await world.until(lambda: server.lost)
    await stopped(port)


def link_local() -> str:
    """An address that needs its interface; "" where there is none."""
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        digits, *_, name = line.split()
        if digits.startswith("fe80"):
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)) + f"%{name}"
    return ""


@pytest.mark.skipif(not link_local(), reason="no interface has a link-local address")
@on_both
async def test_scope(world: World) -> None:
    server, client = Recorder(), Recorder()
    host = link_local()
    port = await world.listen(lambda: server, interface=host)
    world.reactor.connectTCP(host, port.getHost().port, Building(lambda: client))
    await world.until(lambda: server.transport is not None and client.transport is not None)
    for each in (server, client):
        world.closing(partial(aborted, each))
    assert server.wire.getHost().host == server.wire.getPeer().host == host
    assert client.wire.getHost().host == client.wire.getPeer().host == host
    await stopped(port)


# Sockets that others have made.


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
@on_both
async def test_a_connection_of_others(
    world: World, family: socket.AddressFamily, host: str
) -> None:
    protocol = Recorder(connectionMade=lambda self: self.wire.write(b"welcome"))
    with (
        socket.create_server((host, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as end,
    ):
        accepted, _ = listener.accept()
        end.send(b"early")
        world.reactor.adoptStreamConnection(accepted.fileno(), family, Building(lambda: protocol))
        assert protocol.wire.fileno() != accepted.fileno()
        accepted.close()
        await world.until(lambda: protocol.received == b"early")
        assert protocol.wire.getPeer().port == end.getsockname()[1]
        assert end.recv(100) == b"welcome"
        protocol.wire.loseConnection()
        await world.until(lambda: protocol.lost)
        assert end.recv(100) == b""
    assert protocol.lost == [error.ConnectionDone]


@on_both
async def test_a_connection_of_others_that_nobody_wants(world: World) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as end,
    ):
        accepted, _ = listener.accept()
        world.reactor.adoptStreamConnection(
            accepted.fileno(), socket.AF_INET, Building(lambda: None)
        )
        await world.turns()
        accepted.send(b"still there")
        assert end.recv(100) == b"still there"
        accepted.close()
        assert end.recv(100) == b""


@on_both
async def test_a_port_of_others(world: World) -> None:
    protocol = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        number = listener.getsockname()[1]
        port = world.reactor.adoptStreamPort(
            listener.fileno(), socket.AF_INET, Building(lambda: protocol)
        )
    assert port.getHost() == IPv4Address("TCP", "127.0.0.1", number)
    peer = await world.connect(port, protocol)
    await peer.send(b"hello")
    await world.until(lambda: protocol.received == b"hello")


# Connections that are not made.


@on_both
async def test_refused(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    endpoint = TCP4ClientEndpoint(world.reactor, "127.0.0.1", number)
    with pytest.raises(error.ConnectionRefusedError):
        await endpoint.connect(Building(Recorder))


@pytest.fixture
def full() -> Any:
    """The address of a port whose queue is full: who connects to it waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
            waiting.append(each)
        yield listener.getsockname()
        for each in waiting:
            each.close()


@on_both
async def test_timed_out(world: World, full: tuple[str, int]) -> None:
    endpoint = TCP4ClientEndpoint(world.reactor, *full, timeout=0.05)
    with pytest.raises(error.TimeoutError):
        await endpoint.connect(Building(Recorder))


@on_both
async def test_cancelled(world: World, full: tuple[str, int]) -> None:
    connecting = TCP4ClientEndpoint(world.reactor, *full).connect(Building(Recorder))
    await world.turns()
    connecting.cancel()
    with pytest.raises((error.ConnectingCancelledError, CancelledError)):
        await connecting


@on_both
async def test_from_an_address(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
    protocol = Recorder()
    peer = await world.dial(protocol, bindAddress=("127.0.0.2", number))
    assert peer.socket.getpeername() == ("127.0.0.2", number)
    assert protocol.wire.getHost() == IPv4Address("TCP", "127.0.0.2", number)


@on_both
async def test_from_an_address_that_is_not_ours(world: World) -> None:
    endpoint = TCP4ClientEndpoint(world.reactor, "127.0.0.1", 9, bindAddress=("192.0.2.1", 0))
    with pytest.raises(error.ConnectBindError):
        await endpoint.connect(Building(Recorder))


@on_both
async def test_a_name(world: World) -> None:
    server, client = Recorder(), Recorder()
    port = await world.listen(lambda: server)
    world.reactor.connectTCP("localhost", port.getHost().port, Building(lambda: client))
    await world.until(lambda: server.transport is not None and client.transport is not None)
    for each in (server, client):
        world.closing(partial(aborted, each))
    assert client.wire.getPeer() == port.getHost()
    await stopped(port)
