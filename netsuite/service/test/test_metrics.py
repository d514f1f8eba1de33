import os
import platform
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from twisted.trial.unittest import SynchronousTestCase

import twisted
from netsuite.service._metrics import StatsCollector, exposition, process_metrics
from netsuite.service._stats import DURATION_BOUNDS, ListenerStats, ServiceStats

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def busy() -> ServiceStats:
    """A service that has a sample for everything."""
    stats = ServiceStats(
        service="echo",
        version="0.1.0",
        reactor="epoll",
        pids=[os.getpid()],
        started=1_795_000_000.5,
        listeners=[
            ListenerStats(
                name="echo",
                accepted=12,
                active=3,
                refused={"banned": 2, "connections": 1},
                cut={"idle": 4},
                bytes_received=1000,
                bytes_sent=2000,
                counts={"line_replies": 70, "line_errors": 8},
            ),
            ListenerStats(name="discard", accepted=1),
        ],
        certificates={"/tls/a.pem": 1_800_000_000.0},
        banned={"192.0.2.0/24": None, "198.51.100.1/32": 7.0},
        reloads={"ok": 2, "failed": 1},
        restarts=5,
    )
    for value in (0.0005, 0.02, 0.02, 5000.0):
        stats.durations.observe(value)
    stats.reactor_lag.observe(0.003)
    return stats


def families(stats: ServiceStats, accept: str = "") -> dict[str, Metric]:
    body, content_type = exposition(stats, accept)
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    return {family.name: family for family in parse(body.decode())}


class ExpositionTests(SynchronousTestCase):
    def value(self, name: str, **labels: str) -> float:
        """The value of the one sample with this name and these labels, and no more."""
        [value] = [
            sample.value
            for family in families(busy()).values()
            for sample in family.samples
            if sample.name == name and sample.labels == {"service": "echo", **labels}
        ]
        return float(value)

    def test_listeners(self) -> None:
        self.assertEqual(
            [
                self.value(f"netsuite_{name}", listener="echo")
                for name in (
                    "connections_accepted_total",
                    "connections_active",
                    "received_bytes_total",
                    "sent_bytes_total",
                )
            ],
            [12, 3, 1000, 2000],
        )
        self.assertEqual(self.value("netsuite_connections_accepted_total", listener="discard"), 1)

    def test_reasons(self) -> None:
        name = "netsuite_connections_refused_total"
        self.assertEqual(self.value(name, listener="echo", reason="banned"), 2)
        self.assertEqual(self.value(name, listener="echo", reason="connections"), 1)
        name = "netsuite_connections_cut_total"
        self.assertEqual(self.value(name, listener="echo", reason="idle"), 4)

    def test_what_services_count_themselves(self) -> None:
        self.assertEqual(self.value("netsuite_line_replies_total", listener="echo"), 70)
        self.assertEqual(self.value("netsuite_line_errors_total", listener="echo"), 8)

    def test_one_value_each(self) -> None:
        self.assertEqual(
            [
                self.value(f"netsuite_{name}")
                for name in (
                    "start_time_seconds",
                    "draining",
                    "banned_networks",
                    "worker_restarts_total",
                )
            ],
            [1_795_000_000.5, 0, 2, 5],
        )
        self.assertEqual(self.value("netsuite_config_reloads_total", result="failed"), 1)
        name = "netsuite_certificate_expiry_timestamp_seconds"
        self.assertEqual(self.value(name, file="/tls/a.pem"), 1_800_000_000)

    def test_draining(self) -> None:
        stats = busy()
        stats.draining = True
        [sample] = families(stats)["netsuite_draining"].samples
        self.assertEqual(sample.value, 1)

    def test_build(self) -> None:
        value = self.value(
            "netsuite_build_info",
            version="0.1.0",
            python=platform.python_version(),
            twisted=twisted.__version__,
            reactor="epoll",
        )
        self.assertEqual(value, 1)

    def test_histograms_are_cumulative(self) -> None:
        name = "netsuite_connection_duration_seconds"
        buckets = [
            self.value(f"{name}_bucket", le=f"{bound:.4g}" if bound < 1 else f"{bound:.1f}")
            for bound in DURATION_BOUNDS
        ]
        self.assertEqual(buckets, [1, 1, 1, *[3] * 11])
        self.assertEqual(self.value(f"{name}_bucket", le="+Inf"), 4)
        self.assertEqual(self.value(f"{name}_count"), 4)
        self.assertAlmostEqual(self.value(f"{name}_sum"), 5000.0405)
        self.assertEqual(self.value("netsuite_reactor_lag_seconds_count"), 1)

    def test_openmetrics_when_asked_for(self) -> None:
        body, content_type = exposition(busy(), f"{OPENMETRICS},text/plain;q=0.5")
        self.assertIn("application/openmetrics-text", content_type)
        self.assertTrue(body.endswith(b"# EOF\n"))
        self.assertEqual(
            {name.removesuffix("_total") for name in families(busy(), OPENMETRICS)},
            # The other parser has the info's name with its suffix.
            {name.replace("_build_info", "_build") for name in families(busy())},
        )

    def test_text_else(self) -> None:
        for accept in (
            "",
            "*/*",
            "text/html",
            "text/plain; version=none",
            "application/openmetrics-text; version=none",
            "application/openmetrics-text; version=0.0.1",
            "\xff;;,=",
        ):
            body, content_type = exposition(busy(), accept)
            self.assertTrue(content_type.startswith("text/plain; version="), accept)
            self.assertTrue(body.startswith(b"# HELP netsuite_build_info "))

    def test_names_that_need_escapes(self) -> None:
        name = '/tls/"a"\\\n\udcff\u20ac.pem'
        stats = busy()
        stats.certificates = {name: 7.0}
        for accept in ("", OPENMETRICS):
            family = families(stats, accept)["netsuite_certificate_expiry_timestamp_seconds"]
            self.assertEqual(
                [sample.labels["file"] for sample in family.samples],
                ['/tls/"a"\\\n\\udcff\u20ac.pem'],
            )

    def test_a_service_that_has_done_nothing(self) -> None:
        for accept in ("", OPENMETRICS):
            found = families(ServiceStats(service="echo", version="0.1.0"), accept)
            self.assertEqual(found["netsuite_connections_accepted"].samples, [])

    def test_all_families_are_there_without_a_sample_too(self) -> None:
        idle = ServiceStats(service="echo", version="0.1.0")
        names = [family.name for family in StatsCollector(idle).collect()]
        self.assertEqual(
            names,
            [
                family.name
                for family in StatsCollector(busy()).collect()
                if family.name.startswith("netsuite_")
                and not family.name.startswith("netsuite_line_")  # another service's own
            ],
        )
        self.assertEqual(len(names), len(set(names)))


