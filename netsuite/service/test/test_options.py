import os
import sys
from io import BytesIO, StringIO
from pathlib import Path
from typing import ClassVar

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite import __version__
from netsuite.service import (
    BOOLEAN,
    NUMBER,
    ConfigError,
    DaemonConfig,
    ListenOptions,
    ServerOptions,
    Setting,
    _setting_options,
)
from netsuite.service._sources import Given, Layer, Source


class Options(ServerOptions):
    service_name = "test"
    default_port = 9000
    settings = (
        Setting(name="loud", kind=BOOLEAN, help="Shout.", group="Test", default=False),
        Setting(name="volume", kind=NUMBER, help="How much.", group="Test", default=5.0),
    )

    def postOptions(self) -> None:
        self.endpoints = self.listen.endpoints(self.default_port)
        self.config = self.daemon_config()


class ListenOptionsTests(SynchronousTestCase):
    def test_the_default_port(self) -> None:
        self.assertEqual(ListenOptions().endpoints(9000), ("dualstack:9000",))

    def test_no_default_port(self) -> None:
        with self.assertRaises(usage.UsageError) as caught:
            ListenOptions().endpoints(None)
        self.assertIn("--port", str(caught.exception))

    def test_in_the_order_given(self) -> None:
        listen = ListenOptions()
        listen.add_port("9001")
        listen.add_endpoint("unix:/run/x")
        listen.add_port("0")
        self.assertEqual(listen.endpoints(9000), ("dualstack:9001", "unix:/run/x", "dualstack:0"))

    def test_interfaces_are_for_ports(self) -> None:
        listen = ListenOptions()
        listen.add_interface("127.0.0.1")
        listen.add_interface("::1")
        self.assertEqual(
            listen.endpoints(9000),
            ("tcp:9000:interface=127.0.0.1", r"tcp6:9000:interface=\:\:1"),
        )
        listen.add_endpoint("tcp:9001")
        with self.assertRaises(usage.UsageError) as caught:
            listen.endpoints(9000)
        self.assertIn("--interface goes with --port", str(caught.exception))

    @staticmethod
    def layer(**values: tuple[object, ...]) -> Layer:
        return {
            name: Given(value, Source.FILE, f"f.toml, line 1: {name}")
            for name, value in values.items()
        }

    def test_what_was_not_said_is_inherited(self) -> None:
        listen = ListenOptions()
        listen.inherit(self.layer(port=(9001,), listen=("unix:/x",), interface=("::1",)))
        listen.inherit(self.layer(port=(9002,), interface=("::2",)))
        self.assertEqual(listen.endpoints(9000), (r"tcp6:9001:interface=\:\:1", "unix:/x"))

    def test_endpoints_and_ports_are_one_thing(self) -> None:
        listen = ListenOptions()
        listen.add_port("9001")
        listen.inherit(self.layer(listen=("unix:/x",)))
        self.assertEqual(listen.endpoints(9000), ("dualstack:9001",))

    def test_a_flag_for_the_port_keeps_the_interface_of_a_file(self) -> None:
        """Else it would listen for everybody."""
        listen = ListenOptions()
        listen.add_port("9001")
        listen.inherit(self.layer(port=(9002,), interface=("127.0.0.1",)))
        self.assertEqual(listen.endpoints(9000), ("tcp:9001:interface=127.0.0.1",))

    def test_the_interface_of_a_file_goes_with_its_ports(self) -> None:
        listen = ListenOptions()
        listen.add_endpoint("unix:/x")
        listen.inherit(self.layer(port=(9002,), interface=("127.0.0.1",)))
        self.assertEqual(listen.endpoints(9000), ("unix:/x",))

    def test_an_interface_of_a_file_without_its_port(self) -> None:
        listen = ListenOptions()
        listen.inherit(self.layer(listen=("unix:/x",), interface=("127.0.0.1",)))
        error = self.assertRaises(usage.UsageError, listen.endpoints, 9000)
        self.assertIn("f.toml, line 1: interface goes with --port: expected", str(error))

    def test_bad_values_are_named(self) -> None:
        for add, value in [
            (ListenOptions().add_port, "http"),
            (ListenOptions().add_port, "65536"),
            (ListenOptions().add_interface, "eth0"),
            (ListenOptions().add_interface, "127.0.0.256"),
        ]:
            with self.assertRaises(usage.UsageError) as caught:
                add(value)
            self.assertIn(repr(value), str(caught.exception))
            self.assertIn("expected", str(caught.exception))


