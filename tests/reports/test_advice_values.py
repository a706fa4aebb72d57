"""What the answers name as best, worst and long, by worked examples; and under which knob a comparison is filed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from torchduet.reports.findings import advice_words
from torchduet.reports.findings.advice import Answer, answers
from torchduet.reports.tables.comparisons import _of_reference, answerable, tied_families
from torchduet.reports.tables.frames import COMPARISON_COLUMNS
from torchduet.reports.text.settings import KNOBS, TOGETHER

DETAILS = {
    "workload": "s.w",
    "setting": "n=1",
    "placements": 12,
    "visits": 4.0,
    "deviation": 0.01,
    "degrees": 5.0,
    "threshold": 0.02,
    "confidence": 0.99,
    "verdict": "faster",
    "compiled": False,
    "both_compiled": False,
    "other_work": False,
    "marks": "",
    "knob": "mode",
    "value": "compile",
    "baseline": "eager",
    "suite": "s",
    "first_call": 1.0,
}


def row(name: str, ratio: float, **details: Any) -> dict[str, Any]:
    given = {"id": name, "anchor": name, "name": name, "ratio": ratio, "low": ratio * 0.99, "high": ratio * 1.01}
    return {**DETAILS, **given, **details}


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COMPARISON_COLUMNS)


def test_the_best_is_the_fastest_and_the_worst_the_slowest_wherever_they_stand() -> None:
    said = advice_words.effect("`x`", table(row("a", 1.5), row("b", 3.0), row("c", 0.4), row("d", 2.0)))
    assert "median" not in said
    assert "Best: `b` with 3.00× (2.97 to 3.03)." in said
    assert "Worst: `c` with 0.40× (0.396 to 0.404)." in said


def test_times_stand_beside_the_factor_where_they_are_known() -> None:
    known = row("a", 2.0, seconds=1e-3, baseline_seconds=2e-3)
    assert advice_words.ends(table(known)) == "`a`: 2.00× (1.98 to 2.02), 1.00 ms instead of 2.00 ms."


def test_the_best_and_the_worst_are_of_the_settled_cases() -> None:
    said = advice_words.ends(table(row("a", 9.0, verdict="unclear"), row("b", 2.0), row("c", 0.1, verdict="unclear")))
    assert said.startswith("`b`: 2.00×")


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        ({"faster": 3, "slower": 4, "same": 0, "unclear": 0}, "faster in 3 of 7 cases, slower in 4"),
        ({"faster": 0, "slower": 0, "same": 0, "unclear": 5}, "unclear in all 5 cases"),
        ({"faster": 1, "slower": 0, "same": 0, "unclear": 0}, "faster"),
    ],
)
def test_verdicts_are_counted_in_words(tally: dict[str, int], said: str) -> None:
    assert advice_words.counts(tally, table(row("a", 1.0, low=0.9, high=1.1, verdict="unclear"))) == said


@pytest.mark.parametrize(
    ("others", "standing", "said"),
    [
        ((), "No verdict", "unclear; 1 verdict withheld: blocks had to wait for a core"),
        ((1.3,), "No verdict", "unclear in both cases; 2 verdicts withheld: blocks had to wait for a core"),
    ],
)
def test_a_withheld_verdict_is_said_to_be_withheld(others: tuple[float, ...], standing: str, said: str) -> None:
    rows = [row(f"{ratio}", ratio, verdict="unclear") for ratio in (4.25, *others)]
    (answer,) = answers(table(*rows))
    assert (answer.words, answer.counts, answer.standing) == (standing, said, "unclear")


def test_beside_a_wide_interval_the_answer_is_not_known_yet() -> None:
    wide = row("b", 1.0, low=0.5, high=2.0, verdict="unclear")
    (answer,) = answers(table(row("a", 4.25, verdict="unclear"), wide))
    assert answer.words == "Not known yet"
    assert answer.counts == "unclear in both cases; 1 verdict withheld: blocks had to wait for a core"


def test_a_sentence_of_one_case_names_it() -> None:
    said = advice_words.effect("The cache", table(row("a", 0.8, low=None, high=None)))
    assert said == "On this machine the cache makes `a` 0.80× (no interval) as fast, i.e. 25 % longer."


def test_faster_and_slower_name_the_largest_effects_first() -> None:
    rows = table(
        *(row(f"f{n}", ratio, workload=f"s.f{n}") for n, ratio in enumerate((1.2, 4.0, 2.0, 1.1))),
        *(
            row(f"l{n}", ratio, workload=f"s.l{n}", verdict="slower")
            for n, ratio in enumerate((0.9, 0.3, 0.5, 0.95, 0.97))
        ),
    )
    assert advice_words.where(rows, "faster") == "Faster: `s.f1` 4.00×, `s.f2` 2.00×, `s.f0` 1.20× and 1 more."
    assert advice_words.where(rows, "slower") == "Slower: `s.l1` 0.30×, `s.l2` 0.50×, `s.l0` 0.90× and 2 more."


def test_a_workload_is_named_with_the_span_of_its_cases() -> None:
    rows = table(row("a", 1.5), row("b", 3.0), row("c", 9.0, verdict="unclear"))
    assert advice_words.where(rows, "faster") == "Faster: `s.w` 1.50 to 3.00×."


def test_of_several_alternatives_the_fastest_and_the_slowest_come_first() -> None:
    ratios = {"faster": (1.2, 4.0, 2.0, 1.1), "slower": (0.9, 0.3, 0.5, 0.95)}
    rows = table(
        *(
            row(f"{verdict[0]}{n}", ratio, knob="implementation", value=f"{verdict[0]}v{n}", verdict=verdict)
            for verdict, of in ratios.items()
            for n, ratio in enumerate(of)
        )
    )
    faster, slower = (advice_words.alternatives(rows, verdict) for verdict in ratios)
    assert faster.startswith("Fastest: ")
    assert faster.endswith("; and 1 more.")
    assert [faster.find(f"in `f{n}`") for n in (1, 2, 0)] == sorted(faster.find(f"in `f{n}`") for n in (1, 2, 0))
    assert "in `f3`" not in faster
    assert slower.startswith("Slowest: ")
    assert [slower.find(f"in `l{n}`") for n in (1, 2, 0)] == sorted(slower.find(f"in `l{n}`") for n in (1, 2, 0))
    assert "in `s3`" not in slower
    assert slower.index("`s1`") < slower.index("`s2`") < slower.index("`s0`")
    assert advice_words.alternatives(rows[rows["verdict"] == "faster"], "slower") == ""
    assert advice_words.alternatives(rows.head(3), "faster").startswith("Faster: ")


def standing(*rows: dict[str, Any]) -> str:
    (answer,) = answers(table(*rows))
    return answer.standing


HOUR = 3600.0


@pytest.mark.parametrize(
    ("waits", "expected"),
    [((1.0, 2.0, 9 * HOUR), "yes"), ((2 * HOUR, 3 * HOUR, 9 * HOUR), "long"), ((HOUR, 9 * HOUR, 9 * HOUR), "yes")],
)
def test_a_knob_is_for_long_runs_only_where_none_pays_off_within_an_hour(
    waits: tuple[float, ...], expected: str
) -> None:
    rows = (row(f"c{n}", 1.5, compiled=True, pays_after=9.0, pays_seconds=wait) for n, wait in enumerate(waits))
    assert standing(*rows) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("faster faster", "yes"),
        ("faster faster same", "mostly"),
        ("faster same", "depends"),  # exactly a half is not most
        ("faster unclear unclear", "depends"),
        ("faster slower", "depends"),
        ("same same unclear", "same"),
        ("slower same", "no"),
        ("unclear unclear", "unclear"),
    ],
)
def test_the_standing_of_a_knob_by_its_verdicts(verdicts: str, expected: str) -> None:
    rows = (row(f"c{n}", 1.0, verdict=verdict) for n, verdict in enumerate(verdicts.split()))
    assert standing(*rows) == expected


def test_when_compilation_pays_off_is_told_from_the_soonest_to_the_latest() -> None:
    rows = table(
        row("late", 1.1, compiled=True, pays_after=90_000.0, pays_seconds=2 * HOUR, first_call=9.0),
        row("later", 1.2, compiled=True, pays_after=900.0, pays_seconds=HOUR, first_call=4.0),
        row("soon", 2.0, compiled=True, pays_after=20.0, pays_seconds=2.0, first_call=3.0),
        row("never", 0.9, compiled=True, verdict="slower", first_call=5.0),
    )
    assert advice_words.pay_off(rows) == (
        "Compilation takes 3.0 s to 9.0 s and pays off where it helps: soonest after 20 calls of `soon` (2.0 s in), "
        "latest after 90,000 of `late` (2.0 h in). In 1 of 3 that takes more than an hour of this call alone."
    )
    assert advice_words.pay_off(rows.tail(1)) == "Nothing is gained, so the compilation never pays off."
    assert advice_words.pay_off(table(row("a", 2.0))) == ""
    unknown = table(row("a", 2.0, compiled=True))
    assert advice_words.pay_off(unknown).startswith("When the compilation pays off is unknown")


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ("faster", "Sure: the whole 99 % interval lies beyond +2 %."),
        ("slower", "Sure: the whole 99 % interval lies beyond −2 %."),
        ("same", "Sure: the whole 99 % interval lies within ±2 %."),
        ("faster faster", "Sure of all 2: each 99 % interval lies beyond +2 %."),
        ("slower slower", "Sure of all 2: each 99 % interval lies beyond −2 %."),
        ("faster same", "Sure of all 2, at 99 % each: 1 faster, 1 same (beyond or within ±2 %)."),
    ],
)
def test_what_is_sure_names_its_side_of_the_threshold(verdicts: str, said: str) -> None:
    (answer,) = answers(table(*(row(f"c{n}", 1.5, verdict=one) for n, one in enumerate(verdicts.split()))))
    assert said in answer.sentences


@pytest.mark.parametrize(("verdicts", "named"), [("faster faster", False), ("faster same", True), ("slower", False)])
def test_workloads_are_named_only_where_verdicts_differ(verdicts: str, named: bool) -> None:
    (answer,) = answers(table(*(row(f"c{n}", 1.5, verdict=one) for n, one in enumerate(verdicts.split()))))
    assert any(sentence.startswith(("Faster: ", "Slower: ")) for sentence in answer.sentences) is named


def test_an_answer_spans_its_ratios() -> None:
    (answer,) = answers(table(row("a", 1.0), row("b", 1.2), row("c", 9.0)))
    assert answer.span == (1.0, 9.0)
    assert answer.counts == "faster in all 3 cases"
    assert list(answer.tally.values()).count(3) == 1


def test_comparisons_that_do_other_work_or_compile_both_sides_answer_nothing() -> None:
    given: list[Answer] = answers(
        table(row("a", 1.0), row("b", 5.0, other_work=True), row("c", 9.0, both_compiled=True))
    )
    assert [len(answer.rows) for answer in given] == [1]


def record(against: str = "ref", knobs: tuple[str, ...] = ("reference",), family: str = "f", **changed: str) -> Any:
    """A record in Python's form, with the settings given and else those of the reference."""
    names = {"implementation": "plain", "device": "cpu", "mode": "eager", "precision": "fp32"} | changed
    identity = f"{family} {' '.join(names.values())}"
    speedups = [
        {"knob": knob, "value": changed.get(knob, identity), "baseline": "plain", "against": against} for knob in knobs
    ]
    return {
        "case": {"id": identity, "family": family, "size": {}, **names},
        "timing": {"seconds": 1.0},
        "first_call": {"seconds": 1.0},
        "compile": None,
        "speedups": speedups if against else [],
    }


