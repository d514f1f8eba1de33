"""Real services in real processes, and waiting for what they do."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

from tests.forking import Forked

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
#: The longest that anything may take on a slow machine, in seconds.
PATIENCE = 60.0

#: The name of the reactor for what the tests start; ``pytest --reactor`` sets it.
REACTOR_VARIABLE = "TESTS_REACTOR"
#: What services take by themselves.
NATIVE = "netsuite-uv"


def wait_for(condition: Callable[[], T | None], what: str) -> T:
    """Poll until ``condition`` is truthy, and return its value.

    :raises AssertionError: naming ``what`` was waited for, if it never is.
    """
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.01)
    return value


#: Below those that the system gives to whoever connects: what is free stays so.
_PORTS = cycle(range(10_000, 30_000))
deque(islice(_PORTS, os.getpid() * 997 % 20_000), maxlen=0)  # another run, just after, has others


def free_port() -> int:
    """A port that nothing listens on, on any address of this machine."""
    for port in _PORTS:
        with closing(socket.socket(socket.AF_INET6)) as probe, suppress(OSError):
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", port))
            return port
    raise AssertionError("there is always another one to try")


@contextmanager
def taken_for_udp() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody has for UDP, and nobody for TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            port = free_port()
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
            return


def program(name: str) -> str:
    """The path of a program of the environment that runs the tests."""
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"{path} is missing: install netsuite[test] in this environment"
    return str(path)


def reactor_name() -> str:
    """The reactor for what the tests start, as ``--reactor`` has it."""
    return os.environ.get(REACTOR_VARIABLE, NATIVE)


def install_reactor() -> Any:
    """Install that reactor; for programs of the tests."""
    from twisted.application.reactors import installReactor

    return installReactor(reactor_name())


_SERVICES = (["echo"], ["line"], ["run"])


def on_reactor(command: Sequence[str]) -> list[str]:
    """A command that starts a service or an example, made to run on that reactor.

    Services are told nothing of :data:`NATIVE`.
    """
    name, *arguments = command
    if name == "python":
        return [name, "-m", "tests.on_reactor", *arguments]
    starts = name == "twistd" or (name == "netsuite" and arguments[:1] in _SERVICES)
    if starts and reactor_name() != NATIVE:
        return [name, f"--reactor={reactor_name()}", *arguments]
    return list(command)


def ours(*command: str) -> list[str]:
    """The same for a program of the environment that runs the tests."""
    name, *arguments = on_reactor(command)
    return [program(name), *arguments]


def environment() -> dict[str, str]:
    """The environment for our programs: this checkout is what they import."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class RunningService:
    """A ``twistd`` process that has said that it listens."""

    def __init__(
        self,
        process: Forked | subprocess.Popen[bytes],
        port_file: Path,
        log: Path,
        reactor: str | None = None,
    ) -> None:
        self.process = process
        self._reactor = reactor or reactor_name()
        self._port_file = port_file
        self._log = log
        wait_for(self._ready, "the port file")
        #: One for each endpoint: a port number, or a path.
        self.ports = port_file.read_text().splitlines()

    def _ready(self) -> bool:
        status = self.process.poll()
        assert status is None, f"it ended with status {status}:\n{self.log()}"
        # The last thing that a service does before it runs is to say so.
        if not (self._port_file.exists() and "ready: " in self.log()):
            return False
        assert f"reactor: {self._reactor}" in self.log()
        return True

    @property
    def port(self) -> int:
        """The port number of the first endpoint."""
        return int(self.ports[0])

    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    def wait_for_log(self, text: str) -> None:
        """Wait until it has logged ``text``."""
        wait_for(lambda: text in self.log(), f"{text!r} in the log:\n{self.log()}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(PATIENCE)

    def memory(self) -> int:
        """Its resident memory, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


@contextmanager
def running(
    directory: Path, *options: str, service: str = "netsuite-echo"
) -> Iterator[RunningService]:
    """``twistd -n netsuite-echo`` with ``options``, until the block ends."""
    port_file, log = directory / "port", directory / "log"
    command = [
        *ours("twistd", "--nodaemon", "--pidfile=", f"--logfile={log}"),
        *(service, f"--port-file={port_file}", *options),
    ]
    with Forked(command, cwd=directory, env=environment()) as process:
        try:
            yield RunningService(process, port_file, log)
        finally:
            process.kill()


def run(
    directory: Path,
    *command: str,
    timeout: float = PATIENCE,
    given: bytes = b"",
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one of our programs to its end.

    :param given: what it reads from its standard input.
    :param variables: of the environment, beside those that there are.
    """
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        with Forked(
            ours(*command),
            cwd=directory,
            env={**environment(), **(variables or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        ) as process:
            try:
                status = process.wait(timeout)
            finally:
                process.kill()
        said = []
        for stream in (stdout, stderr):
            stream.seek(0)
            said.append(stream.read().decode())
        return subprocess.CompletedProcess(command, status, *said)
