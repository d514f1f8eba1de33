"""Line conversations over real transports, on both reactors: taking over, and endings."""

import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface import implementer

from netsuite.line import Limits, Session
from netsuite.net.tls import TLSFactory
from tests.line_tls import OPTIONS, InMemory, Serving
from tests.reactors import Plain, Recorder, World, on_both

#: More than the buffers of a connection hold.
MUCH = 20_000_000


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """One that goes on when the peer has said all."""

    def readConnectionLost(self) -> None:
        self._hear("readConnectionLost")

    def writeConnectionLost(self) -> None:
        self._hear("writeConnectionLost")


class Upgrading(Serving):
    """An application whose connections can be taken over."""

    def _add_commands(self) -> None:
        super()._add_commands()
        self.next: Recorder = Recorder(
            connectionMade=lambda it: it.wire.write(b"next\n"),
            dataReceived=lambda it, data: it.wire.write(data.upper()),
        )
        self.rest = b""

        def take(transport: Any, rest: bytes) -> Recorder:
            self.rest = rest
            return self.next

        @self.app.command(exclusive=True)
        def upgrade(session: Session) -> str:
            session.upgrade(take)
            return "going"

        @self.app.command(exclusive=True)
        async def upgrade_later(session: Session) -> str:
            self.waiting.append(Deferred())
            await self.waiting[-1]
            session.upgrade(take)
            return "going"


class Talking:
    """A peer in plain text, under TLS, or under TLS that has begun later."""

    def __init__(self, peer: Plain, tls: InMemory | None = None) -> None:
        self.peer, self.tls = peer, tls
        self.send, self.read = (peer.send, peer.read) if tls is None else (tls.say, tls.read)


async def talking(world: World, serving: Serving, how: str) -> Talking:
    tls = TLSFactory(OPTIONS, False, serving.factory, world.reactor) if how == "tls" else None
    await serving.listen(tls)
    peer = await serving.plain()
    if how == "plain":
        return Talking(peer)
    if how == "starttls":
        await peer.send(b"STARTTLS\r\n")
        assert await peer.read(4) == b"OK\r\n"
    client = InMemory(peer)
    await client.shake()
    return Talking(peer, client)


@pytest.mark.parametrize("how", ["plain", "tls", "starttls"])
@pytest.mark.parametrize("later", [False, True])
@on_both
async def test_another_protocol_takes_over(world: World, how: str, later: bool) -> None:
    serving = Upgrading(world)
    peer = await talking(world, serving, how)
    command = b"UPGRADE-LATER\r\n" if later else b"UPGRADE\r\n"
    await peer.send(b"MARK 1\r\n" + command + b"mark 2\r\nre\0\xff")
    if later:
        await world.until(lambda: serving.waiting)
        await peer.send(b"st")  # which is not read before it is handed over
        await world.turns()
        serving.let_go()
    expected = b"1\r\ngoing\r\nnext\n" + b"MARK 2\r\nRE\0\xff" + (b"ST" if later else b"")
    assert await peer.read(len(expected)) == expected
    assert serving.rest.startswith(b"mark 2\r\n")
    assert serving.sessions[0].ended
    await peer.send(b"more")
    assert await peer.read(4) == b"MORE"
    assert serving.marks == [1]
    assert serving.next.lost == []
    await serving.over()  # for the application, which counts what is its own
    peer.peer.close()
    await world.until(lambda: serving.next.lost)
    assert serving.next.heard.count("connectionLost") == 1


@pytest.mark.parametrize("commands", [b"UPGRADE-LATER\r\n", b"WAIT\r\nUPGRADE\r\n"])
@on_both
async def test_the_peer_has_said_all_before_another_protocol_takes_over(
    world: World, commands: bytes
) -> None:
    serving = Upgrading(world)
    serving.next = HalfCloseable(**serving.next.doing)
    peer = await talking(world, serving, "plain")
    await peer.send(commands + b"rest")
    peer.peer.socket.shutdown(socket.SHUT_WR)
    await world.until(lambda: serving.waiting)
    await world.turns()
    serving.let_go()
    expected = b"going\r\nnext\nREST"
    if b"WAIT" in commands:
        expected = b"done\r\n" + expected
    assert await peer.read(len(expected)) == expected
    await world.until(lambda: "readConnectionLost" in serving.next.heard)
    serving.next.wire.write(b"last")
    assert await peer.read(4) == b"last"
    serving.next.wire.loseConnection()
    assert await peer.peer.end() is None
    await world.until(lambda: serving.next.lost)
    assert serving.next.heard.count("connectionLost") == 1


