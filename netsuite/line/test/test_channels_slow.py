"""Channels and subscribers that do not read: what waits, what is lost, and who is told."""

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line._channels_backlog import Backlog, Bounds, Policy, SlowConsumerError
from netsuite.line.channels import Channels
from netsuite.line.test.channels import Served


class Slow(SynchronousTestCase):
    """One that does not read, and what it is told when it does."""

    policy: Policy = "drop-oldest"

    def setUp(self) -> None:
        self.served = Served(queue=3, policy=self.policy)
        self.channels: Channels = self.served.channels
        self.listener = self.served.listener("a", "b")
        self.listener.room = 0

    def publish(self, name: str, *texts: str) -> None:
        self.served.publish(name, *texts)

    @property
    def waiting(self) -> int:
        return self.channels.waiting(self.listener.session)


class DropOldest(Slow):
    """``drop-oldest``: the newest are kept."""

    def test_at_the_bound_nothing_is_lost(self) -> None:
        self.publish("a", "1", "2", "3")
        self.assertEqual(self.waiting, 3)
        self.assertEqual(self.listener.read(), ["a 1", "a 2", "a 3"])
        self.assertEqual(self.waiting, 0)
        self.assertEqual(self.channels.counters.dropped, 0)
        self.assertEqual(self.channels.counters.delivered, 3)

    def test_one_more_costs_the_oldest(self) -> None:
        self.publish("a", "1", "2", "3")
        self.publish("a", "4")
        self.assertEqual(self.waiting, 3)
        self.assertEqual(self.listener.read(), ["DROPPED a 1", "a 2", "a 3", "a 4"])
        self.assertEqual(self.channels.counters.dropped, 1)
        self.assertEqual(self.channels.counters.delivered, 3)

    def test_more_in_one_turn_than_may_wait(self) -> None:
        self.publish("a", *map(str, range(10)))
        self.assertEqual(self.listener.read(), ["DROPPED a 7", "a 7", "a 8", "a 9"])
        self.assertEqual(self.channels.counters.dropped, 7)

    def test_each_channel_has_a_number_of_its_own(self) -> None:
        self.publish("a", "1", "2")
        self.publish("b", "3")
        self.publish("a", "4", "5", "6")
        told = ["DROPPED a 2", "DROPPED b 1", "a 4", "a 5", "a 6"]
        self.assertEqual(self.listener.read(), told)

    def test_what_was_told_is_not_told_again(self) -> None:
        self.publish("a", "1", "2", "3", "4")
        self.assertEqual(self.listener.read(2), ["DROPPED a 1", "a 2"])
        self.publish("a", "5", "6", "7")
        self.assertEqual(self.listener.read(1), ["DROPPED a 2"])
        self.assertEqual(self.listener.read(), ["a 5", "a 6", "a 7"])
        self.publish("a", "8")
        self.assertEqual(self.listener.pushes[-1], "a 8")

    def test_unsubscribing_throws_away_what_waits_of_the_channel(self) -> None:
        self.publish("a", "1", "2")
        self.publish("b", "3")
        self.publish("a", "4")
        self.channels.publish("a", "5")
        self.channels.unsubscribe(self.listener.session, "a")
        self.assertEqual(self.waiting, 1)
        self.assertEqual(self.listener.read(), ["b 3"])
        self.channels.subscribe(self.listener.session, "a")
        self.publish("a", "6")
        self.assertEqual(self.listener.pushes, ["b 3", "a 6"])

    def test_what_the_end_of_a_session_leaves(self) -> None:
        self.publish("a", "1")
        self.channels.publish("a", "2")
        self.listener.session.end()
        self.served.turn()
        self.assertEqual(self.waiting, 0)
        self.assertEqual(self.channels.counts(), {})
        self.assertEqual(self.listener.taken, [])

    def test_bytes_are_a_bound_too(self) -> None:
        size = len("* MESSAGE a xx\r\n")
        longest = len("* MESSAGE  \r\n") + 4 + 100
        served = Served(queue_bytes=longest, name_length=1, message=100)
        listener = served.listener("a")
        listener.room = 0
        most = longest // size
        served.publish("a", *(f"{n:02}" for n in range(most)))
        self.assertEqual(served.channels.waiting(listener.session), most)
        served.publish("a", "xx")
        self.assertEqual(served.channels.waiting(listener.session), most)
        served.publish("a", "y" * 100)
        self.assertEqual(served.channels.waiting(listener.session), 1)
        self.assertEqual(listener.read(), [f"DROPPED a {most + 1}", f"a {'y' * 100}"])

    def test_those_who_read_get_all_of_it(self) -> None:
        other = self.served.listener("a")
        self.publish("a", *map(str, range(5)))
        self.assertEqual(other.pushes, [f"a {n}" for n in range(5)])


