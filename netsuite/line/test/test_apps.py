import os
import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp, LineFactory
from netsuite.line.apps import AppError, load_app

APP = "from netsuite.line import LineApp\n"


def talk(app: LineApp, data: bytes) -> bytes:
    """What an application answers to bytes."""
    protocol = LineFactory(app, Clock()).buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    transport.clear()
    protocol.dataReceived(data)
    answer: bytes = transport.value()
    return answer


class OwnAppTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        before = list(sys.path), set(sys.modules)
        self.addCleanup(self.restore, *before)
        self.patch(sys, "dont_write_bytecode", True)

    def restore(self, path: list[str], modules: set[str]) -> None:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.startswith("own_")]:
            if name not in modules:
                del sys.modules[name]

    def load(self, spec: str) -> LineApp:
        return load_app(spec, directory=self.directory)

    def complaint(self, spec: str, text: str | None = None) -> str:
        """What is said of a module with this text; one line."""
        if text is not None:
            (self.directory / f"{spec.partition(':')[0]}.py").write_text(text)
        error = self.assertRaises(AppError, self.load, spec)
        self.assertEqual(str(error).count("\n"), 0)
        self.assertTrue(str(error).startswith(f"{spec}: "), str(error))
        return str(error).removeprefix(f"{spec}: ")

    def test_an_attribute_of_a_module_in_the_directory(self) -> None:
        (self.directory / "own_app.py").write_text(f"{APP}app = LineApp('mine')\n")
        app = self.load("own_app:app")
        self.assertEqual(app.name, "mine")
        self.assertIs(self.load("own_app:app"), app)

    def test_the_current_directory_is_the_default(self) -> None:
        (self.directory / "own_here.py").write_text(f"{APP}app = LineApp('here')\n")
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.directory)
        self.assertEqual(load_app("own_here:app").name, "here")

    def test_a_function_makes_another_one_each_time(self) -> None:
        (self.directory / "own_made.py").write_text(f"{APP}def make(): return LineApp('made')\n")
        first, second = self.load("own_made:make"), self.load("own_made:make")
        self.assertEqual((first.name, second.name), ("made", "made"))
        self.assertIsNot(first, second)

    def test_a_package_and_an_attribute_of_an_attribute(self) -> None:
        package = self.directory / "own_package"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "inner.py").write_text(f"{APP}class All:\n    app = LineApp('inner')\n")
        self.assertEqual(self.load("own_package.inner:All.app").name, "inner")

    def test_no_such_module(self) -> None:
        self.assertEqual(
            self.complaint("own_none:app"),
            f"no module 'own_none' in {self.directory}, nor installed",
        )
        self.assertIn("no module 'own_none'", self.complaint("own_none.sub:app"))

    def test_no_such_attribute(self) -> None:
        text = f"{APP}calc = LineApp('calc')\n"
        self.assertEqual(
            self.complaint("own_calc:app", text),
            "module 'own_calc' has no 'app': did you mean own_calc:calc?",
        )
        self.assertEqual(self.complaint("own_empty:app", ""), "module 'own_empty' has no 'app'")

    def test_not_an_application(self) -> None:
        self.assertEqual(
            self.complaint("own_text:app", "app = 'calc'\n"), "is of type 'str': expected a LineApp"
        )
        self.assertEqual(
            self.complaint("own_gives:app", "def app(): return 1\n"),
            "gives a value of type 'int': expected a LineApp",
        )

    def test_the_module_s_own_exception_with_its_line(self) -> None:
        place = f"{self.directory}/own_{{}}.py, line {{}}"
        for name, text, line, shown in [
            ("zero", "x = 1\ny = 1 / 0\n", 2, "ZeroDivisionError: division by zero"),
            ("import", "\n\nimport own_missing\n", 3, "ModuleNotFoundError: No module named 'own_"),
            ("deep", "import json\njson.loads('{')\n", 2, "JSONDecodeError: "),
            ("syntax", "x =\n", 1, "SyntaxError: invalid syntax"),
            ("exit", "raise SystemExit(3)\n", 1, "SystemExit: 3"),
            ("bare", "\nraise KeyError\n", 2, "KeyError"),
            ("lines", "raise ValueError('one\\ntwo')\n", 1, "ValueError: one two"),
        ]:
            complaint = self.complaint(f"own_{name}:app", text)
            self.assertTrue(complaint.startswith(f"{place.format(name, line)}: {shown}"), complaint)

    def test_what_a_function_raises(self) -> None:
        text = "def app():\n    return 1 / 0\n"
        self.assertEqual(
            self.complaint("own_raises:app", text),
            f"{self.directory}/own_raises.py, line 2: ZeroDivisionError: division by zero",
        )
        self.assertIn("TypeError: ", self.complaint("own_wants:app", "def app(x): pass\n"))

    def test_no_name_of_anything(self) -> None:
        for spec in ("calc", "own/app:app", ":app", "own_app:", "own_app:a b", "..own:app"):
            self.assertIn(
                "expected one of echo, ip, kv, chat, or MODULE:APP such as calc:app",
                self.complaint(spec),
            )
        self.assertIn("''", str(self.assertRaises(AppError, load_app, "")))
        self.assertEqual(
            self.complaint("own_calc.py:app"), "expected a module without .py: own_calc:app"
        )

    def test_options_of_another_application(self) -> None:
        error = self.assertRaises(AppError, load_app, "echo", memory=1)
        self.assertEqual(str(error), "echo: takes no memory: expected it with kv")
        (self.directory / "own_end.py").write_text(f"{APP}app = LineApp('end')\n")
        error = self.assertRaises(
            AppError, load_app, "own_end:app", directory=self.directory, line_end=b"\n"
        )
        self.assertIn("own_end:app: takes no line-end: expected it with echo or ip", str(error))


class EchoTests(SynchronousTestCase):
    def test_bytes_come_back_as_they_are(self) -> None:
        for line in (
            b"hello",
            b"",
            b"  two  spaces\t",
            b"\xff\xfe\x00",
            b'"',
            b"\r",
            b".",
            b"* x",
            b"ERR x",
            b"QUIT",
            b"HELP",
            b"x{3}",
            b"x" * 8192,
        ):
            self.assertEqual(talk(load_app("echo"), line + b"\r\n"), line + b"\r\n")

    def test_the_line_end_is_one_s_own(self) -> None:
        self.assertEqual(talk(load_app("echo"), b"a\n\nb\r\n"), b"a\r\n\r\nb\r\n")
        app = load_app("echo", line_end=b"\n")
        self.assertEqual(talk(app, b"a\n\nb\r\n"), b"a\n\nb\n")

    def test_a_line_comes_back_once_it_is_complete(self) -> None:
        self.assertEqual(talk(load_app("echo"), b"half"), b"")

    def test_a_line_that_is_too_long(self) -> None:
        answer = talk(load_app("echo"), b"x" * 8193 + b"\r\nnext\r\n")
        self.assertTrue(answer.startswith(b"ERR line-too-long "), answer)
        self.assertTrue(answer.endswith(b"\r\nnext\r\n"), answer)
