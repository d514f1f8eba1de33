"""The reactor netsuite-uv beside everything that one would use instead: every target in one run.

``twisted-uv`` and ``twisted`` are the same program of stock Twisted, on netsuite-uv and on
Twisted's own epoll reactor; ``netsuite`` and ``netsuite-epoll`` are netsuite's echo service on the
two. The parts are those of the other benchmarks: messages and new connections as in
:mod:`bench.echo` and :mod:`bench.limits`, the same messages under TLS, and memory as in
:mod:`bench.idle`.
"""

import argparse
import tempfile
from pathlib import Path

from bench import _options, idle
from bench._load import Workload
from bench._peers import PEERS, REFERENCE, under_tls
from bench._rounds import (
    NEW_CONNECTIONS,
    Contest,
    Heat,
    Results,
    add_peer_options,
    messages,
    write_json,
)
from bench._targets import Target, Verdict, verdict_table
from bench._tls import self_signed

SUMMARY = "the reactor netsuite-uv against stock Twisted, uvloop, gevent, eventlet and Node"

UV = "twisted-uv"
SMALL, LARGE = 1024, 65536

CONTEST = Contest(
    "reactor",
    REFERENCE,
    pairs=(
        (UV, "twisted"),
        (UV, "uvloop"),
        ("netsuite", "netsuite-epoll"),
    ),
    targets=(
        Target(UV, "twisted", least=2.2, most=0.45, sizes=(SMALL,)),
        Target(UV, "uvloop", least=0.95, sizes=(SMALL,)),
        Target(UV, "gevent", least=1.8, sizes=(SMALL,)),
        Target(UV, "eventlet", least=2.5, sizes=(SMALL,)),
        Target(UV, "node", least=1.0, sizes=(SMALL,)),
        Target(UV, "uvloop", least=0.95, sizes=(LARGE,)),
        Target(UV, "twisted", most=0.75, sizes=(LARGE,)),
        Target(UV, "twisted", least=1.0, kind="connections"),
        Target(UV, "twisted", least=1.3, kind="TLS"),
    ),
)

#: What an idle connection may take of the memory that it takes on Twisted's reactor.
MOST_MEMORY = 1.1
IDLE_PEERS = ("netsuite", "netsuite-epoll", UV, "twisted", "uvloop")

PARTS = ("messages", "connections", "tls", "memory")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_peer_options(parser, PEERS, (SMALL, LARGE))
    integer = _options.integer
    parser.add_argument(
        "--parts",
        type=_options.several(_options.one_of(PARTS)),
        default=list(PARTS),
        metavar="PART,...",
        help=f"default: {','.join(PARTS)}",
    )
    parser.add_argument(
        "--idle-connections",
        type=integer(idle.MAX_CONNECTIONS),
        default=10_000,
        help="of which memory is measured; default: 10000",
    )
    parser.add_argument(
        "--idle-rounds", type=integer(idle.MAX_ROUNDS), default=3, help="of that; default: 3"
    )


def run(options: argparse.Namespace) -> None:
    """Measure, print a table for each kind of work, and a line for each target.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    results = Results(CONTEST, options)
    memory = None
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for heat in _heats(options, Path(scratch)):
            results.add(heat)
    idle_peers = [name for name in IDLE_PEERS if name in options.peers]
    if "memory" in options.parts and idle_peers:
        memory = idle.measure(idle_peers, options.idle_rounds, options.idle_connections)
    print(results.report())
    if memory is not None:
        print(f"\n{memory.report()}")
    print(f"\n{verdict_table([*results.verdicts(), *_memory_verdicts(memory)])}")
    if options.json is not None:
        record = results.record()
        record["idle"] = [] if memory is None else memory.record()
        write_json(options.json, record)


def _heats(options: argparse.Namespace, scratch: Path) -> list[Heat]:
    plain: list[Workload] = messages(options) if "messages" in options.parts else []
    plain += [NEW_CONNECTIONS] if "connections" in options.parts else []
    heats = [Heat(PEERS, plain)] if plain else []
    if "tls" in options.parts:
        certificate = self_signed(scratch)
        file = str(certificate.public)
        work = [Workload(size, options.connections, certificate=file) for size in options.sizes]
        heats.append(Heat(under_tls(certificate), work))
    return heats


def _memory_verdicts(memory: idle.Results | None) -> list[Verdict]:
    silent, after = ([], []) if memory is None else memory.ratios(UV, "twisted")
    what = f"memory of an idle connection, {{}}, {UV} / twisted"
    return [
        Verdict(what.format("silent"), silent, MOST_MEMORY, is_most=True),
        Verdict(what.format("after a message"), after, MOST_MEMORY, is_most=True),
    ]
