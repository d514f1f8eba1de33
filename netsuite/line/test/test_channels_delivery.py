"""Channels: the same bytes for all, in order, and not all at once."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp, LineFactory
from netsuite.line import _channels_delivery as delivery
from netsuite.line.channels import Channels
from netsuite.line.test.channels import Listener, Served, Turns


class ManySubscribers(SynchronousTestCase):
    """Ten thousand of them."""

    def test_all_get_the_same_object(self) -> None:
        served, turns = Served(), Turns()
        channels = Channels(soon=turns.soon)
        listeners = [Listener(served) for _ in range(10_000)]
        for listener in listeners:
            channels.subscribe(listener.session, "a")
        slow = listeners[5000]
        slow.room = 0
        self.assertEqual(channels.publish("a", "x"), 10_000)
        self.assertEqual(channels.publish("a", "y"), 10_000)
        while turns.later:
            turns.end()
        (data,) = listeners[0].taken
        self.assertEqual(data, b"* MESSAGE a x\r\n* MESSAGE a y\r\n")
        for listener in listeners:
            if listener is not slow:
                self.assertEqual(len(listener.taken), 1)
                self.assertIs(listener.taken[0], data)
        self.assertEqual(channels.counters.delivered, 2 * 9999)
        self.assertEqual(channels.waiting(slow.session), 2)

    def test_those_that_wait_share_objects_too(self) -> None:
        served = Served()
        slow = [served.listener("a") for _ in range(3)]
        for each in slow:
            each.room = 0
        served.publish("a", "x", "y")
        for each in slow:
            each.read()
            self.assertEqual(each.taken, [b"* MESSAGE a x\r\n", b"* MESSAGE a y\r\n"])
            self.assertIs(each.taken[0], slow[0].taken[0])
            self.assertIs(each.taken[1], slow[0].taken[1])

    def test_connections_are_given_that_object(self) -> None:
        class Transport(StringTransport):
            def write(self, data: bytes) -> None:
                written.append(data)

        app, clock, channels = LineApp("x"), Clock(), Channels()
        factory = LineFactory(app, clock)
        written: list[bytes] = []
        for _ in range(10):
            protocol = factory.buildProtocol(None)
            protocol.makeConnection(Transport())
            channels.subscribe(protocol.session, "a")
        channels.publish("a", "x")
        clock.advance(0)
        self.assertEqual(written, [b"* MESSAGE a x\r\n"] * 10)
        self.assertEqual(len(set(map(id, written))), 1)

    def test_others_have_their_turn(self) -> None:
        served, turns = Served(), Turns()
        channels = Channels(soon=turns.soon)
        listeners = [Listener(served) for _ in range(2 * delivery.AT_ONCE + 1)]
        for listener in listeners:
            channels.subscribe(listener.session, "a")
        channels.publish("a", "x")
        got = []
        while turns.later:
            turns.end()
            got.append(sum(bool(each.taken) for each in listeners))
        self.assertEqual(got, [delivery.AT_ONCE, 2 * delivery.AT_ONCE, len(listeners)])

    def test_so_do_many_channels(self) -> None:
        served, turns = Served(), Turns()
        channels = Channels(soon=turns.soon)
        listeners = [Listener(served) for _ in range(delivery.AT_ONCE + 1)]
        for number, listener in enumerate(listeners):
            channels.subscribe(listener.session, str(number))
            channels.publish(str(number), "x")
        turns.end()
        self.assertEqual(sum(bool(each.taken) for each in listeners), delivery.AT_ONCE)
        turns.end()
        self.assertEqual(sum(bool(each.taken) for each in listeners), len(listeners))
        self.assertEqual(turns.later, [])


class InTheMiddle(SynchronousTestCase):
    """What happens while a message is on its way: two subscribers a turn."""

    def setUp(self) -> None:
        self.patch(delivery, "AT_ONCE", 2)
        self.turns = Turns()
        self.served = Served(soon=self.turns.soon)
        self.channels = self.served.channels
        self.listeners = [self.served.listener("a") for _ in range(5)]

    def finish(self) -> None:
        while self.turns.later:
            self.turns.end()

    def test_what_is_published_is_next(self) -> None:
        self.channels.publish("a", "1")
        self.turns.end()
        self.channels.publish("a", "2")
        self.channels.publish("a", "3")
        self.finish()
        for each in self.listeners:
            self.assertEqual(
                each.taken, [b"* MESSAGE a 1\r\n", b"* MESSAGE a 2\r\n* MESSAGE a 3\r\n"]
            )

    def test_who_comes_gets_what_comes(self) -> None:
        self.channels.publish("a", "1")
        self.turns.end()
        late = self.served.listener("a")
        self.channels.publish("a", "2")
        later = self.served.listener("a")
        self.finish()
        self.assertEqual(late.pushes, ["a 2"])
        self.assertEqual(later.pushes, [])
        self.channels.publish("a", "3")
        self.finish()
        self.assertEqual(later.pushes, ["a 3"])
        for each in self.listeners:
            self.assertEqual(each.pushes, ["a 1", "a 2", "a 3"])

    def test_who_goes_is_given_what_there_is(self) -> None:
        self.channels.publish("a", "1")
        self.turns.end()
        self.channels.publish("a", "2")
        for each in self.listeners[1], self.listeners[3]:
            self.channels.unsubscribe(each.session)
            self.assertEqual(each.pushes, ["a 1", "a 2"])
        self.channels.publish("a", "3")
        self.finish()
        expected = [["a 1", "a 2", "a 3"] for _ in self.listeners]
        expected[1] = expected[3] = ["a 1", "a 2"]
        self.assertEqual([each.pushes for each in self.listeners], expected)

    def test_who_goes_and_comes_back_gets_nothing_twice(self) -> None:
        self.channels.publish("a", "1")
        self.turns.end()
        for each in self.listeners:
            self.channels.unsubscribe(each.session)
            self.channels.subscribe(each.session, "a")
        self.finish()
        self.channels.publish("a", "2")
        self.finish()
        for each in self.listeners:
            self.assertEqual(each.pushes, ["a 1", "a 2"])

    def test_all_go(self) -> None:
        self.channels.publish("a", "1")
        self.turns.end()
        for each in self.listeners:
            each.session.end()
        self.channels.publish("a", "2")
        new = self.served.listener("a")
        self.finish()
        self.assertEqual(new.pushes, [])
        self.channels.publish("a", "3")
        self.finish()
        self.assertEqual(new.pushes, ["a 3"])
        self.assertEqual([len(each.taken) for each in self.listeners], [1, 1, 0, 0, 0])

    def test_sessions_end_while_they_are_written_to(self) -> None:
        first, second, third, fourth, fifth = self.listeners

        def end() -> None:
            first.on_push = None
            for each in (first, second, third):
                each.session.end()
            self.channels.publish("a", "2")
            self.channels.unsubscribe(fifth.session, "a")

        first.on_push = end
        self.channels.publish("a", "1")
        self.finish()
        self.assertEqual([each.taken for each in (first, second, third)], [[], [], []])
        self.assertEqual(fourth.pushes, ["a 1", "a 2"])
        self.assertEqual(fifth.pushes, ["a 1", "a 2"])
        self.assertEqual(self.channels.counts(), {"a": 1})
        self.assertEqual(self.channels.counters.delivered, 4)

    def test_the_last_ends_while_it_is_written_to(self) -> None:
        for each in self.listeners[1:]:
            self.channels.unsubscribe(each.session)
        (only,) = self.listeners[:1]
        only.on_push = only.session.end
        self.channels.publish("a", "1")
        self.finish()
        self.assertEqual(self.channels.counts(), {})
        new = self.served.listener("a")
        self.channels.publish("a", "2")
        self.finish()
        self.assertEqual(new.pushes, ["a 2"])

    def test_one_that_ends_while_it_is_written_to_is_not_too_slow(self) -> None:
        served = Served(queue=1, policy="disconnect")
        listener, _ = served.listener("a"), served.listener("a")
        listener.on_push = listener.session.end
        served.publish("a", "1", "2")
        goes = served.listener("a")
        goes.on_push = goes.session.end
        served.channels.publish("a", "3")
        served.channels.publish("a", "4")
        served.channels.unsubscribe(goes.session)
        self.assertEqual(listener.closed + goes.closed, [])
        self.assertEqual(served.channels.counters.disconnected, 0)

    def test_nothing_overtakes_what_waits(self) -> None:
        """A peer that can be written to again has not yet been given what waits for it."""
        one = self.listeners[0]
        one.room = 0
        self.channels.publish("a", "1")
        self.finish()
        one.room = None
        self.channels.publish("a", "2")
        self.finish()
        self.assertEqual(one.taken, [])
        self.assertEqual(one.read(), ["a 1", "a 2"])

    def test_who_goes_gets_nothing_twice_whatever_is_published_then(self) -> None:
        one = self.listeners[0]
        self.channels.publish("a", "1")

        def publish() -> None:
            one.on_push = None
            for _ in range(20):
                self.channels.publish("a", "x" * 4000)

        one.on_push = publish
        self.channels.unsubscribe(one.session)
        self.finish()
        self.assertEqual(self.listeners[1].pushes, ["a 1", *["a " + "x" * 4000] * 20])
        self.assertEqual(one.pushes.count("a 1"), 1)

    def test_what_one_does_with_a_message_is_next(self) -> None:
        """A program that publishes whenever something is sent, even without end."""
        self.listeners[0].on_push = lambda: self.channels.publish("a", "more")
        self.channels.publish("a", "1")
        for _ in range(9):
            self.turns.end()
        # 18 subscribers of 5, over and over
        self.assertEqual(self.listeners[0].pushes, ["a 1", "a more", "a more", "a more"])
        self.assertEqual(self.listeners[4].pushes, ["a 1", "a more", "a more"])

    def test_one_that_fails_keeps_nothing_from_the_others(self) -> None:
        def fail() -> None:
            raise RuntimeError("on purpose")

        self.listeners[2].on_push = fail
        self.channels.publish("a", "1")
        self.turns.end()
        with self.assertRaises(RuntimeError):
            self.turns.end()
        self.listeners[2].on_push = None
        self.channels.publish("a", "2")
        self.finish()
        got = [["a 1", "a 2"] for _ in self.listeners]
        got[2] = ["a 2"]
        self.assertEqual([each.pushes for each in self.listeners], got)

    def test_channels_take_turns(self) -> None:
        other = self.served.listener("b")
        self.channels.publish("a", "1")
        self.channels.publish("b", "1")
        self.turns.end()
        self.channels.publish("a", "2")
        self.turns.end()
        self.turns.end()
        self.assertEqual(other.pushes, ["b 1"])
        self.assertEqual(self.listeners[0].pushes, ["a 1"])
        self.finish()
        self.assertEqual(self.listeners[0].pushes, ["a 1", "a 2"])


class MuchInOneTurn(SynchronousTestCase):
    """What is published in one turn is bounded."""

    def setUp(self) -> None:
        self.turns = Turns()
        self.served = Served(soon=self.turns.soon)
        self.one, self.other = self.served.listener("a"), self.served.listener("b")
        self.size = len("* MESSAGE a \r\n") + 1010

    def publish(self, count: int, name: str = "a") -> None:
        for number in range(count):
            self.served.channels.publish(name, f"{number:1010}")

    def test_at_the_bound_it_waits_for_the_end_of_the_turn(self) -> None:
        self.assertEqual(self.size, 1024)
        self.publish(32)
        self.publish(32, "b")
        self.assertEqual((self.one.taken, self.other.taken), ([], []))
        self.turns.end()
        self.assertEqual([len(data) for data in self.one.taken], [32 * 1024])
        self.assertEqual([len(data) for data in self.other.taken], [32 * 1024])

    def test_one_more_and_all_goes_out(self) -> None:
        self.publish(32, "b")
        self.publish(33)
        self.assertEqual([len(data) for data in self.one.taken], [33 * 1024])
        self.assertEqual([len(data) for data in self.other.taken], [32 * 1024])
        self.publish(64)
        self.assertEqual(len(self.one.taken), 1)
        self.turns.end()
        self.assertEqual([len(data) for data in self.one.taken], [33 * 1024, 64 * 1024])
        self.assertEqual(self.turns.later, [])

    def test_what_nobody_is_left_for_does_not_count(self) -> None:
        self.publish(64)
        self.one.session.end()
        self.publish(64, "b")
        self.assertEqual(self.other.taken, [])
        self.publish(1, "b")
        self.assertEqual(len(self.other.taken), 1)

    def test_subscribers_beyond_those_of_a_turn_get_it_too(self) -> None:
        self.patch(delivery, "AT_ONCE", 2)
        more = [self.served.listener("a") for _ in range(9)]
        self.publish(1)
        self.turns.end()
        self.publish(64)
        self.assertEqual([len(each.taken) for each in more], [2] * 9)
