"""The answer on the number of DataLoader workers, and how answers are numbered and collected; worked examples."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.test_advice_values import row, table
from torchduet.reports.findings.advice import NAMED_CHOICES, STANDINGS, Answer, answers
from torchduet.reports.findings.loaders import Choice, Count
from torchduet.reports.tables.pairs import PairRatio
from torchduet.reports.text.settings import KNOBS

RECORD: Any = {"meters": {}}


def count(workers: int, ratio: float = 1.0, verdict: str = "same") -> Count:
    """A number of workers that is ``ratio`` times as fast as the fewest."""
    over = PairRatio(ratio, ratio * 0.9, ratio * 1.1, verdict, 12)
    return Count(workers, RECORD, over, PairRatio(1.0, 0.99, 1.01, "same", 12))


def choice(name: str, ratio: float | None, verdict: str = "faster") -> Choice:
    """Two workers are so many times as fast as none; None: stay with none."""
    fewest = count(0)
    if ratio is None:
        return Choice(name, (fewest, count(2)), fewest)
    more = count(2, ratio, verdict)
    return Choice(name, (fewest, more), more)


def of_workers(*choices: Choice, verdict: str = "faster") -> Answer:
    rows = table(
        *(row(one.name, 1.5, knob="workers", value="2", baseline="0", verdict=verdict, setting="") for one in choices)
    )
    (answer,) = answers(rows, choices)
    return answer


def test_the_answer_on_workers_is_a_number_for_each_workload() -> None:
    answer = of_workers(choice("a", 1.5), choice("b", 1.2), choice("c", 4.0))
    assert (answer.key, answer.knob, answer.value, answer.title) == ("answer-1", "workers", "", "DataLoader workers")
    assert answer.sentences[0] == "For `a` use 2 workers: 1.50× (1.35 to 1.65) as fast as none."
    assert [one.split(" use")[0] for one in answer.sentences[:3]] == ["For `a`", "For `b`", "For `c`"]
    assert answer.sentences[3].startswith("Sure of all 3")
    assert answer.ends == "Workers to use: 2 for `a` (1.50×), 2 for `b` (1.20×), and 1 more workload below."
    assert answer.tally == {"faster": 3, "slower": 0, "same": 0, "unclear": 0}
    assert list(answer.rows["setting"]) == ["2 workers"] * 3
    assert answer.words == "Worth it"


def test_a_workload_that_stays_with_the_fewest_has_no_factor_beside_its_verdict() -> None:
    fewest = Count(0, RECORD, None, None)
    stays = Choice("a", (fewest, Count(2, RECORD, None, None)), fewest)
    assert of_workers(stays, verdict="slower").ends == "Workers to use: 0 for `a`."
    assert of_workers(stays, verdict="slower").counts == "slower"


@pytest.mark.parametrize(
    ("number", "left"), [(5, None), (6, None), (7, "1 more is in the table"), (9, "3 more are in the table")]
)
def test_six_workloads_are_named_and_the_others_are_counted(number: int, left: str | None) -> None:
    answer = of_workers(*(choice(f"c{at}", 1.5) for at in range(number)))
    assert NAMED_CHOICES == 6
    assert [one.split("`")[1] for one in answer.sentences if one.startswith("For ")] == [
        f"c{at}" for at in range(min(number, 6))
    ]
    counted = [one for one in answer.sentences if "in the table of numbers of workers below." in one]
    assert [one.startswith(left or "") for one in counted] == ([] if left is None else [True])


@pytest.mark.parametrize(
    ("ratios", "standing"),
    [
        ((1.5, 1.2), "yes"),
        ((1.5, None), "depends"),  # one of the workloads stays with the fewest
        ((1.5, "unsure"), "depends"),
        (("unsure", "unsure"), "unclear"),
        (("unsure", None), "unclear"),
        ((1.5, "unsure", None), "depends"),
    ],
)
def test_workers_are_worth_it_where_more_are_surely_faster_for_each_workload(
    ratios: tuple[Any, ...], standing: str
) -> None:
    of = [
        choice(f"c{at}", 1.1, "unclear") if ratio == "unsure" else choice(f"c{at}", ratio)
        for at, ratio in enumerate(ratios)
    ]
    answer = of_workers(*of)
    assert answer.standing == standing
    assert answer.words == STANDINGS[standing]


@pytest.mark.parametrize(("verdict", "standing"), [("slower", "no"), ("same", "same"), ("unclear", "unclear")])
def test_where_all_stay_with_the_fewest_workers_the_comparisons_say_whether_others_cost(
    verdict: str, standing: str
) -> None:
    assert of_workers(choice("a", None), choice("b", None), verdict=verdict).standing == standing
    mixed = table(
        row("a", 0.5, knob="workers", value="2", baseline="0", verdict="slower"),
        row("b", 1.5, knob="workers", value="4", baseline="0", verdict="faster"),
    )
    (answer,) = answers(mixed, [choice("a", None)])
    assert answer.standing == "no"  # "depends" for any other knob


def test_without_choices_workers_are_collected_as_any_knob_of_many_settings() -> None:
    rows = table(
        row("a", 1.5, knob="workers", value="2", baseline="0"), row("b", 1.2, knob="workers", value="4", baseline="0")
    )
    (answer,) = answers(rows)
    assert answer.counts == "faster in both cases"
    assert answer.baseline == "the fewest workers"


def test_answers_come_in_the_knobs_order_and_the_settings_of_one_as_they_were_measured() -> None:
    rows = table(
        row("a", 1.5, knob="mine", value="on", baseline="off"),
        row("b", 1.5, knob="together", value="x + y", baseline="both"),
        row("c", 1.5, knob="together", value="x + z", baseline="both"),
        row("d", 1.5, knob="workers", value="2", baseline="0"),
        row("e", 1.5, knob="precision", value="tf32", baseline="fp32", relative_error=1e-4),
        row("f", 1.5, knob="precision", value="bf16", baseline="fp32", relative_error=1e-2),
        row("g", 1.5, knob="mode", value="compile", relative_error=1e-6),
        row("h", 1.5, knob="implementation", value="one", baseline="plain"),
        row("i", 1.5, knob="implementation", value="two", baseline="plain"),
    )
    given = answers(rows, [choice("a", 1.5)])
    assert [answer.key for answer in given] == [f"answer-{number}" for number in range(1, len(given) + 1)]
    found = [(answer.knob, answer.value) for answer in given]
    names = [*dict.fromkeys(knob for knob, _ in found)]
    assert set(names) == {"mine", "together", "workers", "precision", "mode", "implementation"}
    assert names[:-2] == [knob for knob in KNOBS if knob in names]
    assert set(names[-2:]) == {"mine", "together"}
    assert [value for knob, value in found if knob == "precision"] == ["tf32", "bf16"]
    assert [value for knob, value in found if knob == "implementation"] == [""]
    differ = {answer.value: [one for one in answer.sentences if "differ from float64" in one] for answer in given}
    assert differ["bf16"] == ["Results differ from float64 by at most 0.01 (relative)."]
    assert differ["compile"] == []
    by_knob = {answer.knob: answer for answer in given}
    assert by_knob["mode"].baseline == "eager"
    assert by_knob["mine"].baseline == "off"


def test_only_several_implementations_are_collected() -> None:
    (one,) = answers(table(row("a", 1.5, knob="implementation", value="fused", baseline="plain")))
    assert (one.value, one.baseline) == ("fused", "plain")
    two = table(
        row("a", 1.5, knob="implementation", value="fused", baseline="plain", setting="n=1"),
        row("b", 0.5, knob="implementation", value="naive", baseline="plain", verdict="slower", setting=""),
    )
    (both,) = answers(two)
    assert (both.value, both.baseline) == ("", "the workload's first implementation")
    assert list(both.rows["setting"]) == ["fused instead of plain · n=1", "naive instead of plain"]
    assert list(both.rows["name"]) == ["s.w fused instead of plain · n=1", "s.w naive instead of plain"]
    assert any(sentence.startswith("Faster: ") for sentence in both.sentences)
    assert any(sentence.startswith("Slower: ") for sentence in both.sentences)


def test_what_makes_no_case_faster_says_nothing_on_compilation_in_a_collection() -> None:
    def collected(*verdicts: str) -> str:
        (answer,) = answers(
            table(
                *(
                    row(verdict, 1.0, knob="implementation", value=verdict, compiled=True, verdict=verdict)
                    for verdict in verdicts
                )
            )
        )
        return " ".join(answer.sentences)

    assert "ompilation" not in collected("same", "slower")
    assert "ompilation" in collected("same", "faster")


def test_knobs_together_are_labelled_by_their_values_alone() -> None:
    rows = table(
        row("a", 2.0, knob="together", value="compile + bf16", baseline="eager, fp32"),
        row("b", 3.0, knob="together", value="compile + fused", baseline="eager, plain"),
    )
    (answer,) = answers(rows)
    assert (answer.key, answer.baseline, answer.span) == ("answer-1", "the reference", (2.0, 3.0))
    assert list(answer.rows["setting"]) == ["compile + bf16 · n=1", "compile + fused · n=1"]
