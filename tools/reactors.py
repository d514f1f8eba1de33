#!/usr/bin/env python3
"""Run trial's tests under several reactors, and tell the tests that fare differently.

    tools/reactors.py --reactors epoll,netsuite-uv twisted.test twisted.protocols twisted.web

Each reactor runs the tests in a process of its own. A test that hangs, or takes the process
down, is named, and the rest go on without it. Tests with another outcome than under the first
reactor are run again without the others, a few times on both: where an outcome is then
common to both, the test is unsteady, and not a difference between reactors.

The exit status is 1 if a later reactor does not pass what the first one passes.
"""

import argparse
import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unittest import TestCase, TestSuite

from twisted.application.reactors import NoSuchReactor, getReactorTypes, installReactor
from twisted.trial.reporter import Reporter
from twisted.trial.runner import DestructiveTestSuite, TestLoader, TrialRunner

#: What can become of a test, the worst last: of a test that reports several, the worst counts.
KINDS = ("ok", "todo", "surprise", "skip", "fail", "error", "crash", "hang", "absent")
PASSED = {"ok", "todo", "surprise"}

#: The exit status of a process that has got through its tests.
COMPLETE = 87


class NothingRunError(Exception):
    """There was no test to run, or no reactor to run it; the message is for people."""


@dataclass(frozen=True)
class Outcome:
    """What became of a test: one of :data:`KINDS`, and a traceback or a reason."""

    kind: str
    text: str = ""


Outcomes = dict[str, Outcome]
ABSENT = Outcome("absent")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="as trial takes them")
    parser.add_argument(
        "--reactors", default="epoll,netsuite-uv", help="as trial names them; default: %(default)s"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=150,
        help="seconds for one test, of which trial itself allows 120; default: %(default)s",
    )
    parser.add_argument(
        "--reruns", type=int, default=3, help="of what differs; default: %(default)s"
    )
    parser.add_argument("--verbose", action="store_true", help="whole tracebacks, not one line")
    options = parser.parse_args(arguments)
    reactors = options.reactors.split(",")
    try:
        return compare(reactors, options.targets, options)
    except NothingRunError as error:
        sys.stderr.write(f"reactors: {error}\n")
        return 2


def compare(reactors: list[str], targets: list[str], options: argparse.Namespace) -> int:
    """Run everything and say what there is to say; returns the exit status.

    :raises NothingRunError: if a reactor is not to be had, or there is nothing to compare.
    """
    first, *others = reactors
    runs: dict[str, list[Outcomes]] = {}
    for reactor in reactors:
        start = time.monotonic()
        outcomes = run(reactor, targets, options.timeout)
        runs[reactor] = [outcomes]
        say(f"{reactor}: {counts(outcomes)}; {time.monotonic() - start:.0f} s")
    if not runs[first][0]:
        raise NothingRunError(f"no tests in {' '.join(targets)}")
    failed = [
        f"  {test}\n    {outcome.kind}: {brief(outcome, options.verbose)}"
        for test, outcome in sorted(runs[first][0].items())
        if outcome.kind not in {*PASSED, "skip"}
    ]
    section(f"Failed under {first}:", failed)

    differing = {test for other in others for test in different(runs[first][0], runs[other][0])}
    for _ in range(options.reruns if differing else 0):
        for reactor in reactors:
            runs[reactor].append(run(reactor, targets, options.timeout, differing))
    worse = 0
    for other in others:
        worse += report(first, other, runs, options.verbose)
    return 1 if worse else 0


def report(first: str, other: str, runs: dict[str, list[Outcomes]], verbose: bool) -> int:
    """Say where two reactors differ; returns how many tests only the first one passes."""
    unsteady, differing, worse = [], [], 0
    for test in sorted(different(runs[first][0], runs[other][0])):
        lines = [f"  {test}"]
        alone = []
        for reactor in (first, other):
            found = [outcomes.get(test, ABSENT) for outcomes in runs[reactor]]
            kinds = [outcome.kind for outcome in found]
            alone.append(set(kinds[1:] or kinds))
            again = f"; again: {', '.join(kinds[1:])}" if kinds[1:] else ""
            lines.append(f"    {reactor}: {kinds[0]}{again}")
            worst = max(found, key=lambda outcome: KINDS.index(outcome.kind))
            if worst.text:
                lines.append(f"      {brief(worst, verbose)}")
        if alone[0] & alone[1]:
            unsteady += lines
        else:
            differing += lines
            worse += bool(alone[0] & PASSED) and not alone[1] <= PASSED
    section(f"Different under {other} from {first}:", differing)
    section(f"Different under {other} at first, then the same:", unsteady)
    return worse


def different(one: Outcomes, other: Outcomes) -> set[str]:
    """The tests whose outcomes are not of one kind."""
    return {
        test
        for test in one.keys() | other.keys()
        if one.get(test, ABSENT).kind != other.get(test, ABSENT).kind
    }


def counts(outcomes: Outcomes) -> str:
    """How many there are of each kind, as text."""
    found = Counter(outcome.kind for outcome in outcomes.values())
    return ", ".join(
        f"{found[kind]} {kind}"
        for kind in KINDS
        if found[kind] or kind in {"ok", "fail", "error", "skip"}
    )


def brief(outcome: Outcome, verbose: bool) -> str:
    """A traceback's exception, or all of it."""
    lines = outcome.text.strip().splitlines()
    if verbose:
        return "\n      ".join(lines)
    plain = (line for line in lines if not line.startswith((" ", "-", "Traceback ")))
    return next(plain, lines[0] if lines else "")


def section(title: str, lines: list[str]) -> None:
    """Print a part of the report."""
    say("\n".join(["", title, *(lines or ["  none"])]))


