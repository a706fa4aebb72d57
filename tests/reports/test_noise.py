"""The report names the machine's noise, draws its pilots and marks the cases it reached."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.rendered import a_part, page_of
from tests.reports.sample import make_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.charts.pilots import pilot_chart
from torchduet.reports.findings.noise import noise, of_case
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json

CAUSE = "others kept 0.9 of 2 cores busy <at worst>"
REMEDY = "use --threads 1, or close what else is running"


def record_of(document: Any, index: int) -> Any:
    return document["benchmarks"][index]["extra_info"][KEY]


@pytest.fixture
def disturbed(document: Any) -> Any:
    """The run on a disturbed machine: two cases of it were, and one of them stayed unclear."""
    document = a_part(document)
    document[KEY]["noise"] = {"grade": "disturbed", "causes": [CAUSE, "steal 4 %"], "remedy": REMEDY}
    document[KEY]["pilots"] = [
        {"at": at, "before": before, "seconds": {"arithmetic": 1e-4 * slow, "memory": 2e-3, "calls": 5e-5}}
        for at, before, slow in ((6.5, "a.b", 1.0), (17.0, "a.c", 1.97), (29.0, "", 1.01))
    ]
    for index in range(len(document["benchmarks"])):
        record = record_of(document, index)
        hit = index in (1, 3)
        record["noise"] = {
            "grade": "disturbed" if hit else "quiet",
            "causes": [CAUSE] if hit else [],
            "figures": {"others": 0.9},
        }
        record["timing"]["disturbed"] = [2 * hit for _ in record["timing"]["blocks"]]
        for one in record["speedups"]:
            if index == 1:
                one["verdict"] = "unclear"
    return document


def test_the_grade_with_its_causes_and_what_would_help(disturbed: Any) -> None:
    page = render(from_json(disturbed))
    part = page[page.index('id="noise"') : page.index('id="trust"')]
    assert "<strong>Disturbed.</strong>" in part
    assert "others kept 0.9 of 2 cores busy &lt;at worst&gt;" in part
    assert "steal 4 %" in part
    assert 'What would help: use <code class="option">--threads 1</code>, or close what else is running.' in part
    assert f"{len(disturbed['benchmarks']) - 2} quiet, 2 disturbed" in part
    assert '<a href="#noise">the machine was disturbed</a>' in page[: page.index("<main>")]


def test_what_stayed_unclear_for_the_noise_is_counted(disturbed: Any) -> None:
    found = noise(from_json(disturbed))
    assert found is not None
    assert "the machine was too noisy to settle" in found.unclear
    for index in (1, 3):
        record_of(disturbed, index)["noise"]["grade"] = "quiet"
    found = noise(from_json(disturbed))
    assert found is not None
    assert found.unclear == ""


def test_disturbed_cases_are_marked_and_say_why(disturbed: Any) -> None:
    run = from_json(disturbed)
    page = render(run)
    assert page.count('<abbr class="noisy"') == 2
    words = of_case(run.records[1])
    assert words.startswith(f"disturbed: {CAUSE}; ")
    assert words.endswith("blocks were interrupted; all count")
    assert of_case(run.records[0]).startswith("quiet; 0 of ")


def test_the_pilots_are_drawn_and_said(disturbed: Any) -> None:
    chart = pilot_chart(disturbed[KEY]["pilots"], "p")
    assert "taken 3 times" in chart.alternative
    assert "arithmetic up to 1.97×" in chart.alternative
    assert "memory up to 1.00×" in chart.alternative
    assert [words.split(" ")[0] for _, words in chart.keys] == ["arithmetic", "memory", "calls"]
    assert ">1.5×<" in chart.svg
    assert ">2×<" in chart.svg
    assert "seconds into the run" in chart.svg
    assert "Pilots over the run" in render(from_json(disturbed))


@pytest.mark.parametrize("slow", [1.0, 1.0001, 1.04, 2.0, 30.0, 5000.0])
@pytest.mark.parametrize("span", [1e-6, 0.5, 90.0, 3600.0, 1e5])
def test_any_pilots_can_be_drawn(slow: float, span: float) -> None:
    pilots = [{"at": span * place, "before": "", "seconds": {"calls": 1e-5 * slow**place}} for place in (0, 1)]
    svg = pilot_chart(pilots, "p").svg  # type: ignore[arg-type]
    assert ">1×<" in svg


def test_one_pilot_is_not_drawn_and_a_quiet_run_says_so(disturbed: Any) -> None:
    disturbed[KEY]["pilots"] = disturbed[KEY]["pilots"][:1]
    disturbed[KEY]["noise"] = {"grade": "quiet", "causes": []}
    found = noise(from_json(disturbed))
    assert found is not None
    assert found.chart is None
    page = render(from_json(disturbed))
    assert "Nothing stood out" in page
    assert "the machine was quiet" not in page


def test_pilots_that_measured_nothing_are_not_drawn(disturbed: Any) -> None:
    for pilot, seconds in zip(disturbed[KEY]["pilots"], ({"calls": 1e-5}, {}, {"memory": 1e-3}), strict=True):
        pilot["seconds"] = seconds
    found = noise(from_json(disturbed))
    assert found is not None
    assert found.chart is None


def test_files_of_older_versions_have_no_such_part(document: Any) -> None:
    run = from_json(document)
    assert noise(run) is None
    assert of_case(run.records[0]) == ""
    page = page_of(make_run)
    assert 'id="noise"' not in page
    assert "#noise" not in page


def test_pilots_without_a_grade_are_drawn_alone(disturbed: Any) -> None:
    del disturbed[KEY]["noise"]
    page = render(from_json(disturbed))
    assert "Pilots over the run" in page
    assert "Disturbed." not in page[page.index('id="noise"') : page.index('id="trust"')]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d[KEY]["noise"].update(grade="loud"), "noise.grade: expected one of quiet, noisy, disturbed"),
        (lambda d: record_of(d, 2)["noise"].update(grade=""), r"benchmarks\[2\].*noise.grade: expected one of"),
        (lambda d: d[KEY]["pilots"][1]["seconds"].update(calls=0), r"pilots\[1\].seconds.calls: expected a number"),
        (
            lambda d: record_of(d, 0)["timing"].update(disturbed=[-1] * 12),
            "timing.disturbed: expected numbers of blocks",
        ),
        (lambda d: d[KEY]["noise"].update(causes="many"), "noise.causes: expected a list"),
    ],
)
def test_a_spoilt_file_is_refused(disturbed: Any, spoil: Any, message: str) -> None:
    spoil(disturbed)
    with pytest.raises(ContractError, match=message):
        from_json(disturbed)
