"""What an operator of a line service types, and what comes of it."""

import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.clients import exchange
from tests.running import PATIENCE, environment, run, running

COMMANDS = (["netsuite", "line"], ["twistd", "-n", "netsuite-line"])
CALC = """\
from netsuite.line import LineApp

calc = LineApp("calc")


@calc.command()
def add(a: int, b: int) -> int:
    return a + b
"""
SUITE = """\
[[service]]
type = "line"
name = "sums"
app = "ip"
listen = ["tcp:0:interface=127.0.0.1"]

[[service]]
type = "line"
name = "calculator"
app = "calc:calc"
line-length = 100
listen = ["tcp:0:interface=127.0.0.1"]

[[service]]
type = "echo"
listen = ["tcp:0:interface=127.0.0.1"]
"""

#: What a program has imported that imports something of ours.
IMPORTED = """
import sys
import {module}
names = ("twisted.internet.reactor", "uvloop", "netsuite.service")
print(" ".join(name for name in names if name in sys.modules))
"""

#: What the plugin names, and what comes with it.
PLUGIN = """
import sys
import twisted.plugins.netsuite_plugins as plugins
print(plugins.netsuite_line.module)
print([name for name in sys.modules if name.startswith("netsuite")])
"""


def test_it_is_listed(tmp_path: Path) -> None:
    assert "\n  line  Line protocols: echo, ip, kv (memcached), chat, or" in (
        run(tmp_path, "netsuite", "--help").stdout
    )
    assert "netsuite-line" in run(tmp_path, "twistd", "--help").stdout


def test_help(tmp_path: Path) -> None:
    shown = run(tmp_path, "netsuite", "line", "--help").stdout
    assert shown.startswith("Usage: netsuite line [options]")
    assert "\nLine:\n      --app=APP " in shown
    assert "Talk to it: nc localhost 9001" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--app=calk"], "app calk: expected one of echo, ip, kv, chat, or MODULE:APP such as"),
        (["--app=none:app"], "app none:app: no module 'none' in "),
        (["--app=calc:app"], "app calc:app: module 'calc' has no 'app': did you mean calc:calc?"),
        (["--app=calc:LineApp"], "app calc:LineApp: TypeError: "),
        (["--app=calc:add"], "app calc:add: TypeError: add() missing 2 required"),
        (["--app=broken:app"], "broken.py, line 3: ZeroDivisionError: division by zero"),
        (["--app=calc.py:calc"], "app calc.py:calc: expected a module without .py: calc:calc"),
        (["--app=echo", "--memory=1M"], "app echo: takes no memory: expected it with kv"),
        (["--line-length=0"], "line length 0: expected 1 or more"),
        (["--line-length=long"], "--line-length: 'long' is not a number: expected bytes"),
        (["--queue-full=drop"], "queue full 'drop': expected 'wait' or 'refuse'"),
        (["--lines=7"], "option --lines not recognized"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, options: list[str], complaint: str
) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    (tmp_path / "broken.py").write_text("\n\nx = 1 / 0\n")
    for command, action in zip(COMMANDS, (["--check-config"], []), strict=True):
        result = run(tmp_path, *command, "--port=0", *options, *action)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("netsuite-line: ")
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1


def test_checked_and_printed(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    for command in COMMANDS:
        result = run(tmp_path, *command, "--app=calc:calc", "--check-config")
        assert (result.stdout, result.stderr) == ("configuration ok: line on dualstack:9001\n", "")
        result = run(tmp_path, *command, "--line-length=2k", "--print-config")
        shown = tomllib.loads(result.stdout)
        assert (shown["app"], shown["line-length"]) == ("echo", 2000)
        assert "line-length = 2000  # --line-length\n" in result.stdout
        assert '# max-queued = "none"  # default\n' in result.stdout


def test_an_application_of_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    options = ("--app=calc:calc", "--port=0", "--line-length=10")
    with (
        running(tmp_path, *options, service="netsuite-line") as service,
        socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection,
    ):
        assert exchange(connection, b"add 1 2\nadd 1000 2000\n") == (
            b"3\r\nERR line-too-long add: expected at most 10 bytes\r\n"
        )


def test_several_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    (tmp_path / "suite.toml").write_text(SUITE)
    checked = run(tmp_path, "netsuite", "run", "--config=suite.toml", "--check-config")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("configuration ok: sums: line on tcp:0:interface=127.0.0.1; ")
    with running(tmp_path, "--config=suite.toml", service="netsuite") as suite:
        said = []
        for port, asked in zip(
            map(int, suite.ports),
            (b"subnets 10.0.0.0/8 9\n", b"add 1 2\n", b"hello"),
            strict=True,
        ):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                said.append(exchange(connection, asked))
        assert said == [b"10.0.0.0/9\r\n10.128.0.0/9\r\n.\r\n", b"3\r\n", b"hello"]
        assert "Traceback" not in suite.log()


def test_one_application_with_two_minds(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    both = SUITE.replace('app = "ip"', 'app = "calc:calc"')
    (tmp_path / "suite.toml").write_text(both)
    result = run(tmp_path, "netsuite", "run", "--config=suite.toml")
    assert result.returncode == 2
    assert result.stderr == (
        "netsuite-suite: calculator: calc is served already, with other settings: expected the "
        "same settings, or a function that makes an application for each service\n"
    )


@pytest.mark.parametrize("module", ["netsuite.line", "netsuite.line.apps.echo"])
def test_importing_it_brings_neither_a_reactor_nor_the_daemon(tmp_path: Path, module: str) -> None:
    assert imported_with(module, tmp_path) == "\n"


def test_importing_the_service_brings_no_reactor(tmp_path: Path) -> None:
    assert imported_with("netsuite.line.service", tmp_path) == "netsuite.service\n"


def test_the_plugin_names_it_by_a_string(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLUGIN],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "netsuite.line.service\n[]\n"


def imported_with(module: str, directory: Path) -> str:
    """What of interest comes with a module."""
    return subprocess.run(
        [sys.executable, "-c", IMPORTED.format(module=module)],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout
