"""Every cause of noise begins where its threshold lies, has its size and grade, and names what would help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.bench.test_noise import QUIET, seen
from torchduet.bench.noise.causes import Cause, causes, changed
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.remedies import QUIETER_MACHINE


def one(kind: str, figures: Figures) -> Cause | None:
    return next((cause for cause in causes(figures) if cause.kind == kind), None)


def cause(kind: str, **changes: Any) -> Cause:
    found = one(kind, seen(**changes))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "below", "noisy", "disturbed", "size"),
    [
        ("steal", {"steal": 0.019}, {"steal": 0.02}, {"steal": 0.1}, 1.0),
        ("quota", {"stopped": 0.009}, {"stopped": 0.01}, {"stopped": 0.1}, 1.0),
        ("swapped", {"swapped": 255}, {"swapped": 256}, {"swapped": 25_600}, 1.0),
        (
            "gpu others",
            {"used_by_others": {"cuda:0": 0.049}},
            {"used_by_others": {"cuda:0": 0.05}},
            {"used_by_others": {"cuda:1": 0.3, "cuda:0": 0.01}},
            1.0,
        ),
        (
            "speed",
            {"pilots": 0.24, "drift": 0.24},
            {"pilots": 0.25, "drift": 0.25},
            {"pilots": 0.6, "drift": 0.25},
            1.0,
        ),
        ("gpu speed", {"gpu_pilots": 0.24}, {"gpu_pilots": 0.25, "drift": 0.3}, {"gpu_pilots": 0.6, "drift": 0.3}, 1.0),
        (
            "context switches",
            {"switched": 0.0199, "switches_per_second": 900.0, "threads": 1},
            {"switched": 0.02, "switches_per_second": 40.0, "threads": 1},
            {"switched": 0.04, "switches_per_second": 60.0, "threads": 1},
            1.0,
        ),
    ],
)
def test_a_cause_is_noisy_from_its_first_threshold_and_disturbed_from_its_second(
    kind: str, below: dict[str, Any], noisy: dict[str, Any], disturbed: dict[str, Any], size: float
) -> None:
    assert one(kind, seen(**below)) is None
    found = cause(kind, **noisy)
    assert (found.grade, found.size) == ("noisy", pytest.approx(size))
    assert cause(kind, **disturbed).grade == "disturbed"


def test_others_disturb_only_where_threads_have_no_core_of_their_own() -> None:
    assert one("others", seen(others=0.19)) is None
    assert cause("others", others=0.2).size == pytest.approx(1.0)
    assert [cause("others", others=others).grade for others in (0.49, 0.5)] == ["noisy", "disturbed"]
    assert cause("others", others=0.9, threads=1).grade == "noisy"
    assert cause("others", others=1.4).words == "other processes kept 1.4 of 2 cores busy"


def test_context_switches_say_why_there_was_no_core() -> None:
    many = {"switched": 0.3, "switches_per_second": 900.0}
    assert cause("context switches", **many, others=1.4).words.endswith(": more threads than free cores")
    free = replace(seen(**many, others=0.3, threads=1), cores=4)
    busy, idle = one("context switches", free), one("context switches", replace(seen(**many, threads=1), cores=4))
    assert busy is not None
    assert idle is not None
    assert busy.words == "30 % of the blocks had a context switch: other processes ran on its cores"
    assert idle.words == "30 % of the blocks had a context switch"
    assert one("context switches", seen(**many, loaders=True)) is None
    for unknown in ({"switched": None}, {"switches_per_second": None}):
        assert one("context switches", seen(**{**many, **unknown})) is None


def test_a_speed_that_changed_while_the_familys_own_times_were_steady_disturbs_nothing() -> None:
    assert cause("speed", pilots=0.9, drift=0.24).grade == "noisy"
    assert cause("speed", pilots=0.9, drift=None).grade == "disturbed"
    assert cause("gpu speed", gpu_pilots=0.9, drift=0.1).grade == "noisy"
    assert cause("gpu speed", gpu_pilots=0.9, drift=None).grade == "disturbed"


def test_a_changed_speed_names_what_changed_and_by_how_much() -> None:
    assert cause("speed", pilots=0.35, drift=0.1).words.startswith("the pilots before and after differ by 35 %, ")
    assert cause("speed", pilots=0.1, drift=1.4).words.startswith("times drifted by a factor of 2.4 from placement")
    both = cause("speed", pilots=0.25, drift=0.25).words
    assert both.startswith("the pilots before and after differ by 25 % and times drifted by 25 %")
    assert cause("speed", pilots=0.3, drift=0.75).size == pytest.approx(3.0)  # the larger of the two


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"others": 0.3}, "under load"),
        ({"slowest": 2e9, "fastest": 3e9}, "with the CPU's clocks"),
        ({"throttled": 1}, "with the CPU's clocks"),
        ({"others": None}, "the reason is not known on this system"),
        ({}, "other tenants of the host"),
        ({"virtual": False}, "its clocks, its temperature, or its host if it is virtual"),
    ],
)
def test_a_changed_speed_has_its_reason(changes: dict[str, Any], words: str) -> None:
    assert words in cause("speed", pilots=0.9, **changes).words


def test_under_load_by_others_there_is_something_to_close_and_under_the_hosts_there_is_not() -> None:
    assert "close what else is running" in cause("speed", pilots=0.9, others=0.2).remedy.words
    for other in ({"steal": 0.05}, {"stopped": 0.05}, {"steal": 0.05, "others": 0.19}):
        assert cause("speed", pilots=0.9, **other).remedy == QUIETER_MACHINE


def test_clocks_count_from_a_tenth() -> None:
    assert one("clocks", seen(slowest=3.0e9, fastest=3.29e9)) is None
    found = cause("clocks", slowest=2.5e9, fastest=3.0e9, governor="powersave")
    assert found.size == pytest.approx(2.0)
    assert found.words == "the CPU's clocks ran between 2.50 and 3.00 GHz (governor powersave)"
    assert one("clocks", seen(slowest=None, fastest=3e9)) is None
    assert one("clocks", seen(slowest=3e9, fastest=None)) is None


def test_heat_and_swapping_have_their_numbers() -> None:
    assert cause("heat", throttled=1).words.endswith("for its temperature 1 time")
    assert cause("heat", throttled=2).words.endswith("for its temperature 2 times")
    assert one("heat", seen(throttled=0)) is None
    assert cause("swapped", swapped=512).words == "2 MiB were swapped"


def test_lowered_clocks_of_a_gpu_are_told_by_their_commonest_reason() -> None:
    found = cause("gpu", gpu={"power cap": 0.1, "heat": 0.3})
    assert found.words == "the GPU lowered its clocks: heat, in 30 % of the samples"
    assert (found.grade, found.size) == ("noisy", pytest.approx(6.0))
    assert one("gpu", seen(gpu={"heat": 0.049})) is None
    assert "while other processes used it" in cause("gpu speed", gpu_pilots=0.9, used_by_others={"cuda:0": 0.2}).words
    assert cause("gpu speed", gpu_pilots=0.9, gpu={"heat": 0.3}).words.endswith("by 90 %, with its clocks")
    assert cause("gpu speed", gpu_pilots=0.9).words.endswith("by 90 %")


@pytest.mark.parametrize(
    ("quota", "threads", "remedy"),
    [(1.0, 2, "use --threads 1,"), (2.5, 4, "use --threads 2,"), (0.5, 2, "a larger"), (2.0, 2, "a larger")],
)
def test_a_quota_asks_for_as_many_threads_as_it_allows(quota: float, threads: int, remedy: str) -> None:
    found = cause("quota", stopped=0.5, quota=quota, threads=threads)
    assert found.remedy.words.startswith(remedy)


def test_blocks_that_were_suspended_disturb_only_if_they_counted() -> None:
    assert one("suspended", QUIET) is None
    again = cause("suspended", left_out=1, suspended=2.0)
    assert again.words.endswith("suspended for up to 2 s: 1 block was left out and taken again")
    assert (again.grade, again.size) == ("noisy", 1.0)
    kept = cause("suspended", left_out=3, suspended=2.0, kept=1)
    assert kept.grade == "disturbed"
    assert "3 blocks were left out and taken again, and 1 counted nevertheless" in kept.words


def test_a_change_beyond_double_is_told_as_a_factor() -> None:
    shares = [changed("by", change, "a visit") for change in (0.35, 0.999, 1.0, 8.9, 9.0, 98.0)]
    assert shares == [
        *("by 35 %", "by 100 %", "by a factor of 2", "by a factor of 9.9", "by a factor of 10", "by a factor of 99")
    ]


def test_a_change_of_over_100_times_is_no_figure_but_what_it_means() -> None:
    stood = "took more than 100 times as long as another, as the machine stood still meanwhile"
    assert cause("speed", pilots=0.1, drift=371.0).words.startswith(f"a placement {stood}, ")
    assert cause("speed", pilots=140.0, drift=0.1).words.startswith(f"a pilot {stood}, ")
    assert cause("gpu speed", gpu_pilots=140.0).words.startswith(f"a GPU's pilot {stood}")
