"""Sets of integers as intervals: the arithmetic under :class:`~netsuite.ip.IPSet`.

A set is a pair of sequences of equal length, ``starts`` and ``ends``: intervals with both
ends inside, in ascending order, never touching one another. There is one form for each
set, so equal sets have equal intervals.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from operator import gt
from typing import NamedTuple


class Intervals(NamedTuple):
    """One set of integers."""

    starts: Sequence[int]
    ends: Sequence[int]


EMPTY = Intervals((), ())


def merge(pairs: Iterable[tuple[int, int]]) -> Intervals:
    """The union of intervals in any order, overlapping or not.

    :param pairs: first and last of each.
    """
    firsts_and_lasts = list(zip(*pairs, strict=True))
    if not firsts_and_lasts:
        return EMPTY
    firsts, lasts = firsts_and_lasts
    return _covered_once(sorted(firsts), sorted(lasts))


# Sweeping over intervals: where the n-th of all starts (from 0) comes after the n-th of all
# ends (from 1), everything that had begun has ended. So starts and ends can be sorted apart,
# which for two sets is a merge of two sorted runs, and no pair is ever made.


def _covered_once(starts: list[int], ends: list[int]) -> Intervals:
    """What one or more intervals cover, from the sorted starts and ends of all, at least one."""
    later = starts[1:]
    begins = list(map(gt, later, map((1).__add__, ends)))
    return Intervals([starts[0], *compress(later, begins)], [*compress(ends, begins), ends[-1]])


def _sorted_bounds(one: Intervals, other: Intervals) -> tuple[list[int], list[int]]:
    return sorted([*one.starts, *other.starts]), sorted([*one.ends, *other.ends])


def union(one: Intervals, other: Intervals) -> Intervals:
    """What is in either."""
    if not one.starts or not other.starts:
        return one if one.starts else other
    return _covered_once(*_sorted_bounds(one, other))


def intersection(one: Intervals, other: Intervals) -> Intervals:
    """What is in both."""
    if not one.starts or not other.starts:
        return EMPTY
    starts, ends = _sorted_bounds(one, other)
    # The same sweep: a start that is not after that end begins what two intervals cover.
    later = starts[1:]
    both = [start <= end for start, end in zip(later, ends, strict=False)]
    return Intervals(list(compress(later, both)), list(compress(ends, both)))


def complement(one: Intervals, first: int, last: int) -> Intervals:
    """What of ``first`` to ``last`` is not in the set, all of which lies there."""
    starts = [first, *(end + 1 for end in one.ends)]
    ends = [*(start - 1 for start in one.starts), last]
    if starts[-1] > last:
        starts.pop()
        ends.pop()
    if ends and ends[0] < first:
        del starts[0], ends[0]
    return Intervals(starts, ends)


def difference(one: Intervals, other: Intervals) -> Intervals:
    """What is in the first and not in the other."""
    if not one.starts or not other.starts:
        return one
    first = min(one.starts[0], other.starts[0])
    last = max(one.ends[-1], other.ends[-1])
    return intersection(one, complement(other, first, last))


def symmetric_difference(one: Intervals, other: Intervals) -> Intervals:
    """What is in exactly one of them."""
    return difference(union(one, other), intersection(one, other))


def contains(one: Intervals, first: int, last: int) -> bool:
    """Whether all from ``first`` to ``last`` is in the set."""
    index = bisect_right(one.starts, first) - 1
    return index >= 0 and one.ends[index] >= last


def touches(one: Intervals, first: int, last: int) -> bool:
    """Whether any from ``first`` to ``last`` is in the set."""
    index = bisect_left(one.ends, first)
    return index < len(one.starts) and one.starts[index] <= last


def is_subset(one: Intervals, other: Intervals) -> bool:
    """Whether all of the first is in the other."""
    ends, starts = other.ends, other.starts
    for start, end in zip(one.starts, one.ends, strict=True):
        index = bisect_right(starts, start) - 1
        if index < 0 or ends[index] < end:
            return False
    return True


def size(one: Intervals) -> int:
    """How many integers are in the set."""
    return sum(one.ends) - sum(one.starts) + len(one.starts)


def prefixes(first: int, last: int, bits: int) -> Iterator[tuple[int, int]]:
    """The fewest prefixes that make up an interval, in order.

    :param bits: the length of an address.
    :returns: for each its first address and its length.
    """
    while first <= last:
        # As large as the alignment of its start allows, and no larger than what is left.
        aligned = (first & -first).bit_length() - 1 if first else bits
        host_bits = min(aligned, (last - first + 1).bit_length() - 1)
        yield first, bits - host_bits
        first += 1 << host_bits
