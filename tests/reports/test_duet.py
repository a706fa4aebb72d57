"""The page of a duet answers first whether B is faster than A; pages of other runs do not mention it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from tests.reports.rendered import a_part, page_of, with_details
from tests.reports.sample import make_run
from tests.reports.test_page import HOSTILE, Page
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
from torchduet.bench.record.visits.sides import first_pair, with_pair, with_verdicts
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json


def side(label: str, torch: str) -> dict[str, Any]:
    return {
        "label": label,
        "python": f"/envs/{torch}/bin/python",
        "python_version": "3.12.3",
        "torch": torch,
        "cuda": None,
        "env": {},
        "rev": None,
    }


def make_duet(document: Any, label: str = "torch 2.13.0") -> Any:
    """The sample run as if each case had been timed on two sides: the first two differ, B being slower in one."""
    rng = random.Random(2)
    changed = json.loads(json.dumps(document))
    records = {one["extra_info"][KEY]["case"]["id"]: one["extra_info"][KEY] for one in changed["benchmarks"]}
    for place, record in enumerate(records.values()):
        record["speedups"] = []
        effect = {0: -0.2, 1: 0.15}.get(place, 0.0)
        for number in range(12 if effect else 2 + place % 4):
            base = [[rng.gauss(1e-3, 1e-5) for _ in range(9)] for _ in range(2)]
            against = [[value * math.exp(-effect + rng.gauss(0, 0.002)) for value in turns] for turns in base]
            record["against"] = with_pair(record["against"], base, against) if number else first_pair(base, against)
    for name, record in with_verdicts(records, Prior(0.001, 8.0, 20, "run")).items():
        records[name]["against"] = record["against"]
    changed[KEY]["against"] = {
        "base": side("torch 2.12.0", "2.12.0"),
        "against": side(label, "2.13.0"),
        "screened": len(changed["benchmarks"]),
        "confirmed": 2,
        "confidence": 0.99,
        "threshold": 0.02,
    }
    return changed


def test_the_answer_comes_first(shared_document: Any) -> None:
    run = from_json(make_duet(a_part(shared_document)))
    page = Page(render(run))
    total = len(run.records)
    said = f"With torch 2.13.0, 1 of {total} cases is slower and 1 faster than with torch 2.12.0"
    assert page.text.count(said) >= 2
    assert page.text.index(said) < page.text.index("Both sides")
    assert "pays off in" not in page.text
    assert "Tutorials’ claims" not in page.text
    assert "There is nothing to compare" not in page.text
    slower = run.records[0]["case"]["id"]
    assert page.source.index(slower) < page.source.index(run.records[2]["case"]["id"])


def test_what_the_verdicts_rest_on_is_said(shared_document: Any) -> None:
    document = make_duet(a_part(shared_document))
    document[KEY]["visits"] = {
        "fewest": 2,
        "median": 4,
        "most": 12,
        "priors": [{"of": "sides", "deviation": 0.012, "degrees": 3.0, "families": 9, "source": "run"}],
    }
    text = Page(render(from_json(document))).text
    assert "Each case was measured in 2 to 12 pairs of fresh processes" in text
    assert "too few pairs for a verdict; raise --budget" in text
    assert "Pairs of the same case differ by 1.2 %" in text
    assert "as 9 families of this run show" in text
    assert "Stage" not in text


def test_a_duet_shows_how_noisy_the_machine_was(shared_document: Any) -> None:
    document = make_duet(a_part(shared_document))
    document[KEY]["noise"] = {"grade": "noisy", "causes": ["other processes kept 1 of 2 cores busy"], "remedy": "wait"}
    for one in document["benchmarks"]:
        one["extra_info"][KEY]["noise"] = {"grade": "noisy", "causes": [], "figures": {}}
    page = Page(render(from_json(document)))
    assert "How noisy the machine was" in page.text
    assert "other processes kept 1 of 2 cores busy" in page.text
    unclear = [one for one in document["benchmarks"] if one["extra_info"][KEY]["against"]["verdict"] == "unclear"]
    assert f"{len(unclear)} comparison" in page.text


def test_a_duet_of_an_earlier_version_is_shown_with_its_stages(shared_document: Any) -> None:
    document = make_duet(a_part(shared_document))
    for one in document["benchmarks"]:
        for key in ("pair_ratios", "pair_errors", "interval"):
            one["extra_info"][KEY]["against"].pop(key, None)
    text = Page(render(from_json(document))).text
    assert "2 that looked different were measured again in fresh processes and judged by that alone" in text
    assert "Stage" in text


def test_other_runs_do_not_speak_of_two_sides() -> None:
    page = Page(page_of(make_run))
    assert "Both sides" not in page.text
    assert "pays off in" in page.text


def test_what_a_side_is_called_is_text(shared_document: Any) -> None:
    assert HOSTILE not in render(from_json(make_duet(a_part(shared_document), HOSTILE)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("verdict", "better", "against.verdict: expected one of"), ("seconds", 0.0, "against.seconds: expected a number")],
)
def test_a_malformed_record_is_refused(shared_document: Any, key: str, value: object, message: str) -> None:
    document = make_duet(shared_document)
    document["benchmarks"][0]["extra_info"][KEY]["against"][key] = value
    with pytest.raises(ContractError, match=message):
        from_json(document)


def test_the_page_of_a_setting_asks_and_answers_whether_it_is_worth_it(shared_document: Any) -> None:
    document = make_duet(shared_document)
    base, against = (document[KEY]["against"][name] for name in ("base", "against"))
    against.update(torch=base["torch"], python=base["python"], label="without torch.set_num_interop_threads")
    base.update(settings={"torch.set_num_interop_threads": "1"}, label="torch.set_num_interop_threads=1")
    for one in document["benchmarks"]:
        if one["extra_info"][KEY]["against"]["verdict"] == "faster":
            one["extra_info"][KEY]["against"]["verdict"] = "unclear"
    page = render(from_json(document))
    assert "<h1>With torch.set_num_interop_threads=1: " in page
    assert "times as fast" in page
    assert 'data-key="base" data-label="without"' in page
    assert "is of the side with torch.set_num_interop_threads=1" in with_details(page)
