"""What is forked is what would have been started."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.forking import Forked
from tests.running import ROOT, environment, wait_for

pytestmark = pytest.mark.once

#: It says what it has been given, by itself and as a program that was started.
PROGRAM = """\
import json, os, resource, signal, sys
print(json.dumps({
    "arguments": sys.argv[1:],
    "directory": os.getcwd(),
    "environment": dict(os.environ),
    "input": sys.stdin.read(),
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:3],
    "more": len(os.listdir("/proc/self/fd")),
    "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "signals": [str(signal.getsignal(each)) for each in (2, 13, 15, 17)],
    "name": __name__,
    "path": sys.path[0],
    "reactor": "twisted.internet.reactor" in sys.modules,
}))
print("complaint", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return str(path)


def forked(command: list[str], directory: Path) -> tuple[int, bytes, bytes]:
    """Run it to its end, with an input."""
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(b"input")
        stdin.seek(0)
        with Forked(
            command, cwd=directory, env=environment(), stdin=stdin, stdout=stdout, stderr=stderr
        ) as process:
            status = process.wait()
        stdout.seek(0)
        stderr.seek(0)
        return status, stdout.read(), stderr.read()


def started(command: list[str], directory: Path) -> tuple[int, bytes, bytes]:
    """The same in earnest."""
    done = subprocess.run(
        command, cwd=directory, env=environment(), input=b"input", capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("status", [0, 3])
def test_it_has_all_that_a_program_has(script: str, tmp_path: Path, status: int) -> None:
    arguments = [str(status), "a b", "\N{SNOWMAN}"]
    mine = forked([script, *arguments], tmp_path)
    its = started([sys.executable, script, *arguments], tmp_path)
    assert (mine[0], json.loads(mine[1]), mine[2]) == (its[0], json.loads(its[1]), its[2])


def test_a_module_has_it_too(script: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "program", "4"]
    mine, its = forked(command, tmp_path), started(command, tmp_path)
    assert (mine[0], json.loads(mine[1]), mine[2]) == (its[0], json.loads(its[1]), its[2])


def test_signals_and_statuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "waits.py"
    path.write_text("import signal\nopen('begun', 'w')\nwhile True:\n    signal.pause()\n")
    with Forked([str(path)], cwd=tmp_path, env=environment()) as process:
        wait_for((tmp_path / "begun").exists, "it to begin")
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.terminate()
        assert process.wait() == -signal.SIGTERM
    process.kill()
    assert process.poll() == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    monkeypatch.setattr(process, "poll", lambda: None)  # as if we had not been told yet
    process.kill()


def test_an_exception_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text("import atexit\natexit.register(print, 'the end')\nraise ValueError('oh')\n")
    status, out, err = forked([str(path)], tmp_path)
    assert (status, out) == (1, b"the end\n")
    assert err.endswith(b"ValueError: oh\n")


def test_all_end_when_nobody_can_ask_any_more(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.forking import Forked; from tests.running import *; "
        "process = Forked([program('twistd'), '--version'], cwd=ROOT, env=environment()); "
        "assert process.wait() == 0; "
        "print(Path(f'/proc/self/task/{os.getpid()}/children').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, check=True
    )
    forks = int(done.stdout.split()[-1])
    wait_for(lambda: not Path(f"/proc/{forks}").exists(), "the process that forks to end")
