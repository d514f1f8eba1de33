from twisted.internet.defer import CancelledError, Deferred

from netsuite.line import LineApp
from netsuite.line.channels import Channels
from netsuite.line.client import (
    LineArgumentError,
    LineClient,
    LineClosedError,
    LineError,
    LineTimeoutError,
    LineWireError,
    Message,
    Subscription,
)
from netsuite.line.test.memory import settle
from netsuite.line.test.test_client import ClientCase, ScriptCase


class SubscriptionTests(ClientCase):
    def make_app(self) -> LineApp:
        app = super().make_app()
        self.channels = Channels()
        app.add(self.channels)
        return app

    def publish(self, *texts: str, channel: str = "news") -> None:
        for each in texts:
            self.channels.publish(channel, each)
        settle(self.clock)

    def subscribed(self, client: LineClient, channel: str = "news") -> Subscription:
        return self.result(client.subscribe(channel))

    def taken(self, subscription: Subscription, count: int) -> list[str]:
        return [self.result(anext(subscription)).text for _ in range(count)]

    def test_messages_come_to_who_takes_them(self) -> None:
        subscription = self.subscribed(self.client())
        self.publish("one", "two  words", "")
        self.assertEqual(self.result(anext(subscription)), Message("news", "one"))
        self.assertEqual(self.taken(subscription, 2), ["two  words", ""])
        waiting = Deferred.fromCoroutine(anext(subscription))
        self.pending(waiting)
        self.publish("late")
        self.assertEqual(self.result(waiting).text, "late")
        self.assertEqual(repr(subscription), "<Subscription to news>")

    def test_messages_come_to_a_callback(self) -> None:
        client, found = self.client(), list[Message]()
        self.result(client.subscribe("news", found.append))
        self.publish("one")
        self.assertEqual(found, [("news", "one")])

    def test_a_callback_that_fails_is_logged(self) -> None:
        client, found = self.client(), list[Message]()

        def broken(message: Message) -> None:
            found.append(message)
            raise RuntimeError("mine")

        self.result(client.subscribe("news", broken))
        self.publish("one", "two")
        self.assertEqual(len(found), 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_it_is_subscribed_again_on_the_next_connection(self) -> None:
        client = self.client()
        subscription, other = self.subscribed(client), self.subscribed(client, "other")
        self.publish("one")
        self.lose()
        self.publish("missed")
        self.clock.advance(1)
        settle(self.clock)
        self.assertEqual(self.channels.counts(), {"news": 1, "other": 1})
        self.publish("two")
        self.publish("else", channel="other")
        self.assertEqual(self.taken(subscription, 2), ["one", "two"])
        self.assertEqual(self.taken(other, 1), ["else"])

    def test_nobody_has_agreed_while_there_is_no_connection(self) -> None:
        client = self.client()
        self.subscribed(client)
        self.lose()
        second = client.subscribe("news")
        self.pending(second)
        self.clock.advance(1)
        self.result(second)

    def test_channels_come_before_calls_that_waited(self) -> None:
        client = self.client()
        subscription = self.subscribed(client)
        self.lose()
        published = client.publish("news", "from here")
        self.clock.advance(1)
        self.assertEqual(self.result(published), 1)
        self.assertEqual(self.taken(subscription, 1), ["from here"])

    def test_several_of_one_channel(self) -> None:
        client = self.client()
        both = [client.subscribe("news") for _ in range(2)]
        first, second = (self.result(each) for each in both)
        third = self.subscribed(client)
        self.assertEqual(self.channels.counts(), {"news": 1})
        self.publish("one")
        for each in (first, second, third):
            self.assertEqual(self.taken(each, 1), ["one"])
        self.result(first.close())
        self.result(second.close())
        self.publish("two")
        self.assertEqual(self.taken(third, 1), ["two"])
        self.result(third.close())
        self.assertEqual(self.channels.counts(), {})

    def test_close(self) -> None:
        client = self.client()
        subscription = self.subscribed(client)
        self.publish("one")
        waiting = [self.result(anext(subscription)).text]
        last = Deferred.fromCoroutine(anext(subscription))
        self.result(subscription.close())
        self.assertEqual(waiting, ["one"])
        self.failure(last, StopAsyncIteration)
        self.result(subscription.close())
        self.assertEqual(self.channels.counts(), {})
        again = self.subscribed(client)
        self.publish("two")
        self.assertEqual(self.taken(again, 1), ["two"])

    def test_the_block_and_the_loop(self) -> None:
        client = self.client()

        async def main() -> list[str]:
            found = []
            async with await client.subscribe("news") as subscription:
                self.channels.publish("news", "one")
                self.channels.publish("news", "two")
                async for message in subscription:
                    found.append(message.text)
                    if len(found) == 2:
                        break
            return found

        self.assertEqual(self.result(main()), ["one", "two"])
        self.assertEqual(self.channels.counts(), {})

    def test_the_client_closes(self) -> None:
        client = self.client()
        subscription = self.subscribed(client)
        self.publish("one")
        self.result(client.close())
        self.assertEqual(self.taken(subscription, 1), ["one"])
        self.failure(anext(subscription), StopAsyncIteration)

    def test_so_many_are_kept_and_no_more(self) -> None:
        client = self.client()
        subscription = self.result(client.subscribe("news", kept=2))
        self.publish("1", "2")
        self.assertEqual(subscription.missed, 0)
        self.publish("3")
        self.assertEqual(subscription.missed, 1)
        self.assertEqual(self.taken(subscription, 2), ["2", "3"])

    def test_one_consumer_at_a_time(self) -> None:
        subscription = self.subscribed(self.client())
        first = Deferred.fromCoroutine(anext(subscription))
        self.failure(anext(subscription), RuntimeError)
        first.cancel()
        self.failure(first, CancelledError)
        self.publish("one")
        self.assertEqual(self.taken(subscription, 1), ["one"])

    def test_a_channel_that_cannot_be(self) -> None:
        client = self.client()
        for name in ("", "a b", "a\n"):
            self.failure(client.subscribe(name), LineArgumentError)
        error = self.failure(client.subscribe("x" * 65), LineError)
        self.assertEqual(error.code, "bad-argument")
        self.failure(client.subscribe("x" * 9000), LineArgumentError)

    def test_what_is_for_nobody_is_a_push(self) -> None:
        pushed: list[str] = []
        client = self.client(on_push=pushed.append)
        self.result(client.call("SUBSCRIBE", "news"))
        self.publish("one")
        self.assertEqual(pushed, ["MESSAGE news one"])

    def test_publish(self) -> None:
        client = self.client()
        self.assertEqual(self.result(client.publish("news", "x")), 0)
        subscription = self.subscribed(client)
        for text in ("", " ", "  in  dented "):
            self.assertEqual(self.result(client.publish("news", text)), 1)
            self.assertEqual(self.result(client.ask("PUBLISH", "news", text)), "1")
            self.assertEqual(self.taken(subscription, 2), [text, text])
        self.failure(client.publish("news", "a\nb"), LineArgumentError)


class ScriptedSubscriptionTests(ScriptCase):
    def test_the_server_says_what_it_has_dropped(self) -> None:
        pushed: list[str] = []
        client = self.connected(on_push=pushed.append)
        wanted = client.subscribe("news")
        settle(self.clock)
        self.assertEqual(self.server.received, b"SUBSCRIBE news\r\n")
        self.server.say(b"OK\r\n* DROPPED news 12\r\n* DROPPED news many\r\n* DROPPED other 1\r\n")
        subscription = self.result(wanted)
        settle(self.clock)
        self.assertEqual(subscription.missed, 12)
        self.assertEqual(pushed, ["DROPPED news many", "DROPPED other 1"])

    def test_nobody_agrees(self) -> None:
        client = self.connected(timeout=10, retry=lambda _: 100.0)
        wanted = client.subscribe("news")
        settle(self.clock)
        self.clock.advance(10)
        self.failure(wanted, LineTimeoutError)

    def test_a_connection_that_is_lost_before_the_server_agrees(self) -> None:
        client = self.connected()
        wanted = client.subscribe("news")
        settle(self.clock)
        self.lose()
        self.pending(wanted)
        self.clock.advance(1)
        settle(self.clock)
        self.server.say(b"OK\r\n* MESSAGE news hi\r\n")
        subscription = self.result(wanted)
        self.assertEqual(self.result(anext(subscription)).text, "hi")

    def test_a_server_that_does_not_agree_any_more(self) -> None:
        client = self.connected()
        wanted, other = client.subscribe("news"), client.subscribe("news", lambda _: None)
        settle(self.clock)
        self.server.say(b"OK\r\n* MESSAGE news hi\r\n")
        subscription = self.result(wanted)
        self.result(other)
        self.lose()
        self.clock.advance(1)
        settle(self.clock)
        self.server.say(b"ERR not-allowed SUBSCRIBE is not for you\r\n")
        settle(self.clock)
        self.assertEqual(self.result(anext(subscription)).text, "hi")
        self.assertEqual(self.failure(anext(subscription), LineError).code, "not-allowed")
        self.failure(anext(subscription), StopAsyncIteration)
        self.lose()
        self.clock.advance(1)
        settle(self.clock)
        self.assertEqual(self.server.received, b"", "it is not asked for again")

    def test_who_waits_gives_up(self) -> None:
        client = self.connected()
        wanted = client.subscribe("news")
        wanted.cancel()
        self.failure(wanted, CancelledError)
        self.assertEqual(self.server.received, b"SUBSCRIBE news\r\nUNSUBSCRIBE news\r\n")
        self.server.say(b"OK\r\nOK\r\n* MESSAGE news hi\r\n")
        settle(self.clock)
        self.assertTrue(client.is_connected)

    def test_the_client_closes_before_the_server_agrees(self) -> None:
        client = self.connected()
        wanted = client.subscribe("news")
        client.close()
        self.failure(wanted, LineClosedError)

    def test_publish_wants_a_number(self) -> None:
        client = self.connected()
        published = client.publish("news", "x")
        self.server.say(b"OK\r\n")
        self.failure(published, LineWireError)
