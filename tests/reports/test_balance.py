"""Whether a profile adds up: worked examples of every reason that it may not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.reports.profile.balance import AGREES, Balance, balance, sentences
from torchduet.reports.profile.categories import PYTHON

# 100 µs when timed and without the profiler, 120 µs under it: own times and the rest add up to those.
FITS = Balance(timed=100e-6, low=95e-6, high=105e-6, unprofiled=100e-6, profiled=120e-6, attributed=90e-6, rest=30e-6)
OTHER_STATE = "was in another state than when it was timed"
SIDE_BY_SIDE = "work of several threads at the same time counts for each of them"


def said(sums: Balance) -> str:
    return " ".join(sentences(sums))


def test_the_total_is_corrected_for_what_the_profiler_takes() -> None:
    assert FITS.overhead == pytest.approx(1.2)
    assert FITS.total == pytest.approx(120e-6)
    assert FITS.without == pytest.approx(100e-6)
    assert FITS.factor == pytest.approx(1.0)
    assert replace(FITS, profiled=0.0).without == pytest.approx(120e-6)
    assert "a call takes 1.20× as long as without it" in said(FITS)
    assert "add up to 100 µs; a timed call took 100 µs: they agree" in said(FITS)
    assert "They differ" not in said(FITS)


@pytest.mark.parametrize(("timed", "agrees"), [(114e-6, True), (118e-6, False), (88e-6, True), (84e-6, False)])
def test_they_agree_within_what_two_moments_of_one_machine_differ_by(timed: float, agrees: bool) -> None:
    sums = replace(FITS, timed=timed, low=timed, high=timed)
    assert sums.agrees is agrees
    assert ("they agree" in said(sums)) is agrees


@pytest.mark.parametrize(("total", "by"), [(1 / AGREES, "13 %"), (AGREES, "15 %"), (1.02, "2 %")])
def test_they_agree_at_the_very_ends_of_that_and_say_by_how_much(total: float, by: str) -> None:
    sums = Balance(timed=1.0, low=1.0, high=1.0, unprofiled=1.0, profiled=1.0, attributed=total, rest=0.0)
    assert f"they agree within {by}." in said(sums)


def test_they_agree_within_the_placements_even_far_from_the_time() -> None:
    sums = replace(FITS, timed=50e-6, low=50e-6, high=90e-6, visits=3)
    assert (
        "and 50.0 to 90.0 µs in the placements of its tensors in memory in 3 visits: within that they agree."
        in said(sums)
    )
    assert "in memory: within that they agree" in said(replace(sums, visits=1))


def test_a_call_that_takes_another_time_without_the_profiler_too_is_blamed_on_the_machine() -> None:
    sums = replace(FITS, timed=50e-6, low=50e-6, high=50e-6)
    assert not sums.alike
    assert OTHER_STATE in said(sums)
    assert "without the profiler, a call took 100 µs" in said(sums)
    assert SIDE_BY_SIDE not in said(sums)


def test_threads_that_run_at_the_same_time_are_the_reason_where_the_call_takes_what_it_took() -> None:
    sums = replace(FITS, attributed=300e-6)
    assert sums.alike
    assert SIDE_BY_SIDE in said(sums)
    assert OTHER_STATE not in said(sums)
    both = replace(sums, unprofiled=50e-6, profiled=60e-6)  # and the machine was in another state
    assert SIDE_BY_SIDE in said(both)
    assert OTHER_STATE in said(both)


def test_where_neither_is_the_case_the_machine_is_named_for_want_of_better() -> None:
    sums = replace(FITS, attributed=20e-6)  # times are missing: no threads side by side, and the call is as it was
    assert sums.alike
    assert OTHER_STATE in said(sums)


def test_a_cold_cache_and_a_gpu_that_is_waited_for_are_reasons_of_their_own() -> None:
    sums = replace(FITS, timed=50e-6, low=50e-6, high=50e-6)
    cold, waited = said(replace(sums, cold=True, waited=True)), said(replace(sums, waited=True))
    assert "it was timed with a cold cache, and profiled with a warm one" in cold
    assert "was waited for" not in cold
    assert "each profiled call was waited for" in waited
    assert OTHER_STATE not in cold + waited


def test_a_profiler_that_slows_a_call_or_seems_to_speed_it_up_is_told() -> None:
    slowed = "The profiler’s own time is added"
    quicker = "A profiler cannot make a call shorter"
    assert slowed in said(FITS)
    assert "GPU seems to idle longer" not in said(FITS)
    assert "GPU seems to idle longer" in said(replace(FITS, waited=True))
    assert slowed not in said(replace(FITS, profiled=109e-6))
    assert quicker not in said(replace(FITS, profiled=90e-6))  # within what two moments differ by
    assert quicker in said(replace(FITS, profiled=80e-6))


def test_calls_of_which_others_took_part_are_told_beyond_a_quarter() -> None:
    assert "In 30 % of the profiled calls other processes took a core" in said(replace(FITS, interrupted=0.3))
    assert "took a core" not in said(replace(FITS, interrupted=0.25))


def test_a_balance_is_made_of_the_record_and_the_summary_of_its_profile() -> None:
    record: Any = {
        "case": {"device": "cpu"},
        "timing": {"seconds": 5.0, "blocks": [[1.0, 9.0, 4.0], [7.0], []], "cache": "cold"},
        "profile": {"plain_seconds": 6.0, "interrupted": 0.5},
    }
    summary: Any = SimpleNamespace(seconds=8.0, categories={PYTHON: 1.0, "matrix products": 2.0, "memory": 4.0})
    expected = Balance(5.0, 4.0, 7.0, 6.0, 8.0, 6.0, 1.0, cold=True, waited=False, interrupted=0.5)
    assert balance(record, summary) == expected
    record["case"]["device"], record["timing"]["cache"] = "cuda:0", "warm"
    del record["profile"]["interrupted"], summary.categories[PYTHON]
    found = balance(record, summary)
    assert (found.cold, found.waited, found.interrupted, found.rest) == (False, True, 0.0, 0.0)


def test_the_ends_of_the_placements_and_of_what_is_slow_count_to_the_last_digit() -> None:
    one = Balance(timed=1.0, low=1.0, high=1.0, unprofiled=1.0, profiled=1.0, attributed=1.0, rest=0.0)
    assert "a timed call took 1.00 s: they agree." in said(one)
    assert "they agree within 1 %." in said(replace(one, attributed=1.01))
    assert replace(one, low=AGREES, high=2.0).alike
    assert replace(one, unprofiled=AGREES).alike
    slowed = "The profiler’s own time is added"
    assert slowed not in said(replace(one, profiled=1.1))
    assert slowed in said(replace(one, profiled=1.11))
    apart = replace(one, timed=0.5, low=0.5, high=0.5, attributed=1.02)
    assert SIDE_BY_SIDE not in said(apart)
    assert SIDE_BY_SIDE in said(replace(apart, attributed=1.03))
    assert "A profiler cannot make" not in said(replace(one, profiled=1 / AGREES))


def test_a_balance_has_nothing_unusual_in_it_unless_it_says_so() -> None:
    one = Balance(timed=1.0, low=1.0, high=1.0, unprofiled=1.0, profiled=1.0, attributed=1.0, rest=0.0)
    assert (one.cold, one.waited, one.interrupted, one.visits) == (False, False, 0.0, 0)
    assert one.agrees
    within = replace(one, timed=0.5, low=0.5, visits=2)
    assert "in the placements of its tensors in memory in 2 visits: within that they agree." in said(within)
