"""The page of a duet answers first whether B is faster than A; pages of other runs do not mention it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from tests.reports.rendered import a_part, page_of
from tests.reports.sample import make_run
from tests.reports.test_page import HOSTILE, Page
from torchduet.bench.duet.judge import confirmed, difference, screened
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
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
    for place, one in enumerate(changed["benchmarks"]):
        record = one["extra_info"][KEY]
        record["speedups"] = []
        effect = {0: -0.2, 1: 0.15}.get(place, 0.0)
        stage, n = ("confirmed", 12) if effect else ("screened", 5)
        base = [[rng.gauss(1e-3, 1e-5) for _ in range(9)] for _ in range(n)]
        against = [[value * math.exp(-effect + rng.gauss(0, 0.002)) for value in turns] for turns in base]
        found = [difference(a, b) for a, b in zip(base, against, strict=True)]
        judged = confirmed({0: found})[0] if effect else screened(found)
        estimate = judged.estimate
        record["against"] = {
            "stage": stage,
            "verdict": judged.verdict,
            **{name: getattr(estimate, name) for name in ("ratio", "low", "high", "confidence")},
            "threshold": 0.02,
            "pairs": n,
            "base_seconds": 1e-3,
            "seconds": 1e-3 * math.exp(-effect),
            "base_blocks": base,
            "blocks": against,
        }
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
    said = f"Of {total} cases, 1 is slower and 1 is faster in B (torch 2.13.0) than in A (torch 2.12.0)"
    assert said in page.text
    assert page.text.index(said) < page.text.index("Every case")
    assert "Which knobs" not in page.text
    assert "Claims, judged here" not in page.text
    assert "There is nothing to compare" not in page.text
    slower = run.records[0]["case"]["id"]
    rows = page.source[page.source.index("B against A, case by case") :]
    assert rows.index(slower) < rows.index(run.records[2]["case"]["id"])


def test_other_runs_do_not_speak_of_two_sides() -> None:
    page = Page(page_of(make_run))
    assert "B against A" not in page.text
    assert "Which knobs" in page.text


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
