"""Channels over sockets: subscribers that read, one that does not, and ones that go."""

import socket
from collections.abc import Iterator
from typing import Any

from netsuite.line import LineApp, LineFactory, LineProtocol, Session
from netsuite.line._channels_delivery import AT_ONCE, TURN_BYTES
from netsuite.line.channels import Channels
from tests.reactors import PATIENCE, Plain, World, on_both, stopped

QUEUE = 50
TEXT = "x" * 2000
ROUND = 40  # messages that are published at once


class Server:
    """An application with channels, on a reactor, and plain sockets that are its peers."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.sessions: list[Session] = []
        self.protocols: list[LineProtocol] = []
        self.channels = Channels(queue=QUEUE, **options)
        app = LineApp("channels", line_end=b"\n")
        app.add(self.channels)
        app.on_connect.append(self.sessions.append)
        self.factory = LineFactory(app, world.reactor)
        self.port: Any = None
        self.peers: list[Plain] = []

    async def __aenter__(self) -> "Server":
        self.port = await self.world.listen(self._build)
        return self

    def _build(self) -> LineProtocol:
        protocol = self.factory.buildProtocol(None)
        self.protocols.append(protocol)
        return protocol

    async def __aexit__(self, *_: object) -> None:
        for peer in self.peers:
            peer.close()
        await self.world.until(lambda: self.factory.counters.active == 0, "the end of all")
        assert self.channels.counts() == {}
        await stopped(self.port)

    async def peer(self, *names: str, receive_buffer: int = 0) -> Plain:
        """A peer that listens to channels."""
        peer = socket.socket()
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.setblocking(False)
        count = len(self.sessions)
        peer.connect_ex(("127.0.0.1", self.port.getHost().port))
        await self.world.until(lambda: len(self.sessions) > count, "a session")
        plain = Plain(self.world, peer)
        self.peers.append(plain)
        if names:
            await plain.send(f"SUBSCRIBE {' '.join(names)}\n".encode())
            assert await plain.read(3) == b"OK\n"
        return plain


async def publish(world: World, publisher: Plain, numbers: range) -> None:
    """Publish numbered messages, and read the replies."""
    await publisher.send(b"".join(b"PUBLISH a %d %b\n" % (n, TEXT.encode()) for n in numbers))

    def answered() -> bool:
        publisher.take()
        return publisher.received.count(b"\n") == len(numbers)

    await world.until(answered, "the replies")
    publisher.received.clear()


def wire(numbers: range) -> bytes:
    """What subscribers read of them."""
    return b"".join(b"* MESSAGE a %d %b\n" % (n, TEXT.encode()) for n in numbers)


def rounds() -> Iterator[range]:
    """Numbers, some at a time, up to more than sockets have room for."""
    for start in range(0, 20_000, ROUND):
        yield range(start, start + ROUND)
    raise AssertionError("the peer that does not read has taken all of it")


async def flood(server: Server, slow: Session, readers: list[Plain]) -> int:
    """Publish until more has come than one peer lets wait; how many messages that were."""
    channels, counters = server.channels, server.channels.counters
    publisher = await server.peer()
    for numbers in rounds():
        await publish(server.world, publisher, numbers)
        for reader in readers:
            assert await reader.read(len(wire(numbers))) == wire(numbers)
        assert channels.waiting(slow) <= QUEUE
        if counters.dropped > QUEUE or counters.disconnected:
            break

    def turn_is_over() -> bool:
        gone = counters.delivered + counters.dropped + channels.waiting(slow)
        return bool(counters.disconnected) or gone == numbers.stop * (len(readers) + 1)

    await server.world.until(turn_is_over, "the end of the turn")
    return numbers.stop


def overflow(server: Server, slow: Session, begin: int) -> int:
    """Publish more than may wait, and have it served at once, while no socket can take anything.

    :returns: the number behind the last message.
    """
    channels = server.channels
    assert 0 < channels.waiting(slow) <= QUEUE
    served = TURN_BYTES // len(wire(range(begin, begin + 1))) + 1  # without waiting, together
    numbers = range(begin, begin + (2 * QUEUE // served + 1) * served)
    for number in numbers:
        channels.publish("a", f"{number} {TEXT}")
    assert channels.waiting(slow) == QUEUE
    return numbers.stop


def told_of(received: bytearray) -> tuple[int, int]:
    """How many messages a subscriber knows of, and how many of these it has lost.

    Sockets take some more now and then, so messages may be lost in several places.
    """
    following = lost = 0
    for kind, number in numbers_of(bytes(received)):
        if kind == "MESSAGE":
            assert number == following
            following += 1
        else:
            following += number
            lost += number
    return following, lost


def numbers_of(received: bytes) -> Iterator[tuple[str, int]]:
    """MESSAGE and a number, or DROPPED and how many."""
    for line in received.decode().splitlines():
        star, kind, name, number, *rest = line.split(" ")
        assert (star, name) == ("*", "a"), line
        assert rest == ([TEXT] if kind == "MESSAGE" else []), line
        yield kind, int(number)


@on_both
async def test_one_that_does_not_read_loses_the_oldest_and_nobody_else_anything(
    world: World,
) -> None:
    async with Server(world) as server:
        readers = [await server.peer("a") for _ in range(3)]
        slow = await server.peer("a", receive_buffer=4096)
        session = server.sessions[3]
        count = overflow(server, session, await flood(server, session, readers))
        last = wire(range(count - QUEUE, count))
        await world.until(lambda: slow.take() and slow.received.endswith(last))
        assert told_of(slow.received)[0] == count
        assert server.channels.waiting(session) == 0


@on_both
async def test_one_that_does_not_read_loses_the_newest(world: World) -> None:
    async with Server(world, policy="drop-newest") as server:
        slow = await server.peer("a", receive_buffer=4096)
        session = server.sessions[0]
        count = overflow(server, session, await flood(server, session, []))
        lost = server.channels.counters.dropped

        def knows_all() -> bool:
            slow.take()
            *_, line, rest = [b"", *slow.received[-2 * len(TEXT) :].split(b"\n")]
            if rest or not line.startswith(b"* DROPPED "):
                return False  # at once, since there is much to look through
            return told_of(slow.received) == (count, lost)

        await world.until(knows_all)
        *_, (kind, number) = numbers_of(bytes(slow.received))
        assert kind == "DROPPED"
        assert number >= QUEUE
        assert server.channels.waiting(session) == 0
        server.channels.publish("a", "again")
        again = b"* MESSAGE a again\n"
        slow.received.clear()
        assert await slow.read(len(again)) == again


@on_both
async def test_one_that_does_not_read_is_disconnected(world: World) -> None:
    async with Server(world, policy="disconnect") as server:
        readers = [await server.peer("a") for _ in range(3)]
        slow = await server.peer("a", receive_buffer=4096)
        await flood(server, server.sessions[3], readers)
        assert server.channels.counters.disconnected == 1
        assert server.channels.counts() == {"a": 3}
        assert await slow.end() is None
        head, error = bytes(slow.received).rsplit(b"\n", 2)[:2]
        expected = (
            f"ERR slow-consumer more than {QUEUE} messages or 262144 bytes would have to wait"
        )
        assert error.decode() == expected
        received = list(numbers_of(head))
        assert received == [("MESSAGE", number) for number in range(len(received))]


@on_both
async def test_a_drain_waits_for_what_one_has_yet_to_read(world: World) -> None:
    async with Server(world, policy="drop-newest") as server:
        slow = await server.peer("a", receive_buffer=4096)
        session = server.sessions[0]
        count = overflow(server, session, await flood(server, session, []))
        server.protocols[0].drain(world.reactor, PATIENCE)
        assert await slow.end() is None
        assert told_of(slow.received) == (count, server.channels.counters.dropped)


@on_both
async def test_more_than_are_served_in_a_turn(world: World) -> None:
    async with Server(world) as server:
        readers = [await server.peer("a") for _ in range(AT_ONCE + 20)]
        publisher = await server.peer()
        await publisher.send(b"PUBLISH a 1\nPUBLISH a 2\n")
        replies = b"%d\n" % len(readers) * 2
        assert await publisher.read(len(replies)) == replies
        text = b"* MESSAGE a 1\n* MESSAGE a 2\n"
        for reader in readers:
            assert await reader.read(len(text)) == text


@on_both
async def test_some_reset_their_connections_while_messages_are_on_their_way(world: World) -> None:
    async with Server(world) as server:
        readers = [await server.peer("a") for _ in range(30)]
        publisher = await server.peer()
        for numbers in (range(10), range(10, 20), range(20, 30)):
            server.channels.publish("a", "begins")
            readers.pop().reset()
            readers.pop(0).reset()
            await publish(world, publisher, numbers)
            text = b"* MESSAGE a begins\n" + wire(numbers)
            for reader in readers:
                assert await reader.read(len(text)) == text
        await world.until(lambda: server.channels.counts() == {"a": 24})
