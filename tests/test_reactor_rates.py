"""Connections keep to rates on real sockets, on our reactor as on Twisted's with metered ports."""

import contextlib
import random
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock

from netsuite.net._shaping import SHORTEST_WAIT, stream_bucket, turn_size
from netsuite.net.metered import meter
from netsuite.net.test.fake_sockets import FakeSocket
from netsuite.net.test.fake_uv import READ_SIZE, UVClock, connect_uv
from tests.reactors import Plain, Recorder, World, on_both
from tests.test_reactor_connections import Sender
from tests.test_shaping_properties import STEPS, Shaped
from tests.test_shaping_properties import Recorder as Receiver

RATES = [1_000.0, 100_000.0, 10_000_000.0]


def most(rate: float, seconds: float) -> float:
    """What may pass in a time: also two turns of the bucket, one in hand, and what was read."""
    turn = turn_size(rate)
    read = READ_SIZE if turn == 64 * 1024 else 512
    return rate * (seconds + SHORTEST_WAIT) + 3 * turn + read


async def metered(world: World, protocol: Any, receive_buffer: int = 0) -> Plain:
    """A plain socket that is connected to a metered protocol."""
    port = await world.listen(lambda: protocol)
    assert meter(port)
    return await world.connect(port, protocol, receive_buffer)


def shape(protocol: Recorder, rate: float, clock: Any) -> None:
    protocol.wire.shape([stream_bucket(rate)], [stream_bucket(rate)], clock)


@pytest.mark.parametrize("rate", RATES)
@on_both
async def test_reading(world: World, rate: float) -> None:
    clock = Clock()
    protocol = Recorder()
    peer = await metered(world, protocol)
    shape(protocol, rate, clock)
    data = random.Random(1).randbytes(int(max(10 * turn_size(rate), 2 * READ_SIZE + rate / 5)))
    left = memoryview(data)

    while len(protocol.received) < len(data):
        # All that can happen without time does.
        while not protocol.wire.throttled and len(protocol.received) < len(data):
            with contextlib.suppress(BlockingIOError):
                left = left[peer.socket.send(left) :] if left else left
            await world.pause()
        assert len(protocol.received) <= most(rate, clock.seconds())
        assert protocol.wire.bytes_received == len(protocol.received)
        clock.advance(turn_size(rate) / rate / 3)
    assert protocol.received == data
    assert clock.seconds() >= (len(data) - most(rate, 0)) / rate


@pytest.mark.parametrize("rate", RATES)
@on_both
async def test_writing(world: World, rate: float) -> None:
    clock = Clock()
    protocol = Recorder()
    peer = await metered(world, protocol)
    shape(protocol, rate, clock)
    data = random.Random(1).randbytes(10 * turn_size(rate) + 100)
    for start in range(0, len(data), 70_001):
        protocol.wire.write(data[start : start + 70_001])
    while len(peer.received) < len(data):
        await world.until(
            lambda: peer.take() or protocol.wire.throttled or len(peer.received) == len(data)
        )
        assert len(peer.received) <= protocol.wire.bytes_sent <= most(rate, clock.seconds())
        assert not (protocol.wire.throttled and protocol.wire.unsent)
        clock.advance(turn_size(rate) / rate / 3)
    assert peer.received == data
    assert protocol.wire.bytes_sent == len(data)
    assert clock.seconds() >= (len(data) - most(rate, 0)) / rate


@pytest.mark.parametrize(("rate", "size"), [(1_000.0, 4_000), (10_000_000.0, 8_000_000)])
@on_both
async def test_by_the_reactors_clock(world: World, rate: float, size: int) -> None:
    """Both directions at once, and no faster than that."""
    protocol = Recorder()
    peer = await metered(world, protocol)
    seconds = world.reactor.seconds
    shape(protocol, rate, world.reactor)
    begun = seconds()
    protocol.wire.write(bytes(size))
    left = memoryview(bytes(size))
    while len(protocol.received) < size or len(peer.received) < size:
        with contextlib.suppress(BlockingIOError):
            left = left[peer.socket.send(left) :] if left else left
        if not peer.take():
            await world.pause()
        for moved in (len(protocol.received), len(peer.received)):
            assert moved <= most(rate, seconds() - begun)


