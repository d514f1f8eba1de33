"""Channels and subscribers that do not read: what waits, what is lost, and who is told."""

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line._channels_backlog import Backlog, Bounds, Policy, SlowConsumerError
from netsuite.line._channels_delivery import AT_ONCE
from netsuite.line._test_client import LineTestClient
from netsuite.line.channels import Channels
from netsuite.line.test.channels import Served, Turns


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

    def test_what_waits_goes_out_before_the_end_when_the_service_drains(self) -> None:
        served = Served(queue=3)
        client = served.peer("a", "b")
        client.peer_stops_reading()
        for text in "01":
            served.publish("a", text)
        served.channels.publish("b", "2")  # and the turn does not end
        drain(client)
        served.turn()
        self.assertFalse(client.closed)
        client.peer_reads()
        self.assertEqual(client.pushes, ["MESSAGE a 0", "MESSAGE a 1", "MESSAGE b 2"])
        self.assertTrue(client.closed)

    def test_what_a_turn_has_published_goes_out_before_the_end(self) -> None:
        for end in (drain, LineTestClient.half_close):
            served = Served()
            client = served.peer("a")
            self.assertEqual(served.channels.publish("a", "0"), 1)
            end(client)
            self.assertEqual(client.pushes, ["MESSAGE a 0"])
            self.assertTrue(client.closed)

    def test_who_quits_gets_what_was_published_before(self) -> None:
        served = Served()
        client = served.peer("a")
        served.channels.publish("a", "0")
        said = client.send(b"PUBLISH a 1\r\nQUIT\r\n")
        self.assertEqual(said, b"1\r\n* MESSAGE a 0\r\n* MESSAGE a 1\r\nOK\r\n")
        self.assertTrue(client.closed)

    def test_who_closes_gets_nothing_more(self) -> None:
        served = Served()
        listener = served.listener("a", "b")
        listener.room = 1
        served.publish("a", "0")
        served.publish("a", "1")
        listener.session.closing()
        self.assertEqual(served.channels.counts(), {})
        served.publish("a", "2")
        self.assertEqual(served.channels.waiting(listener.session), 1)
        self.assertEqual(listener.read(), ["a 1"])
        listener.session.closing()
        self.assertEqual(listener.pushes, ["a 1"])

    def test_all_get_what_is_on_its_way_when_the_service_drains(self) -> None:
        turns = Turns()
        served = Served(soon=turns.soon)
        clients = [served.peer("a") for _ in range(AT_ONCE + 10)]
        served.channels.publish("a", "0")
        turns.end()
        self.assertEqual(clients[0].pushes, ["MESSAGE a 0"])
        self.assertEqual(clients[-1].pushes, [])
        for client in clients:
            drain(client)
        for client in clients:
            self.assertEqual((client.pushes, client.closed), (["MESSAGE a 0"], True))

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


def drain(client: LineTestClient) -> None:
    """As the service does for each of its connections."""
    client._protocol.drain(client.clock, 10.0)
    client.take()


class BacklogTests(SynchronousTestCase):
    """A backlog by itself."""

    def test_disconnect(self) -> None:
        backlog = Backlog(Bounds("disconnect", 2, 10), lambda name, lost: b"")
        self.assertEqual(backlog.keep("a", [b"12345", b"67890"]), 0)
        with self.assertRaises(SlowConsumerError):
            backlog.keep("a", [b""])
        self.assertEqual((backlog.messages, backlog.size), (2, 10))
