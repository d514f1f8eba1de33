"""What an application has by itself, and the rules that hold for all of its commands."""

import json
from collections.abc import Collection, Generator, Iterable, Iterator
from typing import Any, Literal

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, inlineCallbacks, succeed

from netsuite.line import (
    Address,
    Block,
    CommandError,
    Limits,
    LineApp,
    LineProtocol,
    Quoted,
    ReplyError,
    Rest,
    Session,
    Words,
)
from netsuite.line._commands import Command
from netsuite.line._requests import Request
from netsuite.line.test.talk import Talk, Wire


class AppCase(Talk):
    options: dict[str, Any] = {}

    def make_app(self) -> LineApp:
        return LineApp("calc", limits=Limits(idle=None), line_end=b"\n", **self.options)

    def ask(self, line: str) -> list[str]:
        """The lines that come."""
        if not hasattr(self, "protocol"):
            self.connect()
        return (
            self.say(line.encode("utf-8", "surrogateescape") + b"\n")
            .decode("utf-8", "surrogateescape")
            .splitlines()
        )


class HelpTests(AppCase):
    def setUp(self) -> None:
        super().setUp()

        @self.app.command("ADD", aliases=["PLUS", "+"], rate=2.5)
        def add(a: int, b: Literal["x", "y"] = "x", *more: float) -> int:
            """Add numbers.

            Whatever they are:
              .and so on.
            """
            raise NotImplementedError

        @self.app.command(roles=["admin", "boss"])
        def shutdown(when: Quoted, why: Rest = "") -> None:
            raise NotImplementedError

        @self.app.command(hidden=True)
        def backdoor() -> str:
            return "come in"

        @self.app.command()
        def store(key: str, data: Block) -> None:
            """Store bytes."""

        @self.app.command()
        def anything(words: Words) -> None:
            """Take anything."""

    def test_all(self) -> None:
        self.assertEqual(
            self.ask("help"),
            [
                "calc: the commands",
                "  HELP [name]            Say what commands there are, or what one of them does.",
                "  COMMANDS               List the commands for programs, as JSON.",
                "  NOOP                   Do nothing; it is answered if somebody is there.",
                "  QUIT                   Close the connection.",
                "  ADD a [x|y] [more...]  Add numbers.",
                "  STORE key {n}          Store bytes.",
                "  ANYTHING ...           Take anything.",
                ".",
            ],
        )
        self.assertEqual(self.ask("?"), self.ask("help"))
        self.session.login("ann", frozenset({"boss"}))
        self.assertIn("  SHUTDOWN when [why]", self.ask("help"))

    def test_one(self) -> None:
        self.assertEqual(
            self.ask("help plus"),
            [
                "ADD a [x|y] [more...]",
                "Add numbers.",
                "",
                "Whatever they are:",
                "  .and so on.",
                "  a: a whole number",
                "  b: one of x, y, optional",
                "  more: a number, optional",
                "Other names: PLUS, +",
                "At most 2.5 a second",
                ".",
            ],
        )
        self.assertEqual(
            self.ask("help store"),
            [
                "STORE key {n}",
                "Store bytes.",
                "  key: a word",
                "  {n}: the length of data, whose bytes follow the line",
                ".",
            ],
        )
        self.assertEqual(self.ask('HELP "add"'), self.ask("help ADD"))

    def test_one_that_there_is_not(self) -> None:
        self.assertEqual(self.ask("help ad-d"), ['ERR unknown-command "ad-d": did you mean ADD?'])
        self.assertEqual(self.ask("help a"), ['ERR unknown-command "a" could be ADD, ANYTHING'])
        for name in ("\u3000", "\x1c", "xyz"):
            self.assertTrue(self.ask(f"help {name}")[0].startswith("ERR unknown-command "))
        self.assertEqual(
            self.ask("help add help"), ["ERR bad-argument too many arguments: expected HELP [name]"]
        )
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_one_that_is_not_for_everybody(self) -> None:
        self.assertEqual(self.ask("help shutdown"), ["ERR not-allowed SHUTDOWN is not for you"])
        self.session.login("ann", frozenset({"admin"}))
        self.assertEqual(
            self.ask("help shutdown"),
            [
                "SHUTDOWN when [why]",
                "  when: text in quotes",
                "  why: the rest of the line, as it is, optional",
                "For: admin, boss",
                ".",
            ],
        )

    def test_one_that_is_hidden(self) -> None:
        self.assertEqual(
            self.ask("help backdoor"), ['ERR unknown-command "backdoor": HELP lists the commands']
        )
        self.assertEqual(self.ask("backdoor"), ["come in"])
        self.assertTrue(self.ask("backd")[0].startswith("ERR unknown-command"))

    def test_for_programs(self) -> None:
        (line,) = self.ask("commands")
        found = json.loads(line)
        self.assertEqual((found["app"], found["version"]), ("calc", 1))
        names = [each["name"] for each in found["commands"]]
        self.assertEqual(names, ["HELP", "COMMANDS", "NOOP", "QUIT", "ADD", "STORE", "ANYTHING"])
        self.assertEqual(
            found["commands"][4],
            {
                "name": "ADD",
                "aliases": ["PLUS", "+"],
                "summary": "Add numbers.",
                "arguments": [
                    {
                        "name": "a",
                        "type": "int",
                        "required": True,
                        "repeated": False,
                        "choices": None,
                    },
                    {
                        "name": "b",
                        "type": "choice",
                        "required": False,
                        "repeated": False,
                        "choices": ["x", "y"],
                    },
                    {
                        "name": "more",
                        "type": "float",
                        "required": False,
                        "repeated": True,
                        "choices": None,
                    },
                ],
                "reply": "line",
                "literal": False,
                "roles": [],
            },
        )
        self.assertTrue(found["commands"][5]["literal"])
        self.assertEqual(found["commands"][0]["reply"], "lines")


