"""What peers that do not keep to the rules make a line server keep in memory.

One of them sends a line that has no end; whenever the server closes, it comes again. Others send
commands, or the shortest lines that are wrong, and read no replies; when the server takes no more,
or the time is over, they read, and each line that the server took has to be answered. All go on up
to a number of bytes.

Memory is what the process has written to and shares with nobody (``Private_Dirty``), and what it
has in memory (``RSS``). What is shown is by how much either was at most above what it was before
the flood, after a thousand commands of an ordinary peer.
"""

import argparse
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

from bench import _options
from bench._idle_client import Processes
from bench._line_peers import LINE_PEERS, REFERENCE
from bench._peers import commands_of
from bench._procs import BenchError, Server, pinned, serving, two_cores
from bench._table import size_name, table
from bench._targets import Verdict

PEERS = ("netsuite", "netsuite-epoll", REFERENCE)

COMMAND, WRONG = b"ADD 12 34\r\n", b"X\r\n"
ENDLESS, UNREAD = "a line without end", "commands, no reply read"
UNREAD_ERRORS = "wrong lines, no reply read"
COLUMNS = ("server", "flood", "sent MiB", "connections", "Private_Dirty MiB", "RSS MiB", "seconds")

MOST_MEMORY = 4.0
"""MiB that the memory of ours may grow by."""

MEBI = 1 << 20
PIECE = 1 << 16  # bytes sent at a time
EVERY = 0.02  # seconds from one look at the memory to the next
STALL = 1.0  # seconds without a byte taken: the server takes no more
PATIENCE = 30.0  # seconds without a byte of a reply that is due
WARM_UP = 1000  # commands


@dataclass(frozen=True)
class Flood:
    """One flood of one server.

    :ivar sent: bytes that were taken from us, by the server or its kernel.
    :ivar connections: it took so many.
    :ivar private: how much ``Private_Dirty`` grew at most, in bytes.
    :ivar resident: how much ``RSS`` grew at most, in bytes.
    """

    peer: str
    kind: str
    sent: int
    connections: int
    private: int
    resident: int
    seconds: float

    def row(self) -> list[str]:
        """Return the cells of a table's row."""
        return [
            self.peer,
            self.kind,
            f"{self.sent / MEBI:.1f}",
            str(self.connections),
            f"{self.private / MEBI:.2f}",
            f"{self.resident / MEBI:.2f}",
            f"{self.seconds:.1f}",
        ]


@dataclass(frozen=True)
class Floods:
    """All of them, and up to where they went."""

    size: int
    seconds: float
    floods: list[Flood]

    def report(self) -> str:
        """Lay out a table."""
        scope = (
            f"memory under floods of up to {size_name(self.size)} and {self.seconds:g} s, "
            "most that was above what it was before"
        )
        return "\n".join([scope, "", table(COLUMNS, [flood.row() for flood in self.floods])])

    def record(self) -> list[dict[str, object]]:
        """Return every number, for a file."""
        return [asdict(flood) for flood in self.floods]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--flood-size",
        type=_options.integer(1 << 40),
        default=1 << 30,
        metavar="BYTES",
        help="sent at most, of each kind to each server; default: a GiB",
    )
    parser.add_argument(
        "--flood-seconds",
        type=_options.seconds(600.0),
        default=30.0,
        help="that each takes at most; default: 30",
    )


def measure(options: argparse.Namespace) -> Floods:
    """Flood the chosen peers.

    :raises BenchError: if one is missing, or does not answer what it has taken.
    """
    cores = two_cores()
    chosen = {name: LINE_PEERS[name] for name in PEERS if name in options.peers}
    floods = []
    for name, command in commands_of(chosen).items():
        for kind, flood in FLOODS.items():
            print(f"{kind}: {name}", file=sys.stderr, flush=True)
            with pinned(cores.load), serving(name, command, cores.server) as server:
                watch = Watch(server)
                start = time.monotonic()
                flood(server, watch, options.flood_size, start + options.flood_seconds)
                taken = time.monotonic() - start
                grown = watch.private, watch.resident
                floods.append(Flood(name, kind, watch.sent, watch.connections, *grown, taken))
    return Floods(options.flood_size, options.flood_seconds, floods)


