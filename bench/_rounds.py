"""Servers side by side: how many round trips each makes in a second, and at what cost.

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
from dataclasses import dataclass
from pathlib import Path

from bench import _options
from bench._load import Load, Measurement, Work, Workload, connected
from bench._machine import machine
from bench._peers import Peer, commands_of
from bench._procs import Server, serving, two_cores
from bench._samples import Sample, Summary, combine, ratios, summarise
from bench._table import median_ratio, spread, table
from bench._targets import Target, Verdict, verdict_table

SLICE_SECONDS = 0.1

MACHINE = (
    "{cpu}, {kernel}, {python}, TCP {congestion_control}; "
    "servers on CPU {server_cpu}, load on CPU {load_cpu}"
)

#: New connections under way at a time: below what a server lets wait (Twisted: 50).
NEW_CONNECTIONS = Workload(size=1024, connections=32, anew=True)

MAX_ROUNDS = 1000
MAX_SECONDS = 600.0
MAX_CONNECTIONS = 1000
MAX_SIZE = 1 << 24


@dataclass(frozen=True)
class Contest:
    """What is compared with what.

    :ivar name: of the benchmark.
    :ivar reference: the peer that ratios are taken to.
    :ivar pairs: peers of which the first is compared with the second, round by round.
    :ivar targets: what is demanded.
    """

    name: str
    reference: str
    pairs: tuple[tuple[str, str], ...]
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True)
class Heat:
    """Peers that run at the same time, each of which is given the same work.

    :ivar peers: by name.
    :ivar workloads: one after the other.
    """

    peers: Mapping[str, Peer]
    workloads: Sequence[Work]


def add_peer_options(
    parser: argparse.ArgumentParser, peers: Collection[str], sizes: Sequence[int] = (1024, 65536)
) -> None:
    """Declare the options of a benchmark of these peers.

    :param sizes: of messages, unless the command line says others.
    """
    add_round_options(parser, peers)
    add_connections_option(parser)
    parser.add_argument(
        "--sizes",
        type=_options.several(_options.integer(MAX_SIZE)),
        default=list(sizes),
        metavar="BYTES,...",
        help=f"of the messages; default: {','.join(map(str, sizes))}",
    )


def add_connections_option(parser: argparse.ArgumentParser) -> None:
    """Declare how many connections there are."""
    parser.add_argument(
        "--connections", type=_options.integer(MAX_CONNECTIONS), default=50, help="default: 50"
    )


def add_round_options(
    parser: argparse.ArgumentParser, peers: Collection[str], duration: float = 2.0
) -> None:
    """Declare the options that are the same whatever the peers do.

    :param duration: seconds of each peer in a round, unless the command line says others.
    """
    seconds = _options.seconds(MAX_SECONDS)
    parser.add_argument("--rounds", type=_options.integer(MAX_ROUNDS), default=7, help="default: 7")
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=duration,
        help=f"measured, per peer and round; default: {duration:g}",
    )
    parser.add_argument("--warmup", type=seconds, default=0.3, help="before them; default: 0.3")
    _options.add_peers_and_json(parser, peers)


def write_json(path: Path, record: Mapping[str, object]) -> None:
    """Write every number of a run."""
    path.write_text(json.dumps(record, indent=1) + "\n")


def messages(options: argparse.Namespace) -> list[Workload]:
    """The work that the options say: messages of each size."""
    return [Workload(size, options.connections) for size in options.sizes]


class Results:
    """What was measured, and on what.

    :ivar samples: all of them.
    :ivar workloads: in the order in which they were done.
    """

    def __init__(self, contest: Contest, options: argparse.Namespace) -> None:
        self.samples: list[Sample] = []
        self.workloads: list[Work] = []
        self._contest = contest
        self._options = options
        self._machine = machine(two_cores())
        self._versions: dict[str, str] = {}
        self._summaries: list[Summary] = []

    def add(self, heat: Heat) -> None:
        """Measure the chosen peers of a heat.

        :raises BenchError: if a peer is missing, or a server or the load fails.
        """
        cores = two_cores()
        chosen = {name: peer for name, peer in heat.peers.items() if name in self._options.peers}
        commands = commands_of(chosen)
        self._versions |= {name: peer.version() for name, peer in chosen.items()}
        with ExitStack() as stack:
            servers = [
                stack.enter_context(serving(name, command, cores.server))
                for name, command in commands.items()
            ]
            samples = _measure(self._options, heat.workloads, servers, cores.load)
        self.samples += samples
        self.workloads += heat.workloads
        self._summaries += [
            summarise(samples, workload, peer, self._contest.reference)
            for workload in heat.workloads
            for peer in chosen
        ]

    def verdicts(self) -> list[Verdict]:
        """Say which targets are reached."""
        targets = self._contest.targets
        return [it for each in targets for it in each.verdicts(self.samples, self.workloads)]

    def report(self) -> str:
        """Lay out what it ran on, and a table for each kind of work."""
        versions = "; ".join(dict.fromkeys(self._versions.values()))
        parts = [f"{MACHINE.format(**self._machine)}\n{versions}"]
        for workload in self.workloads:
            of_this = [summary for summary in self._summaries if summary.workload == workload]
            parts.append(_report(self._options, self._contest.reference, workload, of_this))
            parts.append("\n".join(self._by_round(workload)))
        return "\n\n".join(filter(None, parts))

    def _by_round(self, workload: Work) -> Iterator[str]:
        for ours, reference in self._contest.pairs:
            rates = ratios(self.samples, workload, ours, reference, "throughput")
            costs = ratios(self.samples, workload, ours, reference, "CPU")
            if rates:
                words = f"throughput {spread(rates)}; CPU {spread(costs)}"
                yield f"{ours} / {reference}, by round: {words}"

    def record(self) -> dict[str, object]:
        """Return every number, for a file."""
        return {
            "benchmark": self._contest.name,
            "machine": self._machine,
            "versions": self._versions,
            "options": {
                name: value
                for name, value in vars(self._options).items()
                if name not in {"json", "run"}
            },
            "summaries": [summary.record() for summary in self._summaries],
            "samples": [sample.record() for sample in self.samples],
        }


def compare(options: argparse.Namespace, contest: Contest, heat: Heat) -> None:
    """Measure, and print a table for each kind of work and a line for each target.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    results = Results(contest, options)
    results.add(heat)
    print(results.report())
    if verdicts := results.verdicts():
        print(f"\n{verdict_table(verdicts)}")
    if options.json is not None:
        write_json(options.json, results.record())


def _measure(
    options: argparse.Namespace,
    workloads: Sequence[Work],
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
                progress = f"{workload.title}, round {turn} of {options.rounds}"
                print(progress, file=sys.stderr, flush=True)
                measured = _round(loads, options.seconds, random.Random(turn))
                samples += [Sample(workload, turn, peer, it) for peer, it in measured.items()]
    return samples


@contextmanager
def _warm(server: Server, core: int, workload: Work, seconds: float) -> Iterator[Load]:
    """Connect to a server that has worked before.

    The first connections to come and go change how a process allocates memory: a read of asyncio
    costs half as much afterwards. No server stays fresh, so that is not what we measure.
    """
    workload.prepare(server)
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


def _report(
    options: argparse.Namespace,
    reference: str,
    workload: Work,
    summaries: Sequence[Summary],
) -> str:
    """Lay out what one kind of work came to."""
    columns = (
        "peer",
        f"{workload.unit}/s",
        "CPU us each",
        f"rate / {reference}",
        f"CPU / {reference}",
        "p99 us",
        "server busy",
        "load busy",
    )
    scope = f"{workload.title}, {options.rounds} rounds of {options.seconds:g} s"
    return "\n".join([scope, "", table(columns, [_row(summary) for summary in summaries])])


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
