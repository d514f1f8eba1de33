import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import ConfigError, DaemonConfig, StartError, _rooms
from netsuite.service._suite import Suite
from netsuite.service.suite import Options, build_service

SUITE = """\
[daemon]
log-level = "warn"
max-per-client = 10

[[service]]
type = "echo"
port = 9000
interface = "127.0.0.1"

[[service]]
type = "echo"
name = "clock"
service = "time"
listen = ["tcp:9037", "tcp:9038"]
max-per-client = "none"
rate = "2M"
"""


class SuiteTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = Path(self.mktemp())

    def options(self, text: str, *arguments: str, **environ: str) -> Options:
        self.file.write_text(text)
        options = Options(environ)
        options.parseOptions([f"--config={self.file}", *arguments])
        return options


class OptionsTests(SuiteTestCase):
    def test_a_table_is_a_service(self) -> None:
        config = self.options(SUITE).config
        self.assertEqual(config.daemon, DaemonConfig(log_level="warn", max_per_client=10))
        echo, clock = config.members
        self.assertEqual((echo.name, echo.kind), ("echo", "echo"))
        self.assertEqual((clock.name, clock.kind), ("clock", "echo"))
        self.assertEqual(echo.options.listeners(), [("echo", ("tcp:9000:interface=127.0.0.1",))])
        self.assertEqual(clock.options.listeners(), [("time", ("tcp:9037", "tcp:9038"))])
        self.assertEqual(echo.daemon, DaemonConfig(log_level="warn", max_per_client=10))
        self.assertEqual(clock.daemon, DaemonConfig(log_level="warn", rate=2e6))

    def test_flags_and_variables_win_over_all_tables(self) -> None:
        config = self.options(
            SUITE, "--max-per-client=3", NETSUITE_RATE="1k", NETSUITE_MAX_PER_CLIENT="4"
        ).config
        for member in config.members:
            self.assertEqual((member.daemon.max_per_client, member.daemon.rate), (3, 1000))

    def test_what_is_of_the_process_is_not_of_its_services(self) -> None:
        config = self.options(
            f"[daemon]\nworkers = 2\nadmin-token-file = 'token'\n{SUITE[9:]}",
            "--admin=9100",
            NETSUITE_PORT_FILE="/run/ports",
        ).config
        self.assertEqual(
            config.daemon,
            DaemonConfig(
                workers=2,
                admin="9100",
                admin_token_file=self.file.absolute().parent / "token",
                port_file=Path("/run/ports"),
                log_level="warn",
                max_per_client=10,
            ),
        )
        self.assertEqual(config.members[1].daemon, DaemonConfig(log_level="warn", rate=2e6))

    def test_variables_of_a_single_service_are_left_alone(self) -> None:
        options = self.options(SUITE, NETSUITE_PORT="1", NETSUITE_SERVICE="quote")
        self.assertEqual(options.config.members[0].options.listeners()[0][0], "echo")

    def test_file_names_begin_beside_the_file(self) -> None:
        config = self.options(f"{SUITE}access-log = 'log'").config
        self.assertEqual(config.members[1].daemon.access_log, self.file.absolute().parent / "log")

    MISTAKES: ClassVar = [
        ("", ", line 1: expected a [[service]]"),
        ("port = 1", ", line 1: port: expected [daemon] or [[service]] before it"),
        ("[deamon]", ", line 1: deamon: expected [daemon] or [[service]]"),
        ("daemon = 1", ", line 1: daemon: expected a table: [daemon]"),
        ("[service]", ", line 1: service: expected tables, each under [[service]]"),
        ("[[service]]", ', line 1: expected type = "...": one of echo'),
        ("[[service]]\ntype = 'ecko'", ", line 2: type: 'ecko' is no service: did you mean echo?"),
        ("[[service]]\ntype = 'x'", ", line 2: type: 'x' is no service: expected one of echo"),
        ("[[service]]\ntype = 1", ", line 2: type: 1 is no service"),
        ("[[service]]\ntype = 'echo'\nname = 1", ", line 3: name: expected a text, in quotes"),
        (f"{SUITE}name = 'x'", "cannot overwrite a value"),
        (
            f"{SUITE}[[service]]\ntype = 'echo'\nport = 1",
            "line 17: name: 'echo' is taken: expected another one",
        ),
        (
            f"{SUITE}[[service]]\ntype = 'echo'\nname = 'x'\nlisten = 'tcp:9038'",
            "line 17: x would listen on 'tcp:9038', as clock does: expected another listen or port",
        ),
        (
            f"{SUITE}log-level = 'info'",
            "line 17: log-level: one for all services: expected it under",
        ),
        (f"{SUITE}workers = 1", "line 17: workers: one for all services: expected it under"),
        (f"{SUITE}udp-rate = 0", "line 17: udp-rate 0: expected more than 0 a second"),
        (
            f"{SUITE}acept-rate = 1",
            "line 17: acept-rate: no such setting: did you mean accept-rate?",
        ),
        (f"{SUITE}client-rate = 'x'", "line 17: client-rate: 'x' is not a number"),
        (
            f"{SUITE}client-rate = 0",
            "line 17: client-rate 0.0: expected more than 0 bytes a second",
        ),
        (f"{SUITE}quotes = '/none'", "line 17: quotes /none: No such file or directory"),
        ("[daemon]\nlog-level = 'loud'", "line 2: log-level 'loud': expected one of debug"),
        ("[daemon]\nport = 1", "line 2: port: no such setting"),
        (
            "[[service]]\ntype = 'echo'\n[daemon]\nrate = 0",
            "line 4: rate 0.0: expected more than 0",
        ),
    ]

    def test_mistakes_have_the_file_and_the_line(self) -> None:
        for text, complaint in self.MISTAKES:
            error = self.assertRaises(usage.UsageError, self.options, text)
            self.assertTrue(str(error).startswith(f"{self.file}, line "), str(error))
            self.assertIn(complaint, str(error))
            self.assertEqual(str(error).count("line "), 1, str(error))

    def test_no_file(self) -> None:
        error = self.assertRaises(usage.UsageError, Options({}).parseOptions, [])
        self.assertEqual(str(error), "expected --config FILE")

    def test_any_free_port_may_be_taken_twice(self) -> None:
        self.options("[[service]]\ntype='echo'\nport=0\n[[service]]\ntype='echo'\nname='b'\nport=0")

    def test_a_service_that_cannot_be_in_a_suite(self) -> None:
        class Maker:
            tapname = "netsuite-old"
            module = "netsuite.service.test.test_suite"

        self.patch(_rooms, "getPlugins", lambda interface: [Maker])
        error = self.assertRaises(usage.UsageError, self.options, "[[service]]\ntype='old'")
        self.assertIn("netsuite-old cannot be in a suite: expected build_service, and", str(error))

    def test_help(self) -> None:
        text = str(Options({}))
        self.assertTrue(text.startswith("Usage: netsuite run --config=FILE [options]"))
        self.assertNotIn("--listen", text)


