"""What a service has done so far, as Prometheus reads it.

The names are a promise to those who wrote queries and alerts on them: add, never rename.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

import twisted
from netsuite.service._stats import Histogram, ServiceStats


def exposition(stats: ServiceStats, accept: str = "") -> tuple[bytes, str]:
    """What to answer a scrape with.

    :param accept: the request's ``Accept``: OpenMetrics if it asks for that, else
        Prometheus' own text format.
    :returns: the body, and its content type.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatsCollector(stats))
    try:
        encoder, content_type = choose_encoder(accept)
    except TypeError:  # a version that is not a number
        encoder, content_type = choose_encoder("")
    return encoder(registry), content_type


class StatsCollector(Collector):
    """One moment of a service, as metrics.

    :param stats: the moment.
    :param proc: where the system tells about processes.
    """

    def __init__(self, stats: ServiceStats, proc: str = "/proc") -> None:
        self._stats = stats
        self._proc = proc

    def collect(self) -> Iterator[Metric]:
        """All families, those without a sample too."""
        yield self._build()
        yield self._gauge("start_time_seconds", "When it started.", self._stats.started)
        yield self._gauge("draining", "1 while it takes no more connections.", self._stats.draining)
        yield from self._listeners()
        yield self._histogram(
            "connection_duration_seconds",
            "How long connections were open, counted when they end.",
            self._stats.durations,
        )
        yield self._histogram(
            "reactor_lag_seconds", "How late the reactor came to timers.", self._stats.reactor_lag
        )
        yield from self._rest()
        yield from process_metrics(self._stats.pids, self._proc)

    def _build(self) -> Metric:
        return InfoMetricFamily(
            "netsuite_build",
            "What runs here.",
            {
                "service": _text(self._stats.service),
                "version": _text(self._stats.version),
                "python": platform.python_version(),
                "twisted": twisted.__version__,
                "reactor": _text(self._stats.reactor),
            },
        )

    def _listeners(self) -> Iterator[Metric]:
        labels = ("service", "listener")
        accepted = CounterMetricFamily(
            "netsuite_connections_accepted", "Connections that were let in.", labels=labels
        )
        active = GaugeMetricFamily(
            "netsuite_connections_active", "Connections that are open now.", labels=labels
        )
        received = CounterMetricFamily(
            "netsuite_received_bytes", "Bytes that came in.", labels=labels, unit="bytes"
        )
        sent = CounterMetricFamily(
            "netsuite_sent_bytes", "Bytes that went out.", labels=labels, unit="bytes"
        )
        refused = CounterMetricFamily(
            "netsuite_connections_refused",
            "Connections that were not let in.",
            labels=(*labels, "reason"),
        )
        cut = CounterMetricFamily(
            "netsuite_connections_cut", "Connections that we ended.", labels=(*labels, "reason")
        )
        for each in self._stats.listeners:
            names = self._labels(each.name)
            accepted.add_metric(names, each.accepted)
            active.add_metric(names, each.active)
            received.add_metric(names, each.bytes_received)
            sent.add_metric(names, each.bytes_sent)
            for family, reasons in ((refused, each.refused), (cut, each.cut)):
                for reason, count in reasons.items():
                    family.add_metric(self._labels(each.name, reason), count)
        yield from (accepted, active, refused, cut, received, sent)
        yield from self._counts(labels)

    def _counts(self, labels: tuple[str, str]) -> Iterator[Metric]:
        """What services count themselves."""
        families: dict[str, CounterMetricFamily] = {}
        for each in self._stats.listeners:
            for name, count in each.counts.items():
                family = families.setdefault(
                    name,
                    CounterMetricFamily(
                        f"netsuite_{name}",
                        f"Counted by the service: {name.replace('_', ' ')}.",
                        labels=labels,
                    ),
                )
                family.add_metric(self._labels(each.name), count)
        yield from families.values()

    def _rest(self) -> Iterator[Metric]:
        yield self._gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate in this file ends.",
            self._stats.certificates,
            "file",
        )
        yield self._counter(
            "config_reloads", "Reloads of the configuration.", self._stats.reloads, "result"
        )
        yield self._counter(
            "worker_restarts", "Workers started again after a crash.", self._stats.restarts
        )
        yield self._gauge(
            "banned_networks", "Networks that are banned now.", len(self._stats.banned)
        )

    def _labels(self, *more: str) -> list[str]:
        return [_text(each) for each in (self._stats.service, *more)]

    def _gauge(
        self, name: str, help_text: str, values: float | Mapping[str, float], label: str = ""
    ) -> Metric:
        return self._fill(GaugeMetricFamily, name, help_text, values, label)

    def _counter(
        self, name: str, help_text: str, values: float | Mapping[str, float], label: str = ""
    ) -> Metric:
        return self._fill(CounterMetricFamily, name, help_text, values, label)

    def _fill(
        self,
        kind: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        help_text: str,
        values: float | Mapping[str, float],
        label: str,
    ) -> Metric:
        labels = ("service", label) if label else ("service",)
        family = kind(f"netsuite_{name}", help_text, labels=labels)
        if isinstance(values, Mapping):
            for key, value in values.items():
                family.add_metric(self._labels(key), value)
        else:
            family.add_metric(self._labels(), values)
        return family

    def _histogram(self, name: str, help_text: str, values: Histogram) -> Metric:
        family = HistogramMetricFamily(
            f"netsuite_{name}", help_text, labels=("service",), unit="seconds"
        )
        bounds = [*map(floatToGoString, values.bounds), "+Inf"]
        buckets = list(zip(bounds, values.cumulative(), strict=True))
        family.add_metric(self._labels(), buckets, values.total)
        return family


def process_metrics(pids: Iterable[int], proc: str = "/proc") -> Iterator[Metric]:
    """The standard process metrics (``process_resident_memory_bytes`` and its like) of several.

    They have a label ``pid``: added up, a processor time would fall when a worker is
    replaced, which a counter must not. What the system does not tell is left out.
    """
    families: dict[str, Metric] = {}
    for pid in pids:
        collector = ProcessCollector(pid=partial(int, pid), proc=proc, registry=None)
        for family in collector.collect():
            whole = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type, family.unit)
            )
            whole.samples += [
                Sample(each.name, {**each.labels, "pid": str(pid)}, each.value)
                for each in family.samples
            ]
    yield from families.values()


def _text(text: str) -> str:
    """``text`` with what UTF-8 has no bytes for, such as the odd file name, written out."""
    return text.encode("utf-8", "backslashreplace").decode()