@on_both
async def test_rates_that_change(world: World) -> None:
    """Nothing is lost, doubled or turned around, whenever they do."""
    dice = random.Random(3)
    protocol = Recorder()
    peer = await metered(world, protocol)
    ours, theirs = dice.randbytes(2_000_000), dice.randbytes(2_000_000)
    written = 0
    left = memoryview(theirs)
    paused = False
    while written < len(ours) or left:
        match dice.randrange(8):
            case 0:
                rate = 10 ** dice.uniform(4, 8)
                reading = [stream_bucket(rate)] if dice.random() < 0.7 else []
                writing = [stream_bucket(rate)] if dice.random() < 0.7 else []
                protocol.wire.shape(reading, writing, world.reactor)
            case 1:
                paused = not paused
                (protocol.wire.pauseProducing if paused else protocol.wire.resumeProducing)()
            case 2 | 3:
                size = int(10 ** dice.uniform(0, 5))
                protocol.wire.write(ours[written : written + size])
                written += size
            case 4 | 5:
                try:
                    left = left[peer.socket.send(left[: dice.randrange(1, 100_000)]) :]
                except BlockingIOError:
                    if paused:
                        paused = False
                        protocol.wire.resumeProducing()
            case 6:
                peer.take(dice.randrange(1, 100_000))
            case _:
                await world.pause(0)
    protocol.wire.resumeProducing()
    shape(protocol, 1e7, world.reactor)
    await world.until(lambda: peer.has(len(ours)) and len(protocol.received) == len(theirs))
    assert sha256(peer.received).digest() == sha256(ours).digest()
    assert sha256(protocol.received).digest() == sha256(theirs).digest()
    assert (protocol.wire.bytes_received, protocol.wire.bytes_sent) == (2_000_000, 2_000_000)
    assert (protocol.wire.throttled, protocol.wire.unsent) == (False, False)


@on_both
async def test_rates_from_the_first_byte(world: World) -> None:
    """Where a program gives them: before anything was read or written."""
    clock = Clock()

    def made(protocol: Recorder) -> None:
        shape(protocol, 1000, clock)
        protocol.wire.write(bytes(5000))

    protocol = Recorder(connectionMade=made)
    peer = await metered(world, protocol)
    await peer.send(bytes(5000))
    await world.until(lambda: peer.has() and protocol.received and protocol.wire.throttled)
    await world.turns()
    assert len(peer.received) <= most(1000, 0)
    assert len(protocol.received) <= most(1000, 0)
    while not peer.has(5000) or len(protocol.received) < 5000:
        clock.advance(0.1)
        await world.pause()


@on_both
async def test_a_peer_that_reads_nothing(world: World) -> None:
    """It is the peer that is waited for, whatever the rate says."""
    clock = Clock()
    protocol = Recorder()
    peer = await metered(world, protocol, receive_buffer=4096)
    assert (protocol.wire.throttled, protocol.wire.unsent) == (False, False)
    shape(protocol, 1e8, clock)
    protocol.wire.write(bytes(30_000_000))
    for _ in range(100):
        clock.advance(0.01)
        await world.pause()
    assert protocol.wire.unsent
    assert not protocol.wire.throttled
    sent = protocol.wire.bytes_sent
    assert sent < 30_000_000
    protocol.wire.shape([], [], clock)
    assert protocol.wire.unsent
    assert protocol.wire.bytes_sent == sent
    await peer.read(30_000_000)
    await world.until(lambda: not protocol.wire.unsent)
    assert protocol.wire.bytes_sent == 30_000_000


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection", "peer"])
@on_both
async def test_the_end_gives_tokens_back(world: World, end: str) -> None:
    clock = Clock()
    protocol = Recorder()
    peer = await metered(world, protocol)
    reading, writing = stream_bucket(1000), stream_bucket(1000)
    protocol.wire.shape([reading], [writing], clock)
    protocol.wire.write(bytes(100))
    await peer.send(bytes(100))
    await peer.read(100)
    await world.until(lambda: len(protocol.received) == 100)
    told: list[Any] = []
    protocol.wire.on_lost = lambda reason: told.append((reason.type, protocol.lost[:]))
    if end == "peer":
        peer.close()
    else:
        getattr(protocol.wire, end)()
        await peer.end()
    await world.until(lambda: told)
    kind = ConnectionAborted if end == "abortConnection" else ConnectionDone
    assert told == [(kind, [kind])]
    assert clock.getDelayedCalls() == []
    # 1,024 tokens there were.
    assert (reading.reserve(924, 0), writing.reserve(924, 0)) == (0, 0)
    assert reading.reserve(1, 0) > 0
    assert writing.reserve(1, 0) > 0


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection"])
@on_both
async def test_the_end_during_a_wait(world: World, end: str) -> None:
    clock = Clock()
    protocol = Recorder()
    peer = await metered(world, protocol)
    shape(protocol, 1000, clock)
    protocol.wire.write(bytes(3000))
    await peer.send(bytes(3000))
    await world.until(lambda: peer.has() and protocol.received and protocol.wire.throttled)
    getattr(protocol.wire, end)()
    if end == "loseConnection":
        await world.turns()
        assert protocol.lost == []
        while not protocol.lost:
            clock.advance(0.1)
            await world.pause()
    await peer.end()
    await world.until(lambda: protocol.lost)
    if end == "loseConnection":
        assert len(peer.received) == 3000
    assert clock.getDelayedCalls() == []


