"""Echo servers side by side: how many round trips each makes in a second, and at what cost.

The servers live through the whole run on one CPU; the load runs on another and goes from one to the
next every tenth of a second. A machine that others use changes its speed from one second to the
next: this way it changes for all of them.
"""

import argparse
import json
import random
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from statistics import median

from bench import _options
from bench._load import Load, Measurement, Workload, connected
from bench._machine import machine
from bench._peers import Peer, commands_of
from bench._procs import Server, serving, two_cores
from bench._samples import Sample, Summary, combine, summarise
from bench._table import median_ratio, size_name, spread, table

SLICE_SECONDS = 0.1

MACHINE = (
    "{cpu}, {kernel}, {python}, TCP {congestion_control}; "
    "servers on CPU {server_cpu}, load on CPU {load_cpu}"
)

MAX_ROUNDS = 1000
MAX_SECONDS = 600.0
MAX_CONNECTIONS = 1000
MAX_SIZE = 1 << 24


@dataclass(frozen=True)
class Contest:
    """What is compared with what.

    :ivar name: of the benchmark.
    :ivar ours: the peer whose ratios are shown round by round.
    :ivar reference: the peer that ratios are taken to.
    :ivar target: the least that our throughput may be of the reference's; None for any.
    """

    name: str
    ours: str
    reference: str
    target: float | None = None


def add_peer_options(
    parser: argparse.ArgumentParser, peers: Collection[str], sizes: Sequence[int] = (1024, 65536)
) -> None:
    """Declare the options of a benchmark of these peers.

    :param sizes: of messages, unless the command line says others.
    """
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
        default=list(sizes),
        metavar="BYTES,...",
        help=f"of the messages; default: {','.join(map(str, sizes))}",
    )
    _options.add_peers_and_json(parser, peers)


def messages(options: argparse.Namespace) -> list[Workload]:
    """The work that the options say: messages of each size."""
    return [Workload(size, options.connections) for size in options.sizes]


def compare(
    options: argparse.Namespace,
    contest: Contest,
    peers: Mapping[str, Peer],
    workloads: Sequence[Workload],
) -> None:
    """Measure the chosen peers, and print a table for each kind of work.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    cores = two_cores()
    chosen = {name: peers[name] for name in options.peers}
    commands = commands_of(chosen)
    about = machine(cores)
    versions = {name: peer.version() for name, peer in chosen.items()}
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(name, command, cores.server))
            for name, command in commands.items()
        ]
        samples = _measure(options, workloads, servers, cores.load)
    summaries = [
        summarise(samples, workload, peer, contest.reference)
        for workload in workloads
        for peer in chosen
    ]
    print(MACHINE.format(**about))
    print("; ".join(dict.fromkeys(versions.values())))
    for workload in workloads:
        of_this = [summary for summary in summaries if summary.workload == workload]
        print(f"\n{_report(options, contest, workload, of_this)}")
    if options.json is not None:
        record = {
            "benchmark": contest.name,
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


def _measure(
    options: argparse.Namespace,
    workloads: Sequence[Workload],
    servers: Sequence[Server],
    core: int,
) -> list[Sample]:
    """Take a sample of every server, at every kind of work, in every round.

    :param core: the CPU of the load.
    """
    samples = []
    for workload in workloads:
        with ExitStack() as stack:
            loads = {
                server.name: stack.enter_context(_warm(server, core, workload, options.warmup))
                for server in servers
            }
            for turn in range(1, options.rounds + 1):
                progress = f"{_title(workload)}, round {turn} of {options.rounds}"
                print(progress, file=sys.stderr, flush=True)
                measured = _round(loads, options.seconds, random.Random(turn))
                samples += [Sample(workload, turn, peer, it) for peer, it in measured.items()]
    return samples


@contextmanager
def _warm(server: Server, core: int, workload: Workload, seconds: float) -> Iterator[Load]:
    """Connect to a server that has worked before.

    The first connections to come and go change how a process allocates memory: a read of asyncio
    costs half as much afterwards. No server stays fresh, so that is not what we measure.
    """
    with connected(server, core, workload) as load:
        load.run(seconds)
    with connected(server, core, workload) as load:
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


def _title(workload: Workload) -> str:
    if workload.anew:
        message = f"a {size_name(workload.size)} message on each"
        return f"new connections, {workload.connections} at a time, {message}"
    return f"{size_name(workload.size)} messages, {workload.connections} connections"


def _report(
    options: argparse.Namespace,
    contest: Contest,
    workload: Workload,
    summaries: Sequence[Summary],
) -> str:
    """Lay out what one kind of work came to."""
    columns = (
        "peer",
        "connections/s" if workload.anew else "round trips/s",
        "CPU us each",
        f"rate / {contest.reference}",
        f"CPU / {contest.reference}",
        "p99 us",
        "server busy",
        "load busy",
    )
    scope = f"{_title(workload)}, {options.rounds} rounds of {options.seconds:g} s"
    lines = [scope, "", table(columns, [_row(summary) for summary in summaries])]
    for summary in summaries:
        if summary.peer == contest.ours and summary.rate_ratios:
            lines += ["", *_verdict(contest, summary)]
    return "\n".join(lines)


def _verdict(contest: Contest, summary: Summary) -> Iterator[str]:
    rates, costs = spread(summary.rate_ratios), spread(summary.cost_ratios)
    ratio = f"{contest.ours} / {contest.reference}"
    yield f"{ratio}, by round: throughput {rates}; CPU {costs}"
    if contest.target is not None and not summary.workload.anew:
        met = "yes" if median(summary.rate_ratios) >= contest.target else "NO"
        yield f"{ratio}: throughput >= {contest.target:g}: {met}"


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
