"""The journal of a run that was cut short, as its entries."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from tests.reports.sample import make_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed

Entries = list[dict[str, Any]]


def made_journal(document: Any = None) -> Entries:
    """A journal whose last family was never reached."""
    document = document or make_run()
    families: dict[str, dict[str, Any]] = {}
    for benchmark in document["benchmarks"]:
        record = benchmark["extra_info"][KEY]
        families.setdefault(record["case"]["family"], {})[record["case"]["id"]] = {"record": record}
    about = {**document[KEY], "skipped": [], "failed": []}
    plan = [[name, list(cases)] for name, cases in families.items()]
    spent = {"fixed": None, "timing": None, "stages": {"timed": 1.5}, "slow": [], "again": False}
    common = {"kind": "family", "spent": spent, "timed": None, "warnings": ["it was hot"], "hints": [], "gpus": {}}
    found = [{**common, "name": name, "at": 2.0, "outcomes": cases} for name, cases in families.items()]
    return [{"kind": "run", "format": 1, "identity": {}, "run": about, "plan": plan}, *found[:-1]]


def _visit_first(family: dict[str, Any]) -> None:
    """Make a family's event that of its first visit, which others may follow."""
    pace = {"seconds": 1e-3, "pacing_seconds": 1e-3, "calls": 1, "warm_up_calls": 0, "idle_waiting": False}
    family["visits"] = {"began": 1.0, "share": 2.0, "paces": dict.fromkeys(family["outcomes"], pace)}
    for outcome in family["outcomes"].values():
        record = outcome["record"]
        record["timing"]["visits"] = [{"at": 1.0, "placements": len(record["timing"]["blocks"])}]
        for speedup in record["speedups"]:
            speedup |= {"visit_ratios": [speedup["ratio"]], "visit_errors": [0.004]}


def _later_visit(family: dict[str, Any], number: int) -> dict[str, Any]:
    """The event of a later visit, in which every case took as long as in the first one."""
    cases = {}
    for case, outcome in family["outcomes"].items():
        record = outcome["record"]
        ratios = [{"of": one["against"], "ratio": one["ratio"], "error": 0.003} for one in record["speedups"]]
        cases[case] = {"blocks": record["timing"]["blocks"][:3], "seconds": 0.1, "ratios": ratios}
    about = {"name": family["name"], "at": 2.0 + number, "began": 1.9 + number, "took": 0.1, "timing": 0.05}
    seen = {**family["timed"], "begun": 1.9 + number, "ended": 2.0 + number}
    return {"kind": "visit", **about, "cases": cases, "stages": {"timed": 0.05}, "timed": seen, "gpus": {}}


@cache
def entries() -> Entries:
    """One of few families, with an entry of every kind; not to be changed."""
    document = make_run(placements=9, rounds=2)
    header, *families = made_journal({**document, "benchmarks": document["benchmarks"][:12]})
    seen = BlockSwitches(0.01, 3.0, loaders=False)
    for family in families:
        timed = Timed(1.0, 2.0, Telemetry(1.0, others=0.1), 0.05, seen, dict.fromkeys(family["outcomes"], seen), {})
        family |= {"timed": asdict(timed), "passing": {"stopped": 3.0, "suspended": 0.0, "clock_set": [-60.0]}}
    for family in families[:2]:
        _visit_first(family)
    pilot = {"at": 1.0, "before": families[0]["name"], "seconds": {"arithmetic": 1e-4, "memory": 3e-3, "calls": 5e-5}}
    ceiling = {"device": "cpu", "flops_per_second": {"fp32": 1e10}, "bytes_per_second": {}, "operator_seconds": 1e-6}
    resumed = {"at": 2.0, "started": "2026-03-01T09:30:00+00:00", "machine": {}, "warnings": [], "families": 1}
    return [
        header,
        {"kind": "ceilings", "at": 0.5, "ceilings": [ceiling]},
        {"kind": "pilot", "at": 1.0, "pilot": pilot},
        {"kind": "began", "at": 0.4, "startup": 0.4, "set_aside": 0.2},
        *families[:1],
        {"kind": "resumed", "at": 2.0, "resumed": resumed},
        *families[1:],
        *(_later_visit(family, number) for number in (1, 2) for family in families[:2]),
        {"kind": "pilot", "at": 3.0, "pilot": {**pilot, "at": 3.0, "before": ""}},
        {"kind": "end", "at": 3.0},
    ]
