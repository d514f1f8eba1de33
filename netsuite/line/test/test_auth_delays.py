"""Guessing passwords takes time, and ends."""

from twisted.cred.checkers import (
    ICredentialsChecker,
)
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.line._failures import Failures, Guard
from netsuite.line.auth import (
    ATTEMPTS,
    Authentication,
    Delay,
    Password,
)
from netsuite.line.test.logins import (
    FAILED,
    GOODBYE,
    NO_DELAY,
    Asked,
    AvatarId,
    Serving,
    tokens,
    users,
)


class DelayTests(SynchronousTestCase):
    """Guessing takes time."""

    def test_grows(self) -> None:
        serving = Serving(Authentication([users(bob="x")]))
        took = []
        for guess in range(9):
            peer = serving.peer()
            seconds, answer = peer.after(f"AUTH PLAIN bob {guess}")
            self.assertEqual(answer, FAILED)
            took.append(seconds)
        # Before the check, what there was; behind it, half a second.
        self.assertEqual(took, [0.5, 1.0, 1.5, 2.5, 4.5, 8.5, 10.5, 10.5, 10.5])

    def test_the_right_one_waits_for_what_was_before(self) -> None:
        serving = Serving(Authentication([users(bob="x")]))
        for _ in range(3):
            serving.peer().after("AUTH PLAIN bob y")
        self.assertEqual(serving.peer().after("AUTH PLAIN bob x"), (2.0, b"OK\r\n"))
        self.assertEqual(serving.peer().after("AUTH PLAIN bob x"), (2.0, b"OK\r\n"))

    def test_nobody_waits_without_failures(self) -> None:
        serving = Serving(Authentication([users(bob="x")], tokens=tokens()))
        for _ in range(20):
            self.assertEqual(serving.peer().say("AUTH PLAIN bob x"), b"OK\r\n")
            self.assertEqual(serving.peer().say("AUTH TOKEN t0p"), b"OK\r\n")

    def test_forgotten(self) -> None:
        serving = Serving(Authentication([users(bob="x")], delay=Delay(forget=60)))
        for _ in range(6):
            serving.peer().after("AUTH PLAIN bob y")
        serving.clock.advance(120)
        self.assertEqual(serving.peer().after("AUTH PLAIN bob x")[0], 4.0)
        serving.clock.advance(6 * 60)
        self.assertEqual(serving.peer().after("AUTH PLAIN bob x")[0], 0.0)

    def test_of_a_network(self) -> None:
        """Whatever names it tries."""
        serving = Serving(Authentication([users(bob="x")], tokens=tokens()))
        for guess in range(4):
            serving.peer("192.0.2.1").after(f"AUTH PLAIN user{guess} y")
        self.assertEqual(serving.peer("192.0.2.1").after("AUTH PLAIN bob x")[0], 4.0)
        self.assertEqual(serving.peer("192.0.2.1").after("AUTH TOKEN t0p")[0], 4.0)
        self.assertEqual(serving.peer("192.0.2.2").after("AUTH PLAIN bob x")[0], 0.0)

    def test_of_a_network_in_ipv6(self) -> None:
        serving = Serving(Authentication(tokens=tokens()))
        for host in range(4):
            serving.peer(f"2001:db8::{host:x}").after("AUTH TOKEN no")
        self.assertEqual(serving.peer("2001:db8::ffff").after("AUTH TOKEN t0p")[0], 4.0)
        self.assertEqual(serving.peer("2001:db8:0:1::1").after("AUTH TOKEN t0p")[0], 0.0)

    def test_of_a_name(self) -> None:
        """Wherever they come from, and however it is written; the others have nothing to fear."""
        serving = Serving(Authentication([users(bob="x", ann="x")]))
        for host in range(4):
            serving.peer(f"192.0.2.{host}").after("AUTH PLAIN Bob y")
        self.assertEqual(serving.peer("198.51.100.1").after("AUTH PLAIN bob x"), (4.0, b"OK\r\n"))
        self.assertEqual(serving.peer("198.51.100.1").after("AUTH PLAIN ann x")[0], 0.0)

    def test_nobody_is_locked_out(self) -> None:
        """Under attack by the whole world it takes ten seconds to come in."""
        serving = Serving(Authentication([users(bob="x")]))
        for host in range(200):
            peer = serving.peer(f"198.51.100.{host}")
            peer.say("AUTH PLAIN bob guess")
        self.assertEqual(serving.peer("192.0.2.1").after("AUTH PLAIN bob x"), (10.0, b"OK\r\n"))

    def test_ones_own_account_is_no_help(self) -> None:
        """Who logs in well between two guesses waits all the same."""
        serving = Serving(Authentication([users(bob="x", eve="mine")]))
        took = []
        for guess in range(6):
            took.append(serving.peer().after(f"AUTH PLAIN bob {guess}")[0])
            self.assertEqual(serving.peer().after("AUTH PLAIN eve mine")[1], b"OK\r\n")
        self.assertEqual(took, sorted(took))
        self.assertGreater(took[-1], 7)

    def test_side_by_side(self) -> None:
        """Guesses at the same time delay one another, and there are only so many."""
        serving = Serving(Authentication([users(bob="x")]))
        peers = [serving.peer() for _ in range(12)]
        answers = [peer.say("AUTH PLAIN bob y") for peer in peers]
        busy = b"ERR rate-limit AUTH: expected at most 10 attempts at the same time from one"
        self.assertEqual(answers, [b""] * 10 + [busy + b" network\r\n"] * 2)
        serving.clock.pump([0.5])
        self.assertEqual([bool(peer.heard()) for peer in peers[:10]], [True] + [False] * 9)
        serving.clock.pump([0.5] * 20)
        serving.clock.pump([0.5])
        self.assertEqual([peer.heard() for peer in peers[1:10]], [FAILED] * 9)
        self.assertNotIn(b"rate-limit", serving.peer().after("AUTH PLAIN bob y")[1])

    def test_one_after_the_other(self) -> None:
        """A connection has one attempt at a time, however many it sends at once."""
        checker = Asked()
        serving = Serving(Authentication([checker]))
        peer = serving.peer()
        peer.say("\n".join(f"AUTH PLAIN bob {guess}" for guess in range(50)))
        self.assertEqual(len(checker.waiting), 1)
        for _ in range(ATTEMPTS - 1):
            checker.waiting[-1][1].errback(UnauthorizedLogin())
            count = len(checker.waiting)
            serving.clock.advance(0.4)
            self.assertEqual(len(checker.waiting), count)
            serving.clock.pump([0.1] + [1.0] * 12)
            self.assertEqual(len(checker.waiting), count + 1)
        checker.waiting[-1][1].errback(UnauthorizedLogin())
        serving.clock.advance(1)
        self.assertTrue(peer.closing)
        self.assertEqual(len(checker.waiting), ATTEMPTS)

    def test_no_address(self) -> None:
        """A UNIX socket's: names count, and there is no network."""
        serving = Serving(Authentication([users(bob="x", ann="x")]))
        for _ in range(4):
            serving.peer("").after("AUTH PLAIN bob y")
        self.assertEqual(serving.peer("").after("AUTH PLAIN bob x")[0], 4.0)
        self.assertEqual(serving.peer("").after("AUTH PLAIN ann x")[0], 0.0)

    def test_the_same_for_all(self) -> None:
        """Unknown users are answered like wrong passwords, as late and as often."""
        for line in ("AUTH PLAIN bob no", "AUTH PLAIN nobody x", "AUTH TOKEN no"):
            serving = Serving(Authentication([users(bob="x")], tokens=tokens()))
            peer = serving.peer()
            answers = [peer.after(line) for _ in range(ATTEMPTS)]
            self.assertEqual(
                answers,
                [(0.5, FAILED), (1.0, FAILED), (1.5, FAILED), (2.5, FAILED), (4.5, GOODBYE % 5)],
                line,
            )

    def test_how_long_a_check_took_is_hidden(self) -> None:
        checker = Asked()
        serving = Serving(Authentication([checker]))
        peer = serving.peer()
        peer.say("AUTH PLAIN bob x")
        serving.clock.advance(0.3)
        checker.waiting.pop()[1].errback(UnauthorizedLogin())
        self.assertEqual(peer.heard(), b"")
        serving.clock.advance(0.19)
        self.assertEqual(peer.heard(), b"")
        serving.clock.advance(0.02)
        self.assertEqual(peer.heard(), FAILED)

    def test_no_delay(self) -> None:
        serving = Serving(Authentication([users(bob="x")], delay=NO_DELAY, attempts=100))
        peer = serving.peer()
        for _ in range(99):
            self.assertEqual(peer.say("AUTH PLAIN bob y"), FAILED)
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"OK\r\n")