def say(text: str) -> None:
    """Print, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# A reactor's run, seen from outside.


def run(
    reactor: str, targets: list[str], timeout: float, only: Collection[str] | None = None
) -> Outcomes:
    """Run tests under a reactor: all of the targets', or only some of them.

    :param timeout: seconds without news from the tests, after which one counts as hung.
    :raises NothingRunError: if no test could be run.
    """
    outcomes: Outcomes = {}
    while True:
        request = {
            "reactor": reactor,
            "targets": targets,
            "only": None if only is None else sorted(only),
            "done": sorted(outcomes),
        }
        with tempfile.TemporaryDirectory(prefix="reactors-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            (directory / "request").write_text(json.dumps(request))
            ending = watch(directory, timeout)
            last = collect(directory / "records", outcomes)
            log = (directory / "output").read_text(errors="replace").strip()
        if ending is None:
            return outcomes
        if last is None:
            raise NothingRunError(f"{reactor}: {log.rsplit(chr(10), 1)[-1] or ending.text}")
        _, fatal, stack = log.rpartition("Fatal Python error")
        where = f"\n{fatal}{stack}" if fatal else ""
        outcomes[last] = Outcome(ending.kind, f"{ending.text}{where}")


def watch(directory: Path, timeout: float) -> Outcome | None:
    """Run the tests of a request to their end, or to the end of a test that hangs.

    :returns: how the process ended, unless it got through all tests.
    """
    records = directory / "records"
    records.touch()
    command = [sys.executable, __file__, "--child", str(directory)]
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this file
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    hung = False
    try:
        size, since = 0, time.monotonic()
        while not ended(process, 0.2):
            if (now := records.stat().st_size) != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > timeout:
                hung = True
                process.send_signal(signal.SIGABRT)  # it says where it is
                ended(process, 10)
                break
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that its tests have left running
        process.wait()
    if hung:
        return Outcome("hang", f"no news in {timeout:g} s")
    if process.returncode == COMPLETE:
        return None
    if process.returncode < 0:
        return Outcome("crash", signal.Signals(-process.returncode).name)
    return Outcome("crash", f"exit status {process.returncode}")


def ended(process: subprocess.Popen[bytes], within: float) -> bool:
    """Whether a process ends within some seconds."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def collect(records: Path, outcomes: Outcomes) -> str | None:
    """Add what was recorded to the outcomes; returns the test that was started last."""
    last = None
    for line in records.read_text().splitlines():
        test, kind, text = json.loads(line)
        if kind == "start":
            last = test
            continue
        before = outcomes.get(test, Outcome("ok"))
        # What came first is why the others came.
        outcomes[test] = Outcome(
            max(before.kind, kind, key=KINDS.index), f"{before.text}\n{text}".strip()
        )
    return last


# The process of a run.


class Recorder(Reporter):
    """A reporter that writes what becomes of each test to a file, line by line."""

    def __init__(self, records: TextIO, silence: TextIO, *settings: Any) -> None:
        super().__init__(silence, *settings)
        self._records = records

    def _record(self, test: Any, kind: str, text: str = "") -> None:
        self._records.write(f"{json.dumps([test.id(), kind, text])}\n")

    def startTest(self, test: Any) -> None:
        """A test starts."""
        super().startTest(test)
        self._record(test, "start")

    def addSuccess(self, test: Any) -> None:
        """It has passed."""
        super().addSuccess(test)
        self._record(test, "ok")

    def addFailure(self, test: Any, fail: Any) -> None:
        """An assertion of it has failed."""
        super().addFailure(test, fail)
        self._record(test, "fail", self._getFailure(fail).getTraceback())

    def addError(self, test: Any, error: Any) -> None:
        """It, or what is around it, has raised an error."""
        super().addError(test, error)
        self._record(test, "error", self._getFailure(error).getTraceback())

    def addSkip(self, test: Any, reason: Any) -> None:
        """It was not run."""
        super().addSkip(test, reason)
        self._record(test, "skip", str(reason))

    def addExpectedFailure(self, test: Any, error: Any, todo: Any = None) -> None:
        """It has failed, as it says."""
        super().addExpectedFailure(test, error, todo)
        self._record(test, "todo")

    def addUnexpectedSuccess(self, test: Any, todo: Any = None) -> None:
        """It has passed, and says that it does not."""
        super().addUnexpectedSuccess(test, todo)
        self._record(test, "surprise")


def child(directory: Path) -> None:
    """Do what a request asks for."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = json.loads((directory / "request").read_text())
    try:
        installReactor(request["reactor"])
    except NoSuchReactor:
        names = ", ".join(sorted(kind.shortName for kind in getReactorTypes()))
        sys.exit(f"no such reactor: expected one of {names}")
    except ImportError as error:
        sys.exit(str(error))
    done, only = set(request["done"]), request["only"]
    tests = [
        test
        for test in flat(TestLoader().loadByNames(request["targets"], recurse=True))
        if test.id() not in done and (only is None or test.id() in only)
    ]
    with (
        (directory / "records").open("w", buffering=1) as records,
        Path(os.devnull).open("w") as silence,
    ):
        TrialRunner(
            lambda *settings: Recorder(records, *settings),
            stream=silence,
            workingDirectory=str(directory / "_trial_temp"),
        ).run(DestructiveTestSuite(tests))
    # What threads or exit handlers of the tests do now is not the tests' business.
    os._exit(COMPLETE)


def flat(test: TestCase | TestSuite) -> Iterator[TestCase]:
    """The tests of a suite, however deep."""
    if isinstance(test, TestSuite):
        for each in test:
            yield from flat(each)
    else:
        yield test


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]))
    sys.exit(main())
