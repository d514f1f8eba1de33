"""Bytes arrive whole and in order, and connections end once, on our reactor as on Twisted's."""

import gc
import itertools
import random
import socket
from hashlib import sha256
from io import BytesIO
from typing import Any
from weakref import ref

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.protocols.basic import FileSender
from zope.interface import implementer

from tests.reactors import Plain, Recorder, World, on_both

MARK = 64 * 1024


@implementer(IHalfCloseableProtocol)
class Halves(Recorder):
    """Knows half-close."""

    def readConnectionLost(self) -> None:
        self._hear("readConnectionLost")

    def writeConnectionLost(self) -> None:
        self._hear("writeConnectionLost")


class Sender:
    """A producer that writes blocks as long as it may."""

    def __init__(self, transport: Any, total: int, block: int, *, push: bool = True) -> None:
        self.transport, self.left, self.block, self.push = transport, total, block, push
        self.paused = self.stopped = False
        self.pauses = self.asked_too_much = 0
        self.most = 0

    def resumeProducing(self) -> None:
        if not self.paused and self.pauses:
            self.asked_too_much += 1
        self.paused = False
        while not self.paused and self.left:
            size = min(self.block, self.left)
            self.left -= size
            self.transport.write(bytes(size))
            self.most = max(self.most, buffered(self.transport))
            if not self.push:
                break
        if not self.left:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.pauses += 1
        self.paused = True

    def stopProducing(self) -> None:
        self.stopped = self.paused = True


def buffered(transport: Any) -> int:
    """What is written and not sent."""
    if hasattr(transport, "buffered"):
        return int(transport.buffered)
    return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


class Chatter(Recorder):
    """Writes pieces of a stream in its own good time, and reads in its own good time."""

    def __init__(self, world: World, seed: int, total: int) -> None:
        super().__init__()
        self.world = world
        self.random = random.Random(seed)
        self.stream = self.random.randbytes(total)
        self.written = 0
        self.paused = False
        self.heard_while_paused = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard_while_paused += self.paused
        self.received += data

    async def talk(self) -> None:
        """Write all of it, now more, now less."""
        dice = self.random
        while self.written < len(self.stream):
            if dice.random() < 0.3:
                self.paused = not self.paused
                (self.wire.pauseProducing if self.paused else self.wire.resumeProducing)()
            size = int(10 ** dice.uniform(0, 6))
            piece = self.stream[self.written : self.written + size]
            self.written += len(piece)
            if dice.random() < 0.5:
                self.wire.write(piece)
            else:
                cuts = sorted(dice.randrange(len(piece) + 1) for _ in range(dice.randrange(5)))
                edges = [0, *cuts, len(piece)]
                self.wire.writeSequence([piece[a:b] for a, b in itertools.pairwise(edges)])
            if dice.random() < 0.5:
                await self.world.pause(0)
        self.paused = False
        self.wire.resumeProducing()


@pytest.mark.parametrize("seed", range(4))
@on_both
async def test_both_directions_at_once(world: World, seed: int) -> None:
    one, other = Chatter(world, seed, 4_000_000), Chatter(world, seed + 100, 3_000_000)
    await world.pair(one, other)
    await one.talk()
    await other.talk()
    await world.until(
        lambda: len(one.received) >= len(other.stream) and len(other.received) >= len(one.stream)
    )
    assert sha256(one.received).digest() == sha256(other.stream).digest()
    assert sha256(other.received).digest() == sha256(one.stream).digest()
    assert (one.heard_while_paused, other.heard_while_paused) == (0, 0)


@pytest.mark.parametrize("block", [1000, 65_536, 66_000, 1_000_000])
@on_both
async def test_a_streaming_producer_keeps_the_buffer_small(world: World, block: int) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    sender = Sender(protocol.wire, 20_000_000, block)
    protocol.wire.registerProducer(sender, True)
    sender.resumeProducing()
    await world.until(lambda: sender.paused)
    await world.turns()
    assert sender.left > 0
    await peer.read(20_000_000)
    assert sender.left == 0
    assert sender.asked_too_much == 0, "resumed though not paused"
    assert sender.most <= MARK + block
    assert not sender.stopped


@on_both
async def test_a_pull_producer_is_asked_when_there_is_nothing_left(world: World) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    sender = Sender(protocol.wire, 5_000_000, 100_000, push=False)
    protocol.wire.registerProducer(sender, False)
    await peer.read(5_000_000)
    assert (sender.pauses, sender.left) == (0, 0)
    assert sender.most <= 100_000


