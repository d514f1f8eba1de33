"""Channels: their commands, what programs do with them, and who gets what."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import CommandError, Limits, LineApp
from netsuite.line._shown_replies import ShownReplies
from netsuite.line.auth import Authentication, Tokens
from netsuite.line.channels import Channels
from netsuite.line.test.channels import Served


class Commands(SynchronousTestCase):
    """What peers can say."""

    def test_a_message_goes_to_those_who_have_subscribed(self) -> None:
        served = Served()
        one, two, other = served.peer("a"), served.peer("b", "a"), served.peer("b")
        publisher = served.peer()
        self.assertEqual(publisher.ask("PUBLISH a hello  world "), "2")
        served.turn()
        self.assertEqual(one.take(), b"* MESSAGE a hello  world \r\n")
        self.assertEqual(two.take(), b"* MESSAGE a hello  world \r\n")
        self.assertEqual(other.take(), b"")
        self.assertEqual(publisher.take(), b"")

    def test_who_publishes_and_has_subscribed_gets_it_after_the_reply(self) -> None:
        client = Served().peer("a")
        self.assertEqual(
            client.send(b"PUBLISH a x\nPUBLISH a y\nPUBLISH b z\n"),
            b"1\r\n1\r\n0\r\n* MESSAGE a x\r\n* MESSAGE a y\r\n",
        )

    def test_the_line_end_is_the_applications(self) -> None:
        app = LineApp("x", line_end=b"\n")
        app.add(Channels())
        client = app.test_client()
        self.assertEqual(client.send(b"SUBSCRIBE a\nPUBLISH a x\n"), b"OK\n1\n* MESSAGE a x\n")

    def test_a_session_may_have_another_one(self) -> None:
        served = Served()
        replies = ShownReplies(served.app.replies)
        listeners = [served.listener("a", replies=replies), served.listener("a")]
        for end in (b"\r\n", b"\n"):
            replies.show_as_text(end)
            served.publish("a", "1", "2")
            lines = [b"".join(each.taken).splitlines(keepends=True) for each in listeners]
            self.assertEqual(lines[0][-2:], [b"* MESSAGE a 1" + end, b"* MESSAGE a 2" + end])
            self.assertEqual(lines[1][-2:], [b"* MESSAGE a 1\r\n", b"* MESSAGE a 2\r\n"])

    def test_applications_with_other_line_ends_cannot_share_channels(self) -> None:
        channels = Channels()
        one, other = LineApp("x"), LineApp("y", line_end=b"\n")
        channels.subscribe(one.test_client().session, "a")
        with self.assertRaisesRegex(RuntimeError, "<LineApp y>"):
            channels.subscribe(other.test_client().session, "a")

    def test_text_is_any_unicode_and_quotes_are_text(self) -> None:
        client = Served().peer("straße")
        text = '"Grüße" \\n \x1b[1m \u2028 .'
        self.assertEqual(client.ask(f"PUBLISH straße {text}"), "1")
        self.assertEqual(client.take(), f"* MESSAGE straße {text}\r\n".encode())

    def test_a_text_is_one_line(self) -> None:
        client = Served().peer("a")
        with self.assertRaisesRegex(CommandError, "bad-argument text: expected one line"):
            client.ask("PUBLISH a x\ry")
        with self.assertRaisesRegex(CommandError, "bad-argument text is missing"):
            client.ask("PUBLISH a")
        self.assertEqual(client.pushes, [])

    def test_all_behind_one_space_is_text(self) -> None:
        client = Served().peer("a")
        self.assertEqual(client.send(b"PUBLISH a   x\n"), b"1\r\n* MESSAGE a   x\r\n")
        self.assertEqual(client.send(b"PUBLISH a \n"), b"1\r\n* MESSAGE a \r\n")

    def test_bytes_that_are_no_text_pass_where_the_application_takes_them(self) -> None:
        app = LineApp("x", invalid_utf8="surrogateescape")
        app.add(Channels())
        client = app.test_client()
        client.send(b"SUBSCRIBE a\n")
        self.assertEqual(client.send(b"PUBLISH a \xff\n"), b"1\r\n* MESSAGE a \xff\r\n")
        self.assertIn(b"ERR bad-argument channel", client.send(b"SUBSCRIBE \xff\n"))

    def test_subscribing_again_changes_nothing(self) -> None:
        served = Served()
        client = served.peer("a", "a")
        self.assertEqual(client.ask("SUBSCRIBE a b"), "OK")
        self.assertEqual(client.ask("PUBLISH a x"), "1")
        self.assertEqual(client.take(), b"* MESSAGE a x\r\n")
        self.assertEqual(served.channels.subscriptions(client.session), ("a", "b"))

    def test_subscribe_wants_a_channel(self) -> None:
        with self.assertRaisesRegex(CommandError, "bad-argument channel is missing"):
            Served().peer().ask("SUBSCRIBE")

    def test_unsubscribing_ends_it(self) -> None:
        served = Served()
        client = served.peer("a", "b", "c", "d")
        self.assertEqual(client.ask("UNSUBSCRIBE b nothing d"), "OK")
        self.assertEqual(served.channels.subscriptions(client.session), ("a", "c"))
        self.assertEqual(client.ask("PUBLISH b x"), "0")
        self.assertEqual(client.ask("UNSUBSCRIBE"), "OK")
        self.assertEqual(served.channels.subscriptions(client.session), ())
        self.assertEqual(client.ask("UNSUBSCRIBE"), "OK")
        self.assertEqual(client.take(), b"")
        self.assertEqual(served.channels.counts(), {})

    def test_what_was_published_before_comes_before_the_end(self) -> None:
        client = Served().peer("a", "b")
        self.assertEqual(
            client.send(b"PUBLISH a x\nPUBLISH a y\nPUBLISH b x\nUNSUBSCRIBE a\nPUBLISH a z\n"),
            b"1\r\n1\r\n1\r\n* MESSAGE a x\r\n* MESSAGE a y\r\nOK\r\n0\r\n* MESSAGE b x\r\n",
        )

    def test_what_was_published_before_is_not_for_who_comes_later(self) -> None:
        served = Served()
        first = served.peer("a")
        sent = b"PUBLISH a x\nSUBSCRIBE a\nPUBLISH a y\nUNSUBSCRIBE\nSUBSCRIBE a\nPUBLISH a z\n"
        self.assertEqual(
            served.peer().send(sent),
            b"1\r\nOK\r\n2\r\n* MESSAGE a y\r\nOK\r\nOK\r\n2\r\n* MESSAGE a z\r\n",
        )
        self.assertEqual(first.take(), b"* MESSAGE a x\r\n* MESSAGE a y\r\n* MESSAGE a z\r\n")

    def test_channels_are_listed(self) -> None:
        served = Served()
        client = served.peer("b", ".a", "ERR")
        served.peer("b")
        self.assertEqual(client.lines("CHANNELS"), [".a 1", "ERR 1", "b 2"])
        self.assertEqual(served.channels.counts(), {"b": 2, ".a": 1, "ERR": 1})

    def test_a_channel_is_there_while_somebody_listens(self) -> None:
        served = Served()
        client, other = served.peer("a"), served.peer("a")
        client.disconnect()
        self.assertEqual(other.lines("CHANNELS"), ["a 1"])
        other.ask("UNSUBSCRIBE a")
        self.assertEqual(other.lines("CHANNELS"), [])

    def test_help_says_what_they_do(self) -> None:
        lines = Served().peer().lines("HELP")
        for name in ("SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "CHANNELS"):
            self.assertTrue(any(f"  {name} " in line for line in lines), name)


class Names(SynchronousTestCase):
    """What channels can be called."""

    def refused(self, served: Served, line: str, why: str) -> None:
        with self.assertRaisesRegex(CommandError, why):
            served.peer().ask(line)

    def test_a_name_has_an_end(self) -> None:
        served = Served(name_length=5)
        served.peer("ÄÖÜäö")
        for line in ("SUBSCRIBE ÄÖÜäöü", "PUBLISH ÄÖÜäöü x", 'SUBSCRIBE ""', "SUBSCRIBE a abcdef"):
            self.refused(served, line, "bad-argument channel: expected 1 to 5 characters")
        self.assertEqual(served.channels.counts(), {"ÄÖÜäö": 1})

    def test_a_name_has_no_spaces_quotes_or_controls(self) -> None:
        served = Served()
        for name in ("a b", "\\x01", "a\\n", "a\\t", "a\\x7f", '\\"', "\u2028", "\u200b", "\u00a0"):
            self.refused(served, f'SUBSCRIBE "{name}"', "bad-argument channel: expected no spaces")
        self.refused(served, "PUBLISH \u200b x", "bad-argument channel: expected no spaces")
        self.assertEqual(served.channels.counts(), {})


class Bounds(SynchronousTestCase):
    """How much of it there may be."""

    def test_subscriptions_of_one_peer(self) -> None:
        served = Served(Limits(subscriptions=3))
        client = served.peer("a", "b")
        with self.assertRaisesRegex(CommandError, "too-many-subscriptions expected at most 3"):
            client.ask("SUBSCRIBE c d")
        self.assertEqual(served.channels.subscriptions(client.session), ("a", "b"))
        self.assertEqual(client.ask("SUBSCRIBE c a"), "OK")
        with self.assertRaisesRegex(CommandError, "too-many-subscriptions"):
            client.ask("SUBSCRIBE d")
        client.ask("UNSUBSCRIBE a")
        self.assertEqual(client.ask("SUBSCRIBE d"), "OK")

    def test_channels(self) -> None:
        served = Served(max_channels=3)
        client = served.peer("a", "b")
        with self.assertRaisesRegex(CommandError, "too-many-channels expected at most 3"):
            client.ask("SUBSCRIBE c d")
        self.assertEqual(served.channels.counts(), {"a": 1, "b": 1})
        served.peer("a", "b", "c")
        with self.assertRaisesRegex(CommandError, "too-many-channels"):
            client.ask("SUBSCRIBE d")
        client.ask("UNSUBSCRIBE")
        with self.assertRaisesRegex(CommandError, "too-many-channels"):
            client.ask("SUBSCRIBE d")  # the others are still there
        self.assertEqual(served.peer().ask("PUBLISH d x"), "0")  # and this makes none

    def test_bytes_of_a_message(self) -> None:
        served = Served(message=8)
        client = served.peer("a")
        self.assertEqual(client.ask("PUBLISH a ÄÖÜ12"), "1")
        for name in ("a", "nobody"):
            with self.assertRaisesRegex(CommandError, "bad-argument text: expected at most 8 b"):
                client.ask(f"PUBLISH {name} ÄÖÜ123")
        self.assertEqual(client.pushes, ["MESSAGE a ÄÖÜ12"])

    def test_bounds_make_sense(self) -> None:
        for options in (
            {"queue": 0},
            {"queue_bytes": 0},
            {"max_channels": 0},
            {"name_length": 0},
            {"message": 0},
            {"policy": "drop"},
        ):
            with self.assertRaisesRegex(ValueError, "expected"):
                Channels(**options)

    def test_roles_are_more_than_letters(self) -> None:
        for each in ("publish_roles", "subscribe_roles"):
            options: Any = {each: "feed"}
            with self.assertRaisesRegex(TypeError, f"^{each} 'feed': expected a collection"):
                Channels(**options)

    def test_a_message_fits_into_a_queue(self) -> None:
        size = len("* MESSAGE  \r\n") + 4 * 10 + 50
        Channels(queue_bytes=size, name_length=10, message=50)
        with self.assertRaisesRegex(ValueError, f"queue_bytes {size - 1}: expected {size} or more"):
            Channels(queue_bytes=size - 1, name_length=10, message=50)


class Rights(SynchronousTestCase):
    """Who may do what."""

    def test_roles(self) -> None:
        served = Served(publish_roles=["feed"], subscribe_roles=["reader", "feed"])
        nobody = served.peer(user="ann")
        reader = served.peer("a", user="bob", roles=["reader"])
        feed = served.peer("a", user="cat", roles=["feed"])
        for line in ("SUBSCRIBE a", "UNSUBSCRIBE", "PUBLISH a x", "CHANNELS"):
            with self.assertRaisesRegex(CommandError, "not-allowed"):
                nobody.ask(line)
        with self.assertRaisesRegex(CommandError, "not-allowed"):
            reader.ask("PUBLISH a x")
        self.assertEqual(feed.ask("PUBLISH a x"), "2")

    def test_a_rate_for_those_who_publish(self) -> None:
        client = Served(publish_rate=2).peer("a")
        self.assertEqual([client.ask("PUBLISH a x") for _ in range(2)], ["1", "1"])
        with self.assertRaisesRegex(CommandError, "rate-limit"):
            client.ask("PUBLISH a x")

    def test_before_a_login_there_are_no_channels(self) -> None:
        served, tokens = Served(), Tokens()
        tokens.add("t0p", "ann")
        served.app.add(Authentication(tokens=tokens))
        client = served.peer(secure=True)
        for line in ("SUBSCRIBE a", "UNSUBSCRIBE", "PUBLISH a x", "CHANNELS"):
            with self.assertRaisesRegex(CommandError, "not-allowed .* expected AUTH first"):
                client.ask(line)
        client.ask("AUTH TOKEN t0p")
        self.assertEqual(client.ask("SUBSCRIBE a"), "OK")

    def test_who_logs_out_listens_to_nothing(self) -> None:
        served, tokens = Served(), Tokens()
        tokens.add("t0p", "ann")
        served.app.add(Authentication(tokens=tokens))
        client = served.peer(secure=True)
        for _ in range(2):
            client.ask("AUTH TOKEN t0p")
            self.assertEqual(client.ask("SUBSCRIBE a b"), "OK")
            self.assertEqual(served.channels.publish("a", "x"), 1)
            self.assertEqual(client.send(b"LOGOUT\n"), b"* MESSAGE a x\r\nOK\r\n")
            self.assertEqual(served.channels.publish("a", "y"), 0)
            self.assertEqual(client.take(), b"")


class Programs(SynchronousTestCase):
    """What programs do with channels."""

    def test_publish_says_how_many_they_are(self) -> None:
        served = Served()
        clients = [served.peer("a") for _ in range(3)]
        self.assertEqual(served.channels.publish("a", "x"), 3)
        self.assertEqual(served.channels.publish("b", "x"), 0)
        served.turn()
        for client in clients:
            self.assertEqual(client.take(), b"* MESSAGE a x\r\n")

    def test_what_cannot_be_is_refused(self) -> None:
        served = Served()
        client = served.peer("a")
        for name, text in (("a", "x\ny"), ("a", "x\r"), ("a b", "x"), ("", "x"), ("b", "x\n")):
            with self.assertRaisesRegex(CommandError, "bad-argument"):
                served.channels.publish(name, text)
        self.assertEqual(client.take(), b"")
        self.assertEqual(served.channels.counters.published, 0)

    def test_an_empty_text_is_one(self) -> None:
        served = Served()
        client = served.peer("a")
        served.channels.publish("a", "")
        self.assertEqual(client.take(), b"* MESSAGE a \r\n")

    def test_sessions_subscribe_without_commands(self) -> None:
        app, channels = LineApp("x"), Channels()
        client = app.test_client()
        channels.subscribe(client.session, "a")
        self.assertEqual(channels.subscribers("a"), (client.session,))
        self.assertEqual(channels.subscribers("b"), ())
        channels.publish("a", "x")
        self.assertEqual(client.take(), b"* MESSAGE a x\r\n")
        channels.unsubscribe(client.session, "a")
        self.assertEqual(channels.publish("a", "x"), 0)
        channels.unsubscribe(app.test_client().session)  # who never listened

    def test_a_session_that_has_ended_gets_nothing(self) -> None:
        served = Served()
        client = served.peer("a")
        client.disconnect()
        self.assertEqual(served.channels.publish("a", "x"), 0)
        self.assertEqual(served.channels.subscriptions(client.session), ())
        self.assertEqual(served.channels.waiting(client.session), 0)
        served.channels.subscribe(client.session, "a")
        self.assertEqual(served.channels.counts(), {})

    def test_counters(self) -> None:
        served = Served()
        served.peer("a"), served.peer("a", "b")
        for name in ("a", "b", "b", "c"):
            served.channels.publish(name, "x")
        served.turn()
        counters = served.channels.counters
        self.assertEqual((counters.published, counters.delivered), (4, 4))
        self.assertEqual((counters.dropped, counters.disconnected), (0, 0))

    def test_somebody_elses_end_of_the_turn(self) -> None:
        later: list[Any] = []
        served = Served(soon=later.append)
        client = served.peer("a")
        served.channels.publish("a", "x")
        served.channels.publish("a", "y")
        self.assertEqual(client.take(), b"")
        (end_of_turn,) = later
        end_of_turn()
        self.assertEqual(client.take(), b"* MESSAGE a x\r\n* MESSAGE a y\r\n")
        self.assertEqual(repr(served.channels), "<Channels: 1, 1 subscribers>")
