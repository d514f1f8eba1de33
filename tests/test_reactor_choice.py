"""Which reactor runs: what nobody chose, what somebody did, and where there is no uvloop.

pytestmark = pytest.mark.once

These tests start all on reactors of their own choice, whatever ``pytest --reactor`` says.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients import exchange, payload
from tests.running import (
    NATIVE,
    PATIENCE,
    RunningService,
    environment,
    program,
    wait_for,
)

#: All that Twisted has for this system, and ours.
REACTORS = [
    name
    for name in ("select", "poll", "epoll", "kqueue", "asyncio", NATIVE)
    if name in {"asyncio", NATIVE} or hasattr(select, name)
]

#: Each way to start the service, with what goes between the program and the service.
PROGRAMS = {
    "twistd": ["twistd", "--nodaemon", "--pidfile="],
    "twist": ["twist", "--log-format=text"],
    "netsuite": ["netsuite"],
}

DATA = payload(3_000_000)

#: A ``twistd`` in an environment without the extra.
WITHOUT_UVLOOP = """
import sys
sys.modules["uvloop"] = None
from twisted.scripts.twistd import run
run()
"""

#: A ``twistd`` that says at its end what it has imported.
WHAT_IS_IMPORTED = """
import sys
from twisted.scripts.twistd import run
try:
    run()
finally:
    found = sorted({"twisted.internet.reactor", "uvloop"} & set(sys.modules))
    print(f"imported: {' '.join(found)}")
"""

#: What ``Options`` do before they choose, and what a plugin is loaded with.
BEFORE_IT_IS_CHOSEN = """
import sys
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
makers = [each for each in getPlugins(IServiceMaker) if each.module.startswith("netsuite.")]
assert len(makers) >= 2, makers
for maker in makers:
    options = maker.options()
    if maker.tapname == "netsuite-echo":
        options.parseOptions(["--port=0", "--udp", "--tls-self-signed", "--workers=1"])
    maker.makeService
assert "twisted.internet.reactor" not in sys.modules
assert "uvloop" not in sys.modules
"""

#: A program of somebody's: it says what it runs on, and stops.
PROGRAM = """
from netsuite.net.reactor import NAME, UVReactor, install, prefer
mine = install()
from twisted.internet import reactor
assert reactor is mine and isinstance(reactor, UVReactor) and prefer()
reactor.callWhenRunning(reactor.stop)
reactor.run()
print(NAME)
"""

#: A test of somebody's, for trial.
TRIAL_TEST = """
from twisted.internet import defer, reactor, task
from twisted.trial.unittest import TestCase
class Tests(TestCase):
    def test_it(self):
        print("on", type(reactor).__module__)
        return task.deferLater(reactor, 0.01, defer.succeed, None)
"""


def service_command(how: str, reactor: str | None) -> list[str]:
    """A command that starts the service; no ``--reactor`` for None."""
    name, *flags = PROGRAMS[how]
    chosen = [] if reactor is None else [f"--reactor={reactor}"]
    return [program(name), *flags, *chosen, "echo" if how == "netsuite" else "netsuite-echo"]


@contextmanager
def started(
    directory: Path, command: list[str], *options: str, expected: str = NATIVE
) -> Iterator[RunningService]:
    """A service that logs to its standard output, until the block ends."""
    port_file, log = directory / "port", directory / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, f"--port-file={port_file}", *options],
            cwd=directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield RunningService(process, port_file, log, expected)
        finally:
            if process.poll() is None:
                process.kill()


def ended(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What has run to its end."""
    return subprocess.run(
        command,
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def echoed(port: str | int) -> bytes:
    """What comes back of :data:`DATA` from a TCP port, or from a path."""
    path = isinstance(port, str) and not port.isdigit()
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(port) if path else ("127.0.0.1", int(port)))
        return exchange(connection, DATA)


def answered(port: str) -> bytes:
    """What comes back of a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", int(port)))
        client.send(b"hello")
        return client.recv(100)


def reactor_lines(log: str) -> list[str]:
    return [line.partition("reactor: ")[2] for line in log.splitlines() if "reactor: " in line]


def has_uvloop(pid: int) -> bool:
    """Whether a process has loaded it."""
    return "/uvloop/" in Path(f"/proc/{pid}/maps").read_text()


def is_running(pid: int) -> bool:
    """Whether there is more of a process than its status, which nobody has asked for yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@pytest.mark.parametrize("reactor", REACTORS)
def test_echo_on_each_reactor(tmp_path: Path, reactor: str) -> None:
    with started(
        tmp_path,
        service_command("twistd", reactor),
        *("--port=0", "--interface=127.0.0.1", "--udp", f"--listen=unix:{tmp_path / 'echo'}"),
        expected=reactor,
    ) as service:
        assert has_uvloop(service.process.pid) == (reactor == NATIVE)
        for port in service.ports:
            assert echoed(port) == DATA, port
        assert answered(next(port for port in service.ports if port.isdigit())) == b"hello"
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        [line] = reactor_lines(service.log())
        assert line.split()[0] == reactor
    assert not (tmp_path / "echo").exists()