class DropNewest(Slow):
    """``drop-newest``: what came first is kept."""

    policy = "drop-newest"

    def test_at_the_bound_nothing_is_lost(self) -> None:
        self.publish("a", "1", "2", "3")
        self.assertEqual(self.listener.read(), ["a 1", "a 2", "a 3"])
        self.assertEqual(self.channels.counters.dropped, 0)

    def test_one_more_is_lost(self) -> None:
        self.publish("a", "1", "2", "3")
        self.publish("a", "4")
        self.assertEqual(self.waiting, 3)
        self.assertEqual(self.listener.read(), ["a 1", "a 2", "a 3", "DROPPED a 1"])
        self.assertEqual(self.channels.counters.dropped, 1)
        self.publish("a", "5")
        self.assertEqual(self.listener.pushes[-1], "a 5")

    def test_more_in_one_turn_than_may_wait(self) -> None:
        self.publish("a", *map(str, range(10)))
        self.assertEqual(self.listener.read(), ["a 0", "a 1", "a 2", "DROPPED a 7"])

    def test_it_is_told_where_they_are_missing(self) -> None:
        self.publish("a", "1", "2", "3", "4", "5")
        self.publish("b", "6")
        self.assertEqual(self.listener.read(2), ["a 1", "a 2"])
        self.publish("a", "7")
        self.publish("b", "8", "9")
        self.assertEqual(self.listener.read(1), ["a 3"])
        told = ["DROPPED a 2", "a 7", "DROPPED b 1", "b 8", "DROPPED b 1"]
        self.assertEqual(self.listener.read(), told)

    def test_a_message_does_not_overtake_what_is_told(self) -> None:
        self.publish("a", "1", "2", "3", "4")
        self.assertEqual(self.listener.read(3), ["a 1", "a 2", "a 3"])
        self.assertEqual(self.waiting, 0)
        self.publish("a", "5")
        self.assertEqual(self.listener.read(), ["DROPPED a 1", "a 5"])

    def test_a_short_message_may_fit_where_a_long_one_does_not(self) -> None:
        served = Served(queue_bytes=200, name_length=1, message=100, policy="drop-newest")
        listener = served.listener("a")
        listener.room = 0
        long, short = "x" * 100, "y"
        served.publish("a", long, long, short, long, short)
        told = [f"a {long}", "DROPPED a 1", "a y", "DROPPED a 1", "a y"]
        self.assertEqual(listener.read(), told)


class Disconnect(Slow):
    """``disconnect``: who is too slow goes."""

    policy = "disconnect"

    def test_at_the_bound_nothing_happens(self) -> None:
        self.publish("a", "1", "2", "3")
        self.assertEqual(self.listener.read(), ["a 1", "a 2", "a 3"])
        self.assertEqual(self.listener.closed, [])

    def test_one_more_ends_it(self) -> None:
        self.publish("a", "1", "2", "3")
        self.publish("b", "4")
        (error,) = self.listener.closed
        assert error is not None
        expected = "slow-consumer more than 3 messages or 262144 bytes would have to wait"
        self.assertEqual(str(error), expected)
        self.assertEqual(self.channels.counters.disconnected, 1)
        self.assertEqual(self.channels.counters.dropped, 0)
        self.assertEqual(self.channels.counts(), {})
        self.assertEqual(self.waiting, 0)
        self.assertEqual(self.listener.read(), [])

    def test_more_in_one_turn_than_may_wait(self) -> None:
        self.publish("a", "1", "2", "3", "4")
        self.assertEqual(len(self.listener.closed), 1)

    def test_it_happens_once(self) -> None:
        for _ in range(3):
            self.publish("a", *map(str, range(9)))
            self.channels.subscribe(self.listener.session, "a", "c")
        self.assertEqual(len(self.listener.closed), 1)
        self.assertEqual(self.channels.counts(), {})

    def test_the_others_get_all_of_it(self) -> None:
        before, after = self.served.listener("a"), self.served.listener("a")
        self.publish("a", *"12345")
        self.assertEqual(before.pushes, [f"a {n}" for n in "12345"])
        self.assertEqual(after.pushes, before.pushes)
        self.assertEqual(self.channels.counters.delivered, 10)

    def test_whoever_reads_nothing_is_cut_off_in_the_end(self) -> None:
        self.publish("a", *"1234")
        self.served.clock.advance(9.75)
        self.assertFalse(self.listener.aborted)
        self.served.clock.advance(0.25)
        self.assertTrue(self.listener.aborted)

    def test_whoever_goes_by_itself_leaves_no_timer(self) -> None:
        self.publish("a", *"1234")
        self.listener.session.end()
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_unsubscribing_may_be_what_is_too_much(self) -> None:
        """What was published before is given first, and it is one more than may wait."""
        for text in "1234":
            self.channels.publish("a", text)
        self.channels.unsubscribe(self.listener.session)
        self.assertEqual(len(self.listener.closed), 1)
        self.assertEqual(self.channels.counts(), {})


