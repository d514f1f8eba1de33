"""A soak of a reactor: connections that end in every way there is, and what they leave behind.

The server (``peers/soak_twisted.py``) runs on one CPU, the load (``soak.c``) on another. Each side
checks the other: the load that every connection ends as it should, the server that each one that
it has been told of is lost exactly once, and for the right reason. Meanwhile nothing may grow:
neither descriptors nor memory nor objects.

Before that, twenty connections that are held by back-pressure are reset by their clients, with data
that the server has not read: it must be told of the end of all twenty.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from bench import _options
from bench._machine import machine
from bench._procs import BenchError, Cores, allow_descriptors, serving, two_cores
from bench._soaking import Count, Made, Orders, State, loading, reset_while_waiting
from bench._table import table

SUMMARY = "a million connections that end in every way there is: nothing may be lost or left over"

MACHINE = "{cpu}, {kernel}, {python}; server on CPU {server_cpu}, load on CPU {load_cpu}"

MAX_CONNECTIONS = 100_000_000
MAX_SLOTS = 4096
SPARE_DESCRIPTORS = 256
WARM_UP = 20_000  # connections, at most
PARTS = 10  # of a run

#: Connections that are reset while they are held. Those whose clients do not read are noticed by
#: themselves, those that are paused when they are resumed.
HELD = 20
HELD_KINDS = {20: "held until told", 21: "choked"}

#: What the server may be told when a connection of a kind ends. A client of its own ends in three
#: ways.
REASONS = {
    "close": {"ConnectionDone"},
    "half-close": {"ConnectionDone"},
    "reset": {"ConnectionLost"},
    "reset, unread data": {"ConnectionLost"},
    "reset, held": {"ConnectionLost"},
    "timeout": {"ConnectionDone"},
    "abort": {"ConnectionAborted"},
    "own client": {"ConnectionDone"},
    "held until told": {"ConnectionLost"},
    "choked": {"ConnectionLost"},
    "from own client": {"ConnectionDone", "ConnectionLost"},
    "own": {"ConnectionDone", "ConnectionAborted"},
}

#: Both sides of the connections that the server makes to itself.
OWN_KINDS = ("own", "from own client")

#: What may be left over: caches fill, and memory is in pieces.
SPARE_OBJECTS = 20
SPARE_MEMORY = 1 << 20
MEMORY_PER_CONNECTION = 2.0  # bytes; the least that a leak of one object takes is 16


@dataclass(frozen=True)
class Finding:
    """A line of the report: what was found, whether it is good, and more for when it is not."""

    what: str
    found: str
    is_good: bool
    detail: str = ""


@dataclass
class Outcome:
    """What came of it.

    :ivar made: connections by kind, as the load has counted.
    :ivar counted: by the server.
    :ivar states: after the warm-up and after each part.
    :ivar lost: of :data:`HELD` connections that were reset while they were held, by kind.
    """

    made: Counter[str] = field(default_factory=Counter)
    counted: Count = field(default_factory=lambda: Count({}))
    states: list[State] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    elapsed_seconds: float = 0.0
    load_cpu_seconds: float = 0.0

    @property
    def connections(self) -> int:
        """How many there were since the warm-up, without those of the server's own."""
        return self.states[-1].connections - self.states[0].connections

    def add(self, made: Made) -> None:
        """Add what the load has done; what it did first was the warm-up."""
        if self.made:
            self.elapsed_seconds += made.elapsed_seconds
            self.load_cpu_seconds += made.load_cpu_seconds
        self.made.update(made.connections)

    def is_quiet(self, count: Count) -> bool:
        """Whether the server has seen everything that the load has made come and go."""
        tallies = count.tallies
        kinds = [*self.made, *OWN_KINDS]
        return (
            not count.pending
            and all(tallies[name].lost == tallies[name].made for name in kinds)
            and all(tallies[name].made >= made for name, made in self.made.items())
        )

    def record(self) -> dict[str, object]:
        """Return every number, for a file."""
        return {
            **vars(self),
            "counted": asdict(self.counted),
            "states": [asdict(state) for state in self.states],
            "findings": [asdict(each) for each in self.findings()],
        }

    def faults(self) -> list[str]:
        """Name everything that is not as it should be."""
        return [
            f"{each.what}: {each.found} {each.detail}".strip()
            for each in self.findings()
            if not each.is_good
        ]

    def findings(self) -> Iterator[Finding]:
        """Say what was found and whether it is good."""
        for name, lost in self.lost.items():
            yield Finding(f"{name}, reset: told of the end", f"{lost} of {HELD}", lost == HELD)
        tallies = self.counted.tallies
        seen = Counter({name: tallies[name].made for name in self.made})
        missed = (self.made - seen) | (seen - self.made)
        yield _none("connections that only one side has seen", missed.total())
        yield _none("connections never lost", self.counted.open)
        yield _none("connections lost twice", sum(tally.twice for tally in tallies.values()))
        yield _none("data after the end", sum(tally.late for tally in tallies.values()))
        yield _none("own clients that could not connect", tallies["own"].failed)
        wrong = {
            f"{name}: {reason}": count
            for name, tally in tallies.items()
            for reason, count in tally.reasons.items()
            if reason not in REASONS[name]
        }
        yield _none("ends with a wrong reason", sum(wrong.values()), ", ".join(wrong))
        yield _none("errors logged", self.counted.errors, self.counted.first_error.strip())
        yield from self._left_over()

    def _left_over(self) -> Iterator[Finding]:
        before, after = self.states[0], self.states[-1]
        yield _none("descriptors left open", after.descriptors - before.descriptors)
        more = Counter(after.objects)
        more.subtract(before.objects)
        top = ", ".join(f"{name} {count:+}" for name, count in more.most_common(5) if count > 0)
        grown = after.object_count - before.object_count
        yield Finding("objects left over", str(grown), grown <= SPARE_OBJECTS, top)
        grown = after.memory - before.memory
        allowed = SPARE_MEMORY + MEMORY_PER_CONNECTION * self.connections
        words = f"{grown / 1024:.0f} of {allowed / 1024:.0f}"
        yield Finding("KiB of memory grown, of what may be", words, grown <= allowed)


