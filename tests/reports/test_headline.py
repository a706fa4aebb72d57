"""The title says what was found, with the case or the count and the factor, for every kind of run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.sample import empty_run, make_run
from tests.reports.test_advice_values import row, table
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.advice import answers
from torchduet.reports.findings.headline import headline, main_answer, title_of
from torchduet.reports.html.rows_chart import rows_chart
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.frames import frames


def titled(*rows: dict[str, Any]) -> str:
    return title_of(main_answer(answers(table(*rows))))


def of(document: Any) -> Any:
    run = from_json(document)
    tables = frames(run)
    return headline(run, tables.cases, answers(tables.comparisons))


def implementation(name: str, ratio: float, verdict: str = "faster", value: str = "rms_norm") -> dict[str, Any]:
    return row(name, ratio, knob="implementation", value=value, baseline="by_hand", verdict=verdict)


def test_a_knob_pays_off_in_so_many_cases_and_up_to_its_best_settled_one() -> None:
    rows = [row("a", 1.5), row("b", 3.0), row("c", 0.4, verdict="slower"), row("d", 9.0, verdict="unclear")]
    assert titled(*rows) == "`torch.compile` pays off in 2 of 4 cases, up to 3.00×"


def test_what_can_be_gained_leads() -> None:
    compiled = [row("a", 0.5, verdict="slower"), row("b", 0.6, verdict="slower")]
    assert titled(*compiled, implementation("a", 1.83)) == "`rms_norm` is 1.83× as fast as `by_hand`"
    assert titled(*compiled, implementation("a", 0.9, "slower")).startswith("`torch.compile` does not pay off")


@pytest.mark.parametrize(
    ("verdict", "title"),
    [
        ("slower", "`torch.compile` does not pay off: slower in both cases, down to 0.50×"),
        ("same", "`torch.compile` makes no difference: the same in both cases (0.50× to 0.60×)"),
        ("unclear", "No verdict: the machine was too busy to judge `torch.compile`"),
    ],
)
def test_what_does_not_pay_off_says_so(verdict: str, title: str) -> None:
    assert titled(row("a", 0.5, verdict=verdict), row("b", 0.6, verdict=verdict)) == title


@pytest.mark.parametrize(
    ("verdict", "ratio", "title"),
    [
        ("faster", 2.1, "`rms_norm` is 2.10× as fast as `by_hand`"),
        ("slower", 0.5, "`rms_norm` takes 2.00× as long as `by_hand`"),
        ("same", 1.0, "`rms_norm` is as fast as `by_hand` (1.00×)"),
        ("unclear", 1.3, "No verdict: the machine was too busy to judge `rms_norm` against `by_hand`"),
    ],
)
def test_two_implementations_are_named(verdict: str, ratio: float, title: str) -> None:
    assert titled(implementation("a", ratio, verdict)) == title


WIDE: dict[str, Any] = {"verdict": "unclear", "low": 0.5, "high": 2.5}


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ((row("a", 1.02, **WIDE), row("b", 1.05, **WIDE)), "the run was too short to judge `torch.compile`"),
        ((row("a", 1.02, **WIDE),), "the run was too short to judge `torch.compile` for `a`"),
        ((row("a", 1.02, **WIDE), row("b", 3.0, verdict="unclear")), "the run was too short to judge `torch.compile`"),
        (
            (
                row("a", 1.02, knob="implementation", value="one", baseline="by_hand", **WIDE),
                row("b", 1.02, knob="implementation", value="two", baseline="by_hand", **WIDE),
            ),
            "the run was too short to judge the alternatives",
        ),
        (
            (
                row("a", 1.02, knob="together", value="one", baseline="x", **WIDE),
                row("b", 1.02, knob="together", value="two", baseline="x", **WIDE),
            ),
            "the run was too short to judge several knobs at once",
        ),
        (
            (row("a", 1.02, knob="workers", value="2", baseline="0", **WIDE),) * 2,
            "the run was too short to judge 2 DataLoader workers",
        ),
    ],
)
def test_where_nothing_is_settled_the_title_has_no_factor(rows: tuple[dict[str, Any], ...], title: str) -> None:
    assert titled(*rows) == f"Nothing is settled: {title}"


def left_open(document: Any, low: float, high: float, *, noise: Any = None) -> Any:
    """The document with every comparison unclear, its interval from ``low`` to ``high``."""
    for benchmark in document["benchmarks"]:
        for speedup in benchmark["extra_info"][KEY]["speedups"]:
            speedup.update(verdict="unclear", ratio=(low * high) ** 0.5, low=low, high=high)
    if noise:
        document[KEY]["noise"] = noise
    return document


BUSY = {"grade": "disturbed", "causes": ["other processes kept 1.7 of 2 cores busy"], "figures": {}, "remedy": ""}


@pytest.mark.parametrize(
    ("noise", "lacking"),
    [
        (None, "the run was too short"),
        (BUSY, "the machine was too busy"),
        ({**BUSY, "causes": ["the clock fell by 30 %"]}, "the machine was too unsteady"),
        ({**BUSY, "grade": "noisy"}, "the run was too short"),
    ],
)
def test_the_title_says_what_kept_a_run_from_settling_anything(document: Any, noise: Any, lacking: str) -> None:
    found = of(left_open(document, 0.8, 1.3, noise=noise))
    assert found.title.startswith(f"Nothing is settled: {lacking} to judge ")
    assert (found.withheld, found.settles) == (0, False)


def test_withheld_verdicts_have_a_word_wherever_they_are_shown(document: Any) -> None:
    shown = from_json(left_open(document, 4.24, 4.26, noise=BUSY))
    found = of(document)
    assert found.title.startswith("No verdict: the machine was too busy to judge ")
    assert found.lead[0].endswith("but blocks had to wait for a core, so their verdicts are withheld.")
    assert found.withheld == found.tally["unclear"] > 1
    page = render(shown)
    assert f"{found.withheld} unclear, verdicts withheld</a>" in page
    assert '<span class="marks">verdict withheld</span>' in page
    assert "</span> unclear, withheld</span>" in page
    assert "<dt>Verdict withheld</dt>" in page


def test_two_implementations_of_several_sizes_are_counted() -> None:
    assert titled(implementation("a", 2.0), implementation("b", 3.0)) == (
        "`rms_norm` is 2.00× to 3.00× as fast as `by_hand` in both cases"
    )
    mixed = (implementation("a", 2.0), implementation("b", 0.5, "slower"), implementation("c", 1.0, "same"))
    assert titled(*mixed) == "`rms_norm` is faster than `by_hand` in 1 of 3 cases, up to 2.00×"


def test_several_alternatives_are_counted() -> None:
    rows = (implementation("a", 2.0, value="one"), implementation("b", 0.5, "slower", value="two"))
    assert titled(*rows) == "1 of 2 alternatives is faster, up to 2.00×"
    slower = (implementation("a", 0.9, "slower", value="one"), implementation("b", 0.5, "slower", value="two"))
    assert titled(*slower) == "None of 2 alternatives is faster, 2 are slower, down to 0.50×"


def test_the_first_answer_that_settles_something_is_the_title() -> None:
    rows = [row("a", 1.2, verdict="unclear"), row("b", 2.0, knob="precision", value="bf16", baseline="fp32")]
    assert titled(*rows) == "bf16 autocast makes `b` 2.00× as fast"


def test_the_lead_has_cases_intervals_and_times() -> None:
    found = of(make_run())
    assert "Best: `" in found.lead[0]
    assert " instead of " in found.lead[0]
    assert sum(found.tally.values()) > 10


def test_a_run_that_compared_nothing_is_titled_by_its_times(document: Any) -> None:
    alone = of({**document, "benchmarks": document["benchmarks"][:1]})
    assert alone.title.startswith("`tensor_ops.add n=65536` takes ")
    assert alone.title.endswith(" µs per call")
    several = {**document, "benchmarks": document["benchmarks"][:3]}
    for benchmark in several["benchmarks"]:
        benchmark["extra_info"][KEY]["speedups"] = []
    assert of(several).title.startswith("3 cases take ")
    assert "Nothing was compared." in of(several).lead[0]


def test_a_time_that_is_not_settled_is_said_to_be_about_and_names_its_mode(document: Any) -> None:
    (alone,) = [one for one in document["benchmarks"] if " compile " in one["extra_info"][KEY]["case"]["id"]][:1]
    alone["extra_info"][KEY]["timing"].update(seconds=27e-3, low=9e-3, high=80e-3)
    alone["extra_info"][KEY]["speedups"] = []
    found = of({**document, "benchmarks": [alone]})
    assert "(compile) takes about 27.0 ms per call (9.00 to 80.0 ms)" in found.title
    assert found.lead[0].startswith("Not settled: ")


def test_a_run_whose_reference_was_skipped_says_so_and_what_to_do(document: Any) -> None:
    alone, *others = document["benchmarks"]
    family = alone["extra_info"][KEY]["case"]["family"]
    cases = [one["extra_info"][KEY]["case"] for one in others]
    reason = "too little was left of the run's budget of 20 s; raise --budget or select fewer cases with -k"
    document[KEY]["skipped"] = [{"case": case, "reason": reason} for case in cases]
    document[KEY]["options"]["budget_seconds"] = 20.0
    document["benchmarks"] = [alone]
    (first, *_) = [case["id"] for case in cases if case["family"] == family]
    said = of(document).lead[-1]
    assert said.startswith(f"Nothing was compared, as the cases to compare with were skipped: `{first}`")
    assert said.endswith("; give the run a larger `--budget` than 20 s.")
    page = render(from_json(document))
    assert "Run two settings of a knob together" not in page
    assert page.count("the cases to compare with were skipped") == 2


def test_a_run_that_measured_nothing_says_so() -> None:
    assert (of(empty_run()).title, of(empty_run()).lead) == ("Nothing was measured", ("1 failed, 1 skipped.",))


def test_marks_lie_on_the_axis_and_the_fastest_stands_first() -> None:
    chart = rows_chart(
        table(
            row("a", 0.5, seconds=2e-3, baseline_seconds=1e-3),
            row("b", 3.0, low=None, high=None, seconds=1e-3, baseline_seconds=3e-3),
        )
    )
    first, second = chart.rows
    assert (first.row.id, second.row.id) == ("b", "a")
    assert second.speedup.low is not None
    assert second.speedup.low < second.speedup.at < chart.one < first.speedup.at <= 100
    assert first.speedup.low is None
    assert first.own < first.base  # type: ignore[operator]
    assert second.own > second.base  # type: ignore[operator]
    assert first.tip == "3.00× (no interval), faster; 1.00 ms instead of 3.00 ms per call"
    assert chart.band[0] < chart.one < chart.band[1]


def test_a_file_without_times_has_no_panel_of_them() -> None:
    chart = rows_chart(table(row("a", 1.5)))
    assert not chart.times
    assert (chart.rows[0].own, chart.rows[0].base) == (None, None)


def test_a_gain_over_a_slower_setting_does_not_lead() -> None:
    """Compiled bf16 is 11 times as fast as eager bf16, which is 11 times as slow as eager fp32: nobody gains."""
    document = make_run()
    kept = {("eager", "fp32"): None, ("compile", "fp32"): "unclear", ("eager", "bf16"): "slower"}
    kept["compile", "bf16"] = "unclear"
    benchmarks = []
    for benchmark in document["benchmarks"]:
        record = benchmark["extra_info"][KEY]
        case = record["case"]
        if case["family"] != "mlp.train_step[layers=784-100-10,batch=100]" or case["device"] != "cpu":
            continue
        if (case["mode"], case["precision"]) not in kept:
            continue
        for speedup in record["speedups"]:
            hollow = (speedup["knob"], case["precision"]) == ("mode", "bf16")
            verdict = "faster" if hollow else kept[case["mode"], case["precision"]]
            ratio = {"faster": 11.0, "slower": 0.09, "unclear": 0.97}[verdict]
            speedup |= {"verdict": verdict, "ratio": ratio, "low": ratio * 0.9, "high": ratio * 1.1}
        benchmarks.append(benchmark)
    assert len(benchmarks) == 4
    found = of({**document, "benchmarks": benchmarks})
    assert "pays off" not in found.title
    assert "11" not in " ".join((found.title, *found.lead))
    assert "bf16" in found.title
    assert "slower" in found.title or "take" in found.title
