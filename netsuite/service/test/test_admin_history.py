from twisted.internet.defer import Deferred, fail
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._stats import ListenerStats
from netsuite.service.admin._history import (
    COLUMNS,
    INTERVAL,
    MAX_SAMPLES,
    STATS_TIMEOUT,
    History,
    StatsReader,
    sample,
)
from netsuite.service.test.admin_source import FakeSource


class ReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.source = FakeSource()
        self.reader = StatsReader(self.source.stats, self.clock)

    def test_reads(self) -> None:
        self.assertIs(self.successResultOf(self.reader.read()), self.source.current)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_question_for_all_who_wait(self) -> None:
        self.source.pending = Deferred()
        waiting = [self.reader.read() for _ in range(3)]
        self.assertEqual(self.source.asked, 1)
        self.source.pending.callback(self.source.current)
        for each in waiting:
            self.assertIs(self.successResultOf(each), self.source.current)
        self.source.pending = None
        self.successResultOf(self.reader.read())
        self.assertEqual(self.source.asked, 2)

    def test_failures_reach_all_who_wait(self) -> None:
        self.source.pending = Deferred()
        waiting = [self.reader.read() for _ in range(2)]
        self.source.pending.errback(RuntimeError("no"))
        for each in waiting:
            self.failureResultOf(each, RuntimeError)

    def test_a_question_that_raises(self) -> None:
        def raises() -> Deferred[object]:
            raise RuntimeError("no")

        reader = StatsReader(raises, self.clock)  # type: ignore[arg-type]  # it has no answer
        self.failureResultOf(reader.read(), RuntimeError)

    def test_time_is_up(self) -> None:
        self.source.pending = Deferred()
        waiting = self.reader.read()
        self.clock.advance(STATS_TIMEOUT)
        self.failureResultOf(waiting, DeferredTimeoutError)
        self.source.pending = None
        self.successResultOf(self.reader.read())

    def test_one_that_does_not_wait_takes_nothing_from_the_others(self) -> None:
        self.source.pending = Deferred()
        first, second = self.reader.read(), self.reader.read()
        first.addErrback(lambda _: None).cancel()
        self.source.pending.callback(self.source.current)
        self.assertIs(self.successResultOf(second), self.source.current)


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.source = FakeSource()
        reader = StatsReader(self.source.stats, self.clock)
        self.history = History(reader, self.clock, self.clock.seconds)

    def test_one_a_second(self) -> None:
        self.history.start()
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual([each[0] for each in self.history.samples], [0, 1, 2, 3])

    def test_so_many_are_kept(self) -> None:
        self.history.start()
        self.clock.pump([INTERVAL] * (MAX_SAMPLES - 1))
        self.assertEqual((len(self.history.samples), self.history.samples[0][0]), (MAX_SAMPLES, 0))
        self.clock.advance(INTERVAL)
        self.assertEqual((len(self.history.samples), self.history.samples[0][0]), (MAX_SAMPLES, 1))

    def test_failures_are_holes(self) -> None:
        self.history.start()
        self.source.pending = fail(RuntimeError("no"))
        self.clock.advance(INTERVAL)
        self.source.pending = None
        self.clock.advance(INTERVAL)
        self.assertEqual([each[0] for each in self.history.samples], [0, 2])

    def test_no_question_overtakes_another(self) -> None:
        self.source.pending = Deferred()
        self.history.start()
        self.clock.advance(STATS_TIMEOUT - 1)
        self.assertEqual(self.source.asked, 1)
        self.source.pending.callback(self.source.current)
        self.assertEqual([each[0] for each in self.history.samples], [STATS_TIMEOUT - 1])

    def test_stop(self) -> None:
        self.history.start()
        self.history.stop()
        self.history.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_it_asks(self) -> None:
        self.source.pending = Deferred()
        self.history.start()
        self.history.stop()
        self.source.pending.callback(self.source.current)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_samples_do_not_change_afterwards(self) -> None:
        self.history.start()
        self.source.current.durations.observe(0.1)
        self.assertEqual(sum(self.history.samples[0][COLUMNS.index("durations")]), 0)  # type: ignore[arg-type]


class SampleTests(SynchronousTestCase):
    def test_columns(self) -> None:
        stats = FakeSource().current
        stats.listeners = [
            ListenerStats(
                name="a",
                accepted=1,
                active=2,
                refused={"x": 3, "y": 4},
                cut={"z": 5},
                bytes_received=6,
                bytes_sent=7,
            ),
            ListenerStats(name="b", accepted=10, active=20, bytes_received=60, bytes_sent=70),
        ]
        stats.reactor_lag.observe(0.0)
        self.assertEqual(
            dict(zip(COLUMNS, sample(stats, 1.23456), strict=True)),
            {
                "time": 1.235,
                "active": 22,
                "accepted": 11,
                "refused": 7,
                "cut": 5,
                "received": 66,
                "sent": 77,
                "durations": stats.durations.counts,
                "lag": stats.reactor_lag.counts,
            },
        )
