"""``netsuite ip aggregate``, ``diff`` and ``free``: sets of prefixes in files."""

import heapq
from argparse import Namespace
from collections.abc import Iterator
from itertools import islice

from netsuite.ip._networks import summarize
from netsuite.ip._range import BITS
from netsuite.ip._set import IPSet
from netsuite.ip.cli._input import names_or_input, read_set, set_of_file_or_text
from netsuite.ip.cli._streams import Streams, Trouble
from netsuite.ip.cli._texts import Row, rows, text_of, texts

_SHOWN = 10  # prefixes of what was added, in the report


def aggregate(options: Namespace, streams: Streams) -> int:
    """Print the fewest prefixes for what the files have."""
    names = names_or_input(options.files, streams, "a file")
    wanted = read_set(names, streams, options.skip_bad)
    if options.exclude:
        wanted -= read_set(options.exclude, streams, options.skip_bad)
    extra = IPSet()
    if options.max is None:
        found = texts(wanted)
    else:
        try:
            summary = summarize([wanted], options.max)
        except ValueError:
            raise Trouble(
                f"--max {options.max}: expected at least 2, the files have both families"
            ) from None
        found = [str(prefix) for prefix in summary.prefixes]
        extra = summary.extra
    if extra:
        _report_extra(extra, len(found), streams)
    if options.json:
        streams.write_json({"prefixes": found, "extra": texts(extra)})
    else:
        streams.write("".join([f"{prefix}\n" for prefix in found]))
    return 0


def _report_extra(extra: IPSet, count: int, streams: Streams) -> None:
    """Say which addresses the prefixes have besides those asked for."""
    shown = [text_of(row) for row in islice(rows(extra), _SHOWN + 1)]
    more = ", ..." if len(shown) > _SHOWN else ""
    plural = "" if count == 1 else "es"
    streams.complain(
        f"netsuite ip aggregate: {count} prefix{plural} with {extra.size} more addresses than "
        f"asked for: {', '.join(shown[:_SHOWN])}{more}"
    )


def diff(options: Namespace, streams: Streams) -> int:
    """Print what is in one file only; returns 0 if nothing is, else 1."""
    names_or_input([options.old, options.new], streams, "two files")
    old, new = (read_set([name], streams, options.skip_bad) for name in (options.old, options.new))
    removed, added = old - new, new - old
    if options.json:
        streams.write_json({"removed": texts(removed), "added": texts(added)})
    else:
        streams.write("".join([f"{line}\n" for line in diff_lines(removed, added)]))
    return int(bool(removed or added))


def diff_lines(removed: IPSet, added: IPSet) -> Iterator[str]:
    """The prefixes of both sets in order, each with ``-`` or ``+`` in front."""
    signed = [(version, first, length, "-") for first, length, version in rows(removed)]
    signed += [(version, first, length, "+") for first, length, version in rows(added)]
    signed.sort()
    for version, first, length, sign in signed:
        yield f"{sign}{text_of((first, length, version))}"


def free(options: Namespace, streams: Streams) -> int:
    """Print prefixes that nobody uses; returns 1 if there are not so many as asked for."""
    if [options.pool, *options.used].count("-") > 1:
        raise Trouble("standard input (-) can be read only once")
    pool = set_of_file_or_text(options.pool, streams, options.skip_bad)
    used = IPSet(set_of_file_or_text(name, streams, options.skip_bad) for name in options.used)
    version = _version(pool, options.family, options.length)
    found = [
        text_of(row)
        for row in islice(
            free_prefixes(pool - used, options.length, version, options.policy), options.count
        )
    ]
    if options.json:
        streams.write_json({"prefixes": found})
    else:
        streams.write("".join([f"{prefix}\n" for prefix in found]))
    if len(found) < options.count:
        streams.complain(
            f"netsuite ip free: {len(found)} of {options.count} free /{options.length} found"
        )
    return int(len(found) < options.count)


def _version(pool: IPSet, asked: int | None, length: int) -> int:
    """The family to look in."""
    versions = {version for version, family in pool._families.items() if family.starts}
    if asked is None and len(versions) > 1:
        raise Trouble("--in has IPv4 and IPv6 addresses: expected -4 or -6 to choose")
    version = asked or min(versions, default=4)
    if length > BITS[version]:
        raise Trouble(f"length {length}: expected 0 to {BITS[version]} for IPv{version}")
    return version


def free_prefixes(addresses: IPSet, length: int, version: int, policy: str) -> Iterator[Row]:
    """What :meth:`~netsuite.ip.IPSet.free_prefix` gives, over and over, in one pass.

    :param policy: ``first`` or ``smallest``.
    """
    bits = BITS[version]
    smallest = policy == "smallest"
    # What is to be cut first comes first: the lowest, or the longest prefix.
    blocks = [
        (-free if smallest else 0, first, free)
        for first, free, family in rows(addresses)
        if family == version and free <= length
    ]
    heapq.heapify(blocks)
    while blocks:
        _, first, free = heapq.heappop(blocks)
        yield first, length, version
        # The other half, the other quarter ... of the block stay free.
        for rest in range(length, free, -1):
            heapq.heappush(blocks, (-rest if smallest else 0, first + (1 << (bits - rest)), rest))
