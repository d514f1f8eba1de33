import json
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IUNIXTransport
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, providedBy

from netsuite.line import Limits, LineApp, LineProtocol
from netsuite.line.auth import Authentication, Tokens
from netsuite.line.kv._store import ITEM_OVERHEAD
from netsuite.line.service import LineConfig, LineService, Options, build_service
from netsuite.service import ConfigError, DaemonConfig


def options(*arguments: str, **environ: str) -> Options:
    parsed = Options(environ)
    parsed.parseOptions(arguments)
    return parsed


class OptionsTests(SynchronousTestCase):
    def config(self, *arguments: str, **environ: str) -> LineConfig:
        return options(*arguments, **environ).config

    def test_defaults_are_the_config_s_own(self) -> None:
        self.assertEqual(self.config(), LineConfig())
        self.assertEqual(self.config().listen, ("dualstack:9001",))

    def test_all_limits_can_be_given(self) -> None:
        config = self.config(
            "--line-length=1Ki",
            "--max-arguments=2",
            "--literal-size=3",
            "--max-queued=4",
            "--queue-full=refuse",
            "--max-parallel=5",
            "--max-subscriptions=6",
            "--channels",
            "--reply-buffer=7k",
            "--login-timeout=8s",
        )
        self.assertEqual(
            config.limits,
            {
                "line_length": 1024,
                "arguments": 2,
                "literal": 3,
                "queued": 4,
                "queue_full": "refuse",
                "parallel": 5,
                "subscriptions": 6,
                "buffer": 7000,
                "login": 8.0,
            },
        )
        others = {each for each in Limits.__slots__ if each not in config.limits}
        self.assertEqual(others, {"idle"})

    def test_the_rest(self) -> None:
        config = self.config(
            "--app=kv", "--port=11211", "--memory=64Mi", "--value-size=1Mi", "--drain-timeout=1"
        )
        self.assertEqual(
            config,
            LineConfig(
                app="kv",
                listen=("dualstack:11211",),
                memory=64 * 1024**2,
                value_size=1024**2,
                daemon=DaemonConfig(drain_timeout=1),
            ),
        )

    def test_variables_and_a_file(self) -> None:
        path = Path(self.mktemp())
        path.write_text("app = 'ip'\nline-end = 'lf'\nline-length = '2k'\nmax-queued = 5\n")
        self.assertEqual(
            self.config(f"--config={path}", NETSUITE_MAX_QUEUED="6", NETSUITE_PORT="7"),
            LineConfig(
                app="ip", line_end="lf", line_length=2000, max_queued=6, listen=("dualstack:7",)
            ),
        )

    def test_silence_is_the_application_s_unless_somebody_says(self) -> None:
        path = Path(self.mktemp())
        path.write_text("idle-timeout = 'none'\n")
        self.assertTrue(self.config().own_idle)
        self.assertFalse(self.config("--idle-timeout=60").own_idle)
        self.assertFalse(self.config("--idle-timeout=none").own_idle)
        self.assertFalse(self.config(NETSUITE_IDLE_TIMEOUT="none").own_idle)
        self.assertFalse(self.config(f"--config={path}").own_idle)

    def test_checked(self) -> None:
        self.assertEqual(
            options("--app=echo", "--port=7").checked(), "configuration ok: line on dualstack:7\n"
        )
        self.assertIn('app = "echo"  # default', options().effective())
        parsed = options("--app=own_none:app")
        error = self.assertRaises(usage.UsageError, parsed.checked)
        self.assertIn("app own_none:app: no module 'own_none' in", str(error))

    def test_reload(self) -> None:
        path = Path(self.mktemp())
        path.write_text("app = 'echo'")
        parsed = options(f"--config={path}")
        path.write_text("app = 'ip'\nline-length = 100\nmax-per-client = 5")
        self.assertEqual(parsed.reload(), DaemonConfig(max_per_client=5))
        self.assertEqual(parsed.needs_restart, ("app", "line-length"))

    MISTAKES: ClassVar = [
        (["--line-length=0"], "line length 0: expected 1 or more"),
        (["--literal-size=-1"], "--literal-size: '-1' is less than 0: expected bytes"),
        (["--reply-buffer=0"], "reply buffer 0: expected 1 or more"),
        (["--max-queued=0"], "max queued 0: expected 1 or more"),
        (["--login-timeout=0"], "login timeout 0.0: expected more than 0 seconds"),
        (["--queue-full=drop"], "queue full 'drop': expected 'wait' or 'refuse'"),
        (["--line-end=cr"], "line end 'cr': expected crlf or lf"),
        (["--memory=0"], "memory 0: expected 1 or more"),
        (["--starttls=required"], "starttls required and no certificate: expected tls-cert"),
        (["--starttls=maybe"], "starttls 'maybe': expected offered or required"),
        (["--max-subscriptions=2"], "max subscriptions with echo, which has no channels: expected"),
        (["--ssh-host-key=x"], "ssh host key without SSH: expected ssh too"),
        (["--ssh-generate-host-key"], "ssh generate host key without SSH: expected ssh too"),
        (["--ssh-authorized-keys=x"], "ssh authorized keys without SSH: expected ssh too"),
        (["--plaintext-passwords"], "plaintext passwords without passwords: expected password-"),
        (["--app=kv", "--channels"], "channels with kv: expected an app whose peers take"),
        (["--app=kv", "--memory=1"], "memory 1: expected 10"),
        (["--telnet=tcp:1", "--interface=::1"], "--interface goes with --port: expected --port "),
        (["--memory=lots"], "--memory: 'lots' is not a number: expected bytes"),
        (["--drain-timeout=-1"], "--drain-timeout: '-1' is less than 0: expected seconds"),
    ]

    def test_mistakes_are_named(self) -> None:
        for arguments, named in self.MISTAKES:
            error = self.assertRaises(usage.UsageError, self.config, *arguments)
            self.assertIn(named, str(error))

    def test_the_least_memory_of_a_cache(self) -> None:
        least = 77 + 250 + ITEM_OVERHEAD
        error = self.assertRaises(
            usage.UsageError, self.config, "--app=kv", f"--memory={least - 1}", "--value-size=77"
        )
        self.assertIn(f"memory {least - 1}: expected {least} or more", str(error))
        config = self.config("--app=kv", f"--memory={least}", "--value-size=77")
        self.assertEqual(config.memory, least)

    def test_mistakes_in_a_file_have_its_line(self) -> None:
        path = Path(self.mktemp())
        for text, complaint in [
            ("\nline-length = 0", "line 2: line-length 0: expected 1 or more"),
            ("max-queued = 0", "line 1: max-queued 0: expected 1 or more"),
            ("line-size = 1", "line 1: line-size: no such setting"),
        ]:
            path.write_text(text)
            error = self.assertRaises(usage.UsageError, self.config, f"--config={path}")
            self.assertTrue(str(error).startswith(f"{path}, {complaint}"), str(error))


