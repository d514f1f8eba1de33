import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import tools
from netsuite.line._client_commands import ArgumentInfo, CommandInfo, CommandList
from netsuite.line._shell import Commands, Pipe, Screen, Watch, client_of, counts
from netsuite.line._shell_options import ConnectOptions, Trouble, options_of
from netsuite.line._shell_text import candidates, starred, visible
from netsuite.line.client import LineConnectionError
from netsuite.line.test.memory import settle
from netsuite.line.test.test_client import ClientCase

KNOWN = CommandList(
    "calc",
    (
        CommandInfo("ADD", ("PLUS",), "Add\x1b numbers", (ArgumentInfo("a", "int"),)),
        CommandInfo("HELP", ("?",), "Help", (ArgumentInfo("name", "rest"),)),
        CommandInfo(
            "MODE",
            (),
            "Choose",
            (
                ArgumentInfo("how", "choice", choices=("fast", "fair", "very slow", "a\nb")),
                ArgumentInfo("on", "bool"),
            ),
        ),
        CommandInfo("MANY", (), "", (ArgumentInfo("x", repeated=True, choices=("one", "two")),)),
        CommandInfo("STORE", literal=True),
    ),
)


class TextTests(SynchronousTestCase):
    def test_nothing_that_a_terminal_would_obey(self) -> None:
        for text, shown in (
            ("plain \u00e9 \u65e5", "plain \u00e9 \u65e5"),
            ("a\tb", "a\tb"),
            ("\x1b[2J", r"\x1b[2J"),
            ("\x07\x7f\x9b", r"\x07\x7f\x9b"),
            ("\u202egpj.exe", r"\u202egpj.exe"),
            ("\U000e0041", r"\U000e0041"),
            ("\udcff", r"\udcff"),
        ):
            self.assertEqual(visible(text), shown)

    def test_arguments_that_are_secret(self) -> None:
        for line, shown in (
            ("AUTH", "AUTH"),
            ("AUTH ", "AUTH "),
            ('  auth plain me "open sesame" ', "  auth ***** ** ***** ******* "),
            ("auth\ttoken \u65e5", "auth\t***** *"),
        ):
            self.assertEqual(starred(line), shown)

    def offered(self, line: str) -> list[str]:
        return [each.text for each in candidates(KNOWN, line)]

    def test_names(self) -> None:
        self.assertEqual(self.offered(""), ["ADD", "PLUS", "HELP", "?", "MODE", "MANY", "STORE"])
        self.assertEqual(self.offered("M"), ["MODE", "MANY"])
        self.assertEqual(self.offered("pl"), ["plus"])
        self.assertEqual(self.offered("  MO"), ["MODE"])
        self.assertEqual(self.offered("X"), [])
        self.assertEqual(candidates(None, "A"), [])

    def test_what_is_shown_of_them(self) -> None:
        (found,) = candidates(KNOWN, "ad")
        self.assertEqual((found.text, found.typed, found.meaning), ("add", 2, r"Add\x1b numbers"))

    def test_arguments(self) -> None:
        self.assertEqual(self.offered("MODE f"), ["fast", "fair"])
        self.assertEqual(self.offered("mode FA"), ["fast", "fair"])
        self.assertEqual(self.offered("MODE v"), [])
        self.assertEqual(self.offered('MODE "'), ['"very slow"', '"a\\nb"'])
        self.assertEqual(self.offered("MODE fast "), ["yes", "no"])
        self.assertEqual(self.offered("MODE fast yes "), [])
        self.assertEqual(self.offered("MANY one t"), ["two"])
        self.assertEqual(self.offered("ADD "), [])
        self.assertEqual(self.offered("NO "), [])

    def test_help_has_names(self) -> None:
        self.assertEqual(self.offered("help mo"), ["mode"])
        self.assertEqual(self.offered("help mode "), [])

    def test_literals(self) -> None:
        store, add = KNOWN.find("STORE"), KNOWN.find("ADD")
        assert store is not None
        assert add is not None
        self.assertEqual(counts(store, "store k {12}"), 12)
        self.assertEqual(counts(store, "store k {12+}"), 12)
        self.assertIsNone(counts(store, "store k"))
        self.assertIsNone(counts(add, "add {12}"))


