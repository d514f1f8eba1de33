"""From the samples of a run to the numbers of its report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal

from bench._load import Measurement, Work

Figure = Literal["throughput", "CPU"]
"""Round trips per second, or CPU time of the server for each."""


@dataclass(frozen=True)
class Sample:
    """One peer in one round."""

    workload: Work
    round: int
    peer: str
    measured: Measurement

    @property
    def rate(self) -> float:
        """Round trips per second."""
        return self.measured.round_trips / self.measured.elapsed_seconds

    @property
    def cost(self) -> float:
        """CPU time of the server per round trip, in microseconds."""
        return self.measured.server_cpu_seconds / self.measured.round_trips * 1e6

    @property
    def server_share(self) -> float:
        """Of its CPU, that the server kept busy: up to 1."""
        return self.measured.server_cpu_seconds / self.measured.elapsed_seconds

    @property
    def load_share(self) -> float:
        """Of its CPU, that the load generator kept busy: up to 1."""
        return self.measured.load_cpu_seconds / self.measured.elapsed_seconds

    def record(self) -> dict[str, object]:
        """Return everything as one flat object."""
        return {
            **self.workload.record(),
            "round": self.round,
            "peer": self.peer,
            **asdict(self.measured),
            "round_trips_per_second": self.rate,
            "cpu_us_per_round_trip": self.cost,
            "server_cpu_share": self.server_share,
            "load_cpu_share": self.load_share,
        }


def combine(slices: Sequence[Measurement]) -> Measurement:
    """Add up slices of load. The latencies are medians over the slices."""
    return Measurement(
        round_trips=sum(part.round_trips for part in slices),
        elapsed_seconds=sum(part.elapsed_seconds for part in slices),
        server_cpu_seconds=sum(part.server_cpu_seconds for part in slices),
        load_cpu_seconds=sum(part.load_cpu_seconds for part in slices),
        latency_mean_us=median(part.latency_mean_us for part in slices),
        latency_p50_us=median(part.latency_p50_us for part in slices),
        latency_p99_us=median(part.latency_p99_us for part in slices),
    )


@dataclass(frozen=True)
class Summary:
    """The rounds of one peer at one kind of work: medians, and ratios round by round."""

    workload: Work
    peer: str
    round_trips_per_second: float
    cpu_us_per_round_trip: float
    latency_p99_us: float
    server_cpu_share: float
    load_cpu_share: float
    rate_ratios: list[float]
    """To the reference peer in the same round; empty when that did not take part."""

    cost_ratios: list[float]

    def record(self) -> dict[str, object]:
        """Return everything as one object."""
        return {**vars(self), "workload": self.workload.record()}


def summarise(samples: Sequence[Sample], workload: Work, peer: str, reference: str) -> Summary:
    """Summarise one peer at one kind of work.

    :param samples: the whole run.
    :param reference: the peer to take ratios to.
    """
    ours = _rounds(samples, workload, peer)
    return Summary(
        workload=workload,
        peer=peer,
        round_trips_per_second=median(sample.rate for sample in ours),
        cpu_us_per_round_trip=median(sample.cost for sample in ours),
        latency_p99_us=median(sample.measured.latency_p99_us for sample in ours),
        server_cpu_share=median(sample.server_share for sample in ours),
        load_cpu_share=median(sample.load_share for sample in ours),
        rate_ratios=ratios(samples, workload, peer, reference, "throughput"),
        cost_ratios=ratios(samples, workload, peer, reference, "CPU"),
    )


def ratios(
    samples: Sequence[Sample], workload: Work, peer: str, reference: str, figure: Figure
) -> list[float]:
    """Return what a peer reaches of another, round by round.

    :returns: empty when one of them did not take part.
    """
    ours, theirs = (_rounds(samples, workload, name) for name in (peer, reference))
    if not ours or not theirs:
        return []
    pairs = zip(ours, theirs, strict=True)
    if figure == "CPU":
        return [one.cost / other.cost for one, other in pairs]
    return [one.rate / other.rate for one, other in pairs]


def _rounds(samples: Sequence[Sample], workload: Work, peer: str) -> list[Sample]:
    mine = [sample for sample in samples if (sample.workload, sample.peer) == (workload, peer)]
    return sorted(mine, key=lambda sample: sample.round)
