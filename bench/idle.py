"""Memory that an open connection takes while nothing happens on it.

Each server runs alone, and anew in every round. Memory is what the process has written to and
shares with nobody: after a few connections have come and gone, with all of them open, and again
after a message there and back on each. What the kernel keeps for a socket is not in it: it is the
same for all of them.
"""

import argparse
import json
import resource
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
from bench._procs import BenchError, Server, pinned, serving, two_cores
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
        "twisted": IdlePeer(PEERS["twisted"]),
        "asyncio": IdlePeer(PEERS["asyncio"]),
        "asyncio-streams": IdlePeer(PythonPeer("echo_asyncio_streams")),
        "nginx": IdlePeer(
            # It closes idle connections when less than a sixteenth is left.
            Nginx(connections * 16 // 15 + SPARE_DESCRIPTORS, scratch),
            HTTP,
            Nginx(SPARE_DESCRIPTORS, scratch),
        ),
    }


NAMES = ("netsuite", "netsuite+limits", "twisted", "asyncio", "asyncio-streams", "nginx")


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
    _raise_descriptor_limit(options.connections + SPARE_DESCRIPTORS)
    about = machine(two_cores())
    readings = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        everyone = _peers(Path(scratch), options.connections)
        peers = {name: everyone[name] for name in options.peers}
        commands_of({name: each.peer for name, each in peers.items()})
        versions = {name: each.peer.version() for name, each in peers.items()}
        for turn in range(1, options.rounds + 1):
            for name, peer in peers.items():
                print(f"round {turn} of {options.rounds}: {name}", file=sys.stderr, flush=True)
                readings.append(_measure(name, peer, turn, options.connections))
    print(MACHINE.format(**about))
    print("; ".join(dict.fromkeys(versions.values())))
    print(
        f"\n{options.connections} idle connections, medians of {options.rounds} rounds, "
        "memory of the process for each\n"
    )
    print(table(COLUMNS, [_row(readings, name) for name in options.peers]))
    if options.json is not None:
        record = {
            "benchmark": "idle",
            "machine": about,
            "versions": versions,
            "options": {
                name: getattr(options, name) for name in ("rounds", "connections", "peers")
            },
            "readings": [asdict(reading) for reading in readings],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _raise_descriptor_limit(count: int) -> None:
    """Allow so many open files here and in the servers, which inherit it.

    :raises BenchError: if the system does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"{count} open files are needed, {hard} are allowed (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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


def _row(readings: Sequence[Reading], name: str) -> list[str]:
    ours = [each for each in readings if each.peer == name]
    theirs = [each for each in readings if each.peer == REFERENCE]
    pairs = list(zip(ours, theirs, strict=True)) if theirs else []
    return [
        name,
        f"{median(each.silent for each in ours):.0f}",
        f"{median(each.after for each in ours):.0f}",
        median_ratio([one.silent / other.silent for one, other in pairs]),
        median_ratio([one.after / other.after for one, other in pairs]),
    ]
