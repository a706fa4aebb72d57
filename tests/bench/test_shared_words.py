"""Counted nouns, reasons in groups, times and compilations in words: what the terminal and the reports share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.sample import make_run
from torchduet.bench.plugin import closing_table
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.words.counting import of_all, plural
from torchduet.bench.record.words.reasons import grouped
from torchduet.bench.record.words.times import compilation


def records(number: int | None = None) -> list[Any]:
    return [one["extra_info"][KEY] for one in make_run()["benchmarks"]][:number]


@pytest.mark.parametrize(("number", "said"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases"), (1024, "1,024 cases")])
def test_only_one_is_singular(number: int, said: str) -> None:
    assert plural(number, "case") == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.98, 1.02, "±2 %"),
        (0.5, 4.5, "a factor of 3.0 either way"),
        (0.5, 6.125, "0.50 to 6.1, too wide"),
        (0.01, 2000.0, "<0.04 to >400, too wide"),
    ],
)
def test_the_widest_speed_up_is_a_factor_where_percents_would_mislead(low: float, high: float, said: str) -> None:
    measured = records()
    speedups = [speedup for record in measured for speedup in counted(record)]
    assert speedups
    for speedup in speedups:
        speedup["verdict"] = "same"
    speedups[0].update(verdict="unclear", low=low, high=high)
    (line,) = closing_table.unclear(measured)
    assert f", {said})" in line


def test_a_verb_and_an_irregular_plural_are_given() -> None:
    assert [plural(number, "family is", "families are") for number in (1, 2)] == ["1 family is", "2 families are"]


@pytest.mark.parametrize(
    ("number", "total", "said"),
    [
        (1, 1, "the case"),
        (2, 2, "both cases"),
        (1, 2, "1 of 2 cases"),
        (7, 7, "all 7 cases"),
        (0, 7, "none of 7 cases"),
    ],
)
def test_a_share_is_said_without_of_one(number: int, total: int, said: str) -> None:
    assert of_all(number, total, "case") == said


def test_reasons_that_differ_in_figures_alone_are_one_with_ranges() -> None:
    reasons = ["one call takes 0.22 s of 1.1 s", "no memory", "one call takes 0.12 s of 0.5 s"]
    assert grouped(reasons) == {"one call takes 0.12 to 0.22 s of 0.5 to 1.1 s": [0, 2], "no memory": [1]}


def test_other_units_and_numbers_within_names_are_other_reasons() -> None:
    reasons = [
        "takes 900 ms",
        "takes 1.2 s",
        "mm[n=64] failed",
        "mm[n=512] failed",
        "python3.11 is old",
        "sm_90 is new",
    ]
    assert list(grouped(reasons)) == reasons


@given(st.lists(st.text(max_size=30), max_size=8))
def test_every_reason_is_in_one_group(reasons: list[str]) -> None:
    members = [index for group in grouped(reasons).values() for index in group]
    assert sorted(members) == list(range(len(reasons)))


@given(st.text(max_size=60))
def test_a_reason_alone_is_unchanged(reason: str) -> None:
    assert list(grouped([reason])) == [reason]


def test_the_table_at_the_end_has_both_times_of_each_comparison() -> None:
    lines = closing_table.table(records())
    assert lines[0].split()[:2] == ["mode", "baseline"]
    assert "baseline time" in lines[0]
    assert all("verdict" in line or " µs" in line or " ms" in line or line.startswith("…") for line in lines)


def test_a_terminal_has_its_names_shortened_and_a_file_has_them_whole() -> None:
    whole, fitted = closing_table.table(records()), closing_table.table(records(), width=110)
    assert max(map(len, fitted)) <= 110 < max(map(len, whole))
    assert len(fitted) == len(whole)
    assert any("…" in line for line in fitted)


def test_verdicts_are_coloured_by_the_terminal_alone() -> None:
    plain = closing_table.table(records())
    painted = [closing_table.coloured(line, lambda text, **markup: f"<{'/'.join(markup)}>{text}") for line in plain]
    assert any("<green>+ faster" in line for line in painted)
    assert any("<red>- slower" in line for line in painted)
    assert [closing_table.coloured(line, lambda text, **_: text) for line in plain] == plain


def test_a_run_that_compares_nothing_shows_its_times() -> None:
    head, *lines = closing_table.times(records(3))
    assert head.split() == ["case", "time", "per", "call", "99", "%", "interval", "first", "call"]
    assert {line.split("  ")[0] for line in lines} == {record["case"]["id"] for record in records(3)}
    assert all(" per call" not in line and ("µs" in line or "ms" in line) for line in lines)


def test_what_compiling_took_and_where_graphs_break_is_said() -> None:
    took, breaks = compilation(records())
    compiled = [record for record in records() if record["compile"]]
    assert took.startswith("compiling took ")
    assert f"({len(compiled)} first calls)" in took
    assert breaks.startswith("graph breaks in ")
    assert "compile-model" in breaks
    assert list(compilation([record for record in records() if not record["compile"]])) == []
