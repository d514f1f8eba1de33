"""The chat: names, rooms, and who hears what."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import CommandError, Limits, LineApp
from netsuite.line._test_client import LineTestClient
from netsuite.line.apps.chat import Chat, chat_app
from netsuite.line.auth import Authentication, Tokens


class ChatTests(SynchronousTestCase):
    """People in one process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.app = self.made()

    def made(self, **options: Any) -> LineApp:
        self.app = chat_app(**{"greeting": None, "rate": 1000.0, **options})
        return self.app

    def person(self, nick: str, *rooms: str, host: str = "192.0.2.1") -> LineTestClient:
        client = self.app.test_client(clock=self.clock, host=host)
        assert client.ask(f"NICK {nick}") == "OK"
        for room in rooms:
            assert client.ask(f"JOIN {room}") == "OK"
        client.take()
        return client

    def heard(self, client: LineTestClient) -> list[str]:
        """What has come since, without ``* MESSAGE``."""
        lines = client.take().decode().split("\r\n")[:-1]
        assert all(line.startswith("* MESSAGE ") for line in lines), lines
        return [line.removeprefix("* MESSAGE ") for line in lines]

    def refused(self, client: LineTestClient, line: str, why: str) -> None:
        with self.assertRaisesRegex(CommandError, why):
            client.ask(line)


class Talking(ChatTests):
    """What is said, and to whom."""

    def test_what_is_said_in_a_room_is_heard_there(self) -> None:
        ann, bob = self.person("ann", "kitchen"), self.person("bob", "kitchen", "garden")
        cat = self.person("cat", "garden")
        for each in (ann, bob, cat):
            each.take()
        self.assertEqual(ann.ask("SAY kitchen hello, all"), "OK")
        self.assertEqual(ann.ask("ME Kitchen makes tea"), "OK")
        said = ["kitchen <ann> hello, all", "kitchen * ann makes tea"]
        self.assertEqual(self.heard(bob), said)
        self.assertEqual(self.heard(cat), [])
        self.assertEqual([each for each in ann.pushes if "tea" in each], [f"MESSAGE {said[1]}"])

    def test_a_message_for_one_is_heard_by_one(self) -> None:
        ann, bob, cat = self.person("ann", "x"), self.person("Bob", "x"), self.person("cat", "x")
        for each in (ann, bob, cat):
            each.take()
        self.assertEqual(ann.ask("MSG bob psst"), "OK")
        self.assertEqual(self.heard(bob), ["@Bob <ann> psst"])
        self.assertEqual(self.heard(ann) + self.heard(cat), [])
        self.refused(ann, "MSG dan hello", "nobody dan is not here")

    def test_who_comes_and_goes_is_announced(self) -> None:
        ann = self.person("ann", "x")
        bob = self.person("bob")
        self.assertEqual(bob.send(b"JOIN X\r\n"), b"OK\r\n* MESSAGE x -- bob joins\r\n")
        self.assertEqual(bob.ask("JOIN x"), "OK")
        self.assertEqual(bob.ask("LEAVE x"), "OK")
        bob.ask("JOIN x")
        bob.disconnect()
        comes, goes = "x -- bob joins", "x -- bob leaves"
        self.assertEqual(self.heard(ann), [comes, goes, comes, goes])
        self.assertEqual(ann.lines("WHO x"), ["ann"])

    def test_quitting_is_leaving(self) -> None:
        ann, bob = self.person("ann", "x"), self.person("bob", "x")
        ann.take()
        self.assertEqual(bob.ask("QUIT"), "OK")
        self.assertTrue(bob.closed)
        self.assertEqual(self.heard(ann), ["x -- bob leaves"])

    def test_one_has_to_be_there_to_be_heard(self) -> None:
        ann, bob = self.person("ann", "x"), self.person("bob")
        for line in ("SAY x hello", "ME x waves", "LEAVE x"):
            self.refused(bob, line, "not-there x: expected JOIN first")
        self.assertEqual(self.heard(ann), [])

    def test_controls_are_not_for_other_peoples_terminals(self) -> None:
        ann = self.person("ann", "x")
        for control in ("\x1b[2J", "\x00", "\x07", "\x7f", "\x9b2J", "\r"):
            for command in ("SAY x", "ME x", "MSG ann"):
                self.refused(ann, f"{command} a{control}b", "bad-argument text: expected no contr")
        self.assertEqual(ann.ask("SAY x tabs\tand 👩‍🚀 pass"), "OK")
        self.assertEqual(ann.pushes[-1], "MESSAGE x <ann> tabs\tand 👩‍🚀 pass")

    def test_a_text_has_an_end(self) -> None:
        ann = self.person("ann", "x")
        fits = "x" * (4096 - len("<ann> "))
        self.assertEqual(ann.ask(f"SAY x {fits}"), "OK")
        self.refused(ann, f"SAY x {fits}x", "bad-argument text: expected at most 4096 bytes")


