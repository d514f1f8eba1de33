from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._lag import INTERVAL, MAX_MISSED, LagProbe
from netsuite.service._stats import LAG_BOUNDS, Histogram


class LagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.late = 0.0
        self.probe = LagProbe(self.clock, lambda: self.clock.seconds() + self.late, 0.25)

    def values(self) -> int:
        return self.probe.histogram.count

    def test_nothing_before_it_starts(self) -> None:
        self.assertEqual((self.clock.getDelayedCalls(), self.values()), ([], 0))
        self.assertEqual(self.probe.histogram.bounds, LAG_BOUNDS)

    def test_in_time(self) -> None:
        self.probe.start()
        self.clock.pump([0.25] * 4)
        self.assertEqual((self.values(), self.probe.histogram.total), (4, 0.0))

    def test_late(self) -> None:
        self.probe.start()
        self.late = 0.02
        self.clock.advance(0.25)
        self.assertEqual(self.values(), 1)
        self.assertAlmostEqual(self.probe.histogram.total, 0.02)
        self.assertEqual(self.probe.histogram.quantile(1), 0.025)

    def test_early_is_in_time(self) -> None:
        self.probe.start()
        self.late = -0.2
        self.clock.advance(0.25)
        self.assertEqual((self.values(), self.probe.histogram.total), (1, 0.0))

    def test_lag_does_not_add_up(self) -> None:
        self.probe.start()
        self.late = 0.02
        self.clock.pump([0.25] * 3)
        self.assertAlmostEqual(self.probe.histogram.total, 0.02)

    def test_timers_that_were_missed_count(self) -> None:
        self.probe.start()
        self.late = 0.6
        self.clock.advance(0.25)
        self.assertEqual(self.values(), 3)
        self.assertAlmostEqual(self.probe.histogram.total, 0.6 + 0.35 + 0.1)

    def test_up_to_a_limit(self) -> None:
        for late, counted in (
            ((MAX_MISSED - 1.5) * 0.25, MAX_MISSED - 1),
            ((MAX_MISSED - 0.5) * 0.25, MAX_MISSED),
            (86_400.0, MAX_MISSED),
        ):
            before = self.values()
            self.late = 0.0
            self.probe.start()
            self.late = late
            self.clock.advance(0.25)
            self.probe.stop()
            self.assertEqual(self.values() - before, counted)

    def test_starting_twice_is_starting_once(self) -> None:
        self.probe.start()
        self.probe.start()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_stop_and_go_on(self) -> None:
        self.probe.stop()
        self.probe.start()
        self.clock.advance(0.25)
        self.probe.stop()
        self.probe.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.probe.start()
        self.clock.advance(0.25)
        self.assertEqual((self.values(), self.probe.histogram.total), (2, 0.0))

    def test_a_histogram_of_ones_own(self) -> None:
        histogram = Histogram((5.0,))
        probe = LagProbe(self.clock, self.clock.seconds, histogram=histogram)
        probe.start()
        self.clock.advance(INTERVAL)
        self.assertEqual(histogram.counts, [1, 0])
