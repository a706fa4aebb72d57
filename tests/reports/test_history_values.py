"""What a history calls a change, by worked examples: its noise, its levels, and what the pilots may explain."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from torchduet.bench.record.machines.key import Machine
from torchduet.bench.record.statistics import Interval
from torchduet.reports.history import changes
from torchduet.reports.history.changes import NEAR, Noise, clipped, noise_of, pooled, shrunk, steps
from torchduet.reports.history.chart_data import Drawn, axis_of
from torchduet.reports.history.judge import _beyond, _Judge, _rise, _straying, judge
from torchduet.reports.history.judged import SPEEDUP, TIME, Judged, Line, straying
from torchduet.reports.history.plot import GOES_ON, label_of, plot
from torchduet.reports.history.rates import LATEST, MEASURED, SUSPECTED, fitting
from torchduet.reports.history.series import CaseName, History, Numbers, RunMark, of_one_day

THRESHOLD = math.log1p(0.03)
PILOT = "memory"


def history(series: dict[str, Numbers], pilots: dict[str, Numbers] | None = None) -> History:
    """A history of one case in each family on the CPU, from logs of seconds by run."""
    number = len(next(iter(series.values())))
    logs = np.array(list(series.values()))
    cases = tuple(CaseName(name, name, "s", "cpu", "eager", "fp32", False) for name in series)
    runs = tuple(RunMark(f"{run}.json", "", float(run), "", "quiet", {}) for run in range(number))
    empty = np.full(logs.shape, np.nan)
    of = {name: {PILOT: values} for name, values in (pilots or {}).items()}
    machine: Any = Machine.__new__(Machine)
    return History(machine, runs, cases, np.exp(logs), empty, empty, empty, empty, empty, of)


def noisy(rng: np.random.Generator, number: int, deviation: float = 0.01) -> Numbers:
    return rng.normal(0.0, deviation, number)


def line_of(series: Numbers, pilots: Numbers | None = None, what: str = TIME, threshold: float = 0.03) -> Line:
    """The judged line of one series, whose own family alone has pilots."""
    of = history({"f": series}, {"f": np.zeros(len(series)) if pilots is None else pilots})
    raw = [series] if what == TIME else None
    (line,) = _Judge(of, math.log1p(threshold)).lines(
        what, [series], np.full((1, len(series)), np.nan), raw=raw, guarded=[True]
    )
    assert line is not None
    return line


def stepped(rng: np.random.Generator, *levels: tuple[int, float], deviation: float = 0.01) -> Numbers:
    return np.concatenate([level + noisy(rng, number, deviation) for number, level in levels])


def test_runs_of_one_day_are_told_apart_by_their_time() -> None:
    def runs(*begins: str) -> list[RunMark]:
        return [
            RunMark(begin, begin, datetime.fromisoformat(begin).timestamp() if begin else math.nan, "", "", {})
            for begin in begins
        ]

    def names(marks: list[RunMark]) -> list[str]:
        return [label_of(run, at, of_one_day=of_one_day(marks)) for at, run in enumerate(marks)]

    assert names(runs("2026-01-05T09:30:00+00:00", "2026-01-05T14:05:00+00:00", "")) == ["09:30", "14:05", "run 3"]
    assert names(runs("2026-01-05T23:59:00+00:00", "2026-01-06T00:00:00+00:00")) == ["2026-01-05", "2026-01-06"]
    assert names(runs("2026-01-05T09:30:00+00:00")) == ["2026-01-05"], "nothing to be told apart from"
    assert names(runs("", "")) == ["run 1", "run 2"]
    series = history({"f": np.zeros(3)})
    assert axis_of(series).moments == ("00:00", "00:00", "00:00")
    assert axis_of(series).day == "1970-01-01"


def test_a_step_is_slower_in_time_and_faster_in_speed_up() -> None:
    up = stepped(np.random.default_rng(1), (20, 0.0), (15, 0.2))
    in_time, in_speedup = line_of(up), line_of(up, what=SPEEDUP)
    assert [change.verdict for change in in_time.changes] == ["slower"]
    assert [change.verdict for change in in_speedup.changes] == ["faster"]
    assert (in_time.verdict, in_speedup.verdict) == ("slower", "faster")
    (change,) = in_time.changes
    assert (change.before, change.after, change.runs) == (19, 20, 15)


def test_the_level_is_that_of_the_runs_since_the_last_change() -> None:
    rng = np.random.default_rng(2)
    line = line_of(stepped(rng, (20, 0.0), (8, 0.5)))
    assert [change.after for change in line.changes] == [20]
    assert line.level == pytest.approx(0.5, abs=0.01)
    long = np.concatenate([np.zeros(NEAR) + noisy(rng, NEAR), 0.02 + noisy(rng, NEAR, 0.001)])
    assert line_of(long, threshold=0.5).level == pytest.approx(0.02, abs=0.005)  # of the latest 30 at most


def test_at_most_thirty_runs_give_a_level() -> None:
    line = line_of(np.arange(40) * 0.001, threshold=0.5)
    assert line.changes == ()
    assert line.level == pytest.approx(0.0245)  # the median of the runs 10 to 39


def test_a_steps_height_is_that_of_the_runs_between_its_neighbours() -> None:
    rng = np.random.default_rng(3)
    values = stepped(rng, (15, 0.0), (6, 0.4), (15, 0.1), deviation=0.004)
    found = steps(values, Noise(0.004, 0.0), THRESHOLD)
    assert [step.index for step in found] == [15, 21]
    assert [step.height.point for step in found] == pytest.approx([0.4, -0.3], abs=0.01)


def test_ten_runs_are_enough_for_a_step_and_nine_are_not() -> None:
    values = np.concatenate([np.zeros(5), np.full(5, 0.5)]) + noisy(np.random.default_rng(11), 10, 0.004)
    assert [step.index for step in steps(values, Noise(0.004, 0.0), THRESHOLD)] == [5]
    assert steps(values[:9], Noise(0.004, 0.0), THRESHOLD) == []


def test_a_step_in_a_series_without_noise_is_a_change() -> None:
    values = np.concatenate([np.zeros(12), np.full(12, math.log(1.2))])
    (step,) = steps(values, Noise(0.0, 0.0), THRESHOLD)
    assert (step.index, step.reach, step.gradual) == (12, 0, False)
    assert step.height.point == pytest.approx(math.log(1.2))
    assert steps(np.zeros(24), Noise(0.0, 0.0), THRESHOLD) == []
    assert [(change.after, change.verdict) for change in line_of(values).changes] == [(12, "slower")]
    assert line_of(np.zeros(24)).changes == ()


@pytest.mark.parametrize("seed", range(6))
def test_values_between_both_levels_make_a_step_gradual_unless_noise_explains_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    in_four = stepped(rng, (12, 0.0), (1, 0.05), (1, 0.1), (1, 0.15), (9, 0.2), deviation=0.006)
    in_two = stepped(rng, (12, 0.0), (1, 0.1), (11, 0.36), deviation=0.006)
    at_once = stepped(rng, (12, 0.0), (12, 0.2), deviation=0.006)
    noise = Noise(0.006, 0.0)
    for values, first, last, gradual in ((in_four, 12, 15, True), (in_two, 12, 13, True), (at_once, 12, 12, False)):
        for sign in (1, -1):
            found = steps(sign * values, noise, THRESHOLD)
            assert {step.gradual for step in found} == {gradual}
            assert min(step.index - step.earlier for step in found) == first
            assert max(step.index + step.later for step in found) == last
            assert sum(sign * step.height.point for step in found) == pytest.approx(values[-1], abs=0.025)


def test_what_lies_between_is_a_level_or_more_than_noise() -> None:
    slightly = np.array([0.0] * 12 + [0.1] * 12)
    slightly[12] = 0.08
    assert not changes.whereabouts(slightly, 12, Noise(0.02, 0.0))[2]
    assert changes.whereabouts(slightly, 12, Noise(0.005, 0.0)) == (0, 1, True)
    twice = np.repeat([0.0, 0.1, 0.2], [12, 2, 10])
    assert changes._without_slopes(twice, [0, 12, 14, 24], 0.006) == [0, 12, 14, 24]
    twice[12:14] = 0.09, 0.15
    assert changes._without_slopes(twice, [0, 12, 14, 24], 0.006) == [0, 13, 24]
    assert changes._without_slopes(twice, [0, 12, 14, 24], 0.02) == [0, 12, 14, 24]  # noise explains that they differ
    twice[14:] = 0.0
    assert changes._without_slopes(twice, [0, 12, 14, 24], 0.006) == [0, 12, 14, 24]  # up and down again


def test_a_series_with_a_memory_makes_no_change_points() -> None:
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(12):
        values = np.zeros(80)
        for run in range(1, 80):
            values[run] = 0.8 * values[run - 1] + rng.normal(0.0, 0.02)
        alarms += len(steps(values, Noise(0.02 / 0.6, 0.8), THRESHOLD))
    assert alarms <= 3
    assert Noise(0.1, 0.8).long_run == pytest.approx(0.01 * 1.8 / 0.2)
    assert Noise(0.1, 0.0).long_run == pytest.approx(0.01)


def test_noise_is_that_of_differences_and_its_memory_that_of_longer_ones() -> None:
    rng = np.random.default_rng(5)
    values = np.zeros(40000)
    for run in range(1, 40000):
        values[run] = 0.6 * values[run - 1] + rng.normal(0.0, 0.03)
    found = noise_of(values)
    assert found.correlation == pytest.approx(0.6, abs=0.1)
    assert found.deviation == pytest.approx(0.03 / 0.8, rel=0.1)
    independent = noise_of(noisy(rng, 4000, 0.05))
    assert independent.correlation < 0.1
    assert independent.deviation == pytest.approx(0.05, rel=0.06)
    assert noise_of(np.ones(12)) == Noise(0.0, 0.0)


def test_the_noise_of_a_short_series_is_shrunk_towards_the_common_one() -> None:
    common = pooled([Noise(0.01, 0.25), Noise(0.02, 0.0), Noise(0.09, -0.2)])
    assert common == Noise(0.02, pytest.approx(0.0))  # the correlation's middle is geometric: 1.25 × 1 × 0.8 = 1
    common = Noise(0.02, 0.2)
    half = shrunk(Noise(0.03, 0.6), 75, common)  # 75 runs weigh as much as the common noise
    assert half.correlation == pytest.approx(0.4)
    assert half.deviation == pytest.approx(0.03 * math.sqrt(0.4 / 0.6))  # the differences stay as large
    assert shrunk(Noise(0.001, 0.2), 75, common).deviation == pytest.approx(0.01)  # half the common one at least
    # A negative correlation is chance: it lowers the average, and alone counts as none.
    assert shrunk(Noise(0.02, -0.2), 75, Noise(0.02, 0.1)).correlation == 0.0
    assert Noise(0.02, -0.2).long_run == Noise(0.02, 0.0).long_run


def test_outliers_are_clipped_to_two_deviations_about_their_neighbours() -> None:
    values = np.zeros(20)
    values[5], values[10], values[15] = -1.0, 1.0, -0.015
    found = clipped(values, Noise(0.01, 0.0))
    assert found[5] == pytest.approx(-0.02)
    assert found[10] == pytest.approx(0.02)
    assert found[15] == pytest.approx(-0.015)


def interval(point: float, half: float) -> Interval:
    return Interval(point, point - half, point + half)


def test_a_step_counts_for_the_code_if_it_exceeds_the_pilots_with_its_whole_interval() -> None:
    up = interval(0.1, 0.03)
    assert _beyond(up, 0.1, {PILOT: 0.06})  # 0.1 − 0.03 is above 0.06
    assert not _beyond(up, 0.1, {PILOT: 0.08})
    assert _beyond(up, 0.1, {PILOT: -0.5})  # pilots that became faster explain no slow-down
    assert not _beyond(up, 0.1, {PILOT: 0.0, "calls": 0.08})  # the pilot that moved most
    down = interval(-0.1, 0.03)
    assert _beyond(down, -0.1, {PILOT: -0.06})
    assert not _beyond(down, -0.1, {PILOT: -0.08})
    assert _beyond(down, -0.1, {PILOT: 0.5})
    assert not _beyond(up, 0.02, {PILOT: 0.0})  # within its interval
    assert _beyond(up, 0.1, {})
    assert _beyond(up, math.nan, {PILOT: 9.0})
    assert _beyond(Interval(0.1, -math.inf, math.inf), 0.1, {PILOT: 0.09})


def test_a_step_that_the_pilots_may_explain_is_the_machines_and_no_change_of_the_case() -> None:
    rng = np.random.default_rng(6)
    up = stepped(rng, (20, 0.0), (15, 0.2))
    moved = np.concatenate([np.zeros(20), np.full(15, 0.195)])
    machine = line_of(up, pilots=moved)
    assert [change.verdict for change in machine.changes] == ["machine"]
    assert machine.verdict == "same"
    assert machine.changes[0].pilots == {PILOT: pytest.approx(0.195)}
    # The pilots that count are those of the runs beside the step, not of those after the next one.
    later = np.concatenate([np.zeros(20), np.full(4, 0.0), np.full(40, 0.195)])
    back = np.concatenate([stepped(rng, (20, 0.0), (4, 0.2)), stepped(rng, (40, 0.5))])
    first, _ = line_of(back, pilots=later).changes
    assert (first.after, first.runs, first.verdict) == (20, 4, "slower")
    assert first.pilots == {PILOT: 0.0}


def test_a_rise_is_the_median_after_less_the_median_before() -> None:
    logs = np.array([0.0, 1.0, np.nan, 5.0, 7.0])
    assert _rise(logs, np.array([0, 1, 2]), np.array([3, 4])) == pytest.approx(5.5)
    assert math.isnan(_rise(logs, np.array([2]), np.array([3])))


def test_only_the_latest_run_strays_and_only_from_its_own_level() -> None:
    noise = Noise(0.01, 0.0)
    up, down = (_straying(np.array([0.0, 0.0, last]), 0.0, noise, 0.03) for last in (0.05, -0.05))
    flat = line_of(np.zeros(12))
    assert straying(replace(flat, stray=up)).why.startswith("the latest run is +5.1 % off its level")
    assert straying(replace(flat, stray=down)).why.startswith("the latest run is −4.9 % off")
    assert _straying(np.array([0.0, 0.0, 0.035]), 0.0, noise, 0.03) == 0.0  # below four deviations
    assert _straying(np.array([0.0, 0.0, 0.05]), 0.0, noise, 0.06) == 0.0  # below the threshold


def test_a_latest_run_that_strays_leaves_an_unchanged_series_unclear_and_a_changed_one_as_it_is() -> None:
    rng = np.random.default_rng(7)
    flat, up = stepped(rng, (25, 0.0)), stepped(rng, (20, 0.0), (15, 0.2))
    assert line_of(flat).verdict == "same"
    flat[-1], up[-1] = 0.3, 0.6
    assert line_of(flat).verdict == "unclear"
    assert line_of(up).verdict == "slower"
    assert "off its level" in line_of(up).why


def test_few_runs_and_an_unknown_machine_have_reasons_of_their_own() -> None:
    few = line_of(np.zeros(1) + 0.3)
    assert (few.verdict, few.why, few.level) == ("unclear", "1 run of it; 10 are needed", pytest.approx(0.3))
    nine = line_of(noisy(np.random.default_rng(8), 9))
    assert nine.why == "9 runs of it; 10 are needed"
    one = judge(history({"f": noisy(np.random.default_rng(9), 12)}), 0.03)
    assert one.times[0].why.startswith("no pilots, and too few other families")
    assert not one.guarded


def test_what_all_other_families_share_is_subtracted_from_times() -> None:
    rng = np.random.default_rng(10)
    drift = np.concatenate([np.zeros(15), np.full(15, 0.3)])
    series = {f"f{index}": drift + noisy(rng, 30) for index in range(7)}
    series["f0"] = series["f0"] + np.concatenate([np.zeros(20), np.full(10, 0.2)])
    one = judge(history(series), 0.03)
    assert [(change.case.id, change.after, change.verdict) for change in one.changes()] == [("f0", 20, "slower")]
    assert one.removed[0][-1] - one.removed[0][0] == pytest.approx(0.3, abs=0.02)
    (together,) = one.common["cpu"].changes
    assert (together.after, together.verdict) == (15, "slower")


@pytest.mark.parametrize("real", [6, 8, 10, 13, 14])
def test_a_change_point_is_moved_to_where_the_levels_meet_up_to_four_runs_away(real: int) -> None:
    values = np.concatenate([np.zeros(real), np.ones(20 - real)])
    values[9 if real > 10 else 11] += 0.01
    assert changes._moved_to_levels(values, [0, 10, 20]) == [0, real, 20]


def test_a_step_is_placed_where_the_values_tell_its_place() -> None:
    clear = np.array([0.0] * 10 + [1.0] * 10)
    assert changes.whereabouts(clear, 10, Noise(0.1, 0.0)) == (0, 0, False)
    between = clear.copy()
    between[9] = 0.5  # as near to the level before as to that after
    assert changes.whereabouts(between, 10, Noise(0.1, 0.0)) == (1, 0, True)
    assert changes.whereabouts(between, 9, Noise(0.1, 0.0)) == (0, 1, True)
    after = clear.copy()
    after[10] = 0.5
    assert changes.whereabouts(after, 10, Noise(0.1, 0.0)) == (0, 1, True)
    assert changes.whereabouts(clear, 10, Noise(10.0, 0.0)) == (
        4,
        4,
        False,
    )  # noise hides the step, and half the window is the limit
    assert changes.whereabouts(clear, 10, Noise(0.0, 0.0)) == (0, 0, False)


def test_a_step_is_kept_with_more_runs_though_it_is_a_little_less_clear() -> None:
    values = np.concatenate([np.tile([0.0, 0.01], 9), [0.1, 0.11, 0.1, 0.1]])
    height, runs = 0.1, len(values)
    gain = height**2 * 18 * 4 / 22
    quiet, noisy_now = (Noise(math.sqrt(gain / (factor * math.log(runs))), 0.0) for factor in (7.0, 2.5))
    assert [step.index for step in steps(values, quiet, THRESHOLD)] == [18]
    assert steps(values, noisy_now, THRESHOLD) == []
    assert [step.index for step in steps(values, noisy_now, THRESHOLD, lambda _: quiet)] == [18]
    assert steps(values, noisy_now, THRESHOLD, lambda _: noisy_now) == []  # it never was found
    noisier = Noise(2 * noisy_now.deviation, 0.0)
    assert steps(values, noisier, THRESHOLD, lambda _: quiet) == []  # it was found, but is no step any more


def test_a_rise_of_runs_without_a_value_is_unknown_and_says_nothing_on_the_terminal() -> None:
    logs = np.array([np.nan, np.nan, 5.0, 7.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of an empty slice
        assert math.isnan(_rise(logs, np.array([0, 1]), np.array([2, 3])))
        assert math.isnan(_rise(logs, np.array([2, 3]), np.array([0, 1])))


def test_steps_below_the_threshold_are_removed_the_lowest_first() -> None:
    def levels(*of: float) -> Numbers:
        return np.repeat(of, 5)

    high = changes._high_enough
    assert high(levels(0.0, 0.01, 0.2, 0.21), [0, 5, 10, 15, 20], 0.05) == [0, 10, 20]
    assert high(levels(0.0, 0.2, 0.21, 0.5), [0, 5, 10, 15, 20], 0.05) == [0, 5, 15, 20]
    assert high(levels(0.0, 0.2, 0.5, 0.51), [0, 5, 10, 15, 20], 0.05) == [0, 5, 10, 20]
    assert high(levels(0.0, 0.01), [0, 5, 10], 0.05) == [0, 10]
    assert high(levels(0.0, 0.05), [0, 5, 10], 0.05) == [0, 5, 10]  # as high as the threshold
    assert high(levels(0.5, 0.0), [0, 5, 10], 0.05) == [0, 5, 10]
    assert high(levels(0.0, 0.01, 0.04), [0, 5, 10, 15], 0.05) == [0, 15]
    # The middle level is 0.03 above the first and 0.04 below the last: with the first it becomes 0.015.
    assert high(levels(0.0, 0.03, 0.07), [0, 5, 10, 15], 0.05) == [0, 10, 15]
    assert high(levels(0.0, 0.04, 0.07), [0, 5, 10, 15], 0.05) == [0, 5, 15]


def test_a_step_can_be_no_further_away_than_the_nearest_end_of_its_levels() -> None:
    values = np.array([0.0, 0.9] * 5 + [1.0, 1.9])
    assert changes.whereabouts(values, 10, Noise(math.sqrt(10.0), 0.0)) == (4, 1, False)  # one run at least is after it
    assert changes.whereabouts(values[::-1], 2, Noise(math.sqrt(10.0), 0.0)) == (1, 4, False)


def test_a_change_point_is_moved_by_four_runs_at_most() -> None:
    values = np.concatenate([np.zeros(15), np.ones(15)])
    assert changes._moved_to_levels(values, [0, 10, 30]) == [0, 14, 30]
    assert changes._moved_to_levels(values, [0, 20, 30]) == [0, 16, 30]


def test_a_change_of_the_last_two_runs_is_not_dated_a_run_early_but_left_to_suspicion() -> None:
    """A level has three runs at least, so the search begins it one run early."""
    values = np.array([0.0] * 18 + [1.0] * 2)
    assert changes._moved_to_levels(values, [0, 17, 20]) == [0, 18, 20]
    assert changes._moved_to_levels(np.array([0.0] * 17 + [1.0] * 3), [0, 16, 20]) == [0, 17, 20]
    noise = Noise(0.45, 0.0)  # the last three, clipped, are a level of their own
    assert steps(values, noise, THRESHOLD) == []


def test_a_change_point_stays_between_its_neighbours() -> None:
    """The first would move on over the second, as the values there are those of the first level again."""
    assert changes._moved_to_levels(np.array([0.0] * 9 + [1.0] + [0.0] * 10), [0, 8, 10, 20]) == [0, 9, 10, 20]


def test_a_step_counts_by_the_height_of_all_pairs_of_runs_which_may_be_less_than_that_of_the_medians() -> None:
    """The medians are 0 and 0.06; of the 144 differences 25 are −0.01, 35 are 0.02, 35 are 0.03 and 49 are 0.06."""
    before, after = [0.0, 0.03] * 5 + [0.0, 0.0], [0.06, 0.02] * 5 + [0.06, 0.06]
    values = np.array([*before, *after])
    (step,) = steps(values, Noise(0.015, 0.0), 0.029)
    assert (step.index, step.height.point) == (12, pytest.approx(0.03))
    assert steps(values, Noise(0.015, 0.0), 0.05) == []
    (exactly,) = steps(values, Noise(0.015, 0.0), step.height.point)
    assert exactly == step


def test_changes_of_the_machine_are_none_of_the_history() -> None:
    up = stepped(np.random.default_rng(6), (20, 0.0), (15, 0.2))
    of = history({"f": up})
    machine, code = line_of(up, pilots=np.concatenate([np.zeros(20), np.full(15, 0.195)])), line_of(up)
    assert [change.verdict for change in machine.changes] == ["machine"]
    judged = Judged(of, (machine, code), (None, line_of(up, what=SPEEDUP)), np.zeros((1, 35)), {}, guarded=True)
    assert [(change.what, change.verdict) for change in judged.changes()] == [(TIME, "slower"), (SPEEDUP, "faster")]


def test_the_machines_movement_is_known_only_if_it_is_for_every_case() -> None:
    rng = np.random.default_rng(12)
    series = {"f": noisy(rng, 12), "g": noisy(rng, 12)}
    flat = {name: np.zeros(12) for name in series}
    assert judge(history(series, flat), 0.03).guarded
    assert not judge(history(series, {"f": flat["f"]}), 0.03).guarded


@pytest.mark.parametrize(("runs", "verdict"), [(9, "unclear"), (10, "same")])
def test_ten_runs_are_enough_for_what_all_families_share(runs: int, verdict: str) -> None:
    series = noisy(np.random.default_rng(13), runs)
    common = _Judge(history({"f": series}), THRESHOLD).common("cpu", series)
    assert common.verdict == verdict
    assert (common.noise is not None) is (runs == 10)


def test_a_change_that_the_pilots_just_explain_is_not_beyond_them() -> None:
    for sign in (1, -1):
        height = interval(sign * 0.5, 0.25)
        assert not _beyond(height, sign * 0.5, {PILOT: sign * 0.25})
        assert _beyond(height, sign * 0.5, {PILOT: sign * 0.2499})


def test_an_interval_that_the_frame_cuts_is_marked_and_told_in_full() -> None:
    logs = np.log(1e-3) + noisy(np.random.default_rng(11), 12)
    low, high = logs - 0.001, logs + 0.001
    high[4], low[7], low[9], high[9] = logs[4] + 3.0, logs[7] - 3.0, np.nan, np.nan
    runs = history({"f": logs}).runs
    shown = plot(Drawn(line_of(logs), low, high), "f", TIME, runs, {}, "a")
    assert [(round(end.across, 1), end.side) for end in shown.beyond] == [(37.5, "top"), (62.5, "bottom")]
    assert [GOES_ON in point.words for point in shown.points] == [run in (4, 7) for run in range(12)]
    assert " to 20" in shown.points[4].words.replace("\xa0", " ")  # e³ ms
    assert shown.note == "2 intervals go on beyond the frame (▲, ▼)."


def test_the_rates_that_fit_a_history_are_those_of_the_nearest_simulations() -> None:
    few, latest = fitting(5, None)
    assert few.startswith("In simulated histories of 1 % noise and 6 runs")
    assert latest.startswith("Of simulated histories of 20 cases without a change in 6 runs")
    many, _ = fitting(120, 0.025)
    (row,) = (row for row in MEASURED if (row.noise, row.runs) == ("3 %", 100))
    assert f"{row.five:.0%}".replace("%", " %") in many.replace("\xa0", " ")
    assert fitting(30, 0.15)[0].startswith("The noise of 15")
    assert all({row.noise for row in rows} == {row.noise for row in MEASURED} for rows in (SUSPECTED, LATEST))