class NoBuiltinsTests(AppCase):
    options = {"builtins": False}

    def test_there_are_none(self) -> None:
        for line in ("help", "?", "commands", "quit", "exit"):
            self.assertEqual(
                self.ask(line), [f'ERR unknown-command "{line}": there is no such command']
            )


class PermissionTests(AppCase):
    def setUp(self) -> None:
        super().setUp()

        @self.app.command()
        def anyone() -> None:
            pass

        @self.app.command(roles=["x", "y"])
        def few(a: int) -> None:
            pass

        @self.app.command(open=True)
        def hello() -> None:
            pass

    def test_roles(self) -> None:
        self.assertEqual(self.ask("anyone"), ["OK"])
        self.assertEqual(self.ask("few 1"), ["ERR not-allowed FEW is not for you"])
        self.session.login("ann", frozenset({"z"}))
        self.assertEqual(self.ask("few 1"), ["ERR not-allowed FEW is not for you"])
        self.session.login("ann", frozenset({"y", "z"}))
        self.assertEqual(self.ask("few 1"), ["OK"])
        self.session.logout()
        self.assertEqual(self.ask("few 1"), ["ERR not-allowed FEW is not for you"])

    def test_roles_are_more_than_letters(self) -> None:
        wrong = "^roles 'xy': expected a collection of names$"
        with self.assertRaisesRegex(TypeError, wrong):
            self.app.test_client(roles="xy")
        self.connect()
        with self.assertRaisesRegex(TypeError, wrong):
            self.session.login("ann", "xy")
        self.assertIsNone(self.session.user)
        roles: Collection[str] = ["x", "y"]
        self.session.login("ann", roles)
        self.assertEqual(self.session.roles, {"x", "y"})

    def test_before_login(self) -> None:
        self.app.login_required = True
        self.assertEqual(self.ask("anyone"), ["ERR not-allowed ANYONE: expected AUTH first"])
        self.assertEqual(self.ask("few 1"), ["ERR not-allowed FEW: expected AUTH first"])
        self.assertEqual(self.ask("hello"), ["OK"])
        self.assertEqual(
            self.ask("help")[1:-1],
            [
                "  HELP [name]  Say what commands there are, or what one of them does.",
                "  COMMANDS     List the commands for programs, as JSON.",
                "  NOOP         Do nothing; it is answered if somebody is there.",
                "  QUIT         Close the connection.",
                "  HELLO",
            ],
        )
        self.session.login("ann")
        self.assertEqual(self.ask("anyone"), ["OK"])
        self.session.logout()
        self.assertEqual(self.ask("anyone"), ["ERR not-allowed ANYONE: expected AUTH first"])
        self.assertEqual(self.ask("quit"), ["OK"])

    def test_rules_of_others(self) -> None:
        class Closed:
            closed = False

            def concerns(self, session: Session) -> bool:
                return True

            def forbids(self, session: Session, command: Command) -> CommandError | None:
                if self.closed and command.name == "HELLO":
                    return CommandError("closed", "at night")
                return None

        rule = Closed()
        self.app.rules.append(rule)
        self.assertEqual(self.ask("hello"), ["OK"])
        rule.closed = True
        self.assertEqual(self.ask("hello"), ["ERR closed at night"])
        self.assertEqual(self.ask("anyone"), ["OK"])

    def test_who_is_told_when_a_user_is_gone(self) -> None:
        self.connect()
        heard: list[str | None] = []
        self.session.login("ann")
        self.session.on_logout(lambda: heard.append(self.session.user))
        self.session.on_logout(lambda: 1 // 0)
        self.session.logout()
        self.session.logout()
        self.assertEqual(heard, [None])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RateTests(AppCase):
    def setUp(self) -> None:
        super().setUp()

        @self.app.command(rate=2)
        def ping() -> str:
            return "pong"

        @self.app.command(rate=0.5)
        def slowly(a: int) -> None:
            pass

    def peer(self, address: Any) -> None:
        wire = Wire()
        wire.peerAddr = address
        self.connect(wire)

    def test_at_the_limit_and_past_it(self) -> None:
        error = "ERR rate-limit PING: expected at most 2 a second"
        self.connect()
        self.assertEqual(self.ask("ping\nping\nping\nPing"), ["pong", "pong", error, error])
        self.clock.advance(0.5)
        self.assertEqual(self.ask("ping\nping"), ["pong", error])
        self.clock.advance(100)
        self.assertEqual(self.ask("ping\nping\nping"), ["pong", "pong", error])

    def test_less_than_one_a_second(self) -> None:
        error = "ERR rate-limit SLOWLY: expected at most 0.5 a second"
        self.assertEqual(self.ask("slowly 1\nslowly 1"), ["OK", error])
        self.clock.advance(2)
        self.assertEqual(self.ask("slowly 1"), ["OK"])

    def test_wrong_ones_do_not_count(self) -> None:
        self.ask("slowly x\nslowly\nslowly 1 2")
        self.assertEqual(self.ask("slowly 1"), ["OK"])

    def test_each_client_for_itself(self) -> None:
        for host, reply in (
            ("192.0.2.1", "OK"),
            ("192.0.2.1", "ERR rate-limit SLOWLY: expected at most 0.5 a second"),
            ("192.0.2.2", "OK"),
            ("2001:db8::1", "OK"),
            ("2001:db8::2", "ERR rate-limit SLOWLY: expected at most 0.5 a second"),
            ("2001:db8:0:1::1", "OK"),
        ):
            self.peer((IPv6Address if ":" in host else IPv4Address)("TCP", host, 7))
            self.assertEqual(self.ask("slowly 1"), [reply])

    def test_a_peer_without_an_address(self) -> None:
        self.peer(UNIXAddress(b"/tmp/x"))
        self.assertEqual(self.ask("slowly 1"), ["OK"])
        self.assertTrue(self.ask("slowly 1")[0].startswith("ERR rate-limit"))


class FallbackTests(AppCase):
    def fallback(self, session: Session, line: bytes) -> object:
        if line == b"fail":
            raise CommandError("no", "never")
        return line.upper() + b"|"

    def make_app(self) -> LineApp:
        return LineApp("chat", limits=Limits(idle=None), line_end=b"\n", fallback=self.fallback)

    def test_lines_that_begin_with_no_command(self) -> None:
        self.connect()
        for line, sent in (
            (b"hello there\n", b"HELLO THERE|"),
            (b"hel\r\n", b"HEL|"),
            (b"\n", b"|"),
            (b" \r\n", b" |"),
            (b'a "b\n', b'A "B|'),
            (b"\xff {3}\n", b"\xff {3}|"),
            (b"fail\n", b"ERR no never\n"),
            (b"a\nb\n", b"A|B|"),
        ):
            self.assertEqual(self.say(line), sent)
        self.assertEqual(self.ask("help")[0], "chat: the commands")
        self.assertEqual(self.ask("quit"), ["OK"])

    def test_no_bytes_are_no_line(self) -> None:
        self.connect()
        self.assertEqual(self.say(b""), b"")
        self.assertEqual(self.say(b"a\n"), b"A|")


class WireTests(AppCase):
    """Options for how things look."""

    def test_line_ends(self) -> None:
        self.app = LineApp("test")
        self.connect()
        self.assertEqual(self.say(b"quit\n"), b"OK\r\n")
        wrong: Any = b"\r"
        with self.assertRaisesRegex(ValueError, "line_end"):
            LineApp("test", line_end=wrong)

    def test_errors(self) -> None:
        self.options = {"format_error": lambda error: b"NO " + error.code.encode() + b"\n"}
        self.app = self.make_app()
        self.assertEqual(self.ask("foo"), ["NO unknown-command"])

    def test_exactly_as_it_is_written(self) -> None:
        self.options = {"exact": True}
        self.app = self.make_app()
        self.app.command("get")(lambda: "low")
        self.app.command("GET")(lambda: "high")
        self.assertEqual(
            self.ask("get\nGET\nGet\nhelp\nHELP x\nge"),
            [
                "low",
                "high",
                'ERR unknown-command "Get": did you mean get?',
                'ERR unknown-command "help": HELP lists the commands',
                'ERR unknown-command "x": HELP lists the commands',
                'ERR unknown-command "ge": HELP lists the commands',
            ],
        )

    def test_text_that_is_no_utf_8(self) -> None:
        text = b"\xff\xc3\xa9".decode("utf-8", "surrogateescape")
        for how, reply in (
            ("strict", "ERR bad-encoding text: expected UTF-8"),
            ("replace", "\ufffdé"),
            ("surrogateescape", text),
        ):
            self.options = {"invalid_utf8": how}
            self.app = self.make_app()

            @self.app.command()
            def say(text: str) -> str:
                return text

            self.connect()
            self.assertEqual(self.ask(f"say {text}"), [reply])
            self.assertTrue(self.ask(f"help {text}")[0].startswith("ERR "))
        self.assertEqual(self.flushLoggedErrors(), [])


class RestTests(AppCase):
    def setUp(self) -> None:
        super().setUp()

        @self.app.command()
        def shout(text: Rest) -> str:
            return f"[{text.upper()}]"

    def test_all_behind_one_space_is_text(self) -> None:
        self.connect()
        for line, sent in (
            (b"SHOUT   in  dented  \n", b"[  IN  DENTED  ]\n"),
            (b"sh\t\ta\n", b"[\tA]\n"),
            (b' shout  "a \r\n', b'[ "A ]\n'),
            (b"SHOUT \n", b"[]\n"),
            (b"SHOUT \r\n", b"[]\n"),
            (b"SHOUT\r\n", b"ERR bad-argument text is missing: expected SHOUT text\n"),
        ):
            self.assertEqual(self.say(line), sent)
            self.assertEqual(self.say(b"NOOP\n" + line), b"OK\n" + sent)


class SeveralLinesTests(AppCase):
    def setUp(self) -> None:
        super().setUp()

        @self.app.command()
        @inlineCallbacks
        def one(a: int) -> Generator[Deferred[Any], Any, str]:
            b = yield succeed(1)
            return f"{a + b} line"

        @self.app.command()
        def promised(a: int) -> Deferred[list[str] | None]:
            return succeed(["a"] * a or None)

        @self.app.command()
        def numbers() -> Iterable[float]:
            return (1, 2.5, True)

        @self.app.command()
        def wrong() -> list[dict[str, str]]:
            return [{}]

    def test_what_the_annotation_says(self) -> None:
        self.assertEqual(self.ask("one 1"), ["2 line"])
        self.assertEqual(self.ask("promised 2"), ["a", "a", "."])
        self.assertEqual(self.ask("promised 0"), ["."])
        self.assertEqual(self.ask("numbers"), ["1", "2.5", "True", "."])

    def test_what_is_no_line(self) -> None:
        self.assertEqual(self.ask("wrong"), ["ERR failed WRONG failed"])
        (failure,) = self.flushLoggedErrors(ReplyError)
        self.assertEqual(str(failure.value), "dict is no line: expected str, int, float or bool")


class BeginTests(AppCase):
    def test_a_greeting_is_one_line(self) -> None:
        for greeting in ("a\nb", "a\r", "\ud800"):
            with self.assertRaisesRegex(ValueError, "greeting .*: expected one line"):
                LineApp("test", greeting=greeting)

    def test_nobody_waits_for_what_is_called_first(self) -> None:
        async def coroutine(session: Session) -> None:
            raise NotImplementedError

        def promise(session: Session) -> Deferred[None]:
            return succeed(None)

        for function in (coroutine, promise):
            self.app.on_connect[:] = [function]
            self.connect()
            self.assertEqual(self.wire.asked, ["abort"])
            (failure,) = self.flushLoggedErrors(TypeError)
            self.assertIn(f"{function.__name__} ", str(failure.value))
        self.assertEqual(self.flushWarnings(), [])


class ExtensionTests(AppCase):
    def test_it_is_installed(self) -> None:
        class Ping:
            def install(self, app: LineApp) -> None:
                @app.command()
                def ping(address: Address) -> str:
                    return f"pong {address}"

        self.app.add(Ping())
        self.assertEqual(self.ask("ping 192.0.2.1"), ["pong 192.0.2.1"])
        self.assertEqual(repr(self.app), "<LineApp calc>")


class RecorderTests(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.heard: list[bytes] = []
        self.app.recorder = self

        @self.app.command()
        def count(upto: int) -> Iterator[str]:
            yield from map(str, range(upto))

    def request(self, session: Session, request: Request) -> None:
        self.heard.append(b"> " + request.line)

    def reply(self, session: Session, data: bytes) -> None:
        self.heard.append(b"< " + data)

    def test_it_hears_all(self) -> None:
        self.connect()
        self.session.send("hi")
        self.say(b"count 2\nfoo\nquit\n")
        self.assertEqual(
            self.heard,
            [
                b"< * hi\n",
                b"> count 2",
                b"< 0\n",
                b"< 1\n",
                b"< .\n",
                b"> foo",
                b'< ERR unknown-command "foo": HELP lists the commands\n',
                b"> quit",
                b"< OK\n",
            ],
        )


class ConverseTests(AppCase):
    def test_somebody_who_is_known_already(self) -> None:
        session = self.app.converse(
            LineProtocol(),
            peer="a",
            host="192.0.2.1",
            secure=True,
            clock=None,
            user="ann",
            roles=["x"],
        ).session
        self.assertEqual((session.user, session.roles), ("ann", {"x"}))
        self.assertEqual((session.peer, session.host, session.secure), ("a", "192.0.2.1", True))
        self.assertEqual(repr(session), "<Session of ann from a>")
        self.assertIs(session.app, self.app)
        self.assertEqual(session.state, {})
