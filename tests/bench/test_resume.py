"""What keeps two processes' records apart, and what a family's entry gives back."""

import json
from typing import Any

from torchduet.bench.cases.case import Case
from torchduet.bench.host.counters import Telemetry
from torchduet.bench.noise.family_noise import Interrupted, Timed
from torchduet.bench.record.journal import Content
from torchduet.bench.run.outcomes import outcome_entry, outcome_of
from torchduet.bench.run.records import Skip
from torchduet.bench.run.resume import Spent, differences, settled, spent_of

CASE = Case("s", "s", "w", "", (("n", 3),), "w", True, "cpu", "eager", "fp32")
HERE: dict[str, dict[str, Any]] = {
    "machine": {"cpu": "a CPU", "memory_bytes": 16_000_000_000, "gpu": None},
    "option": {"tier": "quick", "devices": ["cpu"], "threads": 2},
    "source": {"bench": "1234"},
    "selection": {"cases": ["one", "two", "three"]},
}


def changed(kind: str, **values: Any) -> dict[str, dict[str, Any]]:
    return HERE | {kind: HERE[kind] | values}


def test_the_same_run_has_no_differences_even_after_a_restart() -> None:
    assert differences(HERE, json.loads(json.dumps(HERE))) == []
    assert differences(HERE, changed("machine", memory_bytes=15_990_000_000)) == []


def test_each_difference_is_named() -> None:
    assert differences(HERE, changed("machine", cpu="another", memory_bytes=8_000_000_000)) == [
        "machine cpu: a CPU there, another here",
        "machine memory_bytes: 16000000000 there, 8000000000 here",
    ]
    assert differences(HERE, changed("option", devices=["cpu", "cuda"])) == [
        "option devices: cpu there, cpu, cuda here"
    ]
    assert differences(HERE, changed("source", bench="5678")) == ["source bench: it has been edited"]
    assert differences(HERE, changed("selection", cases=["two", "three", "four"])) == [
        "selection: no longer selected: one",
        "selection: not selected there: four",
    ]
    assert differences(HERE, changed("selection", cases=["two", "one", "three"])) == [
        "selection: the same cases in another order"
    ]
    assert differences({}, {"option": {"tier": "full"}}) == ["option tier: none there, full here"]


def test_what_came_out_for_a_case_comes_back() -> None:
    record: Any = {"schema": 1, "timing": {"blocks": [[1.25e-6, 0.1 + 0.2]]}}
    for outcome in (record, Skip("too slow"), "s.w: it raised"):
        assert outcome_of(json.loads(json.dumps(outcome_entry(CASE, outcome)))) == outcome


def test_what_a_family_cost_and_its_noise_come_back() -> None:
    entry = {"fixed": 0.25, "timing": [1.5, 1.25], "stages": {"timed": 1.0}, "slow": [[CASE.id, 2.5]], "again": False}
    assert spent_of(json.loads(json.dumps(entry)), {CASE.id: CASE}) == Spent(
        0.25, (1.5, 1.25), {"timed": 1.0}, ((CASE, 2.5),)
    )
    seen = Interrupted(0.03, 12.5, loaders=False)
    timed = Timed(
        1.0, 2.5, Telemetry(1.5, others=0.25, virtual=True), 0.07, seen, {CASE.id: seen}, {"temperature": 0.5}
    )
    assert Timed.from_json(json.loads(json.dumps(timed.to_json())), {}) == timed


def test_families_at_the_end_that_died_or_were_cut_short_are_tried_again() -> None:
    def family(name: str, again: bool) -> dict[str, Any]:
        return {"kind": "family", "name": name, "spent": {"again": again}}

    entries = (family("a", True), family("b", False), {"kind": "pilot"}, family("c", True), family("d", True))
    assert [entry["name"] for entry in settled(Content({}, entries, 0, 0))] == ["a", "b"]
