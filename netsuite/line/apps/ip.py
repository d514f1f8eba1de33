"""Sums with addresses and networks for whoever asks: what ``netsuite ip`` does, line by line.

The commands are those of the command line. Where that reads files or its standard input, these
have words or a literal: nothing that a peer sends is ever taken for the name of a file.

No command holds others up for long. How much one may ask for is limited (words and bytes by
:data:`LIMITS`, prefixes by :data:`MOST_PREFIXES`, lines by :data:`MOST_LINES`), what takes a
while waits for its turn, and listings are made as the peer reads them.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal, TypeVar

from twisted.internet.defer import Deferred

from netsuite.ip import AddressError, IPSet
from netsuite.ip._networks import summarize as fewest
from netsuite.ip._range import BITS
from netsuite.ip.cli._calc import (
    Fields,
    address_of,
    class_fields,
    field_line,
    item_fields,
    item_of,
)
from netsuite.ip.cli._grep import selected
from netsuite.ip.cli._sets import diff_lines, free_prefixes
from netsuite.ip.cli._texts import Row, rows, text_of
from netsuite.line._arguments import Block, Network
from netsuite.line._errors import CommandError
from netsuite.line._limits import Limits
from netsuite.line._session import Session
from netsuite.line.app import LineApp

__all__ = ["LIMITS", "MOST_LINES", "MOST_PREFIXES", "ip_app"]

#: What one peer may ask for at once.
LIMITS = Limits(line_length=16 * 1024, arguments=1024, literal=64 * 1024, buffer=8 * 1024)

#: Prefixes that a set may come to.
MOST_PREFIXES = 4096

#: Lines that one listing may have.
MOST_LINES = 1_000_000

_FORMAT = "format"  # in the session's state
_FLAGS = {
    "v": "invert_match",
    "c": "count",
    "n": "line_number",
    "o": "only_matching",
    "x": "exact",
}
_MOST_FIELDS = 1000

T = TypeVar("T")


def ip_app(*, line_end: Literal[b"\r\n", b"\n"] = b"\r\n", limits: Limits | None = None) -> LineApp:
    """An application with the commands of ``netsuite ip``.

    :param line_end: sent behind each line.
    :param limits: of each connection; :data:`LIMITS` by default.
    """
    app = LineApp("ip", line_end=line_end, limits=limits or LIMITS)
    for function in (calc, classify, aggregate, summarize, diff, free, subnets, grep, format_):
        app.command()(function)
    return app


def format_(session: Session, format: Literal["text", "json"]) -> None:  # noqa: A002 - the word
    """Choose text for people (at first) or JSON, for what follows on this connection."""
    session.state[_FORMAT] = format


def calc(session: Session, *items: str) -> Iterator[str]:
    """All about addresses, networks and ranges.

    In JSON there is one object a line for each of them.
    """
    found = [(text, _parsed(item_of, text)) for text in _some(items)]
    return _described(session, (item_fields(text, item) for text, item in found))


def classify(session: Session, *addresses: str) -> Iterator[str]:
    """What the IANA registries say of addresses.

    In JSON there is one object a line for each of them.
    """
    found = [(text, _parsed(address_of, text)) for text in _some(addresses)]
    return _described(session, (class_fields(text, address) for text, address in found))


async def aggregate(session: Session, *prefixes: str) -> Iterator[str]:
    """The fewest prefixes for these addresses, networks and ranges.

    Those with a ! in front are taken away: AGGREGATE 10.0.0.0/24 !10.0.0.77
    """
    found = await _wanted(session, prefixes)
    return _listed(session, map(text_of, _few(found)))


async def summarize(session: Session, most: int, *prefixes: str) -> Iterator[str]:
    """The fewest prefixes for these, and no more than so many.

    Where that takes addresses that nobody asked for, lines with a + in front say which. Those
    with a ! in front are taken away.
    """
    found = await _wanted(session, prefixes)
    _few(found)
    try:
        summary = fewest([found], most)
    except ValueError:
        least = 1 if most < 1 else 2
        reason = "" if least == 1 else ": there are both families"
        raise CommandError(
            "bad-argument", f"most {most}: expected {least} or more{reason}"
        ) from None
    chosen, extra = map(str, summary.prefixes), [text_of(row) for row in _few(summary.extra)]
    if _is_json(session):
        return iter([json.dumps({"prefixes": list(chosen), "extra": extra})])
    return iter([*chosen, *(f"+{prefix}" for prefix in extra)])


async def diff(session: Session, old: str, new: str) -> Iterator[str]:
    """Prefixes that were removed (-) and added (+).

    Both are addresses, networks and ranges with commas between them; "" is nothing.
    """
    await _turn(session)
    before, after = _set(old), _set(new)
    removed, added = before - after, after - before
    gone, come = _few(removed), _few(added)
    if _is_json(session):
        texts = {"removed": [*map(text_of, gone)], "added": [*map(text_of, come)]}
        return iter([json.dumps(texts)])
    return diff_lines(removed, added)


async def free(
    session: Session,
    length: int,
    pool: str,
    count: int = 1,
    policy: Literal["first", "smallest"] = "first",
    *used: str,
) -> Iterator[str]:
    """Prefixes of a length that are not in use.

    The pool, and each of what is used, is addresses, networks and ranges with commas between
    them. The lowest prefixes come first, or those from the smallest gap that is large enough.
    """
    await _turn(session)
    _within("count", count, 1, MOST_PREFIXES)
    left = _set(pool) - IPSet([_set(each) for each in used])
    version = _family(_few(left))
    _within("length", length, 0, BITS[version])
    found = [*map(text_of, islice(free_prefixes(left, length, version, policy), count))]
    error = CommandError("not-found", f"{len(found)} of {count} free /{length} found")
    return _listed(session, found, None if len(found) == count else error)


def subnets(session: Session, network: Network, length: int, count: int = 256) -> Iterator[str]:
    """The subnets of a length, the lowest ones first, up to so many."""
    _within("length", length, network.prefixlen, network.max_prefixlen)
    _within("count", count, 1, MOST_LINES)
    there = 1 << (length - network.prefixlen)
    step = 1 << (network.max_prefixlen - length)
    first = int(network.network_address)
    for number in range(min(count, there)):
        subnet = text_of((first + number * step, length, network.version))
        yield json.dumps({"prefix": subnet}) if _is_json(session) else subnet


async def grep(
    session: Session, prefixes: str, flags: str = "-", field: int = 0, text: Block = b""
) -> Iterator[str]:
    """The lines of a text that have an address that is in a set.

    The set is addresses, networks and ranges with commas between them. Flags are letters, or -
    for none: v the other lines, c how many, n with their numbers, o the addresses instead of
    the lines, x only where the line, or the field, is the address. Only that field of each line
    is looked at, if it is not 0.
    """
    await _turn(session)
    chosen = dict.fromkeys(_FLAGS.values(), False)
    for flag in flags.removeprefix("-"):
        if flag not in _FLAGS:
            raise CommandError("bad-argument", f"flags {flag!r}: expected some of vcnox, or -")
        chosen[_FLAGS[flag]] = True
    if chosen["invert_match"] and chosen["only_matching"]:
        raise CommandError("bad-argument", "flags: expected v or o, not both")
    _within("field", field, 0, _MOST_FIELDS)
    options = Namespace(**chosen, field=field or None, json=_is_json(session))
    found = selected(text, _set(prefixes), options)
    return map(_shown, found.split(b"\n")[:-1])


# What the words become.


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except AddressError as error:
        raise CommandError("bad-argument", str(error)) from None


def _some(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise CommandError("bad-argument", "expected an address, a network or a range")
    return words


def _set(text: str) -> IPSet:
    """What words with commas between them stand for."""
    try:
        return IPSet([each for each in text.split(",") if each])
    except AddressError as error:
        raise CommandError("bad-argument", str(error)) from None


async def _wanted(session: Session, prefixes: tuple[str, ...]) -> IPSet:
    """What words stand for, without those that begin with ``!``."""
    await _turn(session)
    found: dict[bool, list[str]] = {False: [], True: []}
    for each in _some(prefixes):
        found[each.startswith("!")].append(each.removeprefix("!"))
    wanted, unwanted = _set(",".join(found[False])), _set(",".join(found[True]))
    return wanted - unwanted


def _few(addresses: IPSet) -> list[Row]:
    """The prefixes of a set, if they are not too many."""
    found = [*islice(rows(addresses), MOST_PREFIXES + 1)]
    if len(found) > MOST_PREFIXES:
        raise CommandError(
            "bad-argument", f"expected what comes to {MOST_PREFIXES} prefixes at most"
        )
    return found


def _family(found: list[Row]) -> int:
    versions = {version for _, _, version in found}
    if len(versions) > 1:
        raise CommandError("bad-argument", "pool: expected one family, IPv4 or IPv6")
    return min(versions, default=4)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise CommandError("bad-argument", f"{name} {value}: expected {least} to {most}")


def _turn(session: Session) -> Deferred[None]:
    """Let everybody else have their turn first."""
    turn: Deferred[None] = Deferred()
    session.clock.callLater(0, turn.callback, None)
    return turn


# What becomes of the results.


def _is_json(session: Session) -> bool:
    return session.state.get(_FORMAT) == "json"


def _described(session: Session, items: Iterable[Fields]) -> Iterator[str]:
    """Items for people, with an empty line between two, or as JSON."""
    for number, item in enumerate(items):
        if _is_json(session):
            yield json.dumps(item)
            continue
        if number:
            yield ""
        yield from "".join(map(field_line, item.items())).splitlines()


def _listed(
    session: Session, prefixes: Iterable[str], error: CommandError | None = None
) -> Iterator[str]:
    """Prefixes, and the error that there is behind them."""
    if _is_json(session):
        yield json.dumps({"prefixes": list(prefixes)})
    else:
        yield from prefixes
    if error is not None:
        raise error


def _shown(line: bytes) -> str:
    """A line as it was, but for line breaks that are none of ours."""
    return line.removesuffix(b"\r").decode("utf-8", "surrogateescape").replace("\r", "\\r")