@on_both
async def test_what_was_not_sent_is_not_counted(world: World) -> None:
    protocol = Recorder()
    peer = await metered(world, protocol, receive_buffer=4096)
    protocol.wire.write(bytes(20_000_000))
    await world.turns()
    counts: list[int] = []
    wire = protocol.wire
    wire.on_lost = lambda reason: counts.append(wire.bytes_sent)
    wire.abortConnection()
    await peer.end()
    await world.until(lambda: counts)
    assert counts[0] < 20_000_000


@pytest.mark.parametrize("push", [True, False])
@on_both
async def test_a_producer_under_a_rate(world: World, *, push: bool) -> None:
    clock = Clock()
    protocol = Recorder()
    peer = await metered(world, protocol)
    protocol.wire.shape([], [stream_bucket(1e6)], clock)
    total = 30_000_000
    sender = Sender(protocol.wire, total, 10_000, push=push)
    protocol.wire.registerProducer(sender, push)
    if push:
        sender.resumeProducing()
    while len(peer.received) < 1_500_000:
        if not peer.take():
            await world.pause()
            clock.advance(0.01)
        written = total - sender.left
        assert written - protocol.wire.bytes_sent <= 64 * 1024 + 10_000
        assert protocol.wire.bytes_sent <= most(1e6, clock.seconds())
    protocol.wire.shape([], [], clock)
    # Now it is the peer that does not read.
    await world.until(lambda: not protocol.wire.throttled and protocol.wire.unsent)
    await world.turns()
    assert sender.left > 0
    await peer.read(total)
    assert sender.asked_too_much == 0
    assert sender.most <= 64 * 1024 + 10_000


# Counterexamples, with uvloop in memory.


class ShapedUV(Shaped):
    """The same, on a connection of uvloop's."""

    def __init__(self, rate: float, window: int) -> None:
        self.reactor = UVClock()
        self.socket = FakeSocket(window)
        self.protocol = Receiver()
        self.transport = connect_uv(self.protocol, self.reactor, self.socket)
        self.transport.shape([stream_bucket(rate)], [stream_bucket(rate)], self.reactor)
        self.sent = bytearray()
        self.written = bytearray()


@settings(max_examples=60)
@given(rate=st.floats(1000, 1e7), window=st.integers(0, 100_000), steps=STEPS)
def test_a_connection_keeps_to_its_rate_and_loses_nothing(
    rate: float, window: int, steps: list[tuple[str, Any]]
) -> None:
    shaped = ShapedUV(rate, window)
    for what, value in steps:
        shaped.act(what, value)
        shaped.reactor.run(0)
        limit = most(rate, shaped.reactor.seconds())
        assert len(shaped.protocol.received) <= limit
        assert len(shaped.socket.received) <= limit
        assert shaped.transport.bytes_sent == len(shaped.socket.received)
        assert shaped.transport.bytes_received == len(shaped.protocol.received)
    shaped.finish()
    assert shaped.protocol.received == shaped.sent
    assert shaped.socket.received == shaped.written
    shaped.transport.abortConnection()
    shaped.reactor.run(0)
    assert shaped.reactor.getDelayedCalls() == []


@settings(max_examples=60)
@given(
    rates=st.lists(st.one_of(st.none(), st.floats(1000, 1e7)), min_size=1, max_size=8),
    window=st.integers(0, 100_000),
    steps=STEPS,
)
def test_rates_that_change_lose_nothing(
    rates: list[float | None], window: int, steps: list[tuple[str, Any]]
) -> None:
    shaped = ShapedUV(1000, window)
    for index, (what, value) in enumerate(steps):
        shaped.act(what, value)
        shaped.reactor.run(0)
        if index % 3 == 0:
            rate = rates[index // 3 % len(rates)]
            buckets = [] if rate is None else [stream_bucket(rate)]
            shaped.transport.shape(buckets, buckets, shaped.reactor)
    shaped.finish()
    assert shaped.protocol.received == shaped.sent
    assert shaped.socket.received == shaped.written