class Names(ChatTests):
    """What people and rooms are called."""

    def test_a_name_comes_first(self) -> None:
        client = self.app.test_client(clock=self.clock)
        for line in ("JOIN x", "LEAVE x", "SAY x hello", "ME x waves", "MSG ann hello"):
            self.refused(client, line, "no-name expected NICK first")

    def test_a_name_is_ones_own(self) -> None:
        ann = self.person("Ann")
        other = self.app.test_client(clock=self.clock)
        self.refused(other, "NICK aNN", "name-taken aNN: somebody has it")
        ann.disconnect()
        self.assertEqual(other.ask("NICK aNN"), "OK")

    def test_a_new_name_is_announced_and_the_old_one_is_free(self) -> None:
        ann, bob = self.person("ann", "x", "y"), self.person("bob", "x")
        ann.take()
        self.assertEqual(ann.ask("NICK eve"), "OK")
        self.assertEqual(self.heard(bob), ["x -- ann is now eve"])
        self.refused(bob, "MSG ann hello", "nobody")
        self.assertEqual(bob.ask("MSG EVE hello"), "OK")
        self.assertEqual(self.heard(ann)[-1], "@eve <bob> hello")
        self.person("ann")
        self.assertEqual(ann.ask("NICK Eve"), "OK")
        self.assertEqual(ann.lines("WHO x"), ["Eve", "bob"])
        ann.disconnect()
        self.person("eve")

    def test_the_same_name_is_no_news(self) -> None:
        ann, bob = self.person("ann", "x"), self.person("bob", "x")
        self.assertEqual(ann.ask("NICK ann"), "OK")
        self.assertEqual(self.heard(bob), [])
        self.assertEqual(bob.ask("MSG ann hello"), "OK")
        self.assertEqual(self.heard(ann)[-1], "@ann <bob> hello")
        self.assertEqual(ann.ask("NICK Ann"), "OK")
        self.assertEqual(self.heard(bob), ["x -- ann is now Ann"])

    def logged_in(self, user: str) -> LineTestClient:
        return self.app.test_client(clock=self.clock, user=user)

    def test_who_has_logged_in_has_a_name(self) -> None:
        ann, bob = self.logged_in("ann"), self.logged_in("bob")
        self.assertEqual(bob.ask("MSG ann hello"), "OK")
        self.assertEqual(self.heard(ann), ["@ann <bob> hello"])
        self.assertEqual(ann.ask("NICK eve"), "OK")
        self.person("ann")

    def test_a_user_name_that_will_not_do(self) -> None:
        self.made(people=2)
        self.person("ann")
        for user in ("ANN", "a.b"):
            self.refused(self.logged_in(user), "JOIN x", "no-name")
        self.person("bob")
        self.refused(self.logged_in("cat"), "JOIN x", "no-name")

    def test_a_name_comes_with_a_login(self) -> None:
        tokens = Tokens()
        tokens.add("t0p", "ann")
        self.app.add(Authentication(tokens=tokens))
        client = self.app.test_client(clock=self.clock, secure=True)
        self.assertEqual(client.ask("AUTH TOKEN t0p"), "OK")
        self.assertEqual(client.ask("JOIN x"), "OK")
        self.assertEqual(client.lines("WHO x"), ["ann"])
        self.assertEqual(client.ask("LOGOUT"), "OK")
        self.assertEqual(client.ask("AUTH TOKEN t0p"), "OK")
        self.assertEqual(client.lines("WHO x"), [])

    def test_names_are_words(self) -> None:
        client = self.person("ann")
        words = ('""', "a.b", "@ann", "-a", "_a", '"a b"', "a" * 21, "\u202ea", "<a>", "a\u0301")
        for name in words:
            self.refused(client, f"NICK {name}", "bad-argument name: expected 1 to 20 letters")
            self.refused(client, f"JOIN {name}", "bad-argument room: expected 1 to 20 letters")
        for name in ("a", "a" * 20, "7", "a-b_c", "Ünal", "日本"):
            self.assertEqual(client.ask(f"NICK {name}"), "OK")
            self.assertEqual(client.ask(f"JOIN {name}"), "OK")
        rooms = sorted(["a", "a" * 20, "7", "a-b_c", "ünal", "日本"])
        self.assertEqual(client.lines("ROOMS"), [f"{room} 1" for room in rooms])

    def test_rooms_and_who_is_in_them(self) -> None:
        ann = self.person("ann", "b", "a")
        self.person("Cat", "b"), self.person("bob", "b")
        self.assertEqual(ann.lines("ROOMS"), ["a 1", "b 3"])
        self.assertEqual(ann.lines("WHO B"), ["Cat", "ann", "bob"])
        self.assertEqual(ann.lines("WHO nowhere"), [])