class Connections(SynchronousTestCase):
    """The same over connections in memory."""

    def test_a_peer_that_reads_on_gets_what_waits(self) -> None:
        served = Served(queue=3)
        client = served.peer("a")
        client.peer_stops_reading()
        for text in "012345":
            served.publish("a", text)  # the first is on its way
        self.assertEqual(served.channels.waiting(client.session), 3)
        client.peer_reads()
        told = ["MESSAGE a 0", "DROPPED a 2", "MESSAGE a 3", "MESSAGE a 4", "MESSAGE a 5"]
        self.assertEqual(client.pushes, told)

    def test_a_peer_that_does_not_read_is_disconnected(self) -> None:
        served = Served(queue=3, policy="disconnect")
        client = served.peer("a")
        client.peer_stops_reading()
        for text in "01234":
            served.publish("a", text)
        self.assertFalse(client.closed)
        client.peer_reads()
        self.assertEqual(client.pushes, ["MESSAGE a 0"])
        self.assertTrue(client.take().endswith(b"would have to wait\r\n"))
        self.assertTrue(client.closed)
        self.assertEqual(served.channels.counters.disconnected, 1)

    def test_a_peer_that_does_not_even_read_why_is_cut_off(self) -> None:
        served = Served(queue=3, policy="disconnect")
        client = served.peer("a")
        client.peer_stops_reading()
        for text in "01234":
            served.publish("a", text)
        served.clock.advance(10)
        self.assertTrue(client.closed)
        self.assertEqual(client.pushes, [])

    def test_messages_wait_while_lines_are_on_their_way(self) -> None:
        served = Served()

        @served.app.command()
        def count(upto: int) -> Iterator[str]:
            for number in range(upto):
                served.channels.publish("a", str(number))
                yield "x" * 30_000

        client = served.peer("a")
        lines = client.lines("COUNT 9")
        self.assertEqual(lines, ["x" * 30_000] * 9)
        self.assertEqual(client.pushes, [f"MESSAGE a {number}" for number in range(9)])
        self.assertIn(b"\r\n.\r\n* MESSAGE a 0\r\n", client.replies)


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


class DropNewestMachine(BacklogMachine):
    """The same, keeping the oldest."""

    policy = "drop-newest"


class Model(SynchronousTestCase):
    """Backlogs against their model."""

    def test_drop_oldest(self) -> None:
        run(BacklogMachine)

    def test_drop_newest(self) -> None:
        run(DropNewestMachine)

    def test_disconnect(self) -> None:
        backlog = Backlog(Bounds("disconnect", 2, 10), lambda name, lost: b"")
        self.assertEqual(backlog.keep("a", [b"12345", b"67890"]), 0)
        with self.assertRaises(SlowConsumerError):
            backlog.keep("a", [b""])
        self.assertEqual((backlog.messages, backlog.size), (2, 10))


def run(machine: type[RuleBasedStateMachine]) -> None:
    """Play a machine."""
    case = machine.TestCase
    case.settings = settings(deadline=None, max_examples=100, stateful_step_count=30)
    case("runTest").runTest()