class ServerOptionsTests(SynchronousTestCase):
    def parse(self, *arguments: str) -> Options:
        options = Options({})
        options.parseOptions(arguments)
        return options

    def test_defaults_are_the_config_s_own(self) -> None:
        self.assertEqual(self.parse().daemon_config(), DaemonConfig())

    def test_values(self) -> None:
        options = self.parse(
            "--drain-timeout=2.5", "--log-format=json", "--log-level=warn", "--port-file=/run/p"
        )
        self.assertEqual(
            options.daemon_config(),
            DaemonConfig(
                drain_timeout=2.5, log_format="json", log_level="warn", port_file=Path("/run/p")
            ),
        )

    def test_the_port_file_stays_where_it_was_meant(self) -> None:
        """Twistd changes its directory before the file is written."""
        port_file = self.parse("--port-file=p").daemon_config().port_file
        self.assertEqual(port_file, Path.cwd() / "p")

    MISTAKES: ClassVar = [
        (["--nonsense"], "--nonsense"),
        (["--port", "http"], "'http'"),
        (["--port"], "--port"),
        (["stray"], "'stray'"),
    ]

    def test_mistakes_are_usage_errors(self) -> None:
        for arguments, named in self.MISTAKES:
            with self.assertRaises(usage.UsageError) as caught:
                self.parse(*arguments)
            self.assertIn(named, str(caught.exception))

    def test_values_out_of_range(self) -> None:
        for argument in (
            "--drain-timeout=soon",
            "--drain-timeout=-1",
            "--log-format=xml",
            "--log-level=loud",
        ):
            with self.assertRaises(usage.UsageError) as caught:
                self.parse(argument)
            self.assertIn(argument.partition("=")[2], str(caught.exception))

    def test_under_twistd_a_mistake_is_one_line_and_status_2(self) -> None:
        for arguments, named in self.MISTAKES:
            options = Options({})
            options.parent = usage.Options()
            output = StringIO()
            self.patch(sys, "stderr", output)
            with self.assertRaises(SystemExit) as caught:
                options.parseOptions(arguments)
            self.assertEqual(caught.exception.code, 2)
            self.assertTrue(output.getvalue().startswith("netsuite-test: "))
            self.assertIn(named, output.getvalue())
            self.assertEqual(output.getvalue().count("\n"), 1)

    def test_under_twistd_a_reactor_is_chosen_once_it_is_sure_to_run(self) -> None:
        took: list[None] = []
        self.patch(_setting_options, "take_reactor", lambda: took.append(None))
        self.patch(sys, "stdout", StringIO())
        self.patch(sys, "stderr", StringIO())
        for arguments in (
            *(arguments for arguments, _ in self.MISTAKES),
            ["--help"],
            ["--version"],
            ["--check-config"],
            ["--print-config"],
        ):
            options = Options({})
            options.parent = usage.Options()
            self.assertRaises(SystemExit, options.parseOptions, arguments)
        self.assertEqual(took, [])
        options = Options({})
        options.parent = usage.Options()
        options.parseOptions([])
        self.assertEqual(took, [None])

    def test_a_program_that_parses_by_itself_chooses_by_itself(self) -> None:
        took: list[None] = []
        self.patch(_setting_options, "take_reactor", lambda: took.append(None))
        self.parse("--port=0")
        options = Options({})
        options.parent = usage.Options()
        options.parseOptions(["--port=0"])
        options.reload()
        self.assertEqual(took, [None], "not in a reload either")

    def test_version(self) -> None:
        output = StringIO()
        self.patch(sys, "stdout", output)
        with self.assertRaises(SystemExit) as caught:
            self.parse("--version")
        self.assertEqual(caught.exception.code, 0)
        self.assertEqual(output.getvalue(), f"netsuite {__version__}\n")

    def test_help_names_every_option_on_its_own(self) -> None:
        text = str(Options())
        self.assertIn("Usage: netsuite test [options]", text)
        for name in ("listen", "port", "interface", "port-file", "drain-timeout", "log-format"):
            self.assertIn(f"--{name}=", text)
        self.assertFalse([line for line in text.splitlines() if "      " in line.strip()[30:]])

    def test_help_has_headings_defaults_and_the_room_s_own(self) -> None:
        text = str(Options())
        self.assertLess(text.index("\nTest:\n"), text.index("\nAdmission:\n"))
        self.assertIn("--volume=NUMBER     How much. [default: 5]", text)
        self.assertIn("      --check-config      Read all settings", text)
        self.assertIn("NETSUITE_LOG_LEVEL", text)

    def test_a_room_may_declare_options_as_twisted_s_own_do(self) -> None:
        class Old(ServerOptions):
            service_name = "old"
            optFlags = [["loud", None, "Shout."]]
            optParameters = [["volume", None, "5", "How much."]]

        options = Old({})
        options.parseOptions(["--loud", "--volume=6"])
        self.assertEqual((options["loud"], options["volume"]), (1, "6"))
        self.assertIn("      --volume=           How much.", str(options))

    def test_abbreviations(self) -> None:
        self.assertEqual(self.parse("--max-per=5").config.max_per_client, 5)