def filed(case: Any, base: Any, *, tied: bool = False) -> list[tuple[str, str, str]]:
    by_id = {one["case"]["id"]: one for one in (base, case)}
    for speedup in case["speedups"]:
        speedup["against"] = base["case"]["id"]
    found = [speedup for speedup, _ in answerable(case, by_id, tied)]
    return [(speedup["knob"], speedup["value"], speedup["baseline"]) for speedup in found]


REFERENCE = record("")


@pytest.mark.parametrize(
    ("knob", "value", "baseline"),
    [("mode", "compile", "eager"), ("precision", "bf16", "fp32"), ("implementation", "fused", "plain")],
)
def test_a_comparison_with_the_reference_is_filed_under_the_one_knob_that_differs(
    knob: str, value: str, baseline: str
) -> None:
    assert filed(record(**{knob: value}), REFERENCE) == [(knob, value, baseline)]


def test_a_comparison_that_is_told_by_its_knob_already_is_told_once() -> None:
    case = record(knobs=("reference", "mode"), mode="compile")
    assert filed(case, REFERENCE) == [("mode", "compile", "plain")]


def test_several_knobs_that_differ_are_named_together_in_the_knobs_order() -> None:
    ((knob, value, baseline),) = filed(record(mode="compile", precision="bf16"), REFERENCE)
    assert knob == TOGETHER
    assert value.index("compile") < value.index("bf16")
    assert baseline.index("eager") < baseline.index("fp32")
    assert KNOBS.index("mode") < KNOBS.index("precision")


