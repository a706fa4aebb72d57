"""pytest-benchmark's own statistics are those of all visits, though its items ended after the first."""

from __future__ import annotations

from array import array
from statistics import fmean, median, stdev
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_benchmark.stats import Metadata

from tests.bench.made_visits import family, visited_records
from torchduet.bench.plugin.pytest_benchmark_adapter import as_lists, refresh
from torchduet.bench.run.session import samples

EAGER = "s.w cpu eager fp32"


def benchmark(data: list[float], name: str = EAGER, *, has_error: bool = False) -> Any:
    """A benchmark as pytest-benchmark keeps it, whose statistics were shown already."""
    names = dict.fromkeys(("name", "fullname", "group", "param", "params", "cprofile_stats"))
    fixture = SimpleNamespace(**names, extra_info={"torchduet": name}, has_error=has_error)
    made: Any = Metadata(fixture, 1, {})
    made.stats.data = array("d", data)
    if data:
        assert made.stats.mean == fmean(data)
    return made


def test_they_are_those_of_every_placement_of_all_visits() -> None:
    first, all_visits = (samples(visited_records(family("w"), visits)[EAGER]) for visits in (1, 4))
    assert all_visits[: len(first)] == first
    one = benchmark(first)
    refresh([one], lambda _: all_visits)
    assert list(one.stats.data) == all_visits
    assert one.stats.rounds == len(all_visits) == 12
    assert (one.stats.mean, one.stats.median) == (fmean(all_visits), median(all_visits))
    assert one.stats.stddev == stdev(all_visits)
    assert (one.stats.min, one.stats.max) == (min(all_visits), max(all_visits))
    assert one["mean"] == fmean(all_visits)  # as its table reads them
    written = [one.as_dict()]
    as_lists(written)
    assert written[0]["stats"]["data"] == all_visits
    assert written[0]["stats"]["rounds"] == 12


@pytest.mark.parametrize("values", [None, [1e-3, 2e-3]])
def test_what_has_no_further_visits_stays_as_it_is(values: list[float] | None) -> None:
    one = benchmark([1e-3, 2e-3])
    before = one.stats
    refresh([one], lambda _: values)
    assert one.stats is before


def test_a_case_that_failed_gets_no_samples() -> None:
    one = benchmark([], has_error=True)
    refresh([one], lambda _: [1e-3])
    assert list(one.stats.data) == []