class ConfigTests(SynchronousTestCase):
    def test_what_cannot_be(self) -> None:
        for changes in (
            {"listen": ()},
            {"line_length": 0},
            {"max_queued": -1},
            {"queue_full": "drop"},
            {"line_end": "cr"},
            {"login_timeout": 0.0},
        ):
            error = self.assertRaises(ConfigError, LineConfig, **changes)
            self.assertIn("expected", str(error))


class BuildServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def build(self, **config: Any) -> LineService:
        return build_service(LineConfig(listen=("tcp:9001",), **config), self.reactor)

    def connect(self, service: LineService) -> tuple[LineProtocol, StringTransport]:
        protocol = service.factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def test_a_programmer_builds_the_same_service(self) -> None:
        app = LineApp("mine")
        service = self.build(app=app)
        self.assertTrue(IService.providedBy(service))
        self.assertIs(service.app, app)
        service.startService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [9001])
        self.successResultOf(service.stopService())

    def test_an_endpoint_that_cannot_work(self) -> None:
        config = LineConfig(listen=("ftp:21",))
        self.assertRaises(ConfigError, build_service, config, self.reactor)

    def test_an_application_that_there_is_not(self) -> None:
        error = self.assertRaises(ConfigError, self.build, app="finger")
        self.assertEqual(
            str(error),
            "app finger: expected one of echo, ip, kv, chat, or MODULE:APP such as calc:app",
        )

    def test_limits_are_the_application_s_own_unless_they_are_given(self) -> None:
        app = LineApp("mine", limits=Limits(line_length=7, queued=8))
        service = self.build(app=app, max_queued=9)
        self.assertEqual(service.app.limits, Limits(line_length=7, queued=9))
        protocol, transport = self.connect(service)
        protocol.dataReceived(b"12345678\n")
        self.assertIn(b"ERR line-too-long 1234567: expected at most 7 bytes", transport.value())

    def test_the_line_end(self) -> None:
        protocol, transport = self.connect(self.build(app="echo", line_end="lf"))
        protocol.dataReceived(b"x\r\n")
        self.assertEqual(transport.value(), b"x\n")
        error = self.assertRaises(ConfigError, self.build, app="kv", line_end="lf")
        self.assertEqual(str(error), "app kv: takes no line-end: expected it with echo or ip")

    def test_one_application_in_two_services(self) -> None:
        app = LineApp("mine")
        first = self.build(app=app, line_length=100)
        self.assertIs(self.build(app=app, line_length=100, own_idle=False).app, first.app)
        error = self.assertRaises(ConfigError, self.build, app=app, line_length=200)
        self.assertIn("mine is served already, with other settings", str(error))

    def test_what_it_counts(self) -> None:
        app = LineApp("mine")

        @app.command()
        def lines() -> list[str]:
            return ["one", "two"]

        service = self.build(app=app)
        protocol, _ = self.connect(service)
        before = service.stats_now().listeners[0].counts
        self.assertEqual(before, {"line_replies": 0, "line_errors": 0})
        protocol.dataReceived(b"nonsense\nadd\ncommands\n")
        self.assertEqual(
            service.stats_now().listeners[0].counts, {"line_replies": 3, "line_errors": 2}
        )
        protocol.connectionLost()
        self.connect(service)
        after = service.stats_now().listeners[0].counts
        self.assertEqual(after, {"line_replies": 3, "line_errors": 2})
        self.assertEqual((service.counters.opened, service.counters.active), (2, 1))


