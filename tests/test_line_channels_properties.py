"""Channels through any run of what can happen, next to models of them."""

from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from netsuite.line import _channels_delivery as delivery
from netsuite.line._channels_backlog import Backlog, Bounds
from netsuite.line.channels import Policy
from netsuite.line.test.channels import Listener, Served, Turns

pytestmark = pytest.mark.once

#: Bytes of a message.
SIZES = st.integers(1, 40)


class BacklogMachine(RuleBasedStateMachine):
    """A backlog, and a list of all that came, lost or not."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.taken: list[bytes] = []
        #: Channel and bytes; or None, where it was lost.
        self.all: list[tuple[str, bytes | None]] = []

    policy: Policy = "drop-oldest"

    @property
    def backlog(self) -> Backlog:
        if not hasattr(self, "_backlog"):
            self._backlog = Backlog(
                Bounds(self.policy, 4, 100),
                lambda name, lost: b"%b lost %d" % (name.encode(), lost),
            )
        return self._backlog

    @property
    def kept(self) -> list[bytes]:
        return [data for _, data in self.all if data is not None]

    def fits(self, data: bytes) -> bool:
        return len(self.kept) < 4 and sum(map(len, self.kept)) + len(data) <= 100

    @rule(channel=st.sampled_from("ab"), sizes=st.lists(SIZES, max_size=6))
    def keep(self, channel: str, sizes: list[int]) -> None:
        messages = []
        for size in sizes:
            self.made += 1
            messages.append((b"%d " % self.made).ljust(size, b"."))
        lost = sum(self.add(channel, data) for data in messages)
        assert self.backlog.keep(channel, messages) == lost

    def add(self, channel: str, data: bytes) -> int:
        """Add to the model; how many are lost."""
        if self.policy == "drop-newest":
            fits = self.fits(data)
            self.all.append((channel, data if fits else None))
            return 0 if fits else 1
        lost = 0
        while not self.fits(data):
            first = next(at for at, (_, kept) in enumerate(self.all) if kept is not None)
            self.all[first] = (self.all[first][0], None)
            lost += 1
        self.all.append((channel, data))
        return lost

    def expected(self) -> list[bytes]:
        """What a subscriber reads that reads all."""
        said: list[bytes] = []
        lost: dict[str, int] = {}

        def tell(*channels: str) -> None:
            said.extend(
                b"%b lost %d" % (each.encode(), lost.pop(each)) for each in channels if each in lost
            )

        for channel, data in self.all:
            if data is None:
                lost[channel] = lost.get(channel, 0) + 1
            else:
                tell(*([channel] if self.policy == "drop-newest" else list(lost)))
                said.append(data)
        tell(*lost)
        return said

    @rule(room=st.integers(0, 9))
    def serve(self, room: int) -> None:
        expected = self.expected()
        taken: list[bytes] = []

        def push(data: bytes) -> bool:
            if len(taken) == room:
                return False
            taken.append(data)
            return True

        done, sent = self.backlog.serve(push)
        assert taken == expected[:room]
        assert done == (len(expected) <= room)
        assert sent == sum(b" lost " not in data for data in taken)
        for data in taken:
            self.forget_taken(data)

    def forget_taken(self, data: bytes) -> None:
        if b" lost " not in data:
            self.all.remove(next(each for each in self.all if each[1] == data))
            return
        channel, _, count = data.decode().split()
        for _ in range(int(count)):
            self.all.remove((channel, None))

    @rule(channel=st.sampled_from("ab"))
    def forget(self, channel: str) -> None:
        self.backlog.forget(channel)
        self.all = [each for each in self.all if each[0] != channel]

    @invariant()
    def bounded(self) -> None:
        assert self.backlog.messages == len(self.kept) <= 4
        assert self.backlog.size == sum(map(len, self.kept)) <= 100


class DropNewestBacklogMachine(BacklogMachine):
    """The same, keeping the oldest."""

    policy = "drop-newest"


TestDropOldestBacklog = BacklogMachine.TestCase
TestDropNewestBacklog = DropNewestBacklogMachine.TestCase
TestDropOldestBacklog.settings = TestDropNewestBacklog.settings = settings(
    max_examples=100, stateful_step_count=30
)


NAMES = ("a", "b")


class Subscribed:
    """What a subscriber has to read of a channel, from when it began to listen.

    :ivar next: the number of the message that comes next.
    """

    def __init__(self, following: int) -> None:
        self.next = following


class DeliveryMachine(RuleBasedStateMachine):
    """Every message is read or said to be lost, once, in order, by those who listen."""

    policy: Policy = "drop-oldest"

    def __init__(self) -> None:
        super().__init__()
        mock.patch.object(delivery, "AT_ONCE", 2).start()
        mock.patch.object(delivery, "TURN_BYTES", 120).start()
        self.turns = Turns()
        self.served = Served(
            queue=3, policy=self.policy, soon=self.turns.soon, queue_bytes=400, message=50
        )
        self.channels = self.served.channels
        self.published = dict.fromkeys(NAMES, 0)
        self.listeners: list[Listener] = []
        self.heard: dict[Listener, dict[str, Subscribed]] = {}
        self.lost = 0

    def teardown(self) -> None:
        mock.patch.stopall()

    def pick(self, at: int) -> Listener | None:
        return self.listeners[at % len(self.listeners)] if self.listeners else None

    @rule(room=st.sampled_from([None, 0, 1, 2]))
    def come(self, room: int | None) -> None:
        if len(self.listeners) < 7:
            listener = Listener(self.served)
            listener.room = room
            self.listeners.append(listener)
            self.heard[listener] = {}

    @rule(at=st.integers(0, 6), name=st.sampled_from(NAMES))
    def subscribe(self, at: int, name: str) -> None:
        listener = self.pick(at)
        if listener is not None:
            self.channels.subscribe(listener.session, name)
            if not listener.closed:
                self.heard[listener].setdefault(name, Subscribed(self.published[name]))

    @rule(at=st.integers(0, 6), name=st.sampled_from(NAMES))
    def unsubscribe(self, at: int, name: str) -> None:
        listener = self.pick(at)
        if listener is not None and name in self.heard[listener]:
            behind = self.channels.waiting(listener.session) > 0
            room = listener.room
            self.channels.unsubscribe(listener.session, name)
            self.look(listener)
            if room is None and not behind:
                assert self.heard[listener][name].next == self.published[name]
            del self.heard[listener][name]

    @rule(at=st.integers(0, 6))
    def end(self, at: int) -> None:
        listener = self.pick(at)
        if listener is not None:
            self.look(listener)
            listener.session.end()
            self.listeners.remove(listener)
            del self.heard[listener]

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 5))
    def publish(self, name: str, count: int) -> None:
        for _ in range(count):
            expected = sum(name in each for each in self.heard.values())
            number = self.published[name]
            self.published[name] += 1
            told = self.channels.publish(name, str(number))
            closed = sum(bool(each.closed) and name in self.heard[each] for each in self.listeners)
            assert told == expected - closed

    @rule(at=st.integers(0, 6), room=st.sampled_from([None, 0, 1, 2, 5]))
    def read(self, at: int, room: int | None) -> None:
        listener = self.pick(at)
        if listener is not None:
            self.look(listener)
            listener.read(room)
            self.look(listener)

    @rule()
    def turn(self) -> None:
        self.turns.end()

    @rule()
    def all_is_read(self) -> None:
        while self.turns.later:
            self.turns.end()
        for listener in self.listeners:
            self.look(listener)
            listener.read()
            self.look(listener)
            if listener.closed:
                assert self.channels.subscriptions(listener.session) == ()
                continue
            assert set(self.channels.subscriptions(listener.session)) == set(self.heard[listener])
            assert self.channels.waiting(listener.session) == 0
            for name, heard in self.heard[listener].items():
                assert heard.next == self.published[name], (name, heard.next)

    @invariant()
    def bounded(self) -> None:
        for listener in self.listeners:
            self.look(listener)
            assert self.channels.waiting(listener.session) <= 3

    def look(self, listener: Listener) -> None:
        """What has come is what has to."""
        lines = listener.pushes
        listener.taken.clear()
        for line in lines:
            dropped = line.startswith("DROPPED ")
            name, number = line.removeprefix("DROPPED ").split()
            heard = self.heard[listener][name]
            if dropped:
                assert self.policy != "disconnect"
                assert int(number) > 0
                heard.next += int(number)
            else:
                assert heard.next == int(number), (line, heard.next)
                heard.next += 1
            assert heard.next <= self.published[name]


class DropNewestMachine(DeliveryMachine):
    """The same."""

    policy = "drop-newest"


class DisconnectMachine(DeliveryMachine):
    """The same, as long as they are not too slow."""

    policy = "disconnect"


TestDropOldest = DeliveryMachine.TestCase
TestDropNewest = DropNewestMachine.TestCase
TestDisconnect = DisconnectMachine.TestCase
TestDropOldest.settings = TestDropNewest.settings = TestDisconnect.settings = settings(
    max_examples=100, stateful_step_count=40
)
