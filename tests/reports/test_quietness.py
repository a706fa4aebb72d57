"""Noise beside what two runs show."""

from __future__ import annotations

import copy
from typing import Any

from tests.reports.remeasured import remeasured
from tests.reports.test_compare import SQUARE, change_of, held
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare import quietness
from torchduet.reports.compare.brief import markdown
from torchduet.reports.compare.page import render
from torchduet.reports.compare.text import terminal

DISTURBED = {"grade": "disturbed", "causes": ["steal 9 %"]}


def graded(document: Any, run: dict[str, Any], case: dict[str, Any]) -> Any:
    document = copy.deepcopy(document)
    document[KEY]["noise"] = run
    for one in document["benchmarks"]:
        if one["extra_info"][KEY]["case"]["id"] == SQUARE:
            one["extra_info"][KEY]["noise"] = case
    return document


def test_a_case_and_a_run_say_how_noisy_their_machine_was(shared_document: Any) -> None:
    base = graded(remeasured(shared_document, 1), {"grade": "quiet", "causes": []}, {"grade": "quiet", "causes": []})
    new = graded(remeasured(shared_document, 3, slower={SQUARE: 1.2}), DISTURBED, DISTURBED)
    one = held(base, new)
    assert quietness.of_case(change_of(one, SQUARE)) == "new disturbed"
    assert quietness.of_runs(one) == ["base.json was quiet.", "new.json was disturbed: steal 9 %."]
    row = next(line for line in terminal([one]).splitlines() if SQUARE in line)
    assert row.endswith("  new disturbed")
    assert "new.json was disturbed: steal 9 %." in terminal([one])
    assert "| new disturbed |" in markdown([one])
    assert render([one], 0.05).count("new disturbed") >= 2


def test_files_that_do_not_say_are_said(shared_document: Any) -> None:
    old = copy.deepcopy(remeasured(shared_document, 1))
    old[KEY].pop("noise", None)
    for record in old["benchmarks"]:
        record["extra_info"][KEY].pop("noise", None)
    one = held(old, old)
    assert quietness.of_case(change_of(one, SQUARE)) == ""
    assert quietness.of_runs(one)[0] == "base.json does not record how noisy its machine was."