@pytest.mark.parametrize("how", ["plain", "tls"])
@pytest.mark.parametrize("said", [b"WAIT\r\n" * 3000, b"WAIT\r\n"])
@on_both
async def test_a_peer_that_is_gone_while_a_command_takes_its_time(
    world: World, how: str, said: bytes
) -> None:
    """Nothing is read meanwhile, because it has said enough, or will say no more."""
    serving = Serving(world, limits=Limits(idle=0.4))
    peer = await talking(world, serving, how)
    await peer.send(said)
    await world.until(lambda: serving.waiting)
    if len(said) < 100:
        if peer.tls is None:
            peer.peer.socket.shutdown(socket.SHUT_WR)
        else:
            await peer.tls.close()
        await world.turns()
    assert not serving.sessions[0].ended
    peer.peer.reset()
    await world.until(lambda: serving.sessions[0].ended)
    await serving.over()


@pytest.mark.parametrize("how", ["plain", "tls", "starttls"])
@on_both
async def test_the_next_protocol_closes(world: World, how: str) -> None:
    serving = Upgrading(world)
    serving.next.doing["dataReceived"] = lambda it, data: it.wire.loseConnection()
    peer = await talking(world, serving, how)
    await peer.send(b"UPGRADE\r\nrest")
    assert await peer.read(12) == b"going\r\nnext\n"
    if peer.tls is not None:
        assert await peer.read(1) == b"", "close_notify"
        await peer.tls.close()
    assert await peer.peer.end() is None
    peer.peer.close()
    await world.until(lambda: serving.next.lost)


@on_both
async def test_a_greeting_under_tls(world: World) -> None:
    serving = Serving(world, greeting="hello")
    peer = await talking(world, serving, "tls")
    assert await peer.read(9) == b"* hello\r\n"
    await peer.send(b"MARK 1\r\nQUIT\r\n")
    assert await peer.read(100) == b"1\r\nOK\r\n"
    peer.peer.close()
    await serving.over()


# Endings.


@on_both
async def test_what_is_said_last_arrives(world: World) -> None:
    """However much the peer still sends: a connection that is closed at once would be reset."""
    serving = await Serving(world).listen()
    for last, said in (
        (b"QUIT\r\n", b"1\r\nOK\r\n"),
        (b"x" * 200_000, b"1\r\nERR line-too-long : expected"),
    ):
        peer = await serving.plain()
        await peer.send(b"MARK 1\r\n" + last + b"MARK 2\r\n" * 100_000)
        assert await peer.end() is None
        assert bytes(peer.received).startswith(said.split(b" :")[0])
        if last == b"QUIT\r\n":
            assert peer.received == said
        else:
            assert peer.received.endswith(b"there is no end of it\r\n")
        peer.close()
        await serving.over()
    assert serving.marks == [1, 1]


@on_both
async def test_a_peer_that_goes_while_we_wait_for_it(world: World) -> None:
    serving = await Serving(world).listen()
    for leave in (lambda peer: peer.close(), lambda peer: peer.reset()):
        peer = await serving.plain()
        await peer.send(b"QUIT\r\n")
        await peer.end()
        assert serving.factory.counters.active == 1
        leave(peer)
        await serving.over()


@on_both
async def test_half_close(world: World) -> None:
    serving = await Serving(world).listen()
    peer = await serving.plain()
    await peer.send(b"WAIT\r\nMARK 1\r\nMARK 2")
    await world.until(lambda: serving.waiting)
    peer.socket.shutdown(socket.SHUT_WR)
    await world.turns()
    assert not peer.ended
    serving.let_go()
    assert await peer.end() is None
    assert peer.received == b"done\r\n1\r\n"
    await serving.over()
    assert serving.marks == [1]
    peer.close()


@on_both
async def test_a_peer_that_reads_late(world: World) -> None:
    """It has all, and little of it was made before it was read."""
    serving = await Serving(world).listen()
    peer = await serving.plain()
    await peer.send(b"COUNT %d\r\nMARK 1\r\nQUIT\r\n" % MUCH)
    before = -1
    while before != serving.pulled:
        before = serving.pulled
        await world.pause(0.1)
    assert 0 < before < MUCH
    assert serving.marks == []
    assert not serving.sessions[0].writable
    line = 0
    while line < 200_000:
        assert await peer.read(len(b"%d\r\n" % line)) == b"%d\r\n" % line
        line += 1
    peer.reset()
    await serving.over()
    assert serving.marks == []
    assert serving.pulled < MUCH


@on_both
async def test_a_connection_that_is_lost_gives_up_what_was_begun(world: World) -> None:
    serving = await Serving(world).listen()
    peer = await serving.plain()
    await peer.send(b"PWAIT\r\nPWAIT\r\nMARK 1\r\n")
    await world.until(lambda: len(serving.waiting) == 2)
    peer.reset()
    await serving.over()
    assert all(each.called for each in serving.waiting), "cancelled"
    assert serving.marks == []