class SourcesTests(SynchronousTestCase):
    """Flags, variables and a file, and who wins."""

    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text("")

    def parse(self, *arguments: str, **environ: str) -> Options:
        options = Options(environ)
        options.parseOptions([f"--config={self.file}", *arguments])
        return options

    def test_flags_win_over_variables_over_the_file_over_defaults(self) -> None:
        self.assertEqual(self.parse()["volume"], 5.0)
        self.file.write_text("volume = 6")
        self.assertEqual(self.parse()["volume"], 6.0)
        self.assertEqual(self.parse(NETSUITE_VOLUME="7")["volume"], 7.0)
        self.assertEqual(self.parse("--volume=8", NETSUITE_VOLUME="7")["volume"], 8.0)

    def test_each_can_take_a_value_away(self) -> None:
        self.file.write_text("max-per-client = 5\nloud = true\nallow = ['::1']")
        self.assertEqual(self.parse().config.max_per_client, 5)
        self.assertIsNone(self.parse("--max-per-client=none").config.max_per_client)
        self.assertIsNone(self.parse(NETSUITE_MAX_PER_CLIENT="none").config.max_per_client)
        self.assertFalse(self.parse(NETSUITE_LOUD="no")["loud"])
        self.assertEqual(self.parse("--allow=::2").config.allow, ("::2",))

    def test_repeated_flags_add_up(self) -> None:
        self.assertEqual(self.parse("--allow=::1", "--allow=::2").config.allow, ("::1", "::2"))

    def test_a_variable_may_name_the_file(self) -> None:
        self.file.write_text("loud = true")
        options = Options({"NETSUITE_CONFIG": str(self.file)})
        options.parseOptions([])
        self.assertTrue(options["loud"])
        options = Options({"NETSUITE_CONFIG": "/none"})
        options.parseOptions(["--config=none"])
        self.assertFalse(options["loud"])

    def test_where_it_listens(self) -> None:
        self.assertEqual(self.parse().endpoints, ("dualstack:9000",))
        self.file.write_text("listen = ['unix:/x', 'tcp:1']\nport = 2\n")
        self.assertEqual(self.parse().endpoints, ("unix:/x", "tcp:1", "dualstack:2"))
        self.assertEqual(
            self.parse(NETSUITE_PORT="3 4", NETSUITE_INTERFACE="127.0.0.1").endpoints,
            ("tcp:3:interface=127.0.0.1", "tcp:4:interface=127.0.0.1"),
        )
        self.assertEqual(self.parse("--port=5", NETSUITE_PORT="3").endpoints, ("dualstack:5",))

    def test_file_names_begin_where_they_are_written(self) -> None:
        self.file.write_text("access-log = 'log'\nport-file = '/run/p'")
        config = self.parse().config
        self.assertEqual(config.access_log, self.file.absolute().parent / "log")
        self.assertEqual(config.port_file, Path("/run/p"))
        config = self.parse("--access-log=log").config
        self.assertEqual(config.access_log, Path.cwd() / "log")
        self.assertEqual(self.parse("--access-log=-").config.access_log, Path("-"))

    MISTAKES: ClassVar = [
        ("max-per-client = 'many'", "line 1: max-per-client: 'many' is not a number: expected"),
        ("\nmax-per-cleint = 5", "line 2: max-per-cleint: no such setting: did you mean max-per-"),
        ("max-per-client = 0", "line 1: max-per-client 0: expected 1 or more"),
        ("# x\ntls-key = '/k'", "line 2: tls-key /k: expected its certificate"),
        ("listen = 'tcp:x'", "line 1: listen: cannot listen on 'tcp:x': 'x' is not a port"),
        ("x", "line 1: "),
        ("[daemon]", "line 1: daemon: a file for several services: netsuite run --config"),
        ("\n[[service]]", "line 2: service: a file for several services: netsuite run"),
        ("config = 'x'", "line 1: config: no such setting"),
    ]

    def test_mistakes_have_the_file_and_the_line(self) -> None:
        for text, complaint in self.MISTAKES:
            self.file.write_text(text)
            error = self.assertRaises(usage.UsageError, self.parse)
            self.assertTrue(str(error).startswith(f"{self.file}, line "), str(error))
            self.assertIn(complaint, str(error))

    def test_mistakes_in_variables(self) -> None:
        for name, value, complaint in [
            ("NETSUITE_RATE", "fast", "NETSUITE_RATE: 'fast' is not a number: expected bytes"),
            ("NETSUITE_WORKERS", "0", "NETSUITE_WORKERS 0: expected 1 to 1024"),
            ("NETSUITE_LISTEN", "tcp:x", "NETSUITE_LISTEN: cannot listen on 'tcp:x': 'x' is not"),
        ]:
            error = self.assertRaises(usage.UsageError, self.parse, **{name: value})
            self.assertIn(complaint, str(error))


