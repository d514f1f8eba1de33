import sys
from io import StringIO
from pathlib import Path
from typing import ClassVar

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite import __version__
from netsuite.service import DaemonConfig, ListenOptions, ServerOptions


class Options(ServerOptions):
    service_name = "test"
    default_port = 9000


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
        options = Options()
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
                self.parse(argument).daemon_config()
            self.assertIn(argument.partition("=")[2], str(caught.exception))

    def test_under_twistd_a_mistake_is_one_line_and_status_2(self) -> None:
        for arguments, named in self.MISTAKES:
            options = Options()
            options.parent = usage.Options()
            output = StringIO()
            self.patch(sys, "stderr", output)
            with self.assertRaises(SystemExit) as caught:
                options.parseOptions(arguments)
            self.assertEqual(caught.exception.code, 2)
            self.assertTrue(output.getvalue().startswith("netsuite-test: "))
            self.assertIn(named, output.getvalue())
            self.assertEqual(output.getvalue().count("\n"), 1)

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