class AttemptTests(SynchronousTestCase):
    """A connection has only so many."""

    def test_closed(self) -> None:
        serving = Serving(Authentication([users(bob="x")], delay=NO_DELAY, attempts=3))
        peer = serving.peer()
        answers = peer.say("AUTH PLAIN bob 1\nAUTH PLAIN bob 2\nAUTH PLAIN bob 3\nAUTH PLAIN bob x")
        self.assertEqual(answers, FAILED * 2 + GOODBYE % 3)
        self.assertTrue(peer.closing)
        self.assertIsNone(peer.session.user)

    def test_one_less(self) -> None:
        serving = Serving(Authentication([users(bob="x")], delay=NO_DELAY, attempts=3))
        peer = serving.peer()
        peer.say("AUTH PLAIN bob 1\nAUTH PLAIN bob 2")
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"OK\r\n")

    def test_what_is_no_attempt(self) -> None:
        """A mistake of form, or of the operator's."""
        checker = Asked()
        serving = Serving(Authentication([checker], delay=NO_DELAY, attempts=1))
        peer = serving.peer()
        peer.say("AUTH PLAIN bob")
        peer.say("AUTH PLAIN bob x")
        checker.waiting.pop()[1].errback(OSError())
        self.flushLoggedErrors(OSError)
        self.assertFalse(peer.closing)


