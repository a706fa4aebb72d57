"""A later visit by a real worker times as the first one has; it checks, compiles and measures nothing else again."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from torchduet.bench.cases.case import Family, cases_of, group
from torchduet.bench.cases.copies import with_copies
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, Task
from torchduet.bench.cases.outcome import Measured
from torchduet.bench.passes import after_timing
from torchduet.bench.record.visits.entry import with_visit
from torchduet.bench.run.records import records
from torchduet.bench.run.visiting import entries_of
from torchduet.bench.timing import device_registry
from torchduet.bench.timing.stopping import MAX_VISIT_PLACEMENTS
from torchduet.bench.workers import family as family_module
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load

TEXT = """
import torch
from torchduet import Suite

suite = Suite("again", "Families that are visited twice")
torch.made = []  # whatever a visit makes, in this process


def pair(device):
    torch.made.append("inputs")
    return torch.ones(64, device=device), torch.ones(64, device=device)


def long(device):
    return (torch.ones(200_000, device=device),)


def noting(x, y, seed, meter):
    meter.value("seed", seed)
    return x + y


def wrong_later(x, y):
    torch.made.append("call")
    return x + y + ("later" in torch.made)


def raises_later(x, y):
    if "later" in torch.made:
        raise ValueError("no more of it")
    return x + y


eager = {"modes": ["eager"]}
suite.compare("noting", {"f": noting}, inputs=pair, **eager)
suite.compare("pair", {"one": lambda x: x + 1, "two": lambda x: x + 1 + 0}, inputs=long, memory=True, **eager)
suite.compare("wrong", {"f": lambda x, y: x + y, "g": wrong_later}, inputs=pair, **eager)
suite.compare("raises", {"f": lambda x, y: x + y, "g": raises_later}, inputs=pair, **eager)
suite.compare("compiled", {"f": lambda x, y: (x * y).sin().sum()}, inputs=pair, modes=["eager", "compile"])
"""


@pytest.fixture
def families(tmp_path: Path) -> dict[str, Family]:
    """Workload → its family."""
    path = tmp_path / "again.py"
    path.write_text(TEXT)
    (suite,) = load(str(path))
    cases = cases_of(str(path), suite, tier="quick", devices=["cpu"])
    return {family.reference.workload: family for family in group(cases)}


def silent(_what: str, _fraction: float) -> None:
    """Reports nothing."""


def first_visit(family: Family, folder: Path, **changes: Any) -> tuple[Task, FamilyResult]:
    """A family's first visit, and the task of the next."""
    task = Task(family, 0.3, 1, str(folder), share=4.0, **changes)
    result = measure(task, silent)
    paces = {each.case: each.pace for each in result.results if each.pace is not None}
    about = {"share": 4.0, "paces": paces, "number": 1, **changes}
    return Task(family, 0.3, 1, str(folder), **about), result  # type: ignore[arg-type]


def errors(result: FamilyResult) -> list[str | None]:
    return [each.error or each.skip for each in result.results]


def by_case(result: FamilyResult) -> dict[str, CaseResult]:
    return {each.case.id: each for each in result.results}


def test_it_keeps_the_pace_of_the_first(families: dict[str, Family], tmp_path: Path) -> None:
    task, first = first_visit(families["pair"], tmp_path)
    later = measure(task, silent)
    assert errors(first) == errors(later) == [None, None]
    for case, one in by_case(first).items():
        other = by_case(later)[case]
        assert other.pace == one.pace
        assert other.calls == one.calls
        assert 0 < len(other.blocks) <= MAX_VISIT_PLACEMENTS