class Bounds(ChatTests):
    """How much there may be."""

    def test_rooms(self) -> None:
        self.made(rooms=2)
        ann = self.person("ann", "a", "b")
        self.refused(ann, "JOIN c", "too-many-channels expected at most 2")
        self.assertEqual(ann.ask("JOIN a"), "OK")
        self.assertEqual(ann.ask("LEAVE a"), "OK")
        self.assertEqual(ann.ask("JOIN c"), "OK")
        self.assertEqual(ann.lines("ROOMS"), ["b 1", "c 1"])

    def test_rooms_of_one_person(self) -> None:
        self.made(limits=Limits(subscriptions=2))
        self.person("bob", "c")
        ann = self.person("ann", "a", "b")
        self.refused(ann, "JOIN c", "too-many-subscriptions expected at most 2")
        self.refused(ann, "SAY c hello", "not-there")
        self.assertEqual(ann.lines("WHO c"), ["bob"])

    def test_people(self) -> None:
        self.made(people=2)
        ann, bob = self.person("ann"), self.person("bob")
        cat = self.app.test_client(clock=self.clock)
        self.refused(cat, "NICK cat", "too-many-channels expected at most 2")
        self.refused(cat, "JOIN x", "no-name")
        self.assertEqual(ann.ask("NICK eve"), "OK")
        bob.disconnect()
        self.assertEqual(cat.ask("NICK cat"), "OK")

    def test_the_length_of_names(self) -> None:
        self.made(name_length=3)
        ann = self.person("ann", "abc")
        self.refused(ann, "NICK anna", "expected 1 to 3 letters")
        self.refused(ann, "JOIN abcd", "expected 1 to 3 letters")

    def test_a_rate(self) -> None:
        self.made(rate=2.0)
        ann = self.person("ann", "x")
        for command in ("SAY x hello", "ME x waves", "MSG ann hello", "NICK ann", "JOIN x"):
            self.clock.advance(10)
            self.assertEqual([ann.ask(command) for _ in range(2)], ["OK", "OK"])
            self.refused(ann, command, "rate-limit")
        bob = self.person("bob", "x", host="198.51.100.1")
        self.assertEqual(bob.ask("SAY x hello"), "OK")


class Made(ChatTests):
    """How it is made."""

    def test_it_greets(self) -> None:
        client = chat_app().test_client()
        self.assertEqual(
            client.pushes, ["chat: NICK name, JOIN room, SAY room text; HELP says more"]
        )

    def test_help(self) -> None:
        lines = self.app.test_client(clock=self.clock).lines("HELP")
        for usage in ("NICK name ", "JOIN room ", "SAY room text ", "MSG nick text ", "WHO room "):
            self.assertTrue(any(f"  {usage} " in line for line in lines), usage)

    def test_it_can_be_part_of_another_application(self) -> None:
        app = LineApp("house", line_end=b"\n")
        app.add(Chat())
        client = app.test_client(clock=self.clock)
        self.assertEqual(client.send(b"NICK ann\n"), b"OK\n")

    def test_who_logs_out_leaves(self) -> None:
        tokens = Tokens()
        tokens.add("t0p", "ann")
        self.app.add(Authentication(tokens=tokens))

        def come(nick: str) -> LineTestClient:
            client = self.app.test_client(clock=self.clock, secure=True)
            client.ask("AUTH TOKEN t0p")
            client.ask(f"NICK {nick}")
            client.ask("JOIN x")
            client.take()
            return client

        ann, bob = come("ann"), come("bob")
        ann.take()
        self.assertEqual(bob.ask("LOGOUT"), "OK")
        self.assertEqual(self.heard(ann), ["x -- bob leaves"])
        self.assertEqual(self.heard(bob), [])
        bob.ask("AUTH TOKEN t0p")
        self.refused(bob, "SAY x hello", "no-name")
        self.assertEqual(bob.ask("NICK bob"), "OK")
