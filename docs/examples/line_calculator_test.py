"""Step 3: tests, without sockets and without waiting."""

from unittest import TestCase

from line_calculator import (  # type: ignore[import-not-found]  # beside this file
    MOST_NAMES,
    app,
    factors,
)

from netsuite.line import CommandError


class CalculatorTests(TestCase):
    """What the calculator answers."""

    def setUp(self) -> None:
        """Connect, in memory."""
        self.client = app.test_client()

    def test_sums(self) -> None:
        """A reply of one line."""
        self.assertEqual(self.client.ask("ADD 1 2 3.5"), "6.5")

    def test_errors(self) -> None:
        """An error reply is an exception."""
        for line, code in (("DIV 1 0", "division-by-zero"), ("ADD one", "bad-argument")):
            with self.assertRaises(CommandError) as caught:
                self.client.ask(line)
            self.assertEqual(caught.exception.code, code)

    def test_names_are_of_one_connection(self) -> None:
        """A reply of several lines; another client is another connection."""
        self.client.ask("LET x 3")
        self.assertEqual(self.client.lines("NAMES"), ["x = 3"])
        self.assertEqual(app.test_client().lines("NAMES"), [])

    def test_there_are_only_so_many_names(self) -> None:
        """At the limit, and one past it."""
        for number in range(MOST_NAMES):
            self.client.ask(f"LET n{number} 1")
        with self.assertRaises(CommandError):
            self.client.ask("LET x 1")

    def test_factors(self) -> None:
        """What runs in a thread is tested without one."""
        self.assertEqual(factors(60), [2, 2, 3, 5])