class EndTests(SynchronousTestCase):
    """The connection is gone in the middle of it."""

    def nothing_is_left(self, serving: Serving) -> None:
        self.assertEqual(serving.clock.getDelayedCalls(), [])

    def test_while_it_waits(self) -> None:
        serving = Serving(Authentication([users(bob="x")]))
        serving.peer().after("AUTH PLAIN bob y")
        peer = serving.peer()
        self.assertEqual(peer.say("AUTH PLAIN bob x"), b"")
        peer.go()
        self.nothing_is_left(serving)
        self.assertIsNone(peer.session.user)

    def test_who_gives_up_waiting_has_not_failed(self) -> None:
        """Or a client with less patience than we have would never come in."""
        serving = Serving(Authentication([users(bob="x")]))
        for _ in range(4):
            serving.peer().after("AUTH PLAIN bob y")
        for _ in range(20):
            peer = serving.peer()
            peer.say("AUTH PLAIN bob x")
            serving.clock.advance(3)
            peer.go()
        self.assertEqual(serving.peer().after("AUTH PLAIN bob x")[0], 2.0)

    def test_while_it_is_checked(self) -> None:
        checker = Asked()
        serving = Serving(Authentication([checker]))
        peer = serving.peer()
        peer.say("AUTH PLAIN bob x")
        peer.go()
        self.assertEqual(checker.cancelled, 1)
        self.nothing_is_left(serving)
        self.assertIsNone(peer.session.user)

    def test_while_the_answer_waits(self) -> None:
        serving = Serving(Authentication([users(bob="x")]))
        peer = serving.peer()
        peer.say("AUTH PLAIN bob y")
        peer.go()
        self.nothing_is_left(serving)
        self.assertEqual(serving.peer().after("AUTH PLAIN bob y")[0], 1.0, "it counts")

    def test_a_place_is_free_again(self) -> None:
        serving = Serving(Authentication([Asked()], delay=Delay(waiting=1)))
        for _ in range(3):
            peer = serving.peer()
            self.assertEqual(peer.say("AUTH PLAIN bob x"), b"")
            peer.go()

    def test_a_checker_that_cannot_be_cancelled(self) -> None:
        late: list[Deferred[AvatarId]] = []

        @implementer(ICredentialsChecker)
        class Stubborn(Asked):
            def requestAvatarId(self, credentials: Password) -> Deferred[AvatarId]:
                late.append(Deferred())
                return late[-1]

        peer = Serving(Authentication([Stubborn()])).peer()
        peer.say("AUTH PLAIN bob x")
        peer.go()
        late[0].callback(b"bob")
        self.assertIsNone(peer.session.user)


class FailuresTests(SynchronousTestCase):
    """What is remembered of those who fail."""

    def test_bounded(self) -> None:
        failures = Failures(Delay(keys=3))
        for key in "abc":
            failures.add(key, 1, 0)
        failures.add("a", 1, 0)
        failures.add("d", 1, 0)
        self.assertEqual(len(failures), 3)
        self.assertEqual([failures.level(key, 0) for key in "abcd"], [2, 0, 1, 1])

    def test_what_is_forgotten_takes_no_place(self) -> None:
        failures = Failures(Delay(forget=10))
        added = failures.add("a", 1, 0)
        failures.add("a", -added, 5)
        self.assertEqual(len(failures), 0)

    def test_a_clock_that_goes_back(self) -> None:
        failures = Failures(Delay())
        failures.add("a", 1, 1000)
        self.assertEqual(failures.level("a", 10), 1)

    def test_no_more_than_what_counts(self) -> None:
        """Then it is forgotten in that many minutes, and a login that goes well is no discount."""
        delay = Delay()
        guard = Guard(delay)
        for _ in range(100):
            attempt = guard.begin("net", None, 0)
            assert attempt is not None
            attempt.end()
        self.assertEqual(guard.networks.level("net", 0), 6)
        self.assertEqual(guard.networks.level("net", 5 * delay.forget), 1)
        self.assertEqual(guard.networks.level("net", 6 * delay.forget), 0)
        own = guard.begin("net", None, 0)
        assert own is not None
        own.forgive(0)
        own.end()
        self.assertEqual(guard.networks.level("net", 0), 6)

    def test_guard_forgets_who_waits(self) -> None:
        guard = Guard(Delay(waiting=1))
        attempt = guard.begin("net", "bob", 0)
        assert attempt is not None
        self.assertIsNone(guard.begin("net", "bob", 0))
        attempt.end()
        self.assertIsNotNone(guard.begin("net", "bob", 0))
        self.assertEqual(guard._going_on, {"net": 1})

    def test_options(self) -> None:
        for name, value in {
            "first": -1,
            "most": 0,
            "forget": 0,
            "keys": 0,
            "waiting": 0,
            "most ": 0.1,
        }.items():
            with self.assertRaisesRegex(ValueError, "expected"):
                Delay(**{name.strip(): value})  # type: ignore[arg-type]  # some are whole numbers
        with self.assertRaises(ValueError):
            Delay(most=float("inf"))
        self.assertEqual(Delay(first=3, most=3).after(100), 3)
        self.assertEqual(Delay(first=0).after(100), 0)