def _none(what: str, count: int, detail: str = "") -> Finding:
    """Say how often something happened that should not have."""
    return Finding(what, str(count), count == 0, detail)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    integer = _options.integer
    parser.add_argument(
        "--connections", type=integer(MAX_CONNECTIONS), default=1_000_000, help="default: 1000000"
    )
    parser.add_argument(
        "--slots", type=integer(MAX_SLOTS), default=512, help="open at a time; default: 512"
    )
    parser.add_argument("--reactor", default="netsuite-uv", help="default: netsuite-uv")
    parser.add_argument(
        "--json", type=_options.new_file, metavar="FILE", help="write every number here too"
    )


def run(options: argparse.Namespace) -> None:
    """Soak, and print what was found.

    :raises BenchError: if anything is lost or left over, or the server or the load fails.
    """
    cores = two_cores()
    print(MACHINE.format(**machine(cores)), flush=True)
    outcome = soak(options.reactor, options.connections, options.slots, cores)
    rate = outcome.connections / outcome.elapsed_seconds
    busy = outcome.load_cpu_seconds / outcome.elapsed_seconds
    print(
        f"\n{options.reactor}: {outcome.connections} connections after a warm-up, "
        f"{options.slots} at a time, {rate:.0f} a second; load busy {busy:.0%}"
    )
    print(f"\n{_kinds(outcome)}\n\n{_states(outcome)}\n\n{_findings(outcome)}")
    if options.json is not None:
        record = {"benchmark": "soak", "reactor": options.reactor, **outcome.record()}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if faults := outcome.faults():
        raise BenchError(f"{options.reactor}: {'; '.join(faults)}")


def soak(reactor: str, connections: int, slots: int, cores: Cores, parts: int = PARTS) -> Outcome:
    """Soak a server.

    :param reactor: the name of the server's.
    :param connections: to make, after a warm-up.
    :param slots: how many are open at a time.
    :param parts: that the run is divided into; the state is read after each.
    :raises BenchError: if the server or the load fails.
    """
    allow_descriptors(2 * slots + SPARE_DESCRIPTORS)  # the server's own clients, too
    outcome = Outcome()
    command = [sys.executable, "-m", "bench.peers.soak_twisted", reactor]
    with serving(reactor, command, cores.server) as server, Orders(server) as orders:
        for kind, name in HELD_KINDS.items():
            reset_while_waiting(server, orders, kind, HELD)
            orders.resume()
            outcome.lost[name] = _lost(orders, name)
        orders.state(0)  # what it takes to tell is there from now on
        with loading(server, cores.load, slots) as load:
            for part in _parts(connections, parts):
                made = load.run(part)
                outcome.add(made)
                outcome.counted = orders.wait_for(outcome.is_quiet)
                outcome.states.append(orders.state(outcome.made.total()))
                progress = f"{reactor}: {outcome.made.total()} connections, warm-up included"
                print(progress, file=sys.stderr, flush=True)
                if not outcome.is_quiet(outcome.counted):
                    break
    return outcome


def _lost(orders: Orders, name: str) -> int:
    count = orders.wait_for(lambda count: count.tallies[name].lost >= HELD)
    return count.tallies[name].lost


def _parts(connections: int, parts: int) -> Iterator[int]:
    """Divide a run: the warm-up, then parts of one size."""
    yield min(WARM_UP, connections)
    for index in range(parts):
        if part := connections * (index + 1) // parts - connections * index // parts:
            yield part


def _kinds(outcome: Outcome) -> str:
    columns = ("connections", "by the load", "made", "lost", "reasons")
    rows = [
        [
            name,
            str(outcome.made[name]) if name in outcome.made else "-",
            str(tally.made),
            str(tally.lost),
            ", ".join(f"{reason} {count}" for reason, count in tally.reasons.items()),
        ]
        for name, tally in outcome.counted.tallies.items()
    ]
    return table(columns, rows)


def _states(outcome: Outcome) -> str:
    rows = [
        [
            str(state.connections),
            str(state.descriptors),
            f"{state.memory / 1024:.0f}",
            f"{state.resident / 1024:.0f}",
            str(state.object_count),
        ]
        for state in outcome.states
    ]
    columns = ("after connections", "descriptors", "memory, KiB", "RSS, KiB", "objects")
    return table(columns, rows)


def _findings(outcome: Outcome) -> str:
    rows = [[each.what, each.found, "yes" if each.is_good else "NO"] for each in outcome.findings()]
    return table(("", "found", "good"), rows)
