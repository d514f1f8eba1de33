import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._stats import (
    DURATION_BOUNDS,
    LAG_BOUNDS,
    Histogram,
    ListenerStats,
    ServiceStats,
)


class HistogramTests(SynchronousTestCase):
    def filled(self) -> Histogram:
        histogram = Histogram((1.0, 2.0, 4.0))
        for value in (0.0, 1.0, 1.5, 4.0, 4.1, 100.0):
            histogram.observe(value)
        return histogram

    def test_bounds_ascend(self) -> None:
        for bounds in (DURATION_BOUNDS, LAG_BOUNDS):
            self.assertEqual(list(bounds), sorted(set(bounds)))

    def test_a_value_equal_to_a_bound_is_below_it(self) -> None:
        self.assertEqual(self.filled().counts, [2, 1, 1, 2])

    def test_totals(self) -> None:
        histogram = self.filled()
        self.assertEqual(histogram.count, 6)
        self.assertAlmostEqual(histogram.total, 110.6)
        self.assertEqual(histogram.cumulative(), [2, 3, 4, 6])

    def test_quantiles(self) -> None:
        histogram = self.filled()
        self.assertEqual(
            [histogram.quantile(share) for share in (0, 0.3, 0.5, 0.6, 0.7, 1)],
            [1.0, 1.0, 2.0, 4.0, 4.0, 4.0],
        )

    def test_no_values(self) -> None:
        histogram = Histogram((1.0, 2.0))
        self.assertEqual((histogram.count, histogram.total), (0, 0.0))
        self.assertEqual(histogram.quantile(0.99), 0.0)

    def test_addition(self) -> None:
        one, other = self.filled(), self.filled()
        both = one + other
        self.assertEqual(both.counts, [4, 2, 2, 4])
        self.assertAlmostEqual(both.total, 221.2)
        self.assertEqual(one.counts, [2, 1, 1, 2])

    def test_histograms_of_different_bounds_do_not_add_up(self) -> None:
        with self.assertRaises(ValueError):
            Histogram((1.0,)) + Histogram((1.0, 2.0))


def one() -> ServiceStats:
    stats = ServiceStats(
        service="echo",
        version="0.1.0",
        pids=[7],
        started=100.0,
        listeners=[
            ListenerStats(
                name="echo",
                addresses=["192.0.2.1:7", "[2001:db8::1]:7"],
                accepted=5,
                active=2,
                refused={"banned": 3},
                cut={"idle": 1},
                bytes_received=10,
                bytes_sent=20,
                counts={"replies": 7},
            )
        ],
        certificates={"/a.pem": 900.0},
        banned={"192.0.2.0/24": None},
        reloads={"ok": 1},
    )
    stats.durations.observe(0.2)
    stats.reactor_lag.observe(0.002)
    return stats


def another() -> ServiceStats:
    stats = one()
    stats.pids, stats.started, stats.restarts, stats.draining = [8, 9], 50.0, 2, True
    stats.listeners[0].counts = {"replies": 1, "errors": 2}
    stats.listeners[0].refused = {"access": 1, "banned": 1}
    stats.listeners[0].addresses = ["192.0.2.1:7", "192.0.2.1:8"]
    stats.listeners.append(ListenerStats(name="discard", active=1))
    stats.certificates, stats.banned = {"/b.pem": 800.0}, {"198.51.100.0/24": 7.0}
    stats.reloads = {"failed": 4}
    return stats


class ServiceStatsTests(SynchronousTestCase):
    def test_active(self) -> None:
        self.assertEqual((one().active, another().active), (2, 3))

    def test_merge(self) -> None:
        merged = ServiceStats.merge([one(), another()])
        self.assertEqual(
            merged,
            ServiceStats(
                service="echo",
                version="0.1.0",
                pids=[7, 8, 9],
                started=50.0,
                draining=True,
                listeners=[
                    ListenerStats(
                        name="echo",
                        addresses=["192.0.2.1:7", "[2001:db8::1]:7", "192.0.2.1:8"],
                        accepted=10,
                        active=4,
                        refused={"access": 1, "banned": 4},
                        cut={"idle": 2},
                        bytes_received=20,
                        bytes_sent=40,
                        counts={"replies": 8, "errors": 2},
                    ),
                    ListenerStats(name="discard", active=1),
                ],
                durations=one().durations + one().durations,
                reactor_lag=one().reactor_lag + one().reactor_lag,
                certificates={"/a.pem": 900.0, "/b.pem": 800.0},
                banned={"192.0.2.0/24": None, "198.51.100.0/24": 7.0},
                reloads={"ok": 1, "failed": 4},
                restarts=2,
            ),
        )

    def test_merging_changes_no_part(self) -> None:
        parts = [one(), another()]
        ServiceStats.merge(parts)
        self.assertEqual(parts, [one(), another()])

    def test_one_is_itself(self) -> None:
        self.assertEqual(ServiceStats.merge(iter([one()])), one())

    def test_none_cannot_be_merged(self) -> None:
        with self.assertRaises(ValueError):
            ServiceStats.merge([])


class JSONTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for stats in (one(), another(), ServiceStats(service="", version="")):
            text = stats.to_json()
            self.assertNotIn("\n", text)
            self.assertEqual(ServiceStats.from_json(text), stats)

    def test_what_came_back_can_be_merged_and_counted_on(self) -> None:
        stats = ServiceStats.merge([one(), ServiceStats.from_json(one().to_json())])
        stats.durations.observe(0.2)
        self.assertEqual(stats.durations.count, 3)

    def test_infinity_has_no_json(self) -> None:
        with self.assertRaises(ValueError):
            replace(one(), started=float("inf")).to_json()

    def test_anything_else_is_no_statistics(self) -> None:
        fields = json.loads(one().to_json())
        for text in (
            "",
            "null",
            "[]",
            '"x"',
            "{}",
            json.dumps({**fields, "listeners": None}),
            json.dumps({**fields, "listeners": [{}]}),
            json.dumps({**fields, "durations": {}}),
            json.dumps({**fields, "unknown": 1}),
        ):
            with self.assertRaises(ValueError, msg=text):
                ServiceStats.from_json(text)
