"""asyncio code and Twisted code in one program, on each reactor that has a loop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netsuite.net.reactor import NAME as NATIVE
from tests.asyncio_program import SCENARIOS
from tests.running import PATIENCE, ROOT, environment, free_port, wait_for
from tests.test_docs import DOCS, commands, run, serving

pytestmark = pytest.mark.once

REACTORS = ["asyncio", NATIVE]
#: What is about what is said.
TALKATIVE = {"refused", "shutdown", "unhandled"}


def program(
    reactor: str, scenario: str, patience: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run one to its end; if that does not come, end it and all that it has started."""
    command = [sys.executable, "-m", "tests.asyncio_program", reactor, scenario]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize("reactor", REACTORS)
@pytest.mark.parametrize("scenario", sorted(SCENARIOS.keys() - TALKATIVE - {"processes"}))
def test_scenario(reactor: str, scenario: str) -> None:
    done = program(reactor, scenario)
    assert (done.stderr, done.stdout, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("reactor", REACTORS)
def test_processes(reactor: str) -> None:
    done = program(reactor, "processes")
    assert (done.stderr, done.stdout, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("reactor", REACTORS)
def test_what_is_cancelled_at_shutdown_is_waited_for(reactor: str) -> None:
    done = program(reactor, "shutdown")
    assert (done.stderr, done.stdout, done.returncode) == ("", "ended in order\n", 0)


@pytest.mark.parametrize("reactor", REACTORS)
def test_errors_are_reported_once(reactor: str) -> None:
    done = program(reactor, "unhandled")
    assert done.returncode == 0
    assert done.stderr.count("Unhandled error in Deferred") == 1
    assert done.stderr.count("builtins.KeyError") == 1
    assert done.stderr.count("exception was never retrieved") == 1
    assert done.stderr.count("ValueError: forgotten by asyncio code") == 1


@pytest.mark.parametrize("reactor", ["epoll", "poll", "select"])
def test_reactor_without_a_loop(reactor: str) -> None:
    done = program(reactor, "refused")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"twisted.internet.{reactor}reactor." in last
    assert "has no asyncio loop" in last
    assert "twistd --reactor netsuite-uv" in last
    assert "never awaited" not in done.stderr


@contextmanager
def asgi_example(directory: Path, echo: int, web: int) -> Iterator[subprocess.Popen[bytes]]:
    endpoint = f"tcp:{echo}:interface=127.0.0.1"
    command = ["python", str(DOCS / "examples" / "asgi.py"), endpoint, str(web)]
    with serving(directory, command, web) as (process, log):
        wait_for(lambda: "ready: echo" in log.read_text(), "the echo service")
        yield process
        assert "Traceback" not in log.read_text()


def test_page(tmp_path: Path) -> None:
    """The page's commands say what the page says that they say."""
    (tmp_path / "docs").symlink_to(DOCS)
    (server, _), *clients = commands(DOCS / "asyncio.rst")
    assert server == "python docs/examples/asgi.py"
    assert clients
    web = free_port()
    with asgi_example(tmp_path, free_port(), web) as process:
        for command, shown in clients:
            said = run(command.replace("8000", str(web)), tmp_path)
            assert said.replace(str(web), "8000").endswith(shown), command
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
