"""Literals that a peer has no right to, or that belong to no command: skipped, and not kept."""

from twisted.internet.defer import Deferred

from netsuite.line import Block, Limits, LineApp, Session, Words
from netsuite.line.test.talk import Talk

REFUSED = b"ERR not-allowed STORE is not for you\n"


class LiteralCase(Talk):
    limits = Limits(idle=None, literal=100)

    def make_app(self) -> LineApp:
        app = super().make_app()
        self.waiting: list[Deferred[None]] = []

        @app.command(roles=["writer"])
        def store(data: Block) -> int:
            return len(data)

        @app.command()
        def say(word: str) -> str:
            return word

        @app.command()
        async def become(session: Session, role: str) -> None:
            self.waiting.append(Deferred())
            await self.waiting[-1]
            session.login("ann", frozenset([role]))

        return app

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    @property
    def held(self) -> int:
        return len(self.machine._requests.held)


class ForbiddenTests(LiteralCase):
    def test_it_is_skipped(self) -> None:
        self.assertEqual(self.say(b"store {6}\nsay a\n\nsay b\n"), REFUSED + b"b\n")

    def test_nothing_of_it_is_kept(self) -> None:
        self.say(b"store {100}\n")
        for _ in range(99):
            self.say(b"x")
            self.assertEqual(self.held, 0)
        self.assertEqual(self.say(b"x\nsay b\n"), REFUSED + b"b\n")

    def test_too_much_to_be_skipped(self) -> None:
        self.assertEqual(self.say(b"store {1600}\n"), b"")
        self.assertEqual(self.say(b"x" * 1600 + b"\nstore {1601}\n"), REFUSED * 2)
        self.assertEqual(self.wire.asked[-1], "close")

    def test_who_may_is_asked_when_all_before_it_is_done(self) -> None:
        for role, reply in (("writer", b"3\n"), ("reader", REFUSED)):
            self.connect()
            self.assertEqual(self.say(b"become %s\nstore {3}\nsay" % role.encode()), b"")
            self.assertEqual(self.wire.asked[-1], "pause", "no more is read until then")
            before = len(self.sent)
            self.waiting.pop(0).callback(None)
            self.assertEqual(self.wire.asked[-1], "resume")
            self.assertEqual(self.since(before) + self.say(b"\nsay a\n"), b"OK\n" + reply + b"a\n")

    def test_behind_others_that_wait(self) -> None:
        self.say(b"become writer\nsay a\nstore {3}\n")
        before = len(self.sent)
        self.waiting.pop(0).callback(None)
        self.assertEqual(self.since(before) + self.say(b"say\n"), b"OK\na\n3\n")

    def test_a_peer_that_sends_no_more(self) -> None:
        self.say(b"become writer\nstore {3}\nsay\nsay a\n")
        self.end()
        before = len(self.sent)
        self.waiting.pop(0).callback(None)
        self.assertEqual(self.since(before), b"OK\n3\na\n")
        self.assertEqual(self.wire.asked[-1], "close")


class UnknownTests(LiteralCase):
    def test_what_a_command_that_there_is_not_would_have_had(self) -> None:
        reply = self.say(b"put k {6}\nsay a\n\nsay b\n")
        self.assertEqual(reply, b'ERR unknown-command "put": HELP lists the commands\nb\n')

    def test_too_much_to_be_skipped(self) -> None:
        reply = self.say(b"put k {1601}\n")
        self.assertEqual(reply, b'ERR unknown-command "put": HELP lists the commands\n')
        self.assertEqual(self.wire.asked[-1], "close")

    def test_commands_without_one_have_text_in_braces(self) -> None:
        self.assertEqual(self.say(b"say {6}\nsay a\n"), b"{6}\na\n")


class OverlongTests(LiteralCase):
    """Lines that are too long, some of which have a literal behind them."""

    limits = Limits(idle=None, line_length=40, literal=100)
    refused = b"expected at most 40 bytes\n"

    def behind(self, line: bytes, rest: bytes) -> bytes:
        """What is said behind the error, however the bytes are cut."""
        data = line + b"\n" + rest
        replies = set()
        for size in (1, 7, len(data)):
            self.connect()
            said = b"".join(self.say(data[at : at + size]) for at in range(0, len(data), size))
            error, _, behind = said.partition(self.refused)
            self.assertTrue(error.startswith(b"ERR line-too-long "), said)
            replies.add(behind)
        (reply,) = replies
        return reply

    def test_a_literal_is_skipped(self) -> None:
        for name in (b"store", b"no-such"):
            for end in (b"", b"\r"):
                line = b"%b %b {6}%b" % (name, b"x" * 200, end)
                self.assertEqual(self.behind(line, b"say a\n\nsay b\n"), b"b\n")

    def test_one_of_nothing(self) -> None:
        self.assertEqual(self.behind(b"store " + b"x" * 50 + b"{0}", b"\nsay b\n"), b"b\n")

    def test_who_takes_none_has_none(self) -> None:
        self.assertEqual(self.behind(b"say " + b"x" * 50 + b"{6}", b"say a\nsay b\n"), b"a\nb\n")

    def test_no_braces(self) -> None:
        self.assertEqual(self.behind(b"store " + b"x" * 600, b"say a\n"), b"a\n")

    def test_too_much_to_be_skipped(self) -> None:
        for length in (b"1601", b"9" * 30):
            said = self.behind(b"store " + b"x" * 50 + b"{%b}" % length, b"say a\n")
            self.assertEqual(said, b"ERR literal-too-large expected at most 100 bytes\n")
            self.assertEqual(self.wire.asked[-1], "close")
        self.assertEqual(self.behind(b"store " + b"x" * 50 + b"{1600}", b"say a\n" * 260), b"")


class NoLiteralTests(Talk):
    """An application none of whose commands has literals."""

    def test_braces_mean_nothing(self) -> None:
        self.connect()
        reply = self.say(b"put k {6}\nquit\n")
        self.assertEqual(reply.splitlines()[1:], [b"OK"])


class OwnLengthTests(Talk):
    """Commands that say themselves how long their blocks are."""

    def make_app(self) -> LineApp:
        app = super().make_app()

        @app.command(roles=["writer"], length=lambda words: int(words[1]))
        def put(words: Words, data: Block = b"") -> int:
            return len(data)

        return app

    def test_forbidden(self) -> None:
        self.connect()
        self.assertEqual(
            self.say(b"put 5\nping\nquit\n"), b"ERR not-allowed PUT is not for you\nOK\n"
        )