class ReportTests(SuiteTestCase):
    def report(self, action: str, text: str = SUITE, **environ: str) -> str:
        output = StringIO()
        self.patch(sys, "stdout", output)
        caught = self.assertRaises(SystemExit, self.options, text, action, **environ)
        self.assertEqual(caught.code, 0)
        return output.getvalue()

    def test_check(self) -> None:
        self.assertEqual(
            self.report("--check-config", f"[daemon]\nadmin = '9100'\n{SUITE[9:]}"),
            "configuration ok: echo: echo on tcp:9000:interface=127.0.0.1; "
            "clock: time on tcp:9037, tcp:9038; admin on tcp:9100:interface=127.0.0.1\n",
        )

    def test_check_reads_what_is_named(self) -> None:
        for text, complaint in [
            ("access-file = '/none'", "line 17: access-file: access file /none: No such file"),
            ("tls-cert = '/none'", "line 17: tls-cert: /none: No such file"),
            (
                "access-log = '/none/log'",
                "line 17: access-log /none/log: expected a directory /none",
            ),
        ]:
            error = self.assertRaises(
                usage.UsageError, self.options, f"{SUITE}{text}", "--check-config"
            )
            self.assertIn(complaint, str(error))

    def test_check_leaves_no_access_log(self) -> None:
        self.report("--check-config", f"{SUITE}access-log = 'leave-none'")
        self.assertFalse(Path("leave-none").exists())

    def test_check_wonders_at_variables(self) -> None:
        self.assertTrue(
            self.report("--check-config", NETSUITE_MAX_PERCLIENT="1", NETSUITE_X="2").endswith(
                "\nnote: NETSUITE_MAX_PERCLIENT is no setting: "
                "did you mean NETSUITE_MAX_PER_CLIENT?\n"
            )
        )

    def test_print(self) -> None:
        text = self.report("--print-config", NETSUITE_DRAIN_TIMEOUT="500ms")
        for line in (
            f'log-level = "warn"  # {self.file}, line 2',
            "drain-timeout = 0.5  # NETSUITE_DRAIN_TIMEOUT",
            'name = "clock"',
            f'listen = ["tcp:9037", "tcp:9038"]  # {self.file}, line 14',
            f'max-per-client = "none"  # {self.file}, line 15',
            f"max-per-client = 10  # {self.file}, line 3",
            "udp = false  # default",
            '# tls-cert = "none"  # default',
        ):
            self.assertIn(f"\n{line}\n", text)

    def test_what_is_printed_can_be_read(self) -> None:
        before = self.options(SUITE).config
        after = self.options(self.report("--print-config")).config
        self.assertEqual(after.daemon, before.daemon)
        self.assertEqual(
            [(each.name, each.kind, each.options.config) for each in after.members],
            [(each.name, each.kind, each.options.config) for each in before.members],
        )


