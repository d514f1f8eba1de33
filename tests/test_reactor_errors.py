"""What protocols raise is logged once and ends their connection alone, as on Twisted's reactor."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python import log

from tests.reactors import Recorder, World, on_both, on_ours
from tests.test_reactor_connections import Halves, Sender


class SomeError(Exception):
    """A bug."""


def fail(*_: object) -> None:
    raise SomeError


async def is_alive(world: World) -> None:
    """Others are served as before."""
    protocol = Recorder()
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await world.until(lambda: protocol.received == b"hello")
    protocol.wire.loseConnection()
    assert await peer.end() is None
    await world.until(lambda: protocol.lost)


@pytest.mark.parametrize("kind", [SomeError, KeyboardInterrupt, SystemExit])
@on_both
async def test_data_received(world: World, kind: type[BaseException]) -> None:
    def failing(*_: object) -> None:
        raise kind

    protocol = Recorder(dataReceived=failing)
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await peer.end()
    await world.until(lambda: protocol.lost)
    world.logged(kind)
    await is_alive(world)
    assert protocol.lost == [kind]


@on_both
async def test_data_received_after_writing(world: World) -> None:
    """What it wrote before may be lost, and is not what it writes after."""

    def failing(protocol: Recorder, _: bytes) -> None:
        protocol.wire.write(b"before")
        raise SomeError

    protocol = Recorder(dataReceived=failing)
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await peer.end()
    world.logged(SomeError)
    assert bytes(peer.received) in (b"", b"before")
    assert protocol.lost == [SomeError]


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection"])
@on_both
async def test_data_received_after_closing(world: World, end: str) -> None:
    def failing(protocol: Recorder, _: bytes) -> None:
        getattr(protocol.wire, end)()
        raise SomeError

    protocol = Recorder(dataReceived=failing)
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await peer.end()
    await world.until(lambda: protocol.lost)
    await world.turns()
    world.logged(SomeError)
    assert protocol.lost == [SomeError]


@on_both
async def test_connection_made_of_a_server(world: World) -> None:
    """It is logged, and the connection is there."""
    protocol = Recorder(connectionMade=fail)
    peer = await world.serve(protocol)
    world.logged(SomeError)
    await peer.send(b"hello")
    await world.until(lambda: protocol.received == b"hello")
    peer.close()
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]
    await is_alive(world)


@on_both
async def test_connection_made_of_a_client(world: World) -> None:
    """It is logged, and the connection is over."""
    protocol = Recorder(connectionMade=fail)
    peer = await world.dial(protocol)
    await world.until(lambda: world.errors)
    world.logged(SomeError)
    await peer.end()
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [SomeError]
    await is_alive(world)


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection", "peer closes", "peer resets"])
@on_both
async def test_connection_lost(world: World, end: str) -> None:
    protocol = Recorder(connectionLost=fail)
    peer = await world.serve(protocol)
    protocol.wire.write(b"hello")
    await peer.read(5)
    match end:
        case "peer closes":
            peer.close()
        case "peer resets":
            peer.reset()
        case _:
            getattr(protocol.wire, end)()
            await peer.end()
    await world.until(lambda: protocol.lost)
    await world.turns()
    world.logged(SomeError)
    assert len(protocol.lost) == 1
    await is_alive(world)


@on_both
async def test_connection_lost_after_data_received(world: World) -> None:
    protocol = Recorder(connectionLost=fail, dataReceived=fail)
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await peer.end()
    await world.turns()
    world.logged(SomeError, SomeError)
    assert protocol.lost == [SomeError]


@on_both
async def test_read_connection_lost(world: World) -> None:
    protocol = Halves(readConnectionLost=fail)
    peer = await world.serve(protocol)
    peer.socket.shutdown(socket.SHUT_WR)
    await peer.end()
    await world.until(lambda: protocol.lost)
    await world.turns()
    world.logged(SomeError)
    assert protocol.lost == [SomeError]
    await is_alive(world)


@on_both
async def test_write_connection_lost(world: World) -> None:
    protocol = Halves(writeConnectionLost=fail)
    peer = await world.serve(protocol)
    protocol.wire.loseWriteConnection()
    await peer.end()
    await world.until(lambda: protocol.lost)
    await world.turns()
    world.logged(SomeError)
    assert protocol.lost == [SomeError]
    await is_alive(world)


class Failing(Sender):
    """Fails at one of the things that it is asked."""

    def __init__(self, transport: Any, failing: str, *, push: bool) -> None:
        super().__init__(transport, 10**9, 50_000, push=push)
        self.failing = failing
        self.calls: list[str] = []
        self.from_the_reactor = False

    def _call(self, name: str, usual: Callable[[], None]) -> None:
        self.calls.append(name)
        if name == self.failing and self.from_the_reactor:
            raise SomeError
        usual()

    def resumeProducing(self) -> None:
        self._call("resumeProducing", super().resumeProducing)

    def stopProducing(self) -> None:
        self._call("stopProducing", super().stopProducing)


@pytest.mark.parametrize("push", [True, False])
@on_both
async def test_resume_producing(world: World, *, push: bool) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    sender = Failing(protocol.wire, "resumeProducing", push=push)
    protocol.wire.registerProducer(sender, push)
    if push:
        sender.resumeProducing()
        assert sender.paused
    sender.from_the_reactor = True
    await peer.end()
    await world.until(lambda: protocol.lost)
    await world.turns()
    world.logged(SomeError)
    assert protocol.lost == [SomeError]
    assert sender.calls.count("stopProducing") == 1
    await is_alive(world)


@on_ours
async def test_stop_producing(world: World) -> None:
    """The protocol hears of the end and the descriptor is closed; Twisted's is not."""
    protocol = Recorder()
    peer = await world.serve(protocol)
    sender = Failing(protocol.wire, "stopProducing", push=True)
    sender.from_the_reactor = True
    protocol.wire.registerProducer(sender, True)
    peer.reset()
    await world.until(lambda: world.errors)
    await world.turns()
    world.logged(SomeError)
    assert len(protocol.lost) == 1
    await is_alive(world)


