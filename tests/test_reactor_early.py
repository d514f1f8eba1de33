"""What a protocol may do before uvloop has its connection, on our reactor as on Twisted's."""

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import ClientFactory, Factory

from tests.reactors import REACTORS, Plain, Recorder, World, on_both, play, stopped
from tests.test_reactor_connections import Halves, Sender

#: Which of the two a protocol of ours is.
ROLES: dict[str, Callable[[World, Any], Awaitable[Plain]]] = {
    "server": lambda world, protocol: world.serve(protocol),
    "client": lambda world, protocol: world.dial(protocol),
}
in_each_role = pytest.mark.parametrize("role", ROLES)


@in_each_role
@on_both
async def test_write(world: World, role: str) -> None:
    def made(protocol: Recorder) -> None:
        protocol.wire.write(b"one ")
        protocol.wire.writeSequence([b"two ", b"three "])
        world.reactor.callLater(0, protocol.wire.write, b"four")

    peer = await ROLES[role](world, Recorder(connectionMade=made))
    assert await peer.read(18) == b"one two three four"


@in_each_role
@pytest.mark.parametrize("size", [0, 1, 5_000_000])
@on_both
async def test_write_and_lose(world: World, role: str, size: int) -> None:
    def made(protocol: Recorder) -> None:
        protocol.wire.write(bytes(size))
        protocol.wire.loseConnection()
        protocol.wire.write(b"!")
        assert protocol.wire.disconnecting
        assert protocol.lost == [], "not within the call"

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    assert await peer.end() is None
    assert peer.received == bytes(size) + b"!"
    await world.until(lambda: protocol.lost)
    await world.turns()
    assert protocol.lost == [ConnectionDone]


@in_each_role
@on_both
async def test_lose(world: World, role: str) -> None:
    protocol = Recorder(connectionMade=lambda self: self.wire.loseConnection())
    peer = await ROLES[role](world, protocol)
    assert await peer.end() is None
    await world.until(lambda: protocol.lost)
    await world.turns()
    assert protocol.heard == ["connectionMade", "connectionLost"]
    assert protocol.lost == [ConnectionDone]


@in_each_role
@pytest.mark.parametrize("written", [0, 1000])
@on_both
async def test_abort(world: World, role: str, written: int) -> None:
    def made(protocol: Recorder) -> None:
        protocol.wire.write(bytes(written))
        protocol.wire.abortConnection()
        protocol.wire.write(b"!")
        protocol.wire.loseConnection()
        assert protocol.lost == [], "not within the call"

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    assert await peer.end() == "ECONNRESET"
    await world.until(lambda: protocol.lost)
    await world.turns()
    assert protocol.heard == ["connectionMade", "connectionLost"]
    assert protocol.lost == [ConnectionAborted]
    assert peer.received in (b"", bytes(written)), "nothing from after it"


@in_each_role
@on_both
async def test_lose_then_abort(world: World, role: str) -> None:
    def made(protocol: Recorder) -> None:
        protocol.wire.write(bytes(1000))
        protocol.wire.loseConnection()
        protocol.wire.abortConnection()

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    assert await peer.end() == "ECONNRESET"
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionAborted]


@in_each_role
@on_both
async def test_lose_the_writing_half(world: World, role: str) -> None:
    def made(protocol: Recorder) -> None:
        protocol.wire.write(b"all I have to say")
        protocol.wire.loseWriteConnection()

    protocol = Halves(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    assert await peer.end() is None
    assert peer.received == b"all I have to say"
    await world.until(lambda: "writeConnectionLost" in protocol.heard)
    await peer.send(b"and I")
    await world.until(lambda: protocol.received == b"and I")
    assert protocol.lost == []
    peer.close()
    await world.until(lambda: "readConnectionLost" in protocol.heard)
    protocol.wire.loseConnection()
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]


@in_each_role
@on_both
async def test_pause(world: World, role: str) -> None:
    protocol = Recorder(connectionMade=lambda self: self.wire.pauseProducing())
    peer = await ROLES[role](world, protocol)
    await peer.send(b"hello")
    await world.turns()
    protocol.wire.write(b"I do not listen")  # nor does writing change that
    assert await peer.read(15) == b"I do not listen"
    await world.turns()
    assert protocol.received == b""
    protocol.wire.resumeProducing()
    await world.until(lambda: protocol.received == b"hello")
    protocol.wire.pauseProducing()
    await peer.send(b"hello")
    await world.turns()
    assert protocol.received == b"hello"


@in_each_role
@on_both
async def test_pause_and_resume(world: World, role: str) -> None:
    def made(protocol: Recorder) -> None:
        protocol.wire.pauseProducing()
        protocol.wire.resumeProducing()

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    await peer.send(b"hello")
    await world.until(lambda: protocol.received == b"hello")


@in_each_role
@on_both
async def test_a_paused_connection_may_be_closed(world: World, role: str) -> None:
    protocol = Recorder(connectionMade=lambda self: self.wire.pauseProducing())
    peer = await ROLES[role](world, protocol)
    await peer.send(b"hello")
    await world.turns()
    protocol.wire.loseConnection()
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]
    assert protocol.received == b""


