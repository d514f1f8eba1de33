"""The tool that compares reactors, on tests that fare differently on purpose."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT
from tools.reactors import ABSENT, Outcome, Outcomes, different, report

pytestmark = pytest.mark.once

TOOL = ROOT / "tools" / "reactors.py"
TESTS = """
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

EPOLL = type(reactor).__name__ == "EPollReactor"

class Tests(SynchronousTestCase):
    def test_aborts(self): EPOLL or os.abort()
    def test_exits(self): EPOLL or os._exit(0)
    def test_fails(self): self.assertTrue(EPOLL)
    def test_fails_once(self):
        flag = Path({flag!r})
        if not EPOLL and not flag.exists():
            flag.touch()
            self.fail("only once")
    def test_improves(self): self.assertFalse(EPOLL)
    def test_is_broken(self): self.addCleanup(self.fail, "in the end"); 1 / 0
    def test_is_expected_to_fail(self): self.fail("as ever")
    test_is_expected_to_fail.todo = "later"
    if EPOLL:
        def test_is_not_there(self): pass
    def test_passes(self): pass
    def test_skips(self): pass
    test_skips.skip = None if EPOLL else "not today"
"""
REPORT = """
Failed under epoll:
  test_those.Tests.test_improves
    fail: twisted.trial.unittest.FailTest: True is not false
  test_those.Tests.test_is_broken
    error: builtins.ZeroDivisionError: division by zero

Different under select from epoll:
  test_those.Tests.test_aborts
    epoll: ok; again: ok
    select: crash; again: crash
      SIGABRT
  test_those.Tests.test_exits
    epoll: ok; again: ok
    select: crash; again: crash
      exit status 0
  test_those.Tests.test_fails
    epoll: ok; again: ok
    select: fail; again: fail
      twisted.trial.unittest.FailTest: False is not true
  test_those.Tests.test_improves
    epoll: fail; again: fail
      twisted.trial.unittest.FailTest: True is not false
    select: ok; again: ok
  test_those.Tests.test_is_not_there
    epoll: ok; again: ok
    select: absent; again: absent
  test_those.Tests.test_skips
    epoll: ok; again: ok
    select: skip; again: skip
      not today

Different under select at first, then the same:
  test_those.Tests.test_fails_once
    epoll: ok; again: ok
    select: fail; again: ok
      twisted.trial.unittest.FailTest: only once
"""


def compare(directory: Path, tests: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Compare epoll and select over a module of tests."""
    (directory / "test_those.py").write_text(tests)
    command = [sys.executable, str(TOOL), "--reactors", "epoll,select", "--reruns", "1"]
    return subprocess.run(
        [*command, *flags, "test_those"],
        env={"PYTHONPATH": str(directory), "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_difference_is_told_with_its_reason(tmp_path: Path) -> None:
    done = compare(tmp_path, TESTS.format(flag=str(tmp_path / "flag")))
    assert done.stderr == ""
    epoll, select, told = done.stdout.split("\n", 2)
    assert epoll.startswith("epoll: 7 ok, 1 todo, 0 skip, 1 fail, 1 error; ")
    assert select.startswith("select: 2 ok, 1 todo, 1 skip, 2 fail, 1 error, 2 crash; ")
    assert told == REPORT
    assert done.returncode == 1
    assert sorted(path.name for path in tmp_path.glob("reactors-*")) == []


def test_a_test_that_hangs_is_named_with_where_it_is_and_the_rest_go_on(tmp_path: Path) -> None:
    tests = """
import time
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_hangs(self):
        while type(reactor).__name__ == "SelectReactor":
            time.sleep(60)
    def test_passes(self): pass
"""
    # Time enough to load two tests on a slow machine.
    done = compare(tmp_path, tests, "--timeout", "10", "--reruns", "0", "--verbose")
    assert "select: 1 ok, 0 skip, 0 fail, 0 error, 1 hang; " in done.stdout
    assert "test_those.Tests.test_hangs\n    epoll: ok\n    select: hang\n" in done.stdout
    assert "no news in 10 s" in done.stdout
    assert 'test_those.py", line 9 in test_hangs' in done.stdout
    assert done.returncode == 1


def test_reactors_that_do_the_same_are_well(tmp_path: Path) -> None:
    tests = "from twisted.trial import unittest\nclass T(unittest.TestCase):\n def test_it(self): 0"
    done = compare(tmp_path, tests)
    assert done.stdout.count("  none\n") == 3
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--reactors", "epoll,nosuch", "x"], "reactors: nosuch: no such reactor: expected one "),
        (["--reactors", "epoll", "twisted.test.iosim"], "reactors: no tests in twisted.test.iosim"),
    ],
)
def test_what_cannot_be_run_is_one_line(arguments: list[str], line: str) -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("first", "other", "worse"),
    [
        (["ok", "ok", "ok"], ["fail", "fail", "fail"], 1),
        (["ok", "ok", "ok"], ["fail", "fail", "ok"], 0),
        (["ok", "fail", "ok"], ["fail", "fail", "fail"], 0),
        (["ok", "ok", "todo"], ["fail", "error", "hang"], 1),
        (["ok", "ok", "ok"], ["absent", "absent", "absent"], 1),
        (["ok", "ok", "ok"], ["todo", "todo", "todo"], 0),
        (["skip", "skip", "skip"], ["error", "error", "error"], 0),
        (["ok"], ["skip"], 1),
        (["skip"], ["ok"], 0),
    ],
)
def test_only_what_the_first_passes_and_the_other_never_does_the_same_is_worse(
    first: list[str], other: list[str], worse: int
) -> None:
    runs: dict[str, list[Outcomes]] = {
        "first": [{"t": Outcome(kind)} for kind in first],
        "other": [{"t": Outcome(kind)} for kind in other],
    }
    assert report("first", "other", runs, verbose=False) == worse


def test_a_test_that_one_reactor_does_not_have_is_different() -> None:
    same = Outcome("ok", "of no account")
    assert different({"a": Outcome("ok"), "b": same}, {"a": same}) == {"b"}
    assert different({}, {"c": ABSENT}) == set()