class ReloadTests(SuiteTestCase):
    def test_what_may_change_does_and_the_rest_is_named(self) -> None:
        options = self.options(SUITE)
        text = SUITE.replace("warn", "info").replace('"2M"', "5").replace("9037", "9039")
        self.file.write_text(f"{text}\n[[service]]\ntype = 'echo'\nname = 'new'\nport = 1\n")
        config = options.reload()
        self.assertEqual(config.daemon, DaemonConfig(log_level="info", max_per_client=10))
        self.assertEqual([each.name for each in config.members], ["echo", "clock"])
        self.assertEqual(config.members[1].daemon, DaemonConfig(log_level="info", rate=5))
        self.assertEqual(options.needs_restart, ("clock: listen", "service new"))

    def test_a_service_that_is_gone_stays_until_then(self) -> None:
        options = self.options(SUITE)
        self.file.write_text(f"{SUITE[: SUITE.index('[[service]]', 80)]}")
        config = options.reload()
        self.assertEqual([each.name for each in config.members], ["echo", "clock"])
        self.assertEqual(options.needs_restart, ("service clock",))

    def test_a_bad_file_changes_nothing_and_says_why(self) -> None:
        options = self.options(SUITE)
        self.file.write_text(f"{SUITE}client-rate = 'x'")
        error = self.assertRaises(ConfigError, options.reload)
        self.assertIn(f"{self.file}, line 17: client-rate: 'x' is not a number", str(error))


class Reactor(MemoryReactorClock):
    taken: int | None = None

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port == self.taken:
            raise CannotListenError(interface, port, OSError("taken"))
        return super().listenTCP(port, factory, backlog, interface)