@pytest.mark.parametrize("size", [10_000, 20_000_000])
@on_both
async def test_pause_producing(world: World, size: int) -> None:
    """Twisted's transports raise it where too much is written; uvloop lets it go no further."""

    def failing(protocol: Recorder, _: bytes) -> None:
        sender = Sender(protocol.wire, 30_000_000, size)
        sender.pauseProducing = fail  # type: ignore[method-assign]  # that is the point
        protocol.wire.registerProducer(sender, True)
        sender.resumeProducing()

    protocol = Recorder(dataReceived=failing)
    peer = await world.serve(protocol)
    await peer.send(b"go")
    await world.until(lambda: world.errors)
    await world.turns()
    if world.native:
        protocol.wire.abortConnection()
    await world.until(lambda: protocol.lost)
    world.logged(SomeError)
    assert len(protocol.lost) == 1
    await is_alive(world)


@on_both
async def test_a_delayed_call(world: World) -> None:
    world.reactor.callLater(0, fail)
    world.reactor.callFromThread(fail)
    await world.until(lambda: len(world.errors) == 2)
    world.logged(SomeError, SomeError)
    await is_alive(world)


@on_ours
async def test_a_callback_of_asyncio(world: World) -> None:
    world.reactor.loop.call_soon(fail)
    await world.until(lambda: world.errors)
    await world.turns()
    world.logged(SomeError)
    await is_alive(world)


@on_ours
async def test_a_task_of_asyncio(world: World) -> None:
    async def failing() -> None:
        fail()

    world.reactor.loop.create_task(failing())
    await world.turns()
    world.logged(SomeError)
    await is_alive(world)


@on_ours
async def test_an_interrupt_in_a_callback_of_asyncio(world: World) -> None:
    """uvloop stops for it; the reactor logs it and runs on, as for a delayed call."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    world.reactor.loop.call_soon(interrupted)
    await world.until(lambda: world.errors)
    await world.turns()
    world.logged(KeyboardInterrupt)
    await is_alive(world)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@on_both
async def test_an_interrupt_in_a_delayed_call(world: World, kind: type[BaseException]) -> None:
    def interrupted() -> None:
        raise kind

    world.reactor.callLater(0, interrupted)
    await world.until(lambda: world.errors)
    await world.turns()
    world.logged(kind)
    await is_alive(world)


# Whose line of the log it is.


@on_both
async def test_the_prefix_of_a_line(world: World) -> None:
    """In the connection's turn it is the connection's."""

    def say(name: str) -> Callable[..., object]:
        return lambda *_: log.msg(f"{name} says this")

    names = ("dataReceived", "readConnectionLost", "writeConnectionLost", "connectionLost")
    protocol = Halves(**{name: say(name) for name in names})
    peer = await world.serve(protocol)
    prefix = protocol.wire.logPrefix()
    await peer.send(b"hello")
    await world.until(lambda: protocol.received)
    log.msg("nobody says this")
    protocol.wire.loseWriteConnection()
    peer.socket.shutdown(socket.SHUT_WR)
    await world.until(lambda: len(protocol.heard) == 4)
    world.reactor.callLater(0, say("a call"))
    await world.turns()
    protocol.wire.loseConnection()
    await world.until(lambda: protocol.lost)
    said = {
        text.split(" says")[0]: system for system, text in world.lines if text and " says" in text
    }
    assert {each: said[each] for each in ("nobody", "a call")} == {"nobody": "-", "a call": "-"}
    assert {each: said[each] for each in names[:3]} == dict.fromkeys(names[:3], prefix)


@on_both
async def test_the_prefix_after_an_error(world: World) -> None:
    protocol = Recorder(dataReceived=fail)
    peer = await world.serve(protocol)
    prefix = protocol.wire.logPrefix()
    await peer.send(b"hello")
    await world.until(lambda: protocol.lost)
    world.logged(SomeError)
    log.msg("nobody says this")
    assert prefix in [system for system, text in world.lines if text and "SomeError" in text]
    assert world.lines[-1] == ("-", "nobody says this")


@on_both
async def test_the_prefix_in_another_connections_turn(world: World) -> None:
    """A write to another connection in our turn is still our turn."""
    other = Recorder()
    other_peer = await world.serve(other)

    def forward(protocol: Recorder, data: bytes) -> None:
        other.wire.write(data)
        log.msg("forwarded")

    protocol = Recorder(dataReceived=forward)
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await other_peer.read(5)
    assert (protocol.wire.logPrefix(), "forwarded") in world.lines
