"""What the benchmarks say of their targets."""

import pytest

from bench._load import Measurement, Workload
from bench._samples import Sample
from bench._targets import Target, Verdict, verdict_table
from bench.reactor import CONTEST

pytestmark = pytest.mark.once

SMALL, LARGE = Workload(1024, 50), Workload(65536, 50)


def sample(workload: Workload, turn: int, peer: str, trips: int, cpu: float) -> Sample:
    """A round of a second."""
    return Sample(workload, turn, peer, Measurement(trips, 1.0, cpu, 0.5, 1.0, 1.0, 1.0))


#: Of ours and theirs, in three rounds: three, two and four times the round trips, at one cost.
SAMPLES = [
    sample(SMALL, turn, peer, trips, trips / 1000)
    for turn, times in enumerate((3, 2, 4), 1)
    for peer, trips in (("ours", 100 * times), ("theirs", 100))
]


def rows(target: Target, *workloads: Workload) -> list[list[str]]:
    """The lines about a target after some work was done."""
    return [verdict.row() for verdict in target.verdicts(SAMPLES, workloads)]


def test_the_median_of_the_ratios_by_round_is_what_counts() -> None:
    (verdict,) = Target("ours", "theirs", least=2.5).verdicts(SAMPLES, [SMALL])
    assert verdict.reached == [3.0, 2.0, 4.0]
    what = "1 KiB messages, throughput, ours / theirs"
    assert verdict.row() == [what, "3.000", ">= 2.5", "met"]


def test_a_target_is_met_at_its_bound_and_not_met_beyond_it() -> None:
    assert Verdict("", [2.0], 2.0).row()[-1] == "met"
    assert Verdict("", [1.999], 2.0).row()[-1] == "NOT met"
    assert Verdict("", [0.45], 0.45, is_most=True).row()[-1] == "met"
    assert Verdict("", [0.451], 0.45, is_most=True).row()[-1] == "NOT met"


def test_throughput_and_cpu_time_have_a_line_each() -> None:
    target = Target("ours", "theirs", least=3.5, most=1.0, sizes=(1024,))
    assert [row[1:] for row in rows(target, SMALL, LARGE)] == [
        ["3.000", ">= 3.5", "NOT met"],
        ["1.000", "<= 1", "met"],
    ]


def test_a_target_about_any_size_has_a_line_for_each() -> None:
    found = rows(Target("ours", "theirs", least=1.0), SMALL, LARGE)
    assert [row[0].split(",")[0] for row in found] == ["1 KiB messages", "64 KiB messages"]
    assert [row[-1] for row in found] == ["met", "not measured"]


def test_what_was_not_measured_is_said_and_not_passed_over() -> None:
    absent = Target("ours", "absent", least=1.0, sizes=(1024,))
    assert rows(absent, SMALL) == [
        ["1 KiB messages, throughput, ours / absent", "-", ">= 1", "not measured"]
    ]
    tls = Target("ours", "theirs", least=1.3, kind="TLS")
    assert rows(tls, SMALL) == [
        ["messages under TLS, throughput, ours / theirs", "-", ">= 1.3", "not measured"]
    ]


def test_kinds_of_work_are_kept_apart() -> None:
    anew = Workload(1024, 32, anew=True)
    found = rows(Target("ours", "theirs", least=1.0, kind="connections"), SMALL, anew)
    assert found == [["new connections, throughput, ours / theirs", "-", ">= 1", "not measured"]]


def test_every_target_of_the_reactor_has_its_line() -> None:
    verdicts = [it for each in CONTEST.targets for it in each.verdicts([], [])]
    lines = verdict_table(verdicts).splitlines()[2:]
    assert len(lines) == len(CONTEST.targets) + 1  # the first is about two figures
    assert all(line.endswith("not measured") for line in lines)
