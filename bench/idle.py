"""Memory that an open connection takes while nothing happens on it.

Each server runs alone, and anew in every round. Memory is what the process has written to and
shares with nobody: after a few connections have come and gone, with all of them open, and again
after a message there and back on each. What the kernel keeps for a socket is not in it: it is the
same for all of them.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench import _options
from bench._idle_client import BATCH, Crowd, Exchange, Processes, connect, crowd
from bench._machine import machine
from bench._peers import (
    PEERS,
    REFERENCE,
    Netsuite,
    Nginx,
    Peer,
    PythonPeer,
    commands_of,
    every_limit,
)
from bench._procs import Server, allow_descriptors, pinned, serving, two_cores
from bench._table import median_ratio, table

SUMMARY = "memory for each of 10,000 idle connections: netsuite, stock Twisted, asyncio, nginx"

ECHO = Exchange(b"x", b"x")
HTTP = Exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"idle\n")

MACHINE = "{cpu}, {kernel}, {python}"
COLUMNS = (
    "server",
    "bytes, silent",
    "bytes, after a message",
    f"silent / {REFERENCE}",
    f"after / {REFERENCE}",
)

MAX_ROUNDS = 100
MAX_CONNECTIONS = 12_000  # the limits of netsuite+limits are above it
SPARE_DESCRIPTORS = 256


@dataclass(frozen=True)
class IdlePeer:
    """A server, and how to talk to it.

    :ivar bare: the same with room for few connections, where the memory for all is taken at the
        start: what it has before is measured of this one.
    """

    peer: Peer
    message: Exchange = ECHO
    bare: Peer | None = None


@dataclass(frozen=True)
class Reading:
    """One server in one round: bytes for each connection."""

    peer: str
    round: int
    silent: float
    after: float


def _peers(scratch: Path, connections: int) -> dict[str, IdlePeer]:
    return {
        "netsuite": IdlePeer(PEERS["netsuite"]),
        "netsuite+limits": IdlePeer(Netsuite(every_limit(scratch))),
        "netsuite-epoll": IdlePeer(PEERS["netsuite-epoll"]),
        "twisted-uv": IdlePeer(PEERS["twisted-uv"]),
        "twisted": IdlePeer(PEERS["twisted"]),
        "asyncio": IdlePeer(PEERS["asyncio"]),
        "uvloop": IdlePeer(PEERS["uvloop"]),
        "asyncio-streams": IdlePeer(PythonPeer("echo_asyncio_streams")),
        "nginx": IdlePeer(
            # It closes idle connections when less than a sixteenth is left.
            Nginx(connections * 16 // 15 + SPARE_DESCRIPTORS, scratch),
            HTTP,
            Nginx(SPARE_DESCRIPTORS, scratch),
        ),
    }


NAMES = (
    *("netsuite", "netsuite+limits", "netsuite-epoll", "twisted-uv", "twisted"),
    *("asyncio", "uvloop", "asyncio-streams", "nginx"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    integer = _options.integer
    parser.add_argument("--rounds", type=integer(MAX_ROUNDS), default=3, help="default: 3")
    parser.add_argument(
        "--connections", type=integer(MAX_CONNECTIONS), default=10_000, help="default: 10000"
    )
    _options.add_peers_and_json(parser, NAMES)


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table.

    :raises BenchError: if a peer is missing, or does not do what it should.
    """
    results = measure(options.peers, options.rounds, options.connections)
    print(MACHINE.format(**results.machine))
    print("; ".join(dict.fromkeys(results.versions.values())))
    print(f"\n{results.report()}")
    if options.json is not None:
        record = {
            "benchmark": "idle",
            "machine": results.machine,
            "versions": results.versions,
            "options": {
                name: getattr(options, name) for name in ("rounds", "connections", "peers")
            },
            "readings": results.record(),
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


@dataclass(frozen=True)
class Results:
    """What was measured, and on what."""

    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    connections: int
    readings: list[Reading]

    def report(self) -> str:
        """Lay out a table."""
        scope = (
            f"{self.connections} idle connections, medians of {self.rounds} rounds, "
            "memory of the process for each"
        )
        names = dict.fromkeys(each.peer for each in self.readings)
        return "\n".join([scope, "", table(COLUMNS, [self._row(name) for name in names])])

    def record(self) -> list[dict[str, object]]:
        """Return every number, for a file."""
        return [asdict(reading) for reading in self.readings]

    def ratios(self, ours: str, reference: str) -> tuple[list[float], list[float]]:
        """Return what a peer takes of another's memory, round by round.

        :returns: silent, and after a message; empty when one of them did not take part.
        """
        pairs = list(zip(self._of(ours), self._of(reference), strict=False))
        silent = [one.silent / other.silent for one, other in pairs]
        return silent, [one.after / other.after for one, other in pairs]

    def _of(self, name: str) -> list[Reading]:
        return [each for each in self.readings if each.peer == name]

    def _row(self, name: str) -> list[str]:
        ours = self._of(name)
        silent, after = self.ratios(name, REFERENCE)
        return [
            name,
            f"{median(each.silent for each in ours):.0f}",
            f"{median(each.after for each in ours):.0f}",
            median_ratio(silent),
            median_ratio(after),
        ]


def measure(names: Sequence[str], rounds: int, connections: int) -> Results:
    """Measure some peers, one after the other, in every round.

    :raises BenchError: if a peer is missing, or does not do what it should.
    """
    allow_descriptors(connections + SPARE_DESCRIPTORS)
    readings = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        everyone = _peers(Path(scratch), connections)
        peers = {name: everyone[name] for name in names}
        commands_of({name: each.peer for name, each in peers.items()})
        versions = {name: each.peer.version() for name, each in peers.items()}
        for turn in range(1, rounds + 1):
            for name, peer in peers.items():
                print(f"memory, round {turn} of {rounds}: {name}", file=sys.stderr, flush=True)
                readings.append(_measure(name, peer, turn, connections))
    return Results(machine(two_cores()), versions, rounds, connections, readings)


def _measure(name: str, peer: IdlePeer, turn: int, connections: int) -> Reading:
    cores = two_cores()
    empty = None
    if peer.bare is not None:
        with serving(name, peer.bare.command(), cores.server) as server:
            empty = _warm(server, peer.message).memory()
    with pinned(cores.load), serving(name, peer.peer.command(), cores.server) as server:
        processes = _warm(server, peer.message)
        if empty is None:
            empty = processes.memory()
        with crowd(server, processes, connections) as clients:
            silent = processes.memory()
            clients.exchange(peer.message)
            after = processes.memory()
    return Reading(name, turn, (silent - empty) / connections, (after - empty) / connections)


def _warm(server: Server, message: Exchange) -> Processes:
    """Have a server do everything once, so that what is loaded for it is not measured."""
    with connect(server, 0) as first:
        Crowd(server, [first]).exchange(message)
        processes = Processes(server)  # all of them run now
        had = processes.descriptors() - 1
    processes.await_descriptors(had)
    with crowd(server, processes, BATCH) as clients:
        clients.exchange(message)
    return processes
