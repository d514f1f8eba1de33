"""Requests that are answered in order, as work for a server: :file:`load_lines.c`."""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench._compile import Program, compiled
from bench._procs import BenchError, Server

_LOAD = Program(Path(__file__).with_name("load_lines.c"))
_LENGTHS = struct.Struct("=II")

PATIENCE = 10.0  # seconds for all that is prepared


class Exchange(NamedTuple):
    """A request, and the one right reply."""

    request: bytes
    reply: bytes


@dataclass(frozen=True)
class Dialogue:
    """Requests that every connection makes, again and again.

    :ivar name: of the requests.
    :ivar depth: how many a connection has in flight.
    :ivar connections: open at a time.
    :ivar script: a file of :func:`write_script`, of at least as many as are in flight.
    :ivar before: what is said to a server before the load comes.
    """

    name: str
    depth: int
    connections: int
    script: Path
    before: tuple[Exchange, ...] = ()

    @property
    def short(self) -> str:
        """What is asked, and how many at a time."""
        return short_name(self.name, self.depth)

    @property
    def title(self) -> str:
        """The same, with the connections."""
        return f"{self.short}, {self.connections} connections"

    @property
    def unit(self) -> str:
        """Requests."""
        return "requests"

    def prepare(self, server: Server) -> None:
        """Say what comes before.

        :raises BenchError: if a reply is not the right one.
        """
        if not self.before:
            return
        try:
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
                replies = connection.makefile("rb")
                for request, reply in self.before:
                    connection.sendall(request)
                    found = replies.read(len(reply))
                    if found != reply:
                        raise BenchError(f"{server.name} answers {found!r}: expected {reply!r}")
        except OSError as error:
            raise BenchError(f"{server.name}: {server.last_words() or error}") from None

    def command(self, port: int) -> list[str]:
        """Return the command line of :file:`load_lines.c`."""
        arguments = (port, self.connections, self.depth, self.script)
        return [str(compiled(_LOAD)), *map(str, arguments)]

    def record(self) -> dict[str, object]:
        """Return what there is to know about it afterwards."""
        return {"kind": self.name, "depth": self.depth, "connections": self.connections}


def short_name(name: str, depth: int) -> str:
    """Name requests and how many of them are in flight."""
    return f"{name}, {depth} in flight"


def write_script(path: Path, exchanges: Sequence[Exchange]) -> None:
    """Write a file for the load."""
    with path.open("wb") as file:
        for request, reply in exchanges:
            file.write(_LENGTHS.pack(len(request), len(reply)) + request + reply)