@in_each_role
@pytest.mark.parametrize("push", [True, False])
@on_both
async def test_a_producer(world: World, role: str, *, push: bool) -> None:
    senders: list[Sender] = []

    def made(protocol: Recorder) -> None:
        sender = Sender(protocol.wire, 3_000_000, 50_000, push=push)
        senders.append(sender)
        protocol.wire.registerProducer(sender, push)
        if push:
            sender.resumeProducing()
            assert sender.paused, "not all of it at once"
        with pytest.raises(RuntimeError):
            protocol.wire.registerProducer(sender, push)

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    await peer.read(3_000_000)
    assert senders[0].most <= 64 * 1024 + 50_000
    assert senders[0].asked_too_much == 0
    assert not senders[0].stopped
    protocol.wire.loseConnection()
    await world.until(lambda: protocol.lost)


@in_each_role
@pytest.mark.parametrize("push", [True, False])
@on_both
async def test_a_producer_and_lose(world: World, role: str, *, push: bool) -> None:
    """It is over when the producer is."""

    def made(protocol: Recorder) -> None:
        sender = Sender(protocol.wire, 500_000, 10_000, push=push)
        protocol.wire.registerProducer(sender, push)
        if push:
            sender.resumeProducing()
        protocol.wire.loseConnection()

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    assert await peer.end() is None
    assert len(peer.received) == 500_000
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]


@in_each_role
@on_both
async def test_ask_the_socket(world: World, role: str) -> None:
    told: dict[str, Any] = {}

    def made(protocol: Recorder) -> None:
        wire = protocol.wire
        told["addresses"] = (wire.getHost(), wire.getPeer())
        told["handle"] = wire.getHandle().getsockname()
        told["inode"] = os.fstat(wire.fileno()).st_ino
        told["name"] = wire.logPrefix()
        wire.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 3)
        assert not wire.getTcpKeepAlive()
        wire.setTcpKeepAlive(True)
        wire.setTcpNoDelay(True)
        assert wire.getTcpNoDelay()
        wire.setTcpNoDelay(False)

    protocol = Recorder(connectionMade=made)
    peer = await ROLES[role](world, protocol)
    protocol.wire.write(b"!")
    await peer.read(1)  # it is uvloop's now
    wire = protocol.wire
    host, remote = wire.getHost(), wire.getPeer()
    assert (host.host, host.port) == peer.socket.getpeername() == told["handle"]
    assert (remote.host, remote.port) == peer.socket.getsockname()
    assert told["addresses"] == (host, remote)
    assert told["inode"] == os.fstat(wire.fileno()).st_ino
    assert told["name"] == wire.logPrefix()
    assert wire.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 3
    assert wire.getHandle().getpeername() == peer.socket.getsockname()
    assert (wire.getTcpNoDelay(), wire.getTcpKeepAlive()) == (False, True)
    wire.setTcpNoDelay(True)
    assert wire.getTcpNoDelay() is True
    wire.loseConnection()
    await world.until(lambda: protocol.lost)
    assert wire.getPeer() == remote
    with pytest.raises(AttributeError):
        _ = wire.socket


@in_each_role
@on_both
async def test_another_protocol(world: World, role: str) -> None:
    second = Recorder()

    def made(protocol: Recorder) -> None:
        protocol.wire.protocol = second
        second.makeConnection(protocol.wire)

    first = Recorder(connectionMade=made)
    peer = await ROLES[role](world, first)
    await peer.send(b"hello")
    await world.until(lambda: second.received == b"hello")
    peer.close()
    await world.until(lambda: second.lost)
    assert first.heard == ["connectionMade"]
    assert second.heard == ["connectionMade", "dataReceived", "connectionLost"]


@on_both
async def test_lose_with_data_there(world: World) -> None:
    """It is not read any more."""
    protocol = Recorder(connectionMade=lambda self: self.wire.loseConnection())
    port = await world.listen(lambda: protocol)
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as sock:
        sock.send(b"hello")
        await world.until(lambda: protocol.lost)
        await Plain(world, sock).end()
    await stopped(port)
    assert protocol.heard == ["connectionMade", "connectionLost"]
    assert protocol.lost == [ConnectionDone]


@pytest.mark.parametrize("end", ["close", "reset", "shut"])
@on_both
async def test_all_has_happened_before_it_is_accepted(world: World, end: str) -> None:
    protocol = Recorder(connectionMade=lambda self: self.wire.write(b"welcome"))
    port = await world.listen(lambda: protocol)
    # In one turn of the reactor's.
    sock = socket.create_connection(("127.0.0.1", port.getHost().port))
    peer = Plain(world, sock)
    world.closing(sock.close)
    sock.send(b"hello")
    match end:
        case "close":
            peer.close()
        case "reset":
            peer.reset()
        case _:
            sock.shutdown(socket.SHUT_WR)
    await world.until(lambda: protocol.lost)
    await stopped(port)
    if end == "reset":
        assert protocol.lost == [ConnectionLost]
    else:
        assert protocol.received == b"hello"
        assert len(protocol.lost) == 1
    if end == "shut":
        assert await peer.end() is None
        assert peer.received == b"welcome"
        assert protocol.lost == [ConnectionDone]