@pytest.mark.parametrize("how", PROGRAMS)
def test_services_take_the_native_reactor_by_themselves(tmp_path: Path, how: str) -> None:
    with started(tmp_path, service_command(how, None), "--port=0") as service:
        assert echoed(service.port) == DATA
        assert has_uvloop(service.process.pid)
        [line] = reactor_lines(service.log())
        assert line.startswith("netsuite-uv (uvloop "), line
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def test_a_suite_does_too(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text('[[service]]\ntype = "echo"\nport = 0\n')
    command = [program("netsuite"), "run", "--config=suite.toml"]
    with started(tmp_path, command) as service:
        assert echoed(service.port) == DATA
        assert has_uvloop(service.process.pid)


@pytest.mark.parametrize("how", PROGRAMS)
def test_another_one_is_obeyed(tmp_path: Path, how: str) -> None:
    with started(tmp_path, service_command(how, "epoll"), "--port=0", expected="epoll") as service:
        assert echoed(service.port) == DATA
        assert not has_uvloop(service.process.pid)
        assert reactor_lines(service.log()) == ["epoll"]


@pytest.mark.parametrize("how", PROGRAMS)
@pytest.mark.parametrize("reactor", [None, "epoll", "asyncio", NATIVE])
def test_workers_run_on_the_reactor_of_their_supervisor(
    tmp_path: Path, how: str, reactor: str | None
) -> None:
    expected = reactor or NATIVE
    with started(
        tmp_path, service_command(how, reactor), "--port=0", "--workers=2", expected=expected
    ) as service:
        for index in range(2):
            service.wait_for_log(f"worker {index} is ready")
        workers = children_of(service.process.pid)
        assert len(workers) == 2
        for worker in workers:
            arguments = Path(f"/proc/{worker}/cmdline").read_bytes().split(b"\0")
            assert f"--reactor={expected}".encode() in arguments
            assert has_uvloop(worker) == (expected == NATIVE)
        assert echoed(service.port) == DATA
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert len(reactor_lines(service.log())) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("reactor", [None, "epoll", "asyncio", NATIVE])
def test_a_daemon(tmp_path: Path, reactor: str | None, workers: int) -> None:
    """It forks when the reactor, its loop and its ports are made."""
    chosen = [] if reactor is None else [f"--reactor={reactor}"]
    done = ended(
        tmp_path,
        *(program("twistd"), *chosen, "netsuite-echo", "--port=0", "--interface=127.0.0.1"),
        *(f"--listen=unix:{tmp_path / 'echo'}", f"--port-file={tmp_path / 'port'}"),
        *(f"--workers={workers}", "--udp"),
    )
    assert done.returncode == 0, done.stderr
    port_file, pid_file, log = tmp_path / "port", tmp_path / "twistd.pid", tmp_path / "twistd.log"
    wait_for(lambda: log.exists() and "ready: " in log.read_text(), "it to be ready")
    pid = int(pid_file.read_text())
    with ending(pid):
        ports = port_file.read_text().splitlines()
        for port in ports:
            assert echoed(port) == DATA, port
        assert answered(next(port for port in ports if port.isdigit())) == b"hello"
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not pid_file.exists(), "its pid file to go")
        wait_for(lambda: not is_running(pid), "it to end")
    assert not (tmp_path / "echo").exists()
    [line] = reactor_lines(log.read_text())
    assert line.split()[0] == (reactor or NATIVE)
    assert "SIGTERM: stopping" in log.read_text()
    assert "Server Shut Down" in log.read_text()
    assert "Traceback" not in log.read_text()


@contextmanager
def ending(pid: int) -> Iterator[None]:
    """End a daemon with the block, if that has not."""
    try:
        yield
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


def test_without_uvloop_all_runs_on_the_stock_reactor(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_UVLOOP, "-n", "--pidfile=", "netsuite-echo"]
    with started(tmp_path, command, "--port=0", "--log-level=debug", expected="epoll") as service:
        assert echoed(service.port) == DATA
        log = service.log()
        assert reactor_lines(log) == ["epoll"]
        assert log.count("pip install netsuite[fast]") == 1
        assert "warn" not in log.lower()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def test_without_uvloop_who_asks_for_the_reactor_is_told(tmp_path: Path) -> None:
    done = ended(
        tmp_path,
        *(sys.executable, "-c", WITHOUT_UVLOOP, "-n", "--reactor=netsuite-uv"),
        *("netsuite-echo", "--port=0"),
    )
    assert done.returncode == 1
    assert "netsuite[fast]" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "imported"),
    [
        (["--help"], ""),
        (["--version"], ""),
        (["--port=0", "--check-config"], ""),
        (["--port=0", "--print-config"], ""),
        (["--port=http"], ""),
        # What does start has both: the others are not silent for another reason.
        (["--port=0", "--port-file=/none/port"], "twisted.internet.reactor uvloop"),
    ],
)
def test_what_only_says_something_has_no_reactor(
    tmp_path: Path, arguments: list[str], imported: str
) -> None:
    done = ended(
        tmp_path,
        *(sys.executable, "-c", WHAT_IS_IMPORTED, "-n", "--pidfile=", "netsuite-echo"),
        *arguments,
    )
    assert done.stdout.splitlines()[-1].endswith(f"imported: {imported}"), done.stderr


def test_options_are_parsed_before_there_is_a_reactor(tmp_path: Path) -> None:
    done = ended(tmp_path, sys.executable, "-c", BEFORE_IT_IS_CHOSEN)
    assert (done.returncode, done.stderr) == (0, "")


def test_in_any_program(tmp_path: Path) -> None:
    done = ended(tmp_path, sys.executable, "-c", PROGRAM)
    assert (done.stdout, done.stderr) == (f"{NATIVE}\n", "")


def test_under_trial(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TRIAL_TEST)
    done = ended(tmp_path, program("trial"), f"--reactor={NATIVE}", str(tmp_path / "test_mine.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on netsuite.net.reactor" in done.stdout


def test_twistd_lists_it(tmp_path: Path) -> None:
    listed = ended(tmp_path, program("twistd"), "--help-reactors").stdout
    assert any(line.split()[:1] == [NATIVE] for line in listed.splitlines()), listed