@on_both
async def test_a_file_sender(world: World) -> None:
    data = random.Random(1).randbytes(20_000_000)
    protocol = Recorder()
    peer = await world.serve(protocol)
    done: list[object] = []
    FileSender().beginFileTransfer(BytesIO(data), protocol.wire).addBoth(done.append)
    assert sha256(await peer.read(len(data))).digest() == sha256(data).digest()
    await world.until(lambda: done)
    assert done == [data[-1:]]
    protocol.wire.loseConnection()
    assert await peer.end() is None
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]


@on_both
async def test_losing_a_connection_waits_for_its_producer(world: World) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    sender = Sender(protocol.wire, 1_000_000, 10_000)
    protocol.wire.registerProducer(sender, True)
    sender.resumeProducing()
    protocol.wire.loseConnection()
    await peer.end()
    assert len(peer.received) == 1_000_000
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]
    assert not sender.stopped


# The end.


@on_both
async def test_all_that_was_written_is_sent_before_the_end(world: World) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol, receive_buffer=4096)
    data = random.Random(2).randbytes(20_000_000)
    protocol.wire.write(data)
    protocol.wire.loseConnection()
    await world.turns()
    assert protocol.lost == []
    assert sha256(await peer.read(len(data))).digest() == sha256(data).digest()
    assert await peer.end() is None
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]


@pytest.mark.parametrize("before", [0, 10, 1_000_000])
@on_both
async def test_writing_after_losing_the_connection(world: World, before: int) -> None:
    """In the same turn it is sent, as Twisted does."""
    protocol = Recorder()
    peer = await world.serve(protocol)
    protocol.wire.write(bytes(before))
    protocol.wire.loseConnection()
    protocol.wire.write(b"one more")
    protocol.wire.writeSequence([b" and", b" another"])
    await peer.end()
    assert bytes(peer.received[before:]) == b"one more and another"
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]
    protocol.wire.write(b"too late")


@on_both
async def test_half_closed_by_us(world: World) -> None:
    protocol = Halves()
    peer = await world.serve(protocol, receive_buffer=4096)
    protocol.wire.write(bytes(5_000_000))
    protocol.wire.loseWriteConnection()
    await world.turns()
    assert "writeConnectionLost" not in protocol.heard
    await peer.end()
    assert len(peer.received) == 5_000_000
    await world.until(lambda: "writeConnectionLost" in protocol.heard)
    protocol.wire.write(b"nobody reads this")
    await peer.send(b"still here")
    await world.until(lambda: protocol.received == b"still here")
    peer.close()
    await world.until(lambda: "readConnectionLost" in protocol.heard)
    protocol.wire.loseConnection()
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]
    assert protocol.heard.count("writeConnectionLost") == 1
    assert protocol.heard.count("readConnectionLost") == 1


@on_both
async def test_half_closed_by_one_that_does_not_know_of_it(world: World) -> None:
    """``loseWriteConnection`` works without the interface; the peer's end then ends it all."""
    protocol = Recorder()
    peer = await world.serve(protocol)
    protocol.wire.write(b"the last")
    protocol.wire.loseWriteConnection()
    assert await peer.end() is None
    assert peer.received == b"the last"
    await peer.send(b"an answer")
    peer.close()
    await world.until(lambda: protocol.lost)
    assert protocol.received == b"an answer"
    assert protocol.lost == [ConnectionDone]


@on_both
async def test_half_closed_by_the_peer(world: World) -> None:
    protocol = Halves()
    peer = await world.serve(protocol)
    await peer.send(b"a question")
    peer.socket.shutdown(1)
    await world.until(lambda: "readConnectionLost" in protocol.heard)
    assert protocol.received == b"a question"
    protocol.wire.write(bytes(3_000_000))
    assert len(await peer.read(3_000_000)) == 3_000_000
    await world.turns()
    assert protocol.heard.count("readConnectionLost") == 1
    protocol.wire.loseConnection()
    assert await peer.end() is None
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]


@on_both
async def test_half_closed_by_both(world: World) -> None:
    """The connection is there until somebody closes it."""
    server, client = Halves(), Halves()
    await world.pair(server, client)
    for each in (server, client):
        each.wire.write(b"goodbye")
        each.wire.loseWriteConnection()
    for each in (server, client):
        await world.until(lambda each=each: "readConnectionLost" in each.heard)  # type: ignore[misc]
        await world.until(lambda each=each: "writeConnectionLost" in each.heard)  # type: ignore[misc]
        assert each.received == b"goodbye"
    await world.turns()
    assert (server.lost, client.lost) == ([], [])
    server.wire.loseConnection()
    client.wire.loseConnection()
    await world.until(lambda: server.lost and client.lost)
    assert (server.lost, client.lost) == ([ConnectionDone], [ConnectionDone])