class AdditionTests(SynchronousTestCase):
    """What a configuration adds to an application."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def file(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def build(self, app: str | LineApp | None = None, **config: Any) -> LineService:
        config = {"app": app or LineApp("mine"), "listen": ("tcp:9001",), **config}
        return build_service(LineConfig(**config), self.reactor)

    def talk(self, service: LineService, data: bytes) -> bytes:
        """What is answered to bytes, to somebody on a UNIX socket."""
        protocol = service.factory.buildProtocol(None)
        transport = StringTransport()
        directlyProvides(transport, [*providedBy(transport), IUNIXTransport])
        protocol.makeConnection(transport)
        protocol.dataReceived(data)
        self.reactor.advance(1)
        answer: bytes = transport.value()
        protocol.connectionLost()
        return answer

    def test_passwords_and_tokens(self) -> None:
        digest = sha256(b"t0ken").hexdigest()
        service = self.build(
            password_file=self.file("users", "bob:secret:math\n"),
            token_file=self.file("tokens", f"sha256:{digest} eve\n"),
        )
        self.assertIn(b"ERR not-allowed WHOAMI: expected AUTH", self.talk(service, b"whoami\n"))
        self.assertEqual(self.talk(service, b"auth plain bob secret\nwhoami\n"), b"OK\r\nbob\r\n")
        self.assertEqual(self.talk(service, b"auth token t0ken\nwhoami\n"), b"OK\r\neve\r\n")

    def test_passwords_in_plain_text(self) -> None:
        users = self.file("users", "bob:secret\n")
        for plain, answer in ((False, b"ERR not-allowed "), (True, b"OK\r\n")):
            service = self.build(password_file=users, plaintext_passwords=plain)
            protocol = service.factory.buildProtocol(None)
            transport = StringTransport()
            protocol.makeConnection(transport)
            protocol.dataReceived(b"auth plain bob secret\n")
            self.assertTrue(transport.value().startswith(answer), transport.value())

    def test_files_are_read_again(self) -> None:
        users, tokens = self.file("users", "bob:old\n"), self.file("tokens", "")
        service = self.build(password_file=users, token_file=tokens)
        self.file("users", "bob:new\n")
        self.file("tokens", f"sha256:{sha256(b't').hexdigest()} eve\n")
        service.prepare(DaemonConfig())
        self.assertEqual(self.talk(service, b"auth plain bob old\n"), b"OK\r\n", "not yet")
        service.reload(DaemonConfig())
        self.assertEqual(self.talk(service, b"auth plain bob new\n"), b"OK\r\n")
        self.assertEqual(self.talk(service, b"auth token t\n"), b"OK\r\n")
        self.file("tokens", "nonsense\n")
        self.file("users", "bob:newer\n")
        error = self.assertRaises(ConfigError, service.reload, DaemonConfig())
        self.assertIn(str(tokens), str(error))
        self.assertEqual(self.talk(service, b"auth plain bob new\n"), b"OK\r\n")

    def test_files_that_others_can_read(self) -> None:
        files: dict[str, Any] = {
            "password_file": self.file("users", "bob:secret\n"),
            "token_file": self.file("tokens", ""),
        }
        service = self.build(**files)
        for mode, warned in ((0o600, False), (0o640, True), (0o604, True), (0o622, False)):
            for path in files.values():
                path.chmod(mode)
            for happens in (service.announced, partial(service.reload, DaemonConfig())):
                with capturedLogs() as events:
                    happens()
                said = [str(each["text"]) for each in events if each["log_level"].name == "warn"]
                expected = [
                    f"{path}: mode {mode:04o}: others can read it; expected 0600"
                    for path in files.values()
                ]
                self.assertEqual(said, expected if warned else [])

    def test_files_without_anybody(self) -> None:
        users, tokens = self.file("users", "# nobody\n"), self.file("tokens", "")
        for path in (users, tokens):
            path.chmod(0o600)
        service = self.build(password_file=users, token_file=tokens)
        for happens in (service.announced, partial(service.reload, DaemonConfig())):
            with capturedLogs() as events:
                happens()
            said = [str(each["text"]) for each in events if each["log_level"].name == "warn"]
            self.assertEqual(said, [f"{users} and {tokens}: no users: nobody can log in by AUTH"])

    def test_files_that_cannot_be_used(self) -> None:
        for name, complaint in [
            ("password_file", "password file /none: No such file or directory"),
            ("token_file", "token file /none: No such file or directory"),
        ]:
            error = self.assertRaises(ConfigError, self.build, **{name: Path("/none")})
            self.assertTrue(str(error).startswith(complaint), str(error))
        error = self.assertRaises(ConfigError, self.build, transcript=Path("/none/x"))
        self.assertEqual(str(error), "transcript /none/x: No such file or directory")

    def test_a_time_to_log_in_where_nobody_does(self) -> None:
        error = self.assertRaises(ConfigError, self.build, login_timeout=1.0)
        self.assertEqual(
            str(error),
            "login timeout without logins: expected password-file, token-file or ssh too",
        )
        self.build(login_timeout=1.0, token_file=self.file("tokens", ""))
        own = LineApp("own")
        own.add(Authentication([], tokens=Tokens()))
        self.build(own, login_timeout=1.0)

    def said(self, **config: Any) -> list[str]:
        service = self.build(**config)
        service.startService()
        self.addCleanup(service.stopService)
        with capturedLogs() as events:
            service.announced()
        return [str(each["command"]) for each in events if "command" in each]

    def test_how_to_talk(self) -> None:
        tls = DaemonConfig(tls_self_signed=True)
        users = self.file("users", "")
        here = "tcp:7"
        for config, expected in (
            ({}, "nc localhost 9001"),
            ({"password_file": users}, "netsuite line connect localhost:9001"),
            (
                {"password_file": users, "daemon": tls},
                "netsuite line connect localhost:9001 --tls",
            ),
            (
                {"daemon": tls, "starttls": "offered"},
                "netsuite line connect localhost:9001 --starttls",
            ),
            ({"listen": (), "telnet": (here, here)}, "telnet localhost 7"),
            (
                {"listen": (), "telnet": (here,), "daemon": tls},
                "openssl s_client -quiet -connect localhost:7",
            ),
            ({"listen": ("unix:/run/x",), "telnet": (here,)}, "telnet localhost 7"),
        ):
            self.assertEqual(self.said(**config), [expected])

    def test_channels(self) -> None:
        service = self.build(channels=True)
        self.assertEqual(self.talk(service, b"publish news hello\n"), b"0\r\n")
        app = LineApp("mine")
        app.command("PUBLISH")(lambda: None)
        error = self.assertRaises(ConfigError, self.build, app, channels=True)
        self.assertEqual(
            str(error), "channels for mine: command PUBLISH: there is one of that name"
        )

    def test_transcript(self) -> None:
        path = self.directory / "said"
        service = self.build(transcript=path)
        self.talk(service, b"nonsense\n")
        path.rename(self.directory / "older")
        service.reopen_logs()
        self.talk(service, b"quit\n")
        found = [json.loads(line) for line in path.read_text().splitlines()]
        self.assertEqual([each["text"] for each in found], ["quit", "OK"])
        older = (self.directory / "older").read_text().splitlines()
        self.assertEqual(json.loads(older[0])["text"], "nonsense")

    def test_starttls(self) -> None:
        service = self.build(
            starttls="required", daemon=DaemonConfig(tls_self_signed=True), channels=True
        )
        service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual([each.tls for each in service.listening], [False])
        protocol = service.factory.buildProtocol(None)
        transport = TLSTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"publish news hello\n")
        self.assertEqual(transport.value(), b"ERR not-allowed PUBLISH: expected STARTTLS first\r\n")
        transport.clear()
        protocol.dataReceived(b"starttls\n")
        self.assertEqual(transport.value(), b"OK\r\n")
        [context] = transport.contexts
        self.assertIs(context, service.certificates)
        self.assertTrue(IOpenSSLServerConnectionCreator.providedBy(context))

    def test_tls_from_the_start_without_it(self) -> None:
        service = self.build(daemon=DaemonConfig(tls_self_signed=True))
        service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual([each.tls for each in service.listening], [True])

    def test_starttls_is_one_daemon_s(self) -> None:
        app = LineApp("mine")
        config: dict[str, Any] = {
            "starttls": "offered",
            "daemon": DaemonConfig(tls_self_signed=True),
        }
        self.build(app, **config)
        error = self.assertRaises(ConfigError, self.build, app, **config)
        self.assertIn("mine is served already", str(error))

    def test_checking_writes_nothing(self) -> None:
        path = self.directory / "said"
        options(f"--transcript={path}").checked()
        self.assertFalse(path.exists())
        parsed = options("--transcript=/nowhere/said")
        error = self.assertRaises(usage.UsageError, parsed.checked)
        self.assertEqual(str(error), "--transcript /nowhere/said: expected a directory /nowhere")


class TLSTransport(StringTransport):
    """Keeps what TLS is to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[Any] = []

    def startTLS(self, context: Any, normal: bool = True) -> None:
        self.contexts.append(context)


