"""Processes on cores of their own: start them, stop them, account for their CPU time."""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
"""The checkout, where ``netsuite`` and ``bench`` are found."""

PORT_FILE = "{port-file}"
"""In the arguments of a server: the path where it is to write its port.

Without it, the first line of the server's standard output is its port.
"""

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class BenchError(Exception):
    """The benchmark cannot go on. The message is for the person who started it."""


class Cores(NamedTuple):
    """One CPU for the servers, the other for the load."""

    server: int
    load: int


def two_cores() -> Cores:
    """Choose the first two CPUs that this process may use.

    :raises BenchError: if there is only one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchError("two CPUs are needed, one for the servers and one for the load")
    return Cores(*allowed[:2])


def allow_descriptors(count: int) -> None:
    """Allow so many open files here and in the servers, which inherit it.

    :raises BenchError: if the system does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"{count} open files are needed, {hard} are allowed (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Have the processes started meanwhile run on one CPU: they inherit it from this one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the time that all threads of a process have spent on a CPU.

    :raises BenchError: if the process is gone or the kernel keeps no account.
    """
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            total += int(task.read_text().split()[0])
    if total == 0:
        raise BenchError(f"/proc/{pid}/task/*/schedstat shows no CPU time")
    return total * 1e-9


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    errors: Path
    """Its standard error."""

    def last_words(self) -> str:
        """Say how it ended, if it has or is about to.

        :returns: empty while it runs.
        """
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)
            return _last_words(self.process, self.errors)
        return ""


@contextmanager
def serving(name: str, arguments: Sequence[str], core: int) -> Iterator[Server]:
    """Run a server on one CPU, and stop it whatever happens.

    :param name: what messages call it.
    :param arguments: its command line; see :data:`PORT_FILE`.
    :raises BenchError: if it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        output, errors = Path(scratch, "stdout"), Path(scratch, "stderr")
        port_file = Path(scratch, "port") if PORT_FILE in arguments else output
        with pinned(core), output.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(
                [str(port_file) if word == PORT_FILE else word for word in arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                start_new_session=True,  # Ctrl-C is for us; we stop the servers
            )
        try:
            yield Server(name, process, _await_port(name, process, port_file, errors), errors)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Terminate a process, kill it if it does not listen, and reap it."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        process.kill()
        process.wait()


def _await_port(name: str, process: subprocess.Popen[bytes], port_file: Path, errors: Path) -> int:
    """Wait until a starting server has written its port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            if words := port_file.read_text().split():
                if words[0].isdecimal():
                    return int(words[0])
                raise BenchError(f"{name} gave {words[0]!r} where its port was expected")
        if process.poll() is not None:
            raise BenchError(f"{name} did not start: {_last_words(process, errors)}")
        time.sleep(0.02)
    raise BenchError(f"{name} did not give its port within {START_SECONDS:.0f} seconds")


def _last_words(process: subprocess.Popen[bytes], errors: Path) -> str:
    """Describe the end of a process: its exit status and its last line of standard error."""
    lines = errors.read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return f"exit status {process.returncode}: {last}"
