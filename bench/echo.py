"""TCP echo: how many round trips a server makes in a second, and what each one costs it.

Every connection has one message in flight. The servers live through the whole run on one CPU; the
load runs on another and goes from one to the next every tenth of a second. A machine that others
use changes its speed from one second to the next: this way it changes for all of them.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from bench import _options
from bench._load import Load, Measurement, connected
from bench._machine import machine
from bench._peers import PEERS, REFERENCE
from bench._procs import BenchError, Server, serving, two_cores
from bench._samples import Sample, Summary, combine, summarise
from bench._table import median_ratio, size_name, spread, table

SUMMARY = "TCP echo on 127.0.0.1: throughput and CPU time of netsuite and its peers"

OURS = "netsuite"
SLICE_SECONDS = 0.1

MACHINE = (
    "{cpu}, {kernel}, {python}, TCP {congestion_control}; "
    "servers on CPU {server_cpu}, load on CPU {load_cpu}"
)
COLUMNS = (
    "peer",
    "round trips/s",
    "CPU us each",
    f"rate / {REFERENCE}",
    f"CPU / {REFERENCE}",
    "p99 us",
    "server busy",
    "load busy",
)

MAX_ROUNDS = 1000
MAX_SECONDS = 600.0
MAX_CONNECTIONS = 1000
MAX_SIZE = 1 << 24


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    integer, seconds = _options.integer, _options.seconds(MAX_SECONDS)
    parser.add_argument("--rounds", type=integer(MAX_ROUNDS), default=7, help="default: 7")
    parser.add_argument(
        "--seconds", type=seconds, default=2.0, help="measured, per peer and round; default: 2"
    )
    parser.add_argument("--warmup", type=seconds, default=0.3, help="before them; default: 0.3")
    parser.add_argument(
        "--connections", type=integer(MAX_CONNECTIONS), default=50, help="default: 50"
    )
    parser.add_argument(
        "--sizes",
        type=_options.several(integer(MAX_SIZE)),
        default=[1024, 65536],
        metavar="BYTES,...",
        help="of the messages; default: 1024,65536",
    )
    _options.add_peers_and_json(parser, PEERS)


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each message size.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    cores = two_cores()
    commands = _commands(options.peers)
    about = machine(cores)
    versions = {name: PEERS[name].version() for name in options.peers}
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(name, command, cores.server))
            for name, command in commands.items()
        ]
        samples = _measure(options, servers, cores.load)
    summaries = [
        summarise(samples, size, peer, REFERENCE)
        for size in options.sizes
        for peer in options.peers
    ]
    print(MACHINE.format(**about))
    print("; ".join(versions.values()))
    for size in options.sizes:
        chosen = [summary for summary in summaries if summary.size == size]
        print(f"\n{_report(options, size, chosen)}")
    if options.json is not None:
        record = {
            "benchmark": "echo",
            "machine": about,
            "versions": versions,
            "options": {
                name: getattr(options, name)
                for name in ("rounds", "seconds", "warmup", "connections", "sizes", "peers")
            },
            "summaries": [asdict(summary) for summary in summaries],
            "samples": [sample.record() for sample in samples],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _commands(names: Sequence[str]) -> dict[str, list[str]]:
    """Prepare the peers.

    :raises BenchError: with a line for each that is missing.
    """
    commands, missing = {}, []
    for name in names:
        try:
            commands[name] = PEERS[name].command()
        except BenchError as error:
            missing.append(f"{name}: {error}")
    if missing:
        raise BenchError("\nbench: ".join([*missing, "or choose other peers with --peers"]))
    return commands


def _measure(options: argparse.Namespace, servers: Sequence[Server], core: int) -> list[Sample]:
    """Take a sample of every server, at every size, in every round.

    :param core: the CPU of the load.
    """
    samples = []
    for size in options.sizes:
        with ExitStack() as stack:
            loads = {
                server.name: stack.enter_context(
                    _warm(server, core, options.connections, size, options.warmup)
                )
                for server in servers
            }
            for turn in range(1, options.rounds + 1):
                progress = f"{size_name(size)}, round {turn} of {options.rounds}"
                print(progress, file=sys.stderr, flush=True)
                measured = _round(loads, options.seconds, random.Random(turn))
                samples += [Sample(size, turn, peer, it) for peer, it in measured.items()]
    return samples


@contextmanager
def _warm(server: Server, core: int, connections: int, size: int, seconds: float) -> Iterator[Load]:
    """Connect to a server that has worked before.

    The first connections to come and go change how a process allocates memory: a read of asyncio
    costs half as much afterwards. No server stays fresh, so that is not what we measure.
    """
    with connected(server, core, connections, size) as load:
        load.run(seconds)
    with connected(server, core, connections, size) as load:
        load.run(seconds)
        yield load


def _round(
    loads: Mapping[str, Load], seconds: float, order: random.Random
) -> dict[str, Measurement]:
    """Keep every server busy for some seconds, a slice at a time."""
    count = max(1, round(seconds / SLICE_SECONDS))
    slices: dict[str, list[Measurement]] = {name: [] for name in loads}
    for _ in range(count):
        for name in order.sample(list(loads), len(loads)):
            slices[name].append(loads[name].run(seconds / count))
    return {name: combine(parts) for name, parts in slices.items()}


def _report(options: argparse.Namespace, size: int, summaries: Sequence[Summary]) -> str:
    """Lay out what one message size came to."""
    scope = (
        f"{size_name(size)} messages, {options.connections} connections, "
        f"{options.rounds} rounds of {options.seconds:g} s"
    )
    lines = [scope, "", table(COLUMNS, [_row(summary) for summary in summaries])]
    for summary in summaries:
        if summary.peer == OURS and summary.rate_ratios:
            rates, costs = spread(summary.rate_ratios), spread(summary.cost_ratios)
            lines += ["", f"{OURS} / {REFERENCE}, by round: throughput {rates}; CPU {costs}"]
    return "\n".join(lines)


def _row(summary: Summary) -> list[str]:
    return [
        summary.peer,
        f"{summary.round_trips_per_second:.0f}",
        f"{summary.cpu_us_per_round_trip:.2f}",
        median_ratio(summary.rate_ratios),
        median_ratio(summary.cost_ratios),
        f"{summary.latency_p99_us:.0f}",
        f"{summary.server_cpu_share:.0%}",
        f"{summary.load_cpu_share:.0%}",
    ]