class ProcessTests(SynchronousTestCase):
    def proc(self, *pids: int) -> str:
        """What the system could tell about some processes."""
        root = Path(self.mktemp())
        for pid in pids:
            (root / str(pid) / "fd").mkdir(parents=True)
            (root / str(pid) / "fd" / "0").touch()
            numbers = " ".join(["0"] * 11 + ["100", "200"] + ["0"] * 6 + ["500", "4096", "3"])
            (root / str(pid) / "stat").write_text(f"{pid} (a) b) S {numbers}")
            (root / str(pid) / "limits").write_text("Max open files  1024  4096  files\n")
        root.mkdir(exist_ok=True)
        (root / "stat").write_text("cpu 1\nbtime 1700000000\n")
        return str(root)

    def test_each_process_has_its_own(self) -> None:
        found = {family.name: family for family in process_metrics([7, 8], self.proc(7, 8))}
        self.assertEqual(
            set(found),
            {
                "process_virtual_memory_bytes",
                "process_resident_memory_bytes",
                "process_start_time_seconds",
                "process_cpu_seconds",
                "process_open_fds",
                "process_max_fds",
            },
        )
        for family in found.values():
            self.assertEqual([each.labels for each in family.samples], [{"pid": "7"}, {"pid": "8"}])
        [first, _] = found["process_open_fds"].samples
        self.assertEqual(first.value, 1)

    def test_one_that_has_ended(self) -> None:
        found = list(process_metrics([7, 9], self.proc(7)))
        self.assertEqual({len(family.samples) for family in found}, {1})

    def test_a_system_that_tells_nothing(self) -> None:
        self.assertEqual(list(process_metrics([7], self.mktemp())), [])
