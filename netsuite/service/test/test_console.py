import sys
from io import StringIO
from types import ModuleType
from typing import Any

from twisted.application.service import ServiceMaker
from twisted.trial.unittest import SynchronousTestCase

from netsuite import __version__
from netsuite.service import _rooms, console


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
        self.assertIn("Usage: netsuite [--reactor=NAME] SERVICE", output)

    def test_version(self) -> None:
        self.assertEqual(self.run_it("--version")[:2], (0, f"netsuite {__version__}\n"))

    def test_an_unknown_service_is_one_line(self) -> None:
        status, _, errors = self.run_it("ecko")
        self.assertEqual(status, 2)
        self.assertEqual(
            errors,
            "netsuite: 'ecko' is no service and no tool: expected one of echo, line, run, ip\n",
        )

    def test_an_unknown_reactor_is_one_line(self) -> None:
        for arguments in (["--reactor=epol", "echo"], ["--reactor", "epol", "echo"]):
            status, output, errors = self.run_it(*arguments)
            self.assertEqual((status, output), (2, ""))
            self.assertTrue(
                errors.startswith("netsuite: --reactor: 'epol' is no reactor: expected one of ")
            )
            self.assertIn(", netsuite-uv, poll, ", errors)
        self.assertIn("--reactor: '' is no reactor", self.run_it("--reactor")[2])

    def test_a_reactor_that_cannot_be_is_one_line(self) -> None:
        def install(name: str) -> None:
            raise ImportError("uvloop is missing")

        self.patch(console, "installReactor", install)
        self.assertEqual(
            self.run_it("--reactor=netsuite-uv", "echo"),
            (2, "", "netsuite: --reactor netsuite-uv: uvloop is missing\n"),
        )

    def test_a_reactor_is_installed_before_a_service_is_looked_for(self) -> None:
        chosen: list[str] = []
        self.patch(console, "installReactor", chosen.append)
        for arguments in (["--reactor=poll", "ecko"], ["--reactor", "poll", "ecko"]):
            _, _, errors = self.run_it(*arguments)
            self.assertIn("'ecko' is no service", errors)
        self.assertEqual(chosen, ["poll", "poll"])
        self.assertEqual(self.run_it("--reactor=poll")[0], 2, "and what is to run?")

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

    def test_a_service_may_have_tools_of_its_own(self) -> None:
        ran: list[list[str]] = []

        def tool(arguments: list[str]) -> int:
            ran.append(arguments)
            return 4

        ours: Any = ModuleType("netsuite.echo.tools")
        ours.TOOLS = {"probe": "Say something and hear it"}
        ours.main = tool
        self.patch(
            console, "tools", lambda maker: ours if maker.tapname == "netsuite-echo" else None
        )
        self.patch(console, "run", lambda: ran.append(["twistd"]))
        self.patch(sys, "argv", [])
        self.assertIn("\n  echo probe  Say something", self.run_it("--help")[1])
        self.assertEqual(self.run_it("echo", "probe", "-x")[0], 4)
        for arguments in (["echo"], ["echo", "--port=1"], ["echo", "other"], ["run", "probe"]):
            self.assertEqual(self.run_it(*arguments)[0], 0)
        self.assertEqual(ran, [["probe", "-x"], *[["twistd"]] * 4])

    def test_tools_are_found_beside_the_service(self) -> None:
        for module, there in (
            ("netsuite.echo.service", None),
            ("no.such.service", None),
            ("", None),
            ("netsuite.line.service", "netsuite.line.tools"),
        ):
            maker = ServiceMaker("x", module, "", "x")
            name = getattr(_rooms.tools(maker), "__name__", None)
            self.assertEqual(name, there, module)