@on_both
async def test_the_peers_end_with_unsent_data_of_ours(world: World) -> None:
    """One that does not know half-close is over with the peer's half."""
    protocol = Recorder()
    peer = await world.serve(protocol, receive_buffer=4096)
    protocol.wire.write(bytes(10_000_000))
    await world.turns()
    peer.socket.shutdown(1)
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionDone]
    await peer.end()
    assert len(peer.received) < 10_000_000


@on_both
async def test_the_peer_is_gone_while_we_write(world: World) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol, receive_buffer=4096)
    sender = Sender(protocol.wire, 10**9, 65_536)
    protocol.wire.registerProducer(sender, True)
    sender.resumeProducing()
    await world.until(lambda: sender.paused)
    peer.close()
    await world.until(lambda: protocol.lost)
    assert len(protocol.lost) == 1
    assert sender.stopped


@pytest.mark.parametrize("written", [0, 100, 20_000_000])
@on_both
async def test_aborting_resets(world: World, written: int) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    await peer.send(b"hello")
    await world.until(lambda: protocol.received)
    if written:
        protocol.wire.write(bytes(written))
        await world.until(peer.take)
    protocol.wire.abortConnection()
    protocol.wire.abortConnection()
    assert protocol.lost == [], "not within the call"
    assert await peer.end() == "ECONNRESET"
    assert protocol.lost == [ConnectionAborted]
    protocol.wire.write(b"too late")
    protocol.wire.loseConnection()
    protocol.wire.abortConnection()
    await world.turns()
    assert protocol.lost == [ConnectionAborted]


@on_both
async def test_aborting_after_losing(world: World) -> None:
    """What is not sent is dropped."""
    protocol = Recorder()
    peer = await world.serve(protocol, receive_buffer=4096)
    protocol.wire.write(bytes(20_000_000))
    protocol.wire.loseConnection()
    await world.turns()
    protocol.wire.abortConnection()
    assert await peer.end() == "ECONNRESET"
    await world.until(lambda: protocol.lost)
    assert protocol.lost == [ConnectionAborted]


@on_both
async def test_reset_behind_unread_data_while_paused(world: World) -> None:
    """All of those who are told to read on hear of the end."""
    protocols = [Recorder() for _ in range(20)]
    peers = [await world.serve(each) for each in protocols]
    for protocol, peer in zip(protocols, peers, strict=True):
        protocol.wire.pauseProducing()
        await peer.fill()
    for peer in peers:
        peer.reset()
    await world.turns()
    for protocol in protocols:
        if protocol.transport is not None and not protocol.lost:
            protocol.wire.resumeProducing()
    await world.until(lambda: all(each.lost for each in protocols))
    assert [each.lost for each in protocols] == [[ConnectionLost]] * 20


@on_both
async def test_the_peers_end_while_paused(world: World) -> None:
    """All that it sent is heard, and then the end."""
    protocol = Recorder()
    peer = await world.serve(protocol)
    protocol.wire.pauseProducing()
    data = random.Random(6).randbytes(200_000)
    peer.socket.setblocking(True)
    world.reactor.callInThread(peer.socket.sendall, data)
    await world.turns()
    protocol.wire.resumeProducing()
    await world.until(lambda: len(protocol.received) == len(data))
    protocol.wire.pauseProducing()
    peer.socket.send(b"the last")
    peer.close()
    await world.turns()
    assert protocol.lost == []
    protocol.wire.resumeProducing()
    await world.until(lambda: protocol.lost)
    assert protocol.received == data + b"the last"
    assert protocol.lost == [ConnectionDone]


# What programs do to connections.


@on_both
async def test_another_protocol(world: World) -> None:
    """From the next piece on, also from within a piece."""
    first, second, third = Recorder(), Recorder(), Recorder()
    peer = await world.serve(first)
    wire = first.wire
    await peer.send(b"one")
    await world.until(lambda: first.received == b"one")
    wire.protocol = second
    second.makeConnection(wire)
    await peer.send(b"two")
    await world.until(lambda: second.received == b"two")

    def switch(data: bytes) -> None:
        wire.protocol = third
        third.makeConnection(wire)
        third.dataReceived(data[3:])

    second.dataReceived = switch  # type: ignore[method-assign]  # as programs do
    await peer.send(b"xxxthree")
    await world.until(lambda: third.received == b"three")
    await peer.send(b"four")
    await world.until(lambda: third.received == b"threefour")
    wire.write(b"here")
    assert await peer.read(4) == b"here"
    peer.close()
    await world.until(lambda: third.lost)
    assert (first.lost, second.lost, third.lost) == ([], [], [ConnectionDone])


