"""Connections that do nothing, and the memory of the server that has them."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from bench._procs import BenchError, Server

#: Each connection comes from an address of its own, from this one on: for a server that counts by
#: client each is another client.
FIRST_SOURCE = IPv4Address("127.1.0.1")

#: Connections made at a time: fewer than any server lets wait (Twisted: 50).
BATCH = 32

PATIENCE = 10.0  # seconds for a connection, an answer or a batch
STEADY_SECONDS = 0.2

_BIND_ADDRESS_NO_PORT = 24  # <linux/in.h>: connect() chooses the port


@dataclass(frozen=True)
class Exchange:
    """One message there and back."""

    request: bytes
    end: bytes
    """Of the answer."""


class Processes:
    """The processes of a server: one, or one and its children."""

    def __init__(self, server: Server) -> None:
        self._name = server.name
        # A server leads a session of its own.
        self._directories = [
            path
            for path in Path("/proc").iterdir()
            if path.name.isdecimal() and _session(int(path.name)) == server.process.pid
        ]

    def descriptors(self) -> int:
        """How many file descriptors they have open."""
        return sum(_count_entries(directory / "fd") for directory in self._directories)

    def await_descriptors(self, count: int) -> None:
        """Wait until they have so many open.

        :raises BenchError: if they never do.
        """
        deadline = time.monotonic() + PATIENCE
        while (found := self.descriptors()) != count:
            if time.monotonic() > deadline:
                raise BenchError(f"{self._name} has {found} open files: expected {count}")

    def memory(self) -> int:
        """Bytes that they have written to and share with nobody, once that is steady.

        :raises BenchError: if it never is.
        """
        deadline = time.monotonic() + PATIENCE
        before = -1
        while (now := self.memory_now()) != before:
            if time.monotonic() > deadline:
                raise BenchError(f"{self._name}: its memory changes though nothing happens")
            before = now
            time.sleep(STEADY_SECONDS)
        return now

    def memory_now(self) -> int:
        """The same at this moment."""
        return self._rollup("Private_Dirty")

    def resident(self) -> int:
        """Bytes that they have in memory, what they share included: their RSS."""
        return self._rollup("Rss")

    def _rollup(self, name: str) -> int:
        return sum(_mapped(directory, name) for directory in self._directories)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _count_entries(descriptors: Path) -> int:
    # Linux 6.2 and later say it at once.
    return descriptors.stat().st_size or sum(1 for _ in descriptors.iterdir())


def _mapped(process: Path, name: str) -> int:
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"{process}/smaps_rollup does not say {name}")


class Crowd:
    """Connections to a server."""

    def __init__(self, server: Server, sockets: list[socket.socket]) -> None:
        self._server = server
        self._sockets = sockets

    def exchange(self, message: Exchange) -> None:
        """Send a message on every connection, one after the other, and wait for its answer.

        :raises BenchError: if there is none.
        """
        for index, connection in enumerate(self._sockets):
            answer = b""
            try:
                connection.sendall(message.request)
                while not answer.endswith(message.end):
                    more = connection.recv(4096)
                    if not more:
                        raise BenchError(f"{self._server.name} closed connection {index}")
                    answer += more
            except OSError as error:
                raise BenchError(f"{self._server.name}: connection {index}: {error}") from None


@contextmanager
def crowd(server: Server, processes: Processes, count: int) -> Iterator[Crowd]:
    """Connect so many times, no faster than the server accepts; close at the end."""
    had = processes.descriptors()
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for done in range(0, count, BATCH):
            batch = range(done, min(done + BATCH, count))
            sockets += [stack.enter_context(connect(server, index)) for index in batch]
            processes.await_descriptors(had + len(sockets))
        yield Crowd(server, sockets)
    processes.await_descriptors(had)


def connect(server: Server, index: int) -> socket.socket:
    """Make one connection.

    :param index: where its address is, from :data:`FIRST_SOURCE`.
    :raises BenchError: if it cannot be made.
    """
    connection = socket.socket()
    try:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        connection.bind((str(FIRST_SOURCE + index), 0))
        connection.connect(("127.0.0.1", server.port))
    except OSError as error:
        connection.close()
        raise BenchError(f"{server.name}: connection {index}: {error}") from None
    return connection
