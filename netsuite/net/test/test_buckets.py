from twisted.trial.unittest import SynchronousTestCase

from netsuite.net import TokenBuckets


class TokenBucketsTests(SynchronousTestCase):
    def test_burst_then_rate(self) -> None:
        buckets = TokenBuckets(rate=2, burst=3)
        self.assertEqual([buckets.take("a", 0) for _ in range(4)], [True, True, True, False])
        self.assertFalse(buckets.take("a", 0.4))
        self.assertTrue(buckets.take("a", 0.5))
        self.assertFalse(buckets.take("a", 0.5))

    def test_a_bucket_holds_no_more_than_the_burst(self) -> None:
        buckets = TokenBuckets(rate=1, burst=2)
        buckets.take("a", 0)
        self.assertEqual([buckets.take("a", 1000) for _ in range(3)], [True, True, False])

    def test_keys_do_not_share(self) -> None:
        buckets = TokenBuckets(rate=1, burst=1)
        self.assertTrue(buckets.take("a", 0))
        self.assertFalse(buckets.take("a", 0))
        self.assertTrue(buckets.take("b", 0))

    def test_a_clock_that_goes_back_gives_nothing(self) -> None:
        buckets = TokenBuckets(rate=1, burst=1)
        self.assertTrue(buckets.take("a", 10))
        self.assertFalse(buckets.take("a", 5))

    def test_at_most_max_keys_are_kept(self) -> None:
        buckets = TokenBuckets(rate=1, burst=1, max_keys=2)
        for key in "ab":
            self.assertTrue(buckets.take(key, 0))
        self.assertEqual(len(buckets), 2)
        self.assertFalse(buckets.take("a", 0))  # now b is the least recently used
        self.assertTrue(buckets.take("c", 0))
        self.assertEqual(len(buckets), 2)
        self.assertFalse(buckets.take("a", 0))
        self.assertTrue(buckets.take("b", 0), "forgotten, so its bucket is full again")

    def test_nonsense_is_refused(self) -> None:
        for rate, burst, max_keys in [(0, 1, 1), (-1, 1, 1), (1, 0.5, 1), (1, 1, 0)]:
            with self.assertRaises(ValueError):
                TokenBuckets(rate, burst, max_keys)
