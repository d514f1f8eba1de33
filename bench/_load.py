"""Load generators, each run on a CPU of its own; :file:`load.c` is the first of them."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bench._compile import Program, compiled
from bench._procs import BenchError, Server, cpu_seconds, pinned, stop
from bench._table import size_name

_SOURCE = Path(__file__).with_name("load.c")
_PLAIN = Program(_SOURCE)
_UNDER_TLS = Program(_SOURCE, "load_tls", ("TLS",), ("ssl", "crypto"), "libssl-dev")

Kind = Literal["messages", "TLS", "connections"]
"""Messages on connections that stay, plain or under TLS; new connections, a message on each."""


class Work(Protocol):
    """What a server is to do."""

    @property
    def short(self) -> str:
        """What it is called in a line about a target."""

    @property
    def title(self) -> str:
        """What it is called above a table."""

    @property
    def unit(self) -> str:
        """What is counted."""

    def prepare(self, server: Server) -> None:
        """Have the server know what it has to know before the load comes."""

    def command(self, port: int) -> list[str]:
        """Return the command line of the load.

        :param port: of the server.
        :raises BenchError: if it cannot be compiled.
        """

    def record(self) -> dict[str, object]:
        """Return what there is to know about it afterwards."""


@dataclass(frozen=True)
class Workload:
    """Messages that come back."""

    size: int
    """Bytes of a message."""

    connections: int
    """Open at a time, each with one message in flight."""

    anew: bool = False
    """Whether each message has a new connection, which is closed after it."""

    certificate: str | None = None
    """The server's, a file in PEM: the connections are under TLS, and stay."""

    @property
    def kind(self) -> Kind:
        """What is done, whatever its size."""
        if self.certificate is not None:
            return "TLS"
        return "connections" if self.anew else "messages"

    @property
    def short(self) -> str:
        """The kind, and the size."""
        return short_title(self.kind, self.size)

    @property
    def title(self) -> str:
        """The same, with how many at a time."""
        if self.anew:
            message = f"a {size_name(self.size)} message on each"
            return f"new connections, {self.connections} at a time, {message}"
        return f"{self.short}, {self.connections} connections"

    @property
    def unit(self) -> str:
        """Messages there and back, or whole connections."""
        return "connections" if self.anew else "round trips"

    def prepare(self, server: Server) -> None:
        """Nothing has to be known."""

    def command(self, port: int) -> list[str]:
        """Return the command line of :file:`load.c`."""
        arguments: list[object] = [port, self.connections, self.size]
        if self.certificate is not None:
            program = _UNDER_TLS
            arguments.append(self.certificate)
        else:
            program = _PLAIN
            arguments += ["anew"] if self.anew else []
        return [str(compiled(program)), *map(str, arguments)]

    def record(self) -> dict[str, object]:
        """Return what there is to know about it afterwards."""
        return {"kind": self.kind, "size": self.size, "connections": self.connections}


def short_title(kind: Kind, size: int | None) -> str:
    """Name a kind of work in a few words."""
    if kind == "connections":
        return "new connections"
    words = "messages under TLS" if kind == "TLS" else "messages"
    return words if size is None else f"{size_name(size)} {words}"


@dataclass(frozen=True)
class Measurement:
    """What a server did under load. CPU times are of the same time as the round trips.

    With new connections a round trip is a whole one: from connecting to the end from both sides.
    """

    round_trips: int
    elapsed_seconds: float
    server_cpu_seconds: float
    load_cpu_seconds: float
    latency_mean_us: float
    latency_p50_us: float
    latency_p99_us: float


@dataclass(frozen=True)
class Load:
    """Open connections to a server, idle until they are told to run."""

    server: Server
    process: subprocess.Popen[str]

    def run(self, seconds: float) -> Measurement:
        """Keep every connection busy, and wait for what is in flight in the end.

        The server is idle before and after, so its CPU account is exact at both ends.

        :raises BenchError: if a connection breaks, stalls, or brings back wrong bytes.
        """
        orders, reports = self.process.stdin, self.process.stdout
        if orders is None or reports is None:
            raise ValueError("the load generator was started without pipes")
        before = cpu_seconds(self.server.process.pid)
        with suppress(BrokenPipeError):  # its complaint is there to be read
            orders.write(f"{seconds}\n")
            orders.flush()
        line = reports.readline()
        if not line.startswith("{"):
            words = line.strip() or "the load generator died", self.server.last_words()
            raise BenchError(f"{self.server.name}: {'; '.join(filter(None, words))}")
        after = cpu_seconds(self.server.process.pid)
        return Measurement(server_cpu_seconds=after - before, **json.loads(line))


@contextmanager
def connected(server: Server, core: int, work: Work) -> Iterator[Load]:
    """Connect to a server from one CPU."""
    with pinned(core):
        process = subprocess.Popen(
            work.command(server.port),
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
