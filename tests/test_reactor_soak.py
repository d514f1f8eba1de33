"""The native reactor loses no connection's end and keeps nothing: ``bench soak``, made small."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench._procs import Cores
from bench._soaking import Tally
from bench.soak import HELD, HELD_KINDS, SPARE_MEMORY, SPARE_OBJECTS, Outcome, soak

CONNECTIONS = 3000  # after as many to warm up
SLOTS = 128
PARTS = 2

#: Connections by kind, of a hundred: what soak.c has.
SHARES = {
    "close": 30,
    "half-close": 20,
    "reset": 15,
    "reset, unread data": 10,
    "reset, held": 5,
    "timeout": 2,
    "abort": 10,
    "own client": 8,
}


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """What came of a soak of the native reactor."""
    processors = sorted(os.sched_getaffinity(0))
    return soak("netsuite-uv", CONNECTIONS, SLOTS, Cores(processors[0], processors[-1]), PARTS)


def test_nothing_is_lost_or_left_over(outcome: Outcome) -> None:
    assert outcome.faults() == []


def test_every_kind_of_connection_took_part(outcome: Outcome) -> None:
    expected = {name: share * 2 * CONNECTIONS // 100 for name, share in SHARES.items()}
    assert dict(outcome.made) == expected
    tallies = outcome.counted.tallies
    assert {name: tallies[name].lost for name in SHARES} == expected
    assert tallies["own"].lost == tallies["from own client"].lost == expected["own client"]
    assert outcome.connections == CONNECTIONS


def test_the_end_of_every_connection_that_is_reset_behind_unread_data_is_told(
    outcome: Outcome,
) -> None:
    assert outcome.lost == dict.fromkeys(HELD_KINDS.values(), HELD)


def test_nothing_is_open_at_the_end(outcome: Outcome) -> None:
    before, *_, after = outcome.states
    assert len(outcome.states) == 1 + PARTS
    assert after.descriptors == before.descriptors
    assert (outcome.counted.open, outcome.counted.pending) == (0, 0)


# The soak itself: it finds what it is there to find.


def with_tally(outcome: Outcome, name: str, change: Callable[[Tally], Tally]) -> Outcome:
    """The same with something else counted of one kind."""
    tallies = outcome.counted.tallies
    changed = tallies | {name: change(tallies[name])}
    return replace(outcome, counted=replace(outcome.counted, tallies=changed))


def with_more(outcome: Outcome, **more: int) -> Outcome:
    """The same with more left at the end."""
    *earlier, last = outcome.states
    grown = {name: getattr(last, name) + count for name, count in more.items()}
    return replace(outcome, states=[*earlier, replace(last, **grown)])


def only_fault(outcome: Outcome) -> str:
    """What the soak complains of."""
    (fault,) = outcome.faults()
    return fault


def test_it_finds_a_connection_that_is_never_lost(outcome: Outcome) -> None:
    changed = with_tally(outcome, "reset", lambda tally: replace(tally, lost=tally.lost - 1))
    assert only_fault(changed) == "connections never lost: 1"
    assert not changed.is_quiet(changed.counted)


def test_it_finds_a_connection_that_is_lost_twice(outcome: Outcome) -> None:
    changed = with_tally(outcome, "abort", lambda tally: replace(tally, twice=1))
    assert only_fault(changed) == "connections lost twice: 1"


def test_it_finds_data_after_the_end(outcome: Outcome) -> None:
    changed = with_tally(outcome, "close", lambda tally: replace(tally, late=1))
    assert only_fault(changed) == "data after the end: 1"


def test_it_finds_a_wrong_reason(outcome: Outcome) -> None:
    reasons = {"ConnectionLost": 2, "ConnectionDone": 1}
    changed = with_tally(outcome, "reset", lambda tally: replace(tally, reasons=reasons))
    assert only_fault(changed) == "ends with a wrong reason: 1 reset: ConnectionDone"


def test_it_finds_a_connection_that_the_server_was_not_told_of(outcome: Outcome) -> None:
    changed = replace(outcome, made=outcome.made + Counter({"timeout": 1}))
    assert only_fault(changed) == "connections that only one side has seen: 1"
    assert not changed.is_quiet(changed.counted)


def test_it_finds_what_was_logged(outcome: Outcome) -> None:
    counted = replace(outcome.counted, errors=2, first_error="a traceback\n")
    assert only_fault(replace(outcome, counted=counted)) == "errors logged: 2 a traceback"


def test_it_finds_a_held_connection_whose_end_is_not_told(outcome: Outcome) -> None:
    changed = replace(outcome, lost=outcome.lost | {"choked": HELD - 1})
    assert only_fault(changed) == "choked, reset: told of the end: 19 of 20"


def test_it_finds_a_descriptor_left_open(outcome: Outcome) -> None:
    assert only_fault(with_more(outcome, descriptors=1)) == "descriptors left open: 1"


def test_it_finds_memory_that_grows(outcome: Outcome) -> None:
    allowed = SPARE_MEMORY + 2 * CONNECTIONS
    grown = outcome.states[-1].memory - outcome.states[0].memory
    assert with_more(outcome, memory=allowed - grown).faults() == []
    fault = only_fault(with_more(outcome, memory=allowed - grown + 1))
    assert fault.startswith("KiB of memory grown")


def test_it_finds_objects_left_over(outcome: Outcome) -> None:
    first, *_, last = outcome.states
    for more, faults in ((SPARE_OBJECTS, 0), (SPARE_OBJECTS + 1, 1)):
        changed = replace(last, objects=first.objects | {"leaked.Thing": more})
        found = replace(outcome, states=[first, changed]).faults()
        assert len(found) == faults
        assert all("leaked.Thing" in fault for fault in found)
