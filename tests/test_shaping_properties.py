"""Rates hold for any pattern of use, searched for counterexamples."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol

from netsuite.net._shaping import ClientBuckets, RateBucket, stream_bucket, turn_size
from netsuite.net.metered import SHORTEST_WAIT
from netsuite.net.test.fake_sockets import FakeSocket, SocketReactor, connect

RATES = st.floats(50, 1e8)
COUNTS = st.integers(0, 200_000)
PAUSES = st.floats(0, 20)


@given(rate=RATES, burst=st.floats(0, 1e6), uses=st.lists(st.tuples(PAUSES, COUNTS), max_size=60))
def test_who_waits_as_told_keeps_to_the_rate(
    rate: float, burst: float, uses: list[tuple[float, int]]
) -> None:
    """Over any stretch of time, not only from the start."""
    bucket = RateBucket(rate, burst)
    now = 0.0
    moved: list[tuple[float, int]] = []
    for pause, count in uses:
        now += pause
        now += bucket.reserve(count, now)
        moved.append((now, count))
    for first, (start, _) in enumerate(moved):
        total = 0
        for end, count in moved[first:]:
            total += count
            # What the first one moved was paid for before the stretch began.
            paid = total - moved[first][1]
            assert paid <= burst + rate * (end - start) + 1e-6 * (1 + total)


@given(rate=RATES, uses=st.lists(COUNTS, min_size=1, max_size=60))
def test_who_never_pauses_has_all_of_the_rate(rate: float, uses: list[int]) -> None:
    burst = 1000.0
    bucket = RateBucket(rate, burst)
    now = 0.0
    for count in uses:
        now += bucket.reserve(count, now)
    least = max(0.0, sum(uses) - burst) / rate
    assert abs(now - least) <= 1e-6 * (1 + least)


@given(
    rate=RATES,
    uses=st.lists(st.tuples(PAUSES, COUNTS, st.floats(0, 1)), min_size=1, max_size=60),
)
def test_what_is_given_back_was_never_taken(
    rate: float, uses: list[tuple[float, int, float]]
) -> None:
    """As long as a bucket is in debt, which is when it counts."""
    one, other = RateBucket(rate, 0), RateBucket(rate, 0)
    now = 0.0
    one.reserve(10**9, now)
    other.reserve(10**9, now)
    for pause, count, share in uses:
        now += pause / 1e9
        back = int(count * share)
        one.reserve(count, now)
        one.give_back(back)
        other.reserve(count - back, now)
    assert abs(one.reserve(0, now) - other.reserve(0, now)) <= 1e-6 * (1 + 1e9 / rate)


@given(
    clients=st.lists(st.integers(0, 12), max_size=200),
    most=st.integers(1, 10),
)
def test_so_many_clients_are_remembered(clients: list[int], most: int) -> None:
    buckets = ClientBuckets(1000, max_clients=most)
    last: dict[int, RateBucket] = {}
    order: list[int] = []
    for client in clients:
        bucket = buckets.join(client)
        if client in order[-most:]:
            assert bucket is last[client]
        else:
            assert bucket is not last.get(client)
        order = [each for each in order if each != client] + [client]
        last[client] = bucket
        assert len(buckets) <= most


class Recorder(Protocol):
    def __init__(self) -> None:
        self.received = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self.received += data


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 300_000)),
        st.tuples(st.just("write"), st.integers(1, 300_000)),
        st.tuples(st.just("window"), st.integers(1, 300_000)),
        st.tuples(st.just("run"), st.floats(0, 5)),
        st.tuples(st.just("pause"), st.none()),
        st.tuples(st.just("resume"), st.none()),
    ),
    max_size=40,
)


class Shaped:
    """A connection under a rate, whose peer and protocol do what a list says."""

    def __init__(self, rate: float, window: int) -> None:
        self.reactor = SocketReactor()
        self.socket = FakeSocket(window)
        self.protocol = Recorder()
        self.transport = connect(self.protocol, self.reactor, self.socket)
        self.transport.shape([stream_bucket(rate)], [stream_bucket(rate)], self.reactor)
        self.sent = bytearray()
        self.written = bytearray()

    def act(self, what: str, value: Any) -> None:
        match what:
            case "send":
                data = bytes([len(self.sent) % 251]) * value
                self.sent += data
                self.socket.incoming += data
            case "write":
                data = bytes([len(self.written) % 251]) * value
                self.written += data
                self.transport.write(data)
            case "window":
                self.socket.window += value
            case "run":
                self.reactor.run(value)
            case "pause":
                self.transport.pauseProducing()
            case _:
                self.transport.resumeProducing()

    def finish(self) -> None:
        """Let everything through."""
        self.socket.window = 2**40
        self.transport.resumeProducing()
        self.reactor.run(0)
        while self.socket.incoming or len(self.socket.received) < len(self.written):
            self.reactor.run(60)


@settings(max_examples=60)
@given(rate=st.floats(1000, 1e7), window=st.integers(0, 100_000), steps=STEPS)
def test_a_connection_keeps_to_its_rate_and_loses_nothing(
    rate: float, window: int, steps: list[tuple[str, Any]]
) -> None:
    shaped = Shaped(rate, window)
    for what, value in steps:
        shaped.act(what, value)
        shaped.reactor.run(0)
        # Two turns of the bucket, one in hand, and what is not worth a timer.
        most = rate * (shaped.reactor.seconds() + SHORTEST_WAIT) + 3 * turn_size(rate)
        assert len(shaped.protocol.received) <= most
        assert len(shaped.socket.received) <= most
    shaped.finish()
    assert shaped.protocol.received == shaped.sent
    assert shaped.socket.received == shaped.written
    shaped.transport.abortConnection()
    shaped.reactor.run(0)
    assert shaped.reactor.getDelayedCalls() == []


@settings(max_examples=40)
@given(
    rate=st.floats(5000, 1e6),
    opened=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    seconds=st.floats(0, 10),
)
def test_connections_of_a_client_share_its_rate(
    rate: float, opened: list[float], seconds: float
) -> None:
    reactor = SocketReactor()
    bucket = ClientBuckets(rate).join("client")
    protocols = []
    for pause in opened:
        protocol = Recorder()
        socket = FakeSocket()
        socket.incoming += bytes(2 * int(rate))
        connect(protocol, reactor, socket).shape([bucket], [], reactor)
        protocols.append(protocol)
        reactor.run(pause)
    reactor.run(seconds)
    most = rate * (reactor.seconds() + SHORTEST_WAIT) + 3 * turn_size(rate)
    assert sum(len(each.received) for each in protocols) <= most