def test_in_a_path_of_steps_a_step_is_filed_under_its_implementation_and_elsewhere_it_is_not() -> None:
    step = record(implementation="step 2", mode="compile")
    assert filed(step, REFERENCE, tied=True) == [("implementation", "step 2", "plain")]
    ((knob, *_),) = filed(step, REFERENCE, tied=False)
    assert knob == TOGETHER
    ((knob, *_),) = filed(record(mode="compile", precision="bf16"), REFERENCE, tied=True)
    assert knob == TOGETHER


def test_the_same_settings_or_an_unknown_baseline_say_nothing() -> None:
    assert filed(record(), REFERENCE) == []
    assert _of_reference(record(mode="compile"), {"knob": "reference"}, None, False) is None  # type: ignore[typeddict-item]


def test_a_family_is_tied_where_each_implementation_has_one_setting_and_they_are_not_all_the_same() -> None:
    def tied(*records: Any) -> bool:
        run: Any = type("Run", (), {"records": records})()
        return tied_families(run, {one["case"]["id"]: one for one in records}) == {"f"}

    first, second = record("", implementation="one"), record("", implementation="two", mode="compile")
    assert tied(first, second)
    assert not tied(first, second, record("", implementation="one", mode="compile"))  # one of them in two modes
    elsewhere = [
        record("", implementation="one", device="cuda:0"),
        record("", implementation="two", mode="compile", device="cuda:0"),
    ]
    assert tied(first, second, *elsewhere)  # the same path on another device
    assert not tied(first, record("", implementation="two"))  # nothing but the implementation differs


