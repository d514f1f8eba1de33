from math import nan
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Limits


def limits(name: str, value: Any) -> Limits:
    return Limits(**{name: value})


class LimitsTests(SynchronousTestCase):
    def test_the_least(self) -> None:
        for name in ("line_length", "arguments", "queued", "parallel", "subscriptions", "buffer"):
            self.assertEqual(getattr(limits(name, 1), name), 1)
            with self.assertRaisesRegex(ValueError, f"{name} 0: expected 1 or more"):
                limits(name, 0)
        self.assertEqual(Limits(literal=0).literal, 0)
        with self.assertRaisesRegex(ValueError, "literal -1: expected 0 or more"):
            Limits(literal=-1)

    def test_seconds(self) -> None:
        for name in ("idle", "login"):
            for value in (None, 0.001, 1e9):
                self.assertEqual(getattr(limits(name, value), name), value)
            for value in (0, -1.0, nan):
                with self.assertRaisesRegex(ValueError, f"{name} .*: expected more than 0"):
                    limits(name, value)

    def test_what_happens_when_the_queue_is_full(self) -> None:
        self.assertEqual(Limits(queue_full="refuse").queue_full, "refuse")
        wrong: Any = "drop"
        with self.assertRaisesRegex(ValueError, "expected 'wait' or 'refuse'"):
            Limits(queue_full=wrong)