class FromSettingsTests(SynchronousTestCase):
    def test_a_programmer_has_a_mapping(self) -> None:
        options = Options.from_settings(
            {"volume": 2, "max-per-client": 5, "port": [1, 2]},
            weaker={"idle-timeout": Given(9.0, Source.FILE), "volume": Given(3.0, Source.FILE)},
            stronger={"max-per-client": Given(6, Source.FLAG)},
        )
        self.assertEqual(options["volume"], 2.0)
        self.assertEqual(options.config, DaemonConfig(max_per_client=6, idle_timeout=9))
        self.assertEqual(options.endpoints, ("dualstack:1", "dualstack:2"))

    def test_the_environment_has_no_say(self) -> None:
        self.patch(os, "environ", {"NETSUITE_VOLUME": "9"})
        self.assertEqual(Options.from_settings({})["volume"], 5.0)

    def test_mistakes(self) -> None:
        for settings, complaint in [
            ({"volume": "x"}, "settings: volume: 'x' is not a number"),
            ({"volumes": 1}, "settings: volumes: no such setting: did you mean volume?"),
            ({"workers": 0}, "settings: workers 0: expected"),
        ]:
            error = self.assertRaises(usage.UsageError, Options.from_settings, settings)
            self.assertIn(complaint, str(error))


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text("max-per-client = 5\nlisten = 'unix:/x'\nvolume = 3")
        self.options = Options({"NETSUITE_RATE": "1k"})
        self.options.parseOptions([f"--config={self.file}", "--idle-timeout=9"])

    def test_the_file_of_now_with_the_same_flags_and_variables(self) -> None:
        self.file.write_text("max-per-client = 6\nlisten = 'unix:/x'\nvolume = 3\nrate = 5")
        self.assertEqual(
            self.options.reload(), DaemonConfig(max_per_client=6, rate=1000, idle_timeout=9)
        )
        self.assertEqual(self.options.needs_restart, ())
        self.assertEqual(self.options.config.max_per_client, 5, "this one stays as it is")

    def test_what_needs_a_restart_is_named_again_and_again(self) -> None:
        self.file.write_text("listen = 'unix:/y'\nvolume = 4\nworkers = 2\nlog-level = 'warn'")
        for _ in range(2):
            self.assertEqual(
                self.options.reload(), DaemonConfig(rate=1000, idle_timeout=9, log_level="warn")
            )
            self.assertEqual(self.options.needs_restart, ("listen", "volume", "workers"))

    def test_other_words_for_the_same_place_need_none(self) -> None:
        options = Options({})
        options.parseOptions(["--config", str(self.file), "--port=7"])
        self.file.write_text("port = 8")
        options.reload()
        self.assertEqual(options.needs_restart, ("volume",))

    def test_a_bad_file_says_why_with_its_line(self) -> None:
        self.file.write_text("\nmax-per-client = 'many'")
        error = self.assertRaises(ConfigError, self.options.reload)
        self.assertIn(f"{self.file}, line 2: max-per-client: 'many' is not", str(error))

    def test_a_file_that_is_gone(self) -> None:
        self.file.unlink()
        error = self.assertRaises(ConfigError, self.options.reload)
        self.assertIn("No such file", str(error))

    def test_it_stays_in_the_directory_that_it_began_in(self) -> None:
        options = Options({})
        name = self.file.relative_to(Path.cwd()) if self.file.is_absolute() else self.file
        options.parseOptions([f"--config={name}", "--access-log=log"])
        before = Path.cwd()
        os.chdir("/")
        self.addCleanup(os.chdir, before)
        self.assertEqual(options.reload().access_log, before / "log")

    def test_where_it_listens_is_not_looked_at_again(self) -> None:
        """Its certificates may be out of reach by now: the process gave up its privileges."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.file.write_text("max-per-client = 7\nlisten = 'tls:/none:1'")
        self.assertEqual(self.options.reload().max_per_client, 7)
        self.assertIn("listen", self.options.needs_restart)


class ReportTests(SynchronousTestCase):
    """``--check-config`` and ``--print-config`` of a service without ``build_service``."""

    def run_it(self, *arguments: str, **environ: str) -> str:
        output = StringIO()
        self.patch(sys, "stdout", output)
        caught = self.assertRaises(SystemExit, Options(environ).parseOptions, arguments)
        self.assertEqual(caught.code, 0)
        return output.getvalue()

    def test_what_would_run(self) -> None:
        self.assertEqual(
            self.run_it("--check-config", "--port=7", "--admin=[::1]:9100"),
            "configuration ok: test on dualstack:7; admin on tcp6:9100:interface=\\:\\:1\n",
        )

    def test_what_cannot(self) -> None:
        for arguments, environ, complaint in [
            (["--listen=tcp:x"], {}, "cannot listen on 'tcp:x': 'x' is not a port"),
            (["--access-file=/none"], {}, "access file /none: No such file"),
            ([], {"NETSUITE_ACCESS_FILE": "/none"}, "NETSUITE_ACCESS_FILE: access file /none: No"),
            (["--tls-cert=/none"], {}, "/none: No such file or directory"),
            (["--admin-token-file=/none", "--admin=0"], {}, "/none: No such file or directory"),
            (["--port-file=/none/p"], {}, "--port-file /none/p: expected a directory /none"),
            ([], {"NETSUITE_ACCESS_LOG": "/none/l"}, "NETSUITE_ACCESS_LOG /none/l: expected a dir"),
            (["--max-per-client=0"], {}, "max per client 0: expected 1 or more"),
        ]:
            error = self.assertRaises(
                usage.UsageError, Options(environ).parseOptions, ["--check-config", *arguments]
            )
            self.assertIn(complaint, str(error))

    def test_the_settings_in_effect(self) -> None:
        text = self.run_it("--print-config", "--loud", "--idle-timeout=2m", NETSUITE_VOLUME="7")
        lines = text.splitlines()
        self.assertEqual(
            lines[:4],
            [
                "# netsuite-test: the settings in effect",
                'listen = ["dualstack:9000"]  # default',
                "loud = true  # --loud",
                "volume = 7.0  # NETSUITE_VOLUME",
            ],
        )
        self.assertIn("idle-timeout = 120.0  # --idle-timeout", lines)
        self.assertIn('# max-per-client = "none"  # default', lines)

    def test_it_can_be_read_again(self) -> None:
        path = Path(self.mktemp())
        arguments = ["--port=7", "--loud", "--allow=::1", "--tls-alpn=h2", "--log-level=warn"]
        path.write_text(self.run_it("--print-config", *arguments))
        before, after = Options({}), Options({})
        before.parseOptions(arguments)
        after.parseOptions([f"--config={path}"])
        self.assertEqual(after.config, before.config)
        self.assertEqual((after.endpoints, after["loud"]), (before.endpoints, True))

    def test_shells_complete_what_can_be_listed(self) -> None:
        output = BytesIO()
        options = Options({})
        options._shellCompFile = output
        self.assertRaises(SystemExit, options.parseOptions, ["--_shell-completion", "zsh:2"])
        text = output.getvalue().decode()
        self.assertIn(":log-format:(text json)", text)
        self.assertIn("'*--allow=", text)
        self.assertIn("--volume=", text)
