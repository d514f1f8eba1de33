from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Limits, LineApp, LineProtocol
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
        (["--memory=lots"], "--memory: 'lots' is not a number: expected bytes"),
        (["--drain-timeout=-1"], "--drain-timeout: '-1' is less than 0: expected seconds"),
    ]

    def test_mistakes_are_named(self) -> None:
        for arguments, named in self.MISTAKES:
            error = self.assertRaises(usage.UsageError, self.config, *arguments)
            self.assertIn(named, str(error))

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