@on_both
async def test_another_method(world: World) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    await peer.send(b"one")
    await world.until(lambda: protocol.received)
    other: list[bytes] = []
    protocol.dataReceived = other.append  # type: ignore[method-assign,assignment]  # as programs do
    await peer.send(b"two")
    await world.until(lambda: other)
    assert protocol.received == b"one"
    assert other == [b"two"]


@on_both
async def test_a_buffer_of_another_size(world: World) -> None:
    """A producer may be told earlier to wait."""
    protocol = Recorder()
    peer = await world.serve(protocol, receive_buffer=4096)
    protocol.wire.bufferSize = 1000
    sender = Sender(protocol.wire, 10_000_000, 100)
    protocol.wire.registerProducer(sender, True)
    sender.resumeProducing()
    await world.until(lambda: sender.paused)
    assert sender.most <= 1100
    await peer.read(10_000_000)
    assert sender.most <= 1100
    assert sender.asked_too_much == 0


@pytest.mark.parametrize("data", ["text", bytearray(b"x"), memoryview(b"x"), None, 1])
@on_both
async def test_only_bytes_are_written(world: World, data: Any) -> None:
    protocol = Recorder()
    peer = await world.serve(protocol)
    with pytest.raises(TypeError):
        protocol.wire.write(data)
    if isinstance(data, str | int | None):  # ours lets the rest pass here
        with pytest.raises(TypeError):
            protocol.wire.writeSequence([b"y", data])
    protocol.wire.write(b"")
    protocol.wire.writeSequence([])
    protocol.wire.writeSequence((b"a", b"", b"b"))
    assert await peer.read(2) == b"ab"


@on_both
async def test_after_the_end(world: World) -> None:
    """Programs that do not know yet do no harm."""
    protocol = Recorder()
    peer = await world.serve(protocol)
    wire = protocol.wire
    remote = wire.getPeer()
    peer.close()
    await world.until(lambda: protocol.lost)
    for _ in range(2):
        wire.write(b"x")
        wire.writeSequence([b"x"])
        wire.pauseProducing()
        wire.resumeProducing()
        wire.loseConnection()
        wire.abortConnection()
        wire.unregisterProducer()
        sender = Sender(wire, 10, 10)
        wire.registerProducer(sender, True)
        assert sender.stopped
        assert wire.getPeer() == remote
        assert wire.fileno() == -1
        assert (wire.connected, wire.disconnected) == (False, True)
        await world.turns()
    assert protocol.lost == [ConnectionDone]


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection", "peer"])
@on_both
async def test_nothing_is_kept(world: World, end: str) -> None:
    """A connection that is over is gone from memory."""
    served: list[Recorder] = []

    def build() -> Recorder:
        served.append(Recorder())
        return served[-1]

    port = await world.listen(build)
    sock = socket.create_connection(("127.0.0.1", port.getHost().port))
    peer = Plain(world, sock)
    await peer.send(b"hello")
    await world.until(lambda: served and served[0].received)
    served[0].wire.write(b"hello")
    if end == "peer":
        peer.reset()
    else:
        getattr(served[0].wire, end)()
        await peer.end()
        peer.close()
    await world.until(lambda: served[0].lost)
    await world.turns()
    kept = [ref(served[0].wire), ref(served[0])]
    served.clear()
    gc.collect()
    assert [each() for each in kept] == [None, None]


@on_both
async def test_many_at_once(world: World) -> None:
    """They come and go, and each hears its own end, once."""
    served: list[Recorder] = []
    dice = random.Random(7)

    def build() -> Recorder:
        served.append(Recorder(dataReceived=answer))
        return served[-1]

    def answer(protocol: Recorder, data: bytes) -> None:
        protocol.wire.write(data)
        end = dice.choice(["loseConnection", "abortConnection", "pauseProducing", ""])
        if end:
            getattr(protocol.wire, end)()

    port = await world.listen(build)
    peers = []
    for _ in range(300):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port.getHost().port))
        peers.append(Plain(world, sock))
        if dice.random() < 0.2:
            await world.pause()
    await world.until(lambda: len(served) == 300)
    for peer in peers:
        match dice.randrange(4):
            case 0:
                peer.close()
            case 1:
                peer.reset()
            case 2:
                await peer.send(b"hello")
            case _:
                await peer.send(bytes(100_000))
    await world.turns()
    for peer in peers:
        peer.close()
    for each in served:
        if not each.lost:
            each.wire.resumeProducing()
    await world.until(lambda: all(each.lost for each in served))
    await world.turns()
    assert {len(each.lost) for each in served} == {1}