class OptionTests(SynchronousTestCase):
    def test_servers(self) -> None:
        reactor = MemoryReactorClock()
        for server, kind in (
            ("localhost:9000", HostnameEndpoint),
            ("[::1]:9000", HostnameEndpoint),
            ("unix:/run/x", UNIXClientEndpoint),
            ("tcp:localhost:9000", TCP4ClientEndpoint),
        ):
            endpoint = ConnectOptions(server=server).endpoint(reactor)
            self.assertIsInstance(endpoint, kind, server)

    def test_what_is_no_server(self) -> None:
        for server in (
            "",
            "localhost",
            "::1:9000",
            "localhost:0",
            "localhost:65536",
            "unix:",
            "x:y",
        ):
            options = ConnectOptions(server=server)
            error = self.assertRaises(Trouble, options.endpoint, MemoryReactorClock())
            self.assertTrue(str(error).startswith(f"{server}: expected "), str(error))

    def test_the_name_in_the_certificate(self) -> None:
        for server, given, name in (
            ("example.org:1", None, "example.org"),
            ("[::1]:1", None, "::1"),
            ("example.org:1", "other.example", "other.example"),
            ("unix:/run/x", None, "localhost"),
            ("tcp:example.org:1", "example.org", "example.org"),
        ):
            self.assertEqual(ConnectOptions(server=server, server_name=given).name, name)
        self.assertRaises(Trouble, lambda: ConnectOptions(server="tcp:example.org:1").name)

    def test_certificates_that_cannot_be_used(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        bad = directory / "bad.pem"
        bad.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        (directory / "binary").write_bytes(b"\xff")
        for ca, complaint in (
            (str(directory / "none"), "No such file or directory"),
            (str(directory / "binary"), "expected text"),
            (str(bad), "expected certificates in PEM"),
        ):
            options = ConnectOptions(server="a:1", tls=True, ca=ca)
            error = self.assertRaises(Trouble, options.endpoint, MemoryReactorClock())
            self.assertEqual(str(error), f"--ca {ca}: {complaint}")

    def complaint(self, *arguments: str) -> str:
        errors = StringIO()
        self.patch(sys, "stderr", errors)
        caught = self.assertRaises(SystemExit, options_of, arguments)
        self.assertEqual(caught.code, 2)
        self.assertEqual(errors.getvalue().count("\n"), 1)
        return errors.getvalue()

    def test_options_that_cannot_be(self) -> None:
        for arguments, complaint in (
            ([], "required: SERVER"),
            (["a:1", "b:1"], "unrecognized arguments: b:1"),
            (["a:1", "--nonsense"], "unrecognized arguments: --nonsense"),
            (["a:1", "--tls", "--starttls"], "--tls and --starttls: expected one of the two"),
            (["a:1", "--user", "x", "--token-file", "y"], "--token-file and --user: expected one"),
            (["a:1", "--tls", "--ca", "x", "--insecure"], "--ca and --insecure: expected one"),
            (["a:1", "--ca", "x"], "--ca: expected --tls or --starttls with it"),
            (["a:1", "--insecure"], "--insecure: expected --tls or --starttls with it"),
            (["a:1", "--timeout", "soon"], "'soon': expected seconds"),
            (["a:1", "--timeout", "-1"], "'-1': expected seconds"),
        ):
            said = self.complaint(*arguments)
            self.assertTrue(said.startswith("netsuite line connect: "))
            self.assertIn(complaint, said)

    def test_a_token_is_one_line_of_a_file(self) -> None:
        path = Path(self.mktemp())
        path.write_text("hush\n")
        options = options_of(["a:1", f"--token-file={path}"])
        self.assertEqual(options.token, "hush")
        self.assertNotIn("hush", repr(options))
        for text in ("", "\n", "a\nb\n"):
            path.write_text(text)
            self.assertRaises(Trouble, options_of, ["a:1", f"--token-file={path}"])
        self.assertRaises(Trouble, options_of, ["a:1", "--token-file=/none"])

    def test_the_rest(self) -> None:
        options = options_of(["-c", "A 1", "--command", "B", "--timeout=0", "--follow", "a:1"])
        self.assertEqual(options, ConnectOptions(
            server="a:1", commands=("A 1", "B"), timeout=None, follow=True
        ))  # fmt: skip
        self.assertEqual(options_of(["a:1", "--timeout=1.5"]).timeout, 1.5)
        self.assertEqual(options_of(["a:1"]).timeout, 30)


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def over(self, watch: Watch, awaited: Deferred[str]) -> Deferred[str]:
        return Deferred.fromCoroutine(watch.over(awaited))

    def test_what_comes_in_time(self) -> None:
        awaited: Deferred[str] = Deferred()
        result = self.over(Watch(self.clock, 10), awaited)
        self.clock.advance(9)
        awaited.callback("x")
        self.assertEqual(self.successResultOf(result), "x")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_does_not(self) -> None:
        result = self.over(Watch(self.clock, 10), Deferred())
        self.clock.advance(10)
        error = self.failureResultOf(result, Trouble).value
        self.assertEqual(str(error), "nothing came for 10 seconds")
        never: Deferred[str] = Deferred()
        late = Deferred.fromCoroutine(Watch(self.clock, 2).over(never, "no bus within"))
        self.clock.advance(2)
        self.assertEqual(str(self.failureResultOf(late, Trouble).value), "no bus within 2 seconds")

    def test_progress_counts(self) -> None:
        watch = Watch(self.clock, 10)
        result = self.over(watch, Deferred())
        for _ in range(5):
            self.clock.advance(9)
            watch.progress()
        self.clock.advance(9)
        self.assertNoResult(result)
        self.clock.advance(1)
        self.failureResultOf(result, Trouble)

    def test_no_limit(self) -> None:
        awaited: Deferred[str] = Deferred()
        result = self.over(Watch(self.clock, None), awaited)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        awaited.callback("x")
        self.assertEqual(self.successResultOf(result), "x")

    def test_who_is_cancelled_is_not_late(self) -> None:
        result = self.over(Watch(self.clock, 10), Deferred())
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PipeTests(ClientCase):
    """Commands of the options; those of a real pipe are in tests/test_line_connect.py."""

    def piped(self, *commands: str, **given: Any) -> tuple[Deferred[int], StringIO]:
        output, self.notes = StringIO(), StringIO()
        options = ConnectOptions(server="test", commands=commands, **given)
        client = self.client(reconnect=False)
        pipe = Pipe(client, options, None, Screen(output, False, self.notes), self.clock)
        return Deferred.fromCoroutine(pipe.run()), output

    def test_replies_are_written_in_order(self) -> None:
        status, output = self.piped("add 1 2", "", "count 3", "half 1", "store x", "say \x1b")
        self.assertEqual(self.result(status), 1)
        self.assertEqual(
            output.getvalue(),
            "3\n0\n1\n2\n0\nERR failed that was half\n"
            "ERR bad-argument no literal: expected STORE key {n}\n\x1b\n",
        )

    def test_no_errors(self) -> None:
        status, output = self.piped("add 1 2", "count 0", "say ERR")
        self.assertEqual((self.result(status), output.getvalue()), (0, "3\nERR\n"))
        self.assertEqual(self.notes.getvalue(), "")

    def test_a_terminal_gets_nothing_to_obey(self) -> None:
        output = StringIO()
        Screen(output, True, output).line("\x1b[2J")
        self.assertEqual(output.getvalue(), "\\x1b[2J\n")

    def test_more_commands_than_are_sent_ahead(self) -> None:
        status, output = self.piped(*(f"add {each} 0" for each in range(3000)))
        self.assertEqual(self.result(status), 0)
        self.assertEqual(output.getvalue(), "".join(f"{each}\n" for each in range(3000)))

    def test_a_reply_that_does_not_come(self) -> None:
        status, output = self.piped("add 1 2", "hold x", "add 2 2", timeout=5)
        self.pending(status)
        self.clock.advance(5)
        self.failure(status, Trouble)
        self.assertEqual(output.getvalue(), "3\n")

    def test_the_connection_goes_away(self) -> None:
        status, output = self.piped("add 1 2", "hold x", "add 2 2")
        self.pending(status)
        self.lose()
        self.failure(status, LineConnectionError)
        self.assertEqual(output.getvalue(), "3\n")

    def test_what_cannot_be_given(self) -> None:
        for command, complaint in (
            ("store k {3}", "STORE: a literal can only come from the standard input"),
            ("starttls", "STARTTLS: expected --starttls in place of the command"),
        ):
            status, output = self.piped("add 1 2", command, "add 2 2")
            self.assertEqual(str(self.failure(status, Trouble)), complaint)
            self.assertEqual(output.getvalue(), "3\n")

    def test_a_server_that_lists_no_commands(self) -> None:
        self.app.commands.remove("COMMANDS")
        status, output = self.piped("add 1 2", "ADD 2 2")
        self.assertEqual((self.result(status), output.getvalue()), (0, "3\n4\n"))
        note = "the server lists no commands: each reply is taken for one line"
        self.assertEqual(self.notes.getvalue(), f"netsuite line connect: {note}\n")

    def test_commands_that_nobody_knows(self) -> None:
        commands = Commands(self.client())
        self.assertEqual(commands.of("x y"), CommandInfo("X"))
        self.result(commands.learn())
        self.assertTrue(commands.of("cou 3").lines)
        self.assertEqual(commands.of("x y"), CommandInfo("X"))

    def test_a_client_as_the_options_have_it(self) -> None:
        reactor = MemoryReactorClock()
        options = ConnectOptions(server="unix:/run/x", user="me")
        client = client_of(options, reactor, "secret", timeout=1)
        self.assertFalse(client.is_connected)
        bad = ConnectOptions(server="\u00e4..x:1", starttls=True)
        self.assertRaises(Trouble, client_of, bad, reactor, None)
        settle(self.clock)


class ToolTests(SynchronousTestCase):
    def test_what_is_no_tool(self) -> None:
        errors = StringIO()
        self.patch(sys, "stderr", errors)
        self.assertEqual(tools.main(["nonsense"]), 2)
        self.assertEqual(tools.main([]), 2)
        self.assertIn("'nonsense' is no tool: expected one of connect, stdio", errors.getvalue())

    def test_a_tool_that_is_missing(self) -> None:
        errors = StringIO()
        self.patch(sys, "stderr", errors)
        self.patch(sys, "modules", {**sys.modules, "netsuite.line.stdio": None})
        self.assertEqual(tools.main(["stdio"]), 2)
        self.assertIn("this netsuite has no netsuite.line.stdio", errors.getvalue())

    def test_a_tool_gets_the_rest(self) -> None:
        errors = StringIO()
        self.patch(sys, "stderr", errors)
        caught = self.assertRaises(SystemExit, tools.main, ["connect", "--nonsense"])
        self.assertEqual(caught.code, 2)
        self.assertIn("netsuite line connect: ", errors.getvalue())