def verdicts(floods: Floods | None) -> list[Verdict]:
    """Say whether ours stay small."""
    found = []
    for name in PEERS[:2]:
        for kind in FLOODS:
            of_this = [] if floods is None else floods.floods
            reached = [it.private / MEBI for it in of_this if (it.peer, it.kind) == (name, kind)]
            what = f"memory in MiB, {kind}, {name}"
            found.append(Verdict(what, reached, MOST_MEMORY, is_most=True))
    return found


@dataclass
class Watch:
    """The memory of a server that is flooded.

    :ivar private: most growth that was seen, in bytes.
    :ivar resident: the same.
    :ivar sent: bytes, as the flood counts them.
    :ivar connections: the same.
    """

    server: Server
    private: int = 0
    resident: int = 0
    sent: int = 0
    connections: int = 0
    _next: float = 0.0
    _before: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        peer = Peer(self.server, COMMAND, lambda _: None)
        with peer.socket as sending:
            sending.sendall(COMMAND * WARM_UP)
            peer.expect(WARM_UP)
        self._processes = Processes(self.server)
        self._before = self._processes.memory(), self._processes.resident()

    def look(self, now: float) -> None:
        """Look at the memory, unless that has just been done."""
        if now >= self._next:
            self._next = now + EVERY
            self.private = max(self.private, self._processes.memory_now() - self._before[0])
            self.resident = max(self.resident, self._processes.resident() - self._before[1])


class Peer:
    """A peer that says one line again and again.

    :param line: what it says.
    :param seen: called after each piece that is read.
    """

    def __init__(self, server: Server, line: bytes, seen: Callable[[float], None]) -> None:
        self.line = line
        self._server = server
        self._seen = seen
        self.socket = _connect(server)
        self.socket.sendall(line)
        self._reply = self.socket.makefile("rb").readline()
        self._pattern = self._reply * (PIECE // len(self._reply) + 2)

    def expect(self, count: int) -> None:
        """Read so many replies.

        :raises BenchError: if they do not come, or are not what the first one was.
        """
        self.socket.settimeout(PATIENCE)
        wanted, had = count * len(self._reply), 0
        while had < wanted:
            try:
                data = self.socket.recv(min(PIECE, wanted - had))
            except OSError as error:
                data = str(error).encode()
            start = had % len(self._reply)
            if not data or data != self._pattern[start : start + len(data)]:
                at = f"behind {had // len(self._reply)} of {count} replies"
                raise BenchError(f"{self._server.name}: {data[:40]!r} {at}")
            had += len(data)
            self._seen(time.monotonic())


def endless(server: Server, watch: Watch, size: int, deadline: float) -> None:
    """Send a line without end, again and again."""
    piece = b"x" * PIECE
    while watch.sent < size and time.monotonic() < deadline:
        with _connect(server) as peer:
            watch.connections += 1
            try:
                while watch.sent < size and (now := time.monotonic()) < deadline:
                    watch.sent += peer.send(piece)
                    watch.look(now)
            except ConnectionError:
                pass  # the server has had enough
            except TimeoutError:
                raise BenchError(f"{server.name} neither takes a line nor closes") from None
    watch.look(deadline)


def unread(line: bytes, server: Server, watch: Watch, size: int, deadline: float) -> None:
    """Send lines until the server takes no more; then read."""
    piece = line * (PIECE // len(line) + 1)
    peer = Peer(server, line, watch.look)
    with peer.socket as sending:
        watch.connections += 1
        sending.setblocking(False)
        taken_at = now = time.monotonic()
        while watch.sent < size and now < deadline and now - taken_at < STALL:
            start = watch.sent % len(line)
            if select.select([], [sending], [], EVERY)[1]:
                watch.sent += sending.send(piece[start : start + PIECE])
                taken_at = time.monotonic()
            now = time.monotonic()
            watch.look(now)
        whole, rest = divmod(watch.sent, len(line))
        peer.expect(whole)
        if rest:
            sending.sendall(line[rest:])
            peer.expect(1)


FLOODS: dict[str, Callable[[Server, Watch, int, float], None]] = {
    ENDLESS: endless,
    UNREAD: partial(unread, COMMAND),
    UNREAD_ERRORS: partial(unread, WRONG),
}


def _connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)