@pytest.fixture
def delaying(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package registers ``delay``, a device that can be kept waiting."""
    point = EntryPoint("delay", "tests.bench.workloads.pretended_device:DelayingDevice", device_registry.GROUP)
    monkeypatch.setattr(device_registry, "entry_points", lambda group: [point] if group == point.group else [])
    caches = (device_registry._registered, device_registry.device_of)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("delaying")
def test_every_visit_times_the_devices_work_and_the_first_calls_without_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (family_module, after_timing):
        monkeypatch.setattr(module, "SUSTAINED_SECONDS", 0.05)
    path = tmp_path / "again.py"
    path.write_text(TEXT)
    (suite,) = load(str(path))
    cases = cases_of(str(path), suite, tier="quick", devices=["cpu", "delay"])
    (family,) = (family for family in group(cases) if family.reference.workload == "pair")
    task, first = first_visit(family, tmp_path)
    assert errors(first) == [None] * 4
    later = measure(task, silent)
    workload = suite.workloads["pair"]
    outcomes = records(family, first, workload)
    entries = entries_of(family, later)
    for case in family.cases:
        outcome = outcomes[case]
        assert isinstance(outcome, Measured)
        record = with_visit(outcome.record, entries[case], 1.0)
        assert ("device_blocks" in record["timing"]) == ("sustained" in record) == (case.device == "delay")
        held = {speedup["against"]: speedup.get("device_speedup") for speedup in record["speedups"]}
        assert {against for against, found in held.items() if found} == {
            other.id for _, other in family.comparisons(case) if {case.device, other.device} == {"delay"}
        }
        assert all(len(found["visit_ratios"]) == 2 for found in held.values() if found)
        if case.device == "delay":
            assert record["sustained"]["window_seconds"] >= 0.05
            assert record["timing"]["device_seconds"] < record["timing"]["seconds"]
            assert len(record["timing"]["device_blocks"]) >= 2


def test_it_checks_nothing_and_makes_no_passes(families: dict[str, Family], tmp_path: Path) -> None:
    task, first = first_visit(families["pair"], tmp_path)
    later = measure(task, silent)
    for one, other in zip(first.results, later.results, strict=True):
        assert one.check is not None
        assert one.check["relative_error"] is not None
        assert one.peak_bytes is not None
        assert (other.check, other.operators, other.peak_bytes) == (None, None, None)
        assert other.disturbed is None or len(other.disturbed) == len(other.blocks)
    assert later.telemetry is not None


def test_a_result_that_became_wrong_is_not_looked_at_again(families: dict[str, Family], tmp_path: Path) -> None:
    task, first = first_visit(families["wrong"], tmp_path)
    torch.made.append("later")  # type: ignore[attr-defined]
    assert errors(first) == errors(measure(task, silent)) == [None, None]


def test_a_case_that_raises_later_costs_only_its_own_part(families: dict[str, Family], tmp_path: Path) -> None:
    task, first = first_visit(families["raises"], tmp_path)
    torch.made.append("later")  # type: ignore[attr-defined]
    later = measure(task, silent)
    fine, raising = later.results
    assert errors(first) == [None, None]
    assert fine.error is None
    assert fine.blocks
    assert raising.error is not None
    assert "no more of it" in raising.error


def test_its_seeds_are_others_than_those_of_earlier_visits(families: dict[str, Family], tmp_path: Path) -> None:
    task, first = first_visit(families["noting"], tmp_path)
    seeds = [result.results[0].meters["seed"][1] for result in (first, measure(task, silent))]
    assert seeds[0] == [place + 1 for place in range(len(seeds[0]))]
    assert seeds[1] == [MAX_VISIT_PLACEMENTS + place + 1 for place in range(len(seeds[1]))]
    assert not set(seeds[0]) & set(seeds[1])


def test_copies_are_timed_again_and_the_slowed_ones_are_slower(families: dict[str, Family], tmp_path: Path) -> None:
    copied = with_copies(Family((families["pair"].reference,), (families["pair"].reference,)), (2.0,))
    task, first = first_visit(copied, tmp_path)
    later = measure(task, silent)
    assert errors(first) == errors(later) == [None, None, None]
    original, _, slowed = later.results
    assert min(map(min, slowed.blocks)) > 1.5 * min(map(min, original.blocks))
    assert slowed.pace == by_case(first)[slowed.case.id].pace


def test_what_the_first_visit_has_compiled_is_loaded(families: dict[str, Family], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    task, first = first_visit(families["compiled"], tmp_path, compiled=str(kept))
    assert errors(first) == [None, None]
    made = {path: path.stat().st_mtime_ns for path in kept.rglob("*.so")}
    assert made
    torch._dynamo.reset()  # as in another process
    later = measure(task, silent)
    assert errors(later) == [None, None]
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.so")} == made
    assert later.seconds["compiling"] < first.seconds["compiling"]
