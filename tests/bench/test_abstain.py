"""Where threads did not fit on the free cores no verdict is given, and the note says what would help."""

import copy
from typing import Any

import pytest

from tests.bench.test_noise import QUIET, seen
from torchduet.bench.noise.causes import causes
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.withheld import one_side_preempted, preempted, waited, with_verdicts_withheld


def test_a_quiet_machine_gives_verdicts() -> None:
    assert preempted(QUIET) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"switched": 0.49, "switches_per_second": 60.0, "others": 1.4},  # few a second: long blocks are always hit
        {"switched": 0.49, "switches_per_second": 290.0, "threads": 1, "others": 0.1},  # the threads fit
        {"switched": 0.01, "switches_per_second": 290.0, "others": 1.4},  # few blocks were hit
        {"pilots": 2.2, "drift": 1.4},  # a host at half speed and less
        {"pilots": 140.0, "threads": 1},  # one thread waits for nobody
    ],
)
def test_load_alone_is_no_reason_to_abstain(changes: dict[str, Any]) -> None:
    assert preempted(seen(**changes)) is None


@pytest.mark.parametrize("changes", [{"pilots": 140.0, "drift": 0.02}, {"pilots": 0.1, "drift": 44.0}])
def test_threads_that_waited_for_each_others_time_slices_allow_no_verdict(changes: dict[str, Any]) -> None:
    cause = preempted(seen(**changes))
    assert cause is not None
    assert "a factor of" in cause.words or "100 times as long" in cause.words
    assert "--threads 1" in cause.remedy.words


@pytest.mark.parametrize(
    "changes",
    [
        {"switched": 1.0, "switches_per_second": 102.0, "others": 1.31},  # blocks of 0.1 s: few switches, all with one
        {"switched": 0.125, "switches_per_second": 113.0, "others": 1.49},
        {"switched": 0.0, "switches_per_second": 0.0, "others": 1.49},  # by chance in none of a few short blocks
        {"switched": 0.077, "switches_per_second": 50.0, "others": 2.0, "threads": 1},
    ],
)
def test_threads_that_waited_for_a_core_allow_no_comparison_with_another_run(changes: dict[str, Any]) -> None:
    figures = seen(**changes)
    assert preempted(figures) is None
    assert waited(figures) is not None
    assert waited(Figures.of_record(figures.known(), figures.threads, figures.cores)) == waited(figures)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"switched": 0.49, "switches_per_second": 290.0, "threads": 1, "others": 0.1},  # the threads fit
        {"switched": 0.01, "switches_per_second": 290.0, "threads": 1, "others": 2.0},  # few blocks were hit
        {"switched": 0.01, "switches_per_second": 20.0, "others": 0.4},
        {"switched": 0.9, "switches_per_second": 900.0, "threads": 1, "others": 2.0, "loaders": True},
    ],
)
def test_threads_that_had_their_cores_can_be_compared(changes: dict[str, Any]) -> None:
    assert waited(seen(**changes)) is None


def test_verdicts_are_left_open_where_most_blocks_waited_for_a_core() -> None:
    cause = preempted(seen(switched=0.49, switches_per_second=290.0, others=1.4))
    assert cause is not None
    record: Any = {"speedups": [{"verdict": "faster", "ratio": 154.0}], "trials": [{"verdict": "slower"}], "notes": []}
    plain: Any = {"speedups": [{"verdict": "same"}], "notes": []}
    before = copy.deepcopy([record, plain])
    made: list[Any] = [with_verdicts_withheld(one, cause) for one in (record, plain)]
    assert [record, plain] == before  # what was measured stays as it is
    record, plain = made
    assert [one["speedups"][0]["verdict"] for one in (record, plain)] == ["unclear", "unclear"]
    assert record["trials"][0]["verdict"] == "unclear"
    assert record["speedups"][0]["ratio"] == 154.0
    assert "more threads than free cores" in record["notes"][0]
    assert "--threads 1" in record["notes"][0]


def test_one_side_of_which_most_blocks_waited_allows_no_verdict() -> None:
    """Seen beside two busy processes: bf16 half as fast as fp32; where a core is free it is 3.7 times as fast."""
    hit = seen(switched=1.0, switches_per_second=155.0, others=1.56)
    spared = seen(switched=1.0, switches_per_second=68.0, others=1.56)
    family = seen(switched=1.0, switches_per_second=110.0, others=1.56)
    assert preempted(family) is None
    cause = one_side_preempted([spared, hit])
    assert cause is not None
    assert "100 % of the blocks" in cause.words
    assert one_side_preempted([spared, spared]) is None
    assert one_side_preempted([seen(switched=0.4, switches_per_second=290.0, others=1.56)]) is None  # the medians hold


def test_the_reason_is_the_stall_even_where_something_else_is_worse() -> None:
    """Context switches come before their consequence, the speed."""
    worse = seen(pilots=140.0, switched=0.49, switches_per_second=290.0, others=1.4)
    assert causes(worse)[0].kind != "speed"
    cause = preempted(worse)
    assert cause is not None
    assert cause.kind == "speed"
