"""What is missing is counted at the top, grouped by its reason below, and a stopped run says that it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.rendered import a_part
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.unmeasured import ended_early, over_budget, unmeasured, warnings
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json


@pytest.fixture
def document(document: Any) -> Any:
    """Fewer cases: what is missing is what these tests are about."""
    return a_part(document)


def test_only_what_there_is_is_counted(document: Any) -> None:
    found = {gap.anchor: gap.number for gap in unmeasured(from_json(document))}
    assert found == {"gaps-failed": 1, "gaps-skipped": 1}
    document[KEY].update(failed=[], skipped=[], warnings=[])
    assert unmeasured(from_json(document)) == []
    assert 'href="#gaps-' not in render(from_json(document))


def test_the_line_under_the_title_leads_to_each_part(document: Any) -> None:
    page = render(from_json(document))
    line = page[page.index('<p class="counted">') :].split("</p>")[0]
    for anchor, words in (("failed", "1 failed"), ("skipped", "1 skipped"), ("warnings", "1 warning")):
        assert f'<a href="#gaps-{anchor}">{words}</a>' in line
        assert page.count(f'id="gaps-{anchor}"') == 1
    assert page.index('<p class="counted">') < page.index("<main>")


def test_equal_reasons_are_said_once_with_all_their_cases(document: Any) -> None:
    (one,) = document[KEY]["failed"]
    several = [{"case": {**one["case"], "id": f"case {n}"}, "reason": f"case {n}: too slow"} for n in range(5)]
    document[KEY]["failed"] = [one, *several]
    (failed, _) = unmeasured(from_json(document))
    assert [(reason.words, len(reason.cases)) for reason in failed.reasons] == [(one["reason"], 1), ("too slow", 5)]
    page = render(from_json(document))
    assert page.count("too slow") == 1
    assert "<summary>5 cases</summary>" in page
    assert all(f">case {n}<" in page for n in range(5))


def test_a_stopped_run_says_how_far_it_came_and_what_is_missing(document: Any) -> None:
    document[KEY]["unreached"] = ["matmul.late[n=1] cpu eager fp32", "matmul.last[n=1] cpu eager fp32"]
    run = from_json(document)
    measured = len(run.records)
    assert ended_early(run) == f"This run ended early: {measured} of {measured + 4} cases were measured"
    page = render(run)
    assert page.index("This run ended early") < page.index("<main>")
    assert "2 not reached" in page
    assert page.index('id="gaps-unreached"') < page.index("matmul.last[n=1]")


def test_a_whole_run_was_not_stopped(document: Any) -> None:
    assert ended_early(from_json(document)) == ""
    document[KEY]["unreached"] = []
    assert "ended early" not in render(from_json(document))


def test_a_run_that_took_much_longer_than_its_budget_says_what_took_the_time(document: Any) -> None:
    about = document[KEY]
    about["options"]["budget_seconds"] = 20.0
    about["seconds"] = {"total": 50.0, "startup": 7.0, "compiling": 13.0, "timed": 1.0, "checking": 8.0, "warming": 1.0}
    sentence = "he budget of 20 s was overrun by 23 s: starting processes and other work took 20 s, compiling 13 s"
    assert over_budget(from_json(document)) == f"t{sentence}"
    page = render(from_json(document))
    assert page.count(f"T{sentence}.</p>") == 1
    assert page.index(sentence) > page.index('id="environment"')
    about["options"]["budget_seconds"] = 40.0
    assert "was overrun" not in render(from_json(document))
    about["options"]["budget_seconds"] = 20.0
    about["resumed"] = [{"at": 5.0, "started": "2026-01-01T00:00:00", "machine": {}, "warnings": [], "families": 1}]
    assert over_budget(from_json(document)) is None  # it has started twice


def test_benchmarks_of_others_are_a_warning(document: Any) -> None:
    document["benchmarks"].append({"name": "test_mine", "extra_info": {}, "stats": {"mean": 1.0}})
    assert warnings(from_json(document))[-1].startswith("1 other benchmark in the file is not Torchduet’s")
