"""``netsuite.ip``: address sets, longest-prefix match, aggregation and grep, next to their peers.

All of it runs on one CPU, and CPU time is what is counted. Ours and the peer's turns alternate, in
random order, so that a slow second of the machine falls on both; the ratio is taken within each
round. The first round, which is counted like the others, compares every answer.
"""

import argparse
import gc
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench import _options
from bench._ip_cases import PEERS, Case, Work, cases, versions
from bench._ip_data import Data
from bench._ip_memory import LOADERS, bytes_each
from bench._machine import machine
from bench._procs import BenchError, Cores, pinned
from bench._table import table
from netsuite._version import __version__

SUMMARY = "netsuite.ip: sets, longest-prefix match, aggregation and grep, against their peers"

MACHINE = "{cpu}, {kernel}, {python}; CPU {server_cpu}"
COLUMNS = (
    "what",
    "ours us",
    "best us",
    "peer",
    "peer us",
    "peer / ours",
    "target",
    "met",
)
MEMORY_COLUMNS = ("memory", "bytes per prefix")

MAX_ROUNDS = 1000
MAX_PREFIXES = 4_000_000
SMALL = 20_000  # prefixes in a set for netaddr
MEDIUM = 100_000  # prefixes to aggregate; prefixes and lines of grep
QUERIES = 100_000


@dataclass(frozen=True)
class Result:
    """The rounds of one case, in microseconds for each operation."""

    what: str
    peer: str | None
    target: str
    met: bool | None
    ours_us: list[float]
    theirs_us: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times our time the peer took, round by round."""
        if not self.theirs_us:
            return []
        return [theirs / ours for ours, theirs in zip(self.ours_us, self.theirs_us, strict=True)]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    integer = _options.integer
    parser.add_argument("--rounds", type=integer(MAX_ROUNDS), default=5, help="default: 5")
    parser.add_argument(
        "--prefixes", type=integer(MAX_PREFIXES), default=1_000_000, help="default: 1000000"
    )
    _options.add_peers_and_json(parser, PEERS)


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table.

    :raises BenchError: if a peer is missing, or gives another answer than we do.
    """
    core = max(os.sched_getaffinity(0))
    about = machine(Cores(core, core))
    names = {"netsuite": f"netsuite {__version__}", **versions(options.peers)}
    with pinned(core), tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        memory = _memory(options.prefixes, options.peers, Path(scratch))
        data = Data.of(options.prefixes, SMALL, MEDIUM, QUERIES)
        results = [
            _measure(case, options.rounds) for case in cases(data, options.peers, Path(scratch))
        ]
    print(MACHINE.format(**about))
    print("; ".join(names.values()))
    print(f"\nMedians of {options.rounds} rounds, CPU time\n")
    print(table(COLUMNS, [_row(result) for result in results]))
    print()
    print(table(MEMORY_COLUMNS, [[kind, f"{each:.0f}"] for kind, each in memory.items()]))
    if options.json is not None:
        record = {
            "benchmark": "ip",
            "machine": about,
            "versions": names,
            "options": {name: getattr(options, name) for name in ("rounds", "prefixes", "peers")},
            "results": [{**asdict(result), "ratios": result.ratios} for result in results],
            "bytes_per_prefix": memory,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _memory(count: int, peers: Sequence[str], scratch: Path) -> dict[str, float]:
    """Measure what each structure takes, one process after the other."""
    path = scratch / "table"
    path.write_text("\n".join(Data.of(count, 1, 1, 1).prefixes))
    kinds = [kind for kind in LOADERS if kind not in PEERS or kind in peers]
    return {kind: bytes_each(kind, path) for kind in kinds}


def _measure(case: Case, rounds: int) -> Result:
    """Let ours and the peer take turns.

    :raises BenchError: if the answers differ.
    """
    print(f"{case.what}{f' / {case.peer}' if case.peer else ''}", file=sys.stderr, flush=True)
    works = {"ours": case.ours, **({"theirs": case.theirs} if case.theirs else {})}
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(rounds):
        answers = {}
        for name in random.Random(turn).sample(list(works), len(works)):
            answer, seconds = _timed(works[name], case)
            times[name].append(seconds / case.count * 1e6)
            if turn == 0:
                answers[name] = answer
            del answer
        if len(answers) == 2 and not case.compare(answers["ours"], answers["theirs"]):
            raise BenchError(f"{case.what}: {case.peer} gives another answer than netsuite")
    ours, theirs = times["ours"], times["theirs"]
    result = Result(case.what, case.peer, str(case.target or "-"), None, ours, theirs)
    if case.target is None:
        return result
    ratio = median(result.ratios) if theirs else None
    met = case.target.is_met(median(ours), ratio)
    return Result(case.what, case.peer, str(case.target), met, ours, theirs)


def _timed(work: Work, case: Case) -> tuple[object, float]:
    """The answer, and the CPU seconds that it took.

    All that exists before is kept from the garbage collector, which would go through
    it again and again on behalf of whoever makes many objects.
    """
    gc.collect()
    gc.freeze()
    try:
        start = case.clock()
        answer = work()
        return answer, case.clock() - start
    finally:
        gc.unfreeze()


def _row(result: Result) -> list[str]:
    return [
        result.what,
        f"{median(result.ours_us):.2f}",
        f"{min(result.ours_us):.2f}",
        result.peer or "-",
        f"{median(result.theirs_us):.2f}" if result.theirs_us else "-",
        f"{median(result.ratios):.2f}" if result.ratios else "-",
        result.target,
        {None: "-", True: "yes", False: "NO"}[result.met],
    ]