# buildProtocol.


@on_both
async def test_no_protocol_for_who_connects(world: World) -> None:
    port = await world.listen(lambda: None)
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as sock:
        peer = Plain(world, sock)
        assert await peer.end() is None
    await stopped(port)


@on_both
async def test_build_protocol_raises_for_who_connects(world: World) -> None:
    calls: list[None] = []

    def build() -> Recorder:
        calls.append(None)
        raise LookupError("a bug")

    port = await world.listen(build)
    with socket.create_connection(("127.0.0.1", port.getHost().port)):
        await world.until(lambda: calls)
        await world.turns()
        world.logged(LookupError)
    await stopped(port)


class Asked(ClientFactory):
    """Builds as it is told to, and keeps what it hears of the connector."""

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self.build = build
        self.heard: list[Any] = []
        self.connector: Any = None

    def startedConnecting(self, connector: Any) -> None:
        self.connector = connector

    def buildProtocol(self, addr: Any) -> Any:
        return self.build(self)

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        self.heard.append(("lost", reason.type))

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.heard.append(("failed", reason.type))


async def asked(world: World, factory: Asked) -> Plain:
    """What a client's factory connects to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        world.reactor.connectTCP("127.0.0.1", listener.getsockname()[1], factory)
        made: list[socket.socket] = []

        def accept() -> bool:
            try:
                made.append(listener.accept()[0])
            except BlockingIOError:
                return False
            return True

        await world.until(accept, "a connection")
    world.closing(made[0].close)
    return Plain(world, made[0])


@on_both
async def test_no_protocol_of_a_client(world: World) -> None:
    factory = Asked(lambda factory: None)
    peer = await asked(world, factory)
    assert await peer.end() is None
    await world.until(lambda: factory.heard)
    await world.turns()
    assert factory.heard == [("lost", ConnectionDone)]


@on_both
async def test_build_protocol_of_a_client_raises(world: World) -> None:
    def build(factory: Asked) -> None:
        raise LookupError("a bug")

    factory = Asked(build)
    peer = await asked(world, factory)
    await peer.end()
    await world.until(lambda: world.errors)
    await world.turns()
    world.logged(LookupError)


@on_both
async def test_disconnected_by_the_connector(world: World) -> None:
    protocol = Recorder(connectionMade=lambda self: factory.connector.disconnect())
    factory = Asked(lambda factory: protocol)
    peer = await asked(world, factory)
    assert await peer.end() is None
    await world.until(lambda: factory.heard)
    assert factory.heard == [("lost", ConnectionDone)]
    assert protocol.heard == ["connectionMade", "connectionLost"]


@on_both
async def test_connected_again(world: World) -> None:
    """A connector may connect again from within the end of the connection before."""
    protocols: list[Recorder] = []

    def build(factory: Asked) -> Recorder:
        protocols.append(Recorder(connectionMade=lambda self: self.wire.loseConnection()))
        return protocols[-1]

    class Again(Asked):
        def clientConnectionLost(self, connector: Any, reason: Any) -> None:
            super().clientConnectionLost(connector, reason)
            if len(self.heard) < 5:
                connector.connect()

    served: list[Recorder] = []

    def serve() -> Recorder:
        served.append(Recorder())
        return served[-1]

    port = await world.listen(serve)
    factory = Again(build)
    world.reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
    await world.until(lambda: len(factory.heard) == 5 and all(each.lost for each in served))
    assert [each.lost for each in protocols] == [[ConnectionDone]] * 5
    await world.until(lambda: len(served) == 5 and all(each.lost for each in served))
    await stopped(port)


# The end of the reactor.


@in_each_role
@pytest.mark.parametrize("name", REACTORS)
def test_the_reactor_stops(name: str, role: str) -> None:
    """Connections that it reads or writes are lost, in whatever state."""
    protocols: list[Recorder] = []

    async def scenario(world: World) -> None:
        def write(protocol: Recorder) -> None:
            protocol.wire.write(bytes(20_000_000))

        def stop_now(protocol: Recorder) -> None:
            world.reactor.callLater(0, reached.append, None)

        reached: list[None] = []
        for each in (Recorder(), Recorder(connectionMade=write), Recorder(connectionMade=stop_now)):
            protocols.append(each)
            await ROLES[role](world, each)
        await world.until(lambda: reached)
        world.leave_open()

    play(name, scenario)
    assert [each.lost for each in protocols] == [[ConnectionLost]] * 3


@on_both
async def test_a_factory_may_stop_its_port(world: World) -> None:
    protocol = Recorder()

    class Once(Factory):
        def buildProtocol(self, addr: Any) -> Any:
            port.stopListening()
            return protocol

    port = world.reactor.listenTCP(0, Once(), interface="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as sock:
        peer = Plain(world, sock)
        await peer.send(b"hello")
        await world.until(lambda: protocol.received == b"hello")
    await world.until(lambda: protocol.lost)