class SuiteTests(SuiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reactor = Reactor()

    def suite(self, text: str = SUITE, *arguments: str) -> Suite:
        return build_service(self.options(text, *arguments).config, self.reactor)

    def listening(self) -> list[int]:
        return [server[0] for server in self.reactor.tcpServers]

    def test_all_of_them_listen(self) -> None:
        suite = self.suite()
        self.assertTrue(IService.providedBy(suite))
        self.assertEqual(len(suite.daemons), 2)
        self.assertFalse(suite.ready)
        suite.startService()
        self.assertEqual(self.listening(), [9000, 9037, 9038])
        self.assertEqual([each.name for each in suite.listening], ["echo", "time", "time"])
        self.assertEqual(len(suite.addresses), 3)
        self.assertTrue(suite.ready)
        self.successResultOf(suite.stopService())
        self.assertFalse(suite.ready)

    def test_or_none(self) -> None:
        suite = self.suite()
        self.reactor.taken = 9038
        error = self.assertRaises(StartError, suite.privilegedStartService)
        self.assertIn("time: cannot listen on tcp:9038", str(error))
        self.assertFalse(suite.ready)
        self.assertEqual(suite.listening, ())

    def test_one_port_file_for_all(self) -> None:
        path = Path(self.mktemp())
        suite = self.suite(SUITE, f"--port-file={path}")
        suite.startService()
        self.assertEqual(path.read_text(), "9000\n9037\n9038\n")
        self.successResultOf(suite.stopService())
        self.assertFalse(path.exists())

    def test_a_port_file_that_cannot_be_written_stops_all(self) -> None:
        suite = self.suite(SUITE, "--port-file=/none/ports")
        error = self.assertRaises(StartError, suite.startService)
        self.assertIn("cannot write port file /none/ports", str(error))
        self.assertEqual(suite.listening, ())

    def test_stopping_waits_for_all(self) -> None:
        suite = self.suite()
        waiting: list[Deferred[None]] = [Deferred(), Deferred()]
        for daemon, each in zip(suite.daemons, waiting, strict=True):
            self.patch(daemon, "stopService", lambda each=each: each)
        stopped = suite.stopService()
        waiting[0].callback(None)
        self.assertNoResult(stopped)
        waiting[1].callback(None)
        self.successResultOf(stopped)

    def test_counts_and_cuts(self) -> None:
        suite = self.suite()
        suite.startService()
        self.assertEqual((suite.active, suite.aborted), (0, 0))
        cut: list[int] = []
        for number, daemon in enumerate(suite.daemons):
            self.patch(daemon, "abort", lambda number=number: cut.append(number))
        suite.abort()
        self.assertEqual(cut, [0, 1])

    def test_a_service_that_cannot_be_made(self) -> None:
        error = self.assertRaises(ConfigError, self.suite, f"{SUITE}access-file = '/none'")
        self.assertIn(f"{self.file}, line 17: access-file: access file /none: No such", str(error))

    def test_a_service_that_cannot_be_made_by_a_flag(self) -> None:
        error = self.assertRaises(ConfigError, self.suite, SUITE, "--access-file=/none")
        self.assertEqual(str(error), "echo: access file /none: No such file or directory")

    def test_reload_is_for_all_or_for_none(self) -> None:
        options = self.options(f"{SUITE}access-file = 'acl'")
        acl = self.file.absolute().parent / "acl"
        acl.write_text("deny all")
        suite = build_service(options.config, self.reactor)
        self.file.write_text(
            SUITE.replace("max-per-client = 10", "drain-timeout = 3") + "access-file = 'acl'"
        )
        acl.write_text("deny everybody")
        error = self.assertRaises(ConfigError, suite.prepare, options.reload())
        self.assertIn(f"{self.file}, line 17: access-file: ", str(error))
        self.assertEqual([daemon.drain_timeout for daemon in suite.daemons], [10, 10])
        acl.write_text("allow all")
        suite.prepare(options.reload())()
        self.assertEqual([daemon.drain_timeout for daemon in suite.daemons], [3, 3])

    def test_stats_are_of_all_and_say_of_whom(self) -> None:
        suite = self.suite()
        suite.startService()
        suite.prepare(suite._config)()
        stats = self.successResultOf(suite.stats())
        self.assertEqual(stats.service, "suite")
        self.assertEqual([each.name for each in stats.listeners], ["echo", "clock/time"])
        self.assertEqual(len(stats.pids), 1)
        self.assertEqual(stats.reloads, {"ok": 1, "failed": 0})

    def test_bans_are_for_all(self) -> None:
        suite = self.suite()
        suite.ban("192.0.2.0/24", 60)
        for daemon in suite.daemons:
            self.assertEqual(list(daemon.stats_now().banned), ["192.0.2.0/24"])
        self.assertTrue(suite.unban("192.0.2.0/24"))
        self.assertFalse(suite.unban("192.0.2.0/24"))
        self.assertRaises(ValueError, suite.ban, "nobody")

    def test_the_drain_button(self) -> None:
        suite = self.suite()
        drained: list[bool] = []
        suite.daemons[0].on_drain = lambda: drained.append(True)
        suite.drain()
        self.assertEqual(drained, [True])

    def test_a_worker_leaves_port_file_and_admin_site_to_its_supervisor(self) -> None:
        path = Path(self.mktemp())
        suite = self.suite(SUITE, f"--port-file={path}", "--admin=9100")
        for daemon in suite.daemons:
            daemon.is_worker = True
        suite.startService()
        self.assertFalse(path.exists())
        self.assertNotIn(9100, self.listening())

    def test_the_admin_site_goes_last(self) -> None:
        suite = self.suite(SUITE, "--admin=9100")
        suite.startService()
        self.assertEqual(self.listening()[-1], 9100)
        self.successResultOf(suite.stopService())

    def test_an_admin_site_that_cannot_be(self) -> None:
        config = self.options(SUITE).config
        bad = replace(config, daemon=DaemonConfig(admin="tcp:x"))
        self.assertRaises(ConfigError, Suite, bad, self.reactor)
