"""What would settle an unclear case is said as something to type, as long as time can do it."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
import pytest

from torchduet.bench.plan.options import parse_duration
from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.reports.findings.remedy import budget_of, option, times_as_long, to_settle

# Half of the interval over what lies between the ratio and the threshold, squared: times as many placements.
WITHIN = (1.06, 0.98, 1.146)  # (7.8 % / 3.8 %)² = 4.2
BEYOND = (1.03, 0.99, 1.072)  # (4.0 % / 1.0 %)² = 17


def rows(*intervals: tuple[float, float | None, float | None], placements: int = 12) -> pd.DataFrame:
    """Comparisons of a file without visits."""
    given = pd.DataFrame(intervals, columns=["ratio", "low", "high"])
    without = {"visits": math.nan, "deviation": math.nan, "degrees": math.nan}
    return given.assign(placements=placements, threshold=0.02, verdict="unclear", confidence=0.99, **without)


def visited(*ratios: float, visits: int = 4, deviation: float = 0.01, prior: float = 3.0) -> pd.DataFrame:
    """Comparisons over visits, with the intervals that follow from their deviation."""
    degrees = prior + visits - 1
    half = two_sided_quantile(0.99, degrees) * deviation / math.sqrt(visits)
    given = rows(*((ratio, ratio * math.exp(-half), ratio * math.exp(half)) for ratio in ratios), placements=visits)
    return given.assign(visits=visits, deviation=deviation, degrees=degrees)


@pytest.mark.parametrize(
    ("budget", "factor", "typed"),
    [(2.0, 4.2, "10s"), (90.0, 1.0, "90s"), (90.0, 4.2, "7m"), (540.0, 9.7, "88m"), (3600.0, 2.0, "2h")],
)
def test_the_budget_is_the_runs_own_times_the_factor_rounded_up(budget: float, factor: float, typed: str) -> None:
    assert option(budget, factor) == f"`--budget {typed}`"
    assert parse_duration("--budget", typed) >= budget * factor


def test_hours_and_minutes_are_what_the_option_takes() -> None:
    assert option(3600.0, 2.7) == "`--budget 2h42m`"
    assert parse_duration("--budget", "2h42m") == 2.7 * 3600


def test_a_run_that_does_not_say_its_budget_names_the_option() -> None:
    assert option(None, 4.0) == "`--budget`"


@pytest.mark.parametrize(("recorded", "seconds"), [(90, 90.0), (None, None), (True, None), ("90s", None), (0, None)])
def test_a_budget_is_a_number_of_seconds(recorded: Any, seconds: float | None) -> None:
    assert budget_of({"budget_seconds": recorded}) == seconds


def test_one_within_reach_gets_a_number() -> None:
    assert "about 5 times as many placements (`--budget 7m`)" in to_settle(rows(WITHIN), 90.0)


def test_a_little_more_is_twice_the_budget() -> None:
    assert "about 2 times as many placements (`--budget 3m`)" in to_settle(rows((1.06, 1.019, 1.1)), 90.0)


def test_beyond_ten_times_time_alone_is_not_the_remedy() -> None:
    said = to_settle(rows(BEYOND), 90.0)
    assert "out of reach by time alone" in said
    assert "a quieter machine" in said
    assert "--budget" not in said


def test_a_wide_interval_near_the_threshold_is_not_said_to_lie_at_it() -> None:
    words = to_settle(rows((1.0205, 0.89, 1.19)), 90.0)
    assert words.startswith("More time would hardly settle it: its interval is far wider than the threshold; ")
    assert "±15 %" in words


def test_of_several_those_within_reach_are_told_from_the_rest() -> None:
    said = to_settle(rows(WITHIN, BEYOND), 90.0)
    assert said.startswith("To settle 1 of the 2 unclear cases: about 5 times")
    assert "the rest is out of reach by time alone" in said


def test_too_few_placements_need_as_many_times_the_time() -> None:
    assert "`--budget 3m`" in to_settle(rows(WITHIN, placements=4), 90.0)


def test_an_unclear_one_without_an_interval_needs_more_time() -> None:
    assert "give the run more time" in to_settle(rows((1.0, None, None)), 90.0)


def test_what_is_clear_needs_nothing() -> None:
    assert to_settle(rows(WITHIN).assign(verdict="faster"), 90.0) == ""


LEFT_OPEN = (1.3, 1.2, 1.4)


def test_what_the_run_left_open_takes_cores_and_no_more_time() -> None:
    said = to_settle(rows(LEFT_OPEN), 90.0)
    assert said.startswith("To settle it: fewer threads than free cores (`--threads`), or a quieter machine")
    assert "--budget" not in said
    assert "the 2 cases whose verdicts were withheld" in to_settle(rows(LEFT_OPEN, LEFT_OPEN), 90.0)


def test_a_run_with_one_thread_is_not_told_to_use_fewer() -> None:
    for given in (rows(LEFT_OPEN), rows(WITHIN), rows(BEYOND), rows((1.0, 0.2, 5.0))):
        assert "--threads" in to_settle(given, 90.0, 2)
        alone = to_settle(given, 90.0, 1)
        assert "threads" not in alone
        assert "a quieter machine" in alone


def test_a_factor_of_many_is_not_settled_by_a_longer_budget_alone() -> None:
    said = to_settle(rows((4.92, 0.201, 120.0)), 20.0, 1, busy=True)
    assert said == (
        "A longer budget alone will not settle it on a machine this busy: it takes a quieter machine; the widest "
        "interval is a factor of 24 either way."
    )
    assert "this busy" not in to_settle(rows((4.92, 0.201, 120.0)), 20.0, 1)
    mixed = to_settle(rows(WITHIN, (4.92, 0.201, 120.0)), 90.0)
    assert mixed.startswith("To settle 1 of the 2 unclear cases: about 5 times")
    assert "the rest is out of reach by time alone" in mixed


def test_beside_those_left_open_the_others_are_told_how_much_more_time() -> None:
    said = to_settle(rows(LEFT_OPEN, WITHIN), 90.0)
    assert "To settle the other unclear case: about 5 times as many placements (`--budget 7m`)" in said
    assert "To settle the case whose verdict was withheld: fewer threads" in said


def test_over_visits_a_factor_of_time_is_named_that_settles_the_case() -> None:
    few = visited(1.035, visits=4)  # ±1.9 % has to shrink to the 1.5 % between 1.035 and 1.02
    assert "about 2 times as long (`--budget 3m`)" in to_settle(few, 90.0)
    assert to_settle(few, 90.0).endswith("the widest interval is ±1.9 %.")
    assert "placements" not in to_settle(few, 90.0)


@pytest.mark.parametrize(("visits", "prior"), [(2, 1.5), (4, 3.0), (8, 0.0), (5, 1e6)])
def test_so_many_times_as_many_visits_would_separate_the_interval_from_the_threshold(visits: int, prior: float) -> None:
    given = visited(1.03, visits=visits, prior=prior, deviation=0.012)
    (row,) = given.itertuples()
    more = round(times_as_long(row) * visits)
    distance = math.log(1.03) - math.log(1.02)

    def half(number: int) -> float:
        return two_sided_quantile(0.99, prior + number - 1) * 0.012 / math.sqrt(number)

    assert half(more) <= distance < half(more - 1)


def test_few_visits_need_less_than_the_square_of_what_their_interval_is_too_wide() -> None:
    """The quantile of t falls with every visit: two visits without a prior have t = 64, four have t = 6."""
    (row,) = visited(1.3, visits=2, prior=0.0, deviation=0.02).itertuples()
    distance = math.log(1.3 / 1.02)
    assert 1 < times_as_long(row) <= 2 < (math.log(row.high / row.ratio) / distance) ** 2


def test_an_interval_that_is_no_small_change_is_a_factor() -> None:
    assert "the widest interval is a factor of 2.0 either way" in to_settle(rows((1.5, 0.75, 3.0)), 90.0)
    assert "a factor of over 100 either way" in to_settle(rows((1.5, 1e-9, 1e9)), 90.0)


def test_one_visit_without_an_interval_needs_more_visits() -> None:
    words = to_settle(rows((1.4, None, None)).assign(visits=1), 90.0)
    assert words == "To settle it: more visits are needed, and there was 1; give the run more time (`--budget 5m`)."


def test_those_without_an_interval_are_counted_beside_the_others() -> None:
    words = to_settle(pd.concat([visited(1.035), rows((1.4, None, None)).assign(visits=1)], ignore_index=True), 90.0)
    assert words.startswith("To settle the 2 unclear cases: about 2 times as long")
    assert words.endswith("±1.9 % (1 had none).")


def test_a_wide_interval_over_visits_does_not_show_that_the_ratio_is_at_the_threshold() -> None:
    assert "would not settle it" in to_settle(visited(1.0201, deviation=0.005), 90.0)
    wide = to_settle(visited(1.0201, deviation=0.05), 90.0)
    assert "would not settle it" not in wide
    assert re.search(r"about \d+ times as long", wide)
