"""Our programs in processes of their own, without importing everything for each of them anew.

Of the half second of CPU that a service takes to be ready, four fifths are imports. One process
has made them, all but the reactor, and forks: ``python -m tests.forking`` is told by
:class:`Forked` what the fork is to be. There it has the arguments, the directory, the environment
and the descriptors that a new process would have, and the program's script is run.

What looks at the start of a process, or wants other modules, starts one in earnest.
"""

import atexit
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from runpy import run_module, run_path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

#: What most of our programs import.
_MODULES = (
    "netsuite.__main__",
    "netsuite.echo.service",
    "netsuite.line._shell_run",
    "netsuite.line.service",
    "netsuite.line.stdio",
    "netsuite.service.admin",
    "netsuite.service.console",
    "prometheus_client",
    "twisted.plugins",
    "twisted.scripts.twistd",
)
_LONGEST = 128 * 1024  # bytes of a request: arguments and the environment


class Forked:
    """A program that runs, with the part of :class:`subprocess.Popen` that the tests use.

    :param command: the path of a Python script, or Python's own and ``-m`` and a module; and
        arguments.
    :param stdin: the standard streams: files; by default nothing comes in, and what goes out goes
        where ours goes.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: IO[Any] | None = None,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
    ) -> None:
        self.args = list(command)
        self.returncode: int | None = None
        nothing = os.open(os.devnull, os.O_RDONLY)
        self._said, says = os.pipe()
        streams = [
            nothing if stdin is None else stdin.fileno(),
            1 if stdout is None else stdout.fileno(),
            2 if stderr is None else stderr.fileno(),
        ]
        request = [self.args, str(cwd), dict(env), resource.getrlimit(resource.RLIMIT_NOFILE)]
        data = json.dumps(request).encode()
        assert len(data) < _LONGEST
        try:
            socket.send_fds(_forks(), [data], [*streams, says])
        finally:
            os.close(says)
            os.close(nothing)
        self.pid = self._next()

    def poll(self) -> int | None:
        """The exit status, if it has ended."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended.

        :raises subprocess.TimeoutExpired: if it has not.
        """
        status = self._wait(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended by now, which we are about to be told
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wait()

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._said], [], [], timeout)[0]:
            self.returncode = self._next()
            os.close(self._said)
        return self.returncode

    def _next(self) -> int:
        number = os.read(self._said, _NUMBER)
        assert number, "the process that forks others is gone"
        return int(number)


_NUMBER = 12  # bytes of a process's number and of its status, each written as one


@cache
def _forks() -> socket.socket:
    """What the process that forks is told."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    root = Path(__file__).parent.parent
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(_end, ours, process)
    return ours


def _end(ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
    ours.close()
    process.wait()


# The process that forks.


def main() -> None:
    """Fork whenever it is asked for, until nobody can ask any more."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    for module in _MODULES:
        import_module(module)
    assert "twisted.internet.reactor" not in sys.modules
    gc.collect()
    gc.freeze()  # what is there stays, and no fork has to look at it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        data, descriptors, _, _ = socket.recv_fds(asked, _LONGEST, 4)
        if not data:
            return
        if not os.fork():
            asked.close()
            command, directory, environment, limits = json.loads(data)
            _fork(command, directory, environment, limits, descriptors)
        for each in descriptors:
            os.close(each)


def _fork(
    command: list[str],
    directory: str,
    environment: dict[str, str],
    limits: list[int],
    descriptors: list[int],
) -> None:
    """Be the program in a child; as its parent, say who it is, and what becomes of it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, says = descriptors
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    pid = os.fork()
    if pid:
        _tell(says, pid)
    os.close(says)
    os.chdir(directory)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0], limits[1]))
    os.environ.clear()
    os.environ.update(environment)
    if command[1:2] == ["-m"]:
        sys.argv[:] = command[2:]
        sys.path[0] = directory
        run_module(command[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = command
        sys.path[0] = str(Path(command[0]).parent)
        run_path(command[0], run_name="__main__")
    sys.exit()


def _tell(says: int, pid: int) -> NoReturn:
    """Say which child it is, and how it has ended."""
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)  # pipes end when the child ends
    with suppress(BrokenPipeError):
        os.write(says, str(pid).encode().ljust(_NUMBER))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(says, str(status).encode().ljust(_NUMBER))
    os._exit(0)


if __name__ == "__main__":
    main()
