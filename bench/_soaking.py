"""The two sides of a soak: orders for the server, and orders for the load."""

import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench._compile import Program, compiled
from bench._idle_client import Processes
from bench._procs import BenchError, Server, pinned, stop

PROGRAM = Program(Path(__file__).with_name("soak.c"))

#: The longest that anything may take on a slow machine, in seconds.
PATIENCE = 60.0

_CHUNK = b"x" * 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Tally:
    """What the server counts of one kind of connections; see ``peers/soak_twisted.py``."""

    made: int
    lost: int
    twice: int
    late: int
    failed: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Count:
    """What the server has counted.

    :ivar tallies: by kind of connection.
    :ivar held: connections that wait for an order.
    :ivar choked: connections that wait for their client to read.
    :ivar pending: timers.
    :ivar errors: that it has logged.
    """

    tallies: dict[str, Tally]
    held: int = 0
    choked: int = 0
    pending: int = 0
    errors: int = 0
    first_error: str = ""

    @property
    def open(self) -> int:
        """Connections that have begun and not ended."""
        return sum(tally.made - tally.lost for tally in self.tallies.values())


@dataclass(frozen=True)
class State:
    """What the server has.

    :ivar connections: that it has seen come and go.
    :ivar descriptors: that are open.
    :ivar memory: bytes that it has written to and shares with nobody.
    :ivar resident: bytes that it has in memory (RSS), the pages of files among them.
    :ivar objects: of Python, by type.
    """

    connections: int
    descriptors: int
    memory: int
    resident: int
    objects: dict[str, int]

    @property
    def object_count(self) -> int:
        """How many objects there are."""
        return sum(self.objects.values())


class Orders:
    """A line of orders to the server.

    :param server: is ``peers/soak_twisted.py``.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._processes = Processes(server)
        self._socket = connect_from(server, 250, 0)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def _ask(self, order: str) -> Any:
        try:
            self._socket.sendall(f"{order}\n".encode())
            line = self._answers.readline()
        except OSError as error:
            line = str(error).encode()
        if not line.endswith(b"\n"):
            words = self._server.last_words() or line.decode() or "it has hung up"
            raise BenchError(f"{self._server.name} does not answer: {words}")
        return json.loads(line)

    def count(self) -> Count:
        """Ask for what has begun and ended."""
        answer = self._ask("count")
        tallies = {name: Tally(**tally) for name, tally in answer.pop("tallies").items()}
        return Count(tallies, **answer)

    def resume(self) -> int:
        """Have it read from the connections that it holds; returns how many they were."""
        return int(self._ask("resume"))

    def state(self, connections: int) -> State:
        """Ask for what it has, once it is quiet.

        :param connections: that it has seen.
        """
        self._ask("sweep")
        self.wait_for(lambda count: not count.pending)
        objects = self._ask("objects")
        has = self._processes
        return State(connections, has.descriptors(), has.memory(), has.resident(), objects)

    def wait_for(self, condition: Callable[[Count], bool], seconds: float = PATIENCE) -> Count:
        """Ask until a condition holds, or for so long; returns the last answer."""
        deadline = time.monotonic() + seconds
        while not condition(count := self.count()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return count


def connect_from(server: Server, kind: int, index: int) -> socket.socket:
    """Connect from one of the addresses of a kind of connection.

    :raises BenchError: if that fails.
    """
    connection = socket.socket()
    try:
        connection.settimeout(PATIENCE)
        connection.bind((f"127.{kind}.0.{index + 1}", 0))
        connection.connect(("127.0.0.1", server.port))
    except OSError as error:
        connection.close()
        raise BenchError(f"{server.name}: {error}") from None
    return connection


def reset_while_waiting(server: Server, orders: Orders, kind: int, count: int) -> None:
    """Have the server hold some connections, send it more than it reads, and reset them all.

    :param kind: 20 for connections that it holds until it is told, 21 for those that it holds
        because their clients do not read.
    :raises BenchError: if it does not hold them.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect_from(server, kind, index)) for index in range(count)]
        for connection in sockets:
            connection.setblocking(False)

        def all_wait(counted: Count) -> bool:
            for connection in sockets:
                _send_all_it_takes(connection)
            return counted.held + counted.choked == count

        found = orders.wait_for(all_wait)
        if not all_wait(found):
            raise BenchError(f"{server.name} holds {found.held + found.choked} of {count}")
        for connection in sockets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _send_all_it_takes(connection: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            connection.send(_CHUNK)


@dataclass(frozen=True)
class Made:
    """What the load has done.

    :ivar connections: by kind.
    """

    elapsed_seconds: float
    load_cpu_seconds: float
    connections: dict[str, int]


class Load:
    """The load, at rest until it is told."""

    def __init__(self, server: Server, process: subprocess.Popen[str]) -> None:
        self._server = server
        self._process = process

    def run(self, connections: int) -> Made:
        """Make so many connections, and see them end.

        :raises BenchError: if one of them does not end as it should.
        """
        orders, reports = self._process.stdin, self._process.stdout
        if orders is None or reports is None:
            raise ValueError("the load was started without pipes")
        with suppress(BrokenPipeError):  # its complaint is there to be read
            orders.write(f"{connections}\n")
            orders.flush()
        line = reports.readline()
        if not line.startswith("{"):
            words = line.strip() or "the load died", self._server.last_words()
            raise BenchError(f"{self._server.name}: {'; '.join(filter(None, words))}")
        return Made(**json.loads(line))


@contextmanager
def loading(server: Server, core: int, slots: int) -> Iterator[Load]:
    """Start the load on one CPU.

    :param slots: connections that it has open at a time.
    """
    with pinned(core):
        process = subprocess.Popen(
            [str(compiled(PROGRAM)), str(server.port), str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we stop the load
        )
    with process:
        try:
            yield Load(server, process)
        finally:
            stop(process)