class SilenceTests(SynchronousTestCase):
    """Who watches for silence: the application, or the daemon, never both."""

    def idle(self, *, own: float | None = 60.0, **config: Any) -> float | None:
        app = LineApp("mine", limits=Limits(idle=own))
        service = build_service(
            LineConfig(app=app, listen=("tcp:9001",), **config), MemoryReactorClock()
        )
        self.assertEqual(service.app.limits.idle, own, "it is its own all the same")
        return service.factory.idle

    def test_the_application_s_own(self) -> None:
        self.assertEqual(self.idle(), 60.0)
        self.assertEqual(self.idle(own=None), None)

    def test_the_daemon_s(self) -> None:
        self.assertEqual(self.idle(daemon=DaemonConfig(idle_timeout=5.0)), None)
        self.assertEqual(self.idle(own_idle=False, daemon=DaemonConfig(idle_timeout=5.0)), None)

    def test_nobody_s(self) -> None:
        self.assertEqual(self.idle(own_idle=False), None)

    def test_a_reload(self) -> None:
        app = LineApp("mine", limits=Limits(idle=60.0))
        service = build_service(LineConfig(app=app, listen=("tcp:9001",)), MemoryReactorClock())
        service.reload(DaemonConfig(idle_timeout=5.0))
        self.assertEqual(service.factory.idle, None)
        service.prepare(DaemonConfig())  # and it comes to nothing
        self.assertEqual(service.factory.idle, None)
        service.reload(DaemonConfig())
        self.assertEqual(service.factory.idle, 60.0)
