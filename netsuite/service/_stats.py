"""What a service has done so far, as data: what metrics, pages and workers pass on.

A :class:`ServiceStats` is one moment of one process. Those of several processes add up
(:meth:`ServiceStats.merge`), and each goes through JSON unchanged (:meth:`ServiceStats.to_json`).
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from typing import Any

#: Upper bounds of the buckets of :attr:`ServiceStats.durations`, in seconds.
DURATION_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0),
    *(60.0, 300.0, 900.0, 3600.0),
)

#: Upper bounds of the buckets of :attr:`ServiceStats.reactor_lag`, in seconds.
LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(slots=True)
class Histogram:
    """How often a value fell into which bucket.

    :ivar bounds: upper bounds, ascending; a value equal to one is below it.
    :ivar counts: for each bound, and one more for what is above all of them.
    :ivar total: the sum of the values.
    """

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.bounds = tuple(self.bounds)
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def cumulative(self) -> list[int]:
        """For each bound how many values were at or below it; the last one is all."""
        return list(accumulate(self.counts))

    def quantile(self, share: float) -> float:
        """The bound that this share of the values, 0 to 1, is at or below; 0 without values.

        What is above the last bound counts as the last bound.
        """
        wanted = share * self.count
        for bound, reached in zip(self.bounds, self.cumulative(), strict=False):
            if reached >= wanted:
                return bound if self.count else 0.0
        return self.bounds[-1]

    def __add__(self, other: "Histogram") -> "Histogram":
        counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        return Histogram(self.bounds, counts, self.total + other.total)


def _sum_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


@dataclass(slots=True, kw_only=True)
class ListenerStats:
    """One listener's totals since it started.

    :ivar name: the listener's, as in log lines.
    :ivar addresses: where it takes connections, as people write them.
    :ivar accepted: connections that were let in.
    :ivar active: of those, the ones open now.
    :ivar refused: connections that were not let in, by reason.
    :ivar cut: connections that we ended, by reason (``idle``, ``stall``, ``total``, ``drain``,
        ``ban``).
    :ivar bytes_received: on the wire, which under TLS is ciphertext.
    :ivar bytes_sent: likewise.
    :ivar counts: what the service itself counts, by name.
    """

    name: str
    addresses: list[str] = field(default_factory=list)
    accepted: int = 0
    active: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    bytes_received: int = 0
    bytes_sent: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "ListenerStats") -> "ListenerStats":
        return ListenerStats(
            name=self.name,
            addresses=[*dict.fromkeys([*self.addresses, *other.addresses])],
            accepted=self.accepted + other.accepted,
            active=self.active + other.active,
            refused=_sum_counts(self.refused, other.refused),
            cut=_sum_counts(self.cut, other.cut),
            bytes_received=self.bytes_received + other.bytes_received,
            bytes_sent=self.bytes_sent + other.bytes_sent,
            counts=_sum_counts(self.counts, other.counts),
        )


@dataclass(slots=True, kw_only=True)
class ServiceStats:
    """One process's, or several processes' together.

    :ivar service: its name, without ``netsuite-``.
    :ivar version: netsuite's.
    :ivar reactor: the name of what runs it, as ``--reactor`` has it.
    :ivar pids: of the processes that this counts.
    :ivar started: the first one's start, in seconds since 1970-01-01 00:00 UTC.
    :ivar draining: whether it takes no more connections.
    :ivar listeners: in the order of the configuration.
    :ivar durations: how long connections were open, in seconds.
    :ivar reactor_lag: how late the reactor came to timers, in seconds.
    :ivar certificates: for each certificate in use (its file) when it ends, in seconds since
        1970-01-01 00:00 UTC.
    :ivar banned: networks that are banned, with when that ends in seconds since 1970-01-01
        00:00 UTC (JSON has no infinity: None for never).
    :ivar reloads: how many there were, by result: ``ok`` and ``failed``.
    :ivar restarts: workers that were started again after a crash.
    """

    service: str
    version: str
    reactor: str = ""
    pids: list[int] = field(default_factory=list)
    started: float = 0.0
    draining: bool = False
    listeners: list[ListenerStats] = field(default_factory=list)
    durations: Histogram = field(default_factory=lambda: Histogram(DURATION_BOUNDS))
    reactor_lag: Histogram = field(default_factory=lambda: Histogram(LAG_BOUNDS))
    certificates: dict[str, float] = field(default_factory=dict)
    banned: dict[str, float | None] = field(default_factory=dict)
    reloads: dict[str, int] = field(default_factory=dict)
    restarts: int = 0

    @property
    def active(self) -> int:
        """Connections open now."""
        return sum(each.active for each in self.listeners)

    @classmethod
    def merge(cls, several: Iterable["ServiceStats"]) -> "ServiceStats":
        """The sum of what several processes of one service have done.

        :raises ValueError: for none at all.
        """
        parts = list(several)
        if not parts:
            raise ValueError("nothing to merge")
        total = parts[0]
        for part in parts[1:]:
            total = total._plus(part)
        return total

    def _plus(self, other: "ServiceStats") -> "ServiceStats":
        listeners = {each.name: each for each in self.listeners}
        for each in other.listeners:
            listeners[each.name] = listeners[each.name] + each if each.name in listeners else each
        return ServiceStats(
            service=self.service,
            version=self.version,
            reactor=self.reactor,
            pids=[*self.pids, *other.pids],
            started=min(self.started, other.started),
            draining=self.draining or other.draining,
            listeners=list(listeners.values()),
            durations=self.durations + other.durations,
            reactor_lag=self.reactor_lag + other.reactor_lag,
            certificates={**self.certificates, **other.certificates},
            banned={**self.banned, **other.banned},
            reloads=_sum_counts(self.reloads, other.reloads),
            restarts=self.restarts + other.restarts,
        )

    def to_json(self) -> str:
        """One line; :meth:`from_json` reads it back."""
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ServiceStats":
        """What :meth:`to_json` wrote.

        :raises ValueError: for anything else.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            fields["listeners"] = [ListenerStats(**each) for each in fields["listeners"]]
            for name in ("durations", "reactor_lag"):
                fields[name] = Histogram(**fields[name])
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no statistics: {error}") from error


def supervised(own: ServiceStats, workers: Sequence[ServiceStats], restarts: int) -> ServiceStats:
    """What a supervisor and its workers have done together.

    Connections are the workers' business; when it started, what is banned and how often it
    was reloaded are the supervisor's, and the workers only follow.
    """
    if not workers:
        return replace(own, restarts=restarts)
    total = ServiceStats.merge(workers)
    addresses = {each.name: each.addresses for each in own.listeners}
    return replace(
        own,
        pids=[*own.pids, *total.pids],
        listeners=[
            replace(each, addresses=addresses.get(each.name, [])) for each in total.listeners
        ],
        durations=total.durations,
        reactor_lag=total.reactor_lag,
        restarts=restarts,
    )
