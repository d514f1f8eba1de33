"""What is demanded of the figures, and whether they reach it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench._load import Kind, Work, Workload, short_title
from bench._samples import Figure, Sample, ratios
from bench._table import table

COLUMNS = ("target", "reached", "demanded", "")


@dataclass(frozen=True)
class Verdict:
    """A ratio, and what it should be.

    :ivar what: was compared with what.
    :ivar reached: by round; empty if it was not measured.
    :ivar bound: the least that it may be.
    :ivar is_most: whether that is the most, instead.
    """

    what: str
    reached: list[float]
    bound: float
    is_most: bool = False

    def row(self) -> list[str]:
        """Return the cells of a table's row."""
        demanded = f"{'<=' if self.is_most else '>='} {self.bound:g}"
        if not self.reached:
            return [self.what, "-", demanded, "not measured"]
        value = median(self.reached)
        met = value <= self.bound if self.is_most else value >= self.bound
        return [self.what, f"{value:.3f}", demanded, "met" if met else "NOT met"]


@dataclass(frozen=True)
class Target:
    """What a peer is to reach of another.

    :ivar ours: the peer.
    :ivar reference: the other.
    :ivar least: that our throughput may be of the other's; None for any.
    :ivar most: that our CPU time may be of the other's; None for any.
    :ivar kind: of the work that this is about.
    :ivar sizes: of its messages, in bytes; empty for any.
    :ivar work: what the work is called that this is about, where it is not messages.
    """

    ours: str
    reference: str
    least: float | None = None
    most: float | None = None
    kind: Kind = "messages"
    sizes: tuple[int, ...] = ()
    work: str | None = None

    def verdicts(self, samples: Sequence[Sample], workloads: Sequence[Work]) -> list[Verdict]:
        """Compare what was demanded with what was measured.

        :param workloads: all that the servers have done.
        """
        found = []
        for title, workload in self._titles(workloads):
            for bound, figure in self._bounds():
                reached: list[float] = []
                if workload is not None:
                    reached = ratios(samples, workload, self.ours, self.reference, figure)
                what = f"{title}, {figure}, {self.ours} / {self.reference}"
                found.append(Verdict(what, reached, bound, is_most=figure == "CPU"))
        return found

    def _titles(self, workloads: Sequence[Work]) -> list[tuple[str, Work | None]]:
        """Name the work that this is about; what was not done has no workload."""
        if self.work is not None:
            return [(self.work, next((it for it in workloads if it.short == self.work), None))]
        done = {
            workload.size: workload
            for workload in workloads
            if isinstance(workload, Workload) and workload.kind == self.kind
        }
        sizes = self.sizes or tuple(done) or (None,)
        return [
            (short_title(self.kind, size), None if size is None else done.get(size))
            for size in sizes
        ]

    def _bounds(self) -> list[tuple[float, Figure]]:
        bounds: list[tuple[float, Figure]] = []
        if self.least is not None:
            bounds.append((self.least, "throughput"))
        if self.most is not None:
            bounds.append((self.most, "CPU"))
        return bounds


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Lay out one line for each target."""
    return table(COLUMNS, [verdict.row() for verdict in verdicts])