@pytest.mark.parametrize(
    ("ratio", "longer"),
    [(0.5, "2.0 times as long"), (0.51, "96 % longer"), (0.99, "1 % longer"), (0.994, "0.60 % longer"), (0.995, None)],
)
def test_from_half_as_fast_on_it_is_told_how_many_times_as_long(ratio: float, longer: str | None) -> None:
    said = advice_words.effect("`x`", table(row("a", ratio)))
    assert said.endswith(f" as fast, i.e. {longer}." if longer else " as fast.")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "Not sure: the 99 % interval crosses ±2 %."),
        (2, "Nothing is settled: each of the 2 intervals (99 %) crosses ±2 %."),
    ],
)
def test_intervals_that_cross_the_threshold_are_told_in_the_right_number(number: int, said: str) -> None:
    rows = (row(f"c{at}", 1.02, verdict="unclear") for at in range(number))
    (answer,) = answers(table(*rows))
    assert said in answer.sentences


def test_the_settings_of_a_baseline_without_a_record_count_for_whether_a_family_is_tied() -> None:
    def tied(*records: Any) -> bool:
        run: Any = type("Run", (), {"records": records})()
        return tied_families(run, {one["case"]["id"]: one for one in records}) == {"f"}

    first = record("", implementation="one")
    second = record("gone", ("mode",), implementation="two", mode="compile")
    (speedup,) = second["speedups"]
    speedup["baseline"] = "eager"  # so the second implementation was measured in two modes
    assert not tied(first, second)
    speedup["against"] = first["case"]["id"]
    assert tied(first, second)


def test_the_pay_off_of_a_single_case_has_its_interval() -> None:
    paying = row("a", 2.0, compiled=True, pays_after=20.0, pays_seconds=2.0, pays_after_low=18.0, pays_after_high=22.0)
    said = "1.0 s of compilation pay off after 20 calls"
    assert advice_words.pay_off(table(paying)) == f"Its {said} (18 to 22), 2.0 s in."
    assert advice_words.pay_off(table({**paying, "pays_after_high": None})) == f"Its {said}, 2.0 s in."
    assert advice_words.pay_off(table({**paying, "pays_after_low": None})) == f"Its {said}, 2.0 s in."
    both = advice_words.pay_off(table(paying, row("b", 0.9, compiled=True, verdict="slower")))
    assert both == f"For `a`, its {said} (18 to 22), 2.0 s in."


def test_three_are_named_without_any_more() -> None:
    rows = table(*(row(name, ratio, workload=name) for name, ratio in (("a", 3.0), ("b", 2.0), ("c", 1.5))))
    assert advice_words.where(rows, "faster") == "Faster: `a` 3.00×, `b` 2.00×, `c` 1.50×."
    assert advice_words.alternatives(rows, "faster").endswith(" in `c`.")


def test_a_case_without_an_interval_is_told_so_among_others_that_have_one() -> None:
    said = advice_words.effect("`x`", table(row("a", 1.5), row("b", 3.0, low=None, high=None)))
    assert "Best: `b` with 3.00× (no interval). Worst: `a` with 1.50× (1.48 to 1.52)." in said
