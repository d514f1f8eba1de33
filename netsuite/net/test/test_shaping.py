from twisted.trial.unittest import SynchronousTestCase

from netsuite.net._shaping import (
    LEAST_TURN,
    MOST_TURN,
    ClientBuckets,
    RateBucket,
    stream_bucket,
    turn_size,
)


class TurnSizeTests(SynchronousTestCase):
    def test_twenty_turns_a_second_within_bounds(self) -> None:
        self.assertEqual(turn_size(1), LEAST_TURN)
        self.assertEqual(turn_size(20 * LEAST_TURN), LEAST_TURN)
        self.assertEqual(turn_size(100_000), 5000)
        self.assertEqual(turn_size(20 * MOST_TURN), MOST_TURN)
        self.assertEqual(turn_size(1e12), MOST_TURN)


class RateBucketTests(SynchronousTestCase):
    def test_a_burst_is_there_at_once(self) -> None:
        bucket = RateBucket(100, 50)
        self.assertEqual(bucket.reserve(50, 0), 0)
        self.assertEqual(bucket.reserve(1, 0), 0.01, "and one more is not")

    def test_waits_add_up(self) -> None:
        bucket = RateBucket(100, 0)
        self.assertEqual([bucket.reserve(100, 0) for _ in range(3)], [1, 2, 3])

    def test_time_pays(self) -> None:
        bucket = RateBucket(100, 0)
        bucket.reserve(300, 0)
        self.assertEqual(bucket.reserve(0, 1), 2)
        self.assertEqual(bucket.reserve(0, 2.5), 0.5)
        self.assertEqual(bucket.reserve(0, 3), 0)

    def test_silence_saves_up_no_more_than_a_burst(self) -> None:
        bucket = RateBucket(100, 50)
        bucket.reserve(0, 0)
        self.assertEqual(bucket.reserve(50, 1000), 0)
        self.assertEqual(bucket.reserve(100, 1000), 1)

    def test_the_first_moment_pays_nothing(self) -> None:
        """A clock's zero may be any time ago."""
        bucket = RateBucket(100, 50)
        bucket.reserve(150, 1e9)
        self.assertEqual(bucket.reserve(0, 1e9), 1)

    def test_a_clock_that_goes_back_pays_nothing(self) -> None:
        bucket = RateBucket(100, 0)
        bucket.reserve(100, 10)
        self.assertEqual(bucket.reserve(0, 5), 1)
        self.assertEqual(bucket.reserve(0, 5.5), 0.5)

    def test_what_is_given_back_shortens_waits(self) -> None:
        bucket = RateBucket(100, 50)
        bucket.reserve(250, 0)
        bucket.give_back(100)
        self.assertEqual(bucket.reserve(0, 0), 1)

    def test_what_is_given_back_is_never_more_than_a_burst(self) -> None:
        bucket = RateBucket(100, 50)
        bucket.give_back(1000)
        self.assertEqual(bucket.reserve(50, 0), 0)
        self.assertEqual(bucket.reserve(100, 0), 1)

    def test_a_stream_has_two_turns(self) -> None:
        bucket = stream_bucket(100_000)
        self.assertEqual(bucket.reserve(10_000, 0), 0)
        self.assertEqual(bucket.reserve(5000, 0), 0.05)


class ClientBucketsTests(SynchronousTestCase):
    def test_each_client_has_its_own(self) -> None:
        buckets = ClientBuckets(1000)
        self.assertIsNot(buckets.join("a"), buckets.join("b"))
        self.assertEqual(buckets.join("a").rate, 1000)

    def test_a_client_that_comes_back_finds_what_it_left(self) -> None:
        buckets = ClientBuckets(1000)
        buckets.join("a").reserve(5000, 0)
        self.assertGreater(buckets.join("a").reserve(0, 0), 0)

    def test_bounded(self) -> None:
        buckets = ClientBuckets(1000, max_clients=2)
        first = buckets.join("a")
        buckets.join("b")
        self.assertEqual(len(buckets), 2)
        self.assertIs(buckets.join("a"), first, "at the limit")
        buckets.join("c")
        self.assertEqual(len(buckets), 2, "one past it")
        self.assertIs(buckets.join("a"), first, "b has joined longer ago")
        self.assertEqual(len(buckets), 2)
