import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from netsuite import __version__
from netsuite.service import console


class ConsoleTests(SynchronousTestCase):
    def run_it(self, *arguments: str) -> tuple[object, str, str]:
        """Exit status, standard output and standard error."""
        output, errors = StringIO(), StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        caught = self.assertRaises(SystemExit, console.main, arguments)
        return caught.code, output.getvalue(), errors.getvalue()

    def test_help_lists_the_services(self) -> None:
        for arguments in (["--help"], ["-h"], ["help"]):
            status, output, _ = self.run_it(*arguments)
            self.assertEqual(status, 0)
            self.assertIn("  echo  Echo and its siblings", output)

    def test_help_lists_the_tools(self) -> None:
        _, output, _ = self.run_it("--help")
        self.assertRegex(output, r"Tools:\n  ip +Sums with addresses")

    def test_nothing_is_a_question(self) -> None:
        status, output, _ = self.run_it()
        self.assertEqual(status, 2)
        self.assertIn("Usage: netsuite SERVICE", output)

    def test_version(self) -> None:
        self.assertEqual(self.run_it("--version")[:2], (0, f"netsuite {__version__}\n"))

    def test_an_unknown_service_is_one_line(self) -> None:
        status, _, errors = self.run_it("ecko")
        self.assertEqual(status, 2)
        self.assertEqual(
            errors, "netsuite: 'ecko' is no service and no tool: expected one of echo, run, ip\n"
        )

    def test_a_service_is_twistd_in_the_foreground(self) -> None:
        ran: list[list[str]] = []
        self.patch(sys, "argv", [])
        self.patch(console, "run", lambda: ran.append(sys.argv))
        status, _, _ = self.run_it("echo", "--port", "9000")
        self.assertEqual(status, 0)
        self.assertEqual(
            ran,
            [["netsuite", "--nodaemon", "--pidfile=", "netsuite-echo", "--port", "9000"]],
        )

    def test_run_is_the_suite(self) -> None:
        self.assertEqual(
            console.twistd_arguments(["run", "--config=suite.toml"]),
            ["netsuite", "--nodaemon", "--pidfile=", "netsuite", "--config=suite.toml"],
        )
        _, output, _ = self.run_it("--help")
        self.assertIn("  run   Several services in one process", output)

    def test_a_tool_runs_to_its_end(self) -> None:
        ran: list[list[str]] = []

        def tool(arguments: list[str]) -> int:
            ran.append(arguments)
            return 3

        self.patch(console, "TOOLS", {"ip": (tool, "")})
        status, _, _ = self.run_it("ip", "calc", "192.0.2.1")
        self.assertEqual((status, ran), (3, [["calc", "192.0.2.1"]]))
