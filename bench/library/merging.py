"""Makes one run of several comparisons, such as those of a session of tests: names, moments, sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import add
from statistics import median
from typing import Any, cast

from torchduet.bench.merge.cases import noisiest
from torchduet.bench.merge.run_parts import FIGURES_OF_MACHINE, gpus, options, passing, sums, union
from torchduet.bench.record.schema import NotMeasured, PilotRecord, Record, RunRecord, VisitsRecord


@dataclass(frozen=True)
class Part:
    """One comparison: the records of its cases, and the record of its run."""

    records: Sequence[Record]
    run: RunRecord


def renamed(part: Part, suite: str, workload: str) -> Part:
    """The comparison with another name: its cases are those of ``workload`` of ``suite``.

    Names must differ within a run: the ids of its cases follow from them.
    """
    cases = [record["case"] for record in part.records]
    cases += [entry["case"] for key in ("failed", "skipped") for entry in part.run[key]]
    ids = {str(case["id"]): _case(case, suite, workload)["id"] for case in cases}

    def record(of: Record) -> Record:
        speedups = [
            {**speedup, "against": ids.get(speedup["against"], speedup["against"])} for speedup in of["speedups"]
        ]
        return cast(Record, {**of, "case": _case(of["case"], suite, workload), "speedups": speedups})

    def entries(of: Iterable[NotMeasured]) -> list[NotMeasured]:
        return [
            NotMeasured(case=_case(entry["case"], suite, workload), reason=_with_ids(entry["reason"], ids))
            for entry in of
        ]

    run = {**part.run, "failed": entries(part.run["failed"]), "skipped": entries(part.run["skipped"])}
    if "unreached" in part.run:
        run["unreached"] = [ids.get(case, case) for case in part.run["unreached"]]
    return Part([record(of) for of in part.records], cast(RunRecord, run))


def _case(case: Mapping[str, Any], suite: str, workload: str) -> Any:
    label = f"[{case['size_label']}]" if case["size_label"] else ""
    family = f"{suite}.{workload}{label}"
    variant = case["id"].removeprefix(case["family"])
    return {**case, "id": family + variant, "family": family, "suite": suite, "workload": workload}


def _with_ids(text: str, ids: Mapping[str, str]) -> str:
    for old, new in ids.items():
        text = text.replace(old, new)
    return text


def merged(parts: Sequence[Part]) -> Part:
    """All comparisons as one run: seconds and budgets are sums, and moments count the time of the runs before.

    Raises:
        ValueError: there is no comparison.
    """
    if not parts:
        raise ValueError("merged: there is no comparison; give at least one")
    runs = [part.run for part in parts]
    begins = [sum(run["seconds"]["total"] for run in runs[:at]) for at in range(len(runs))]
    records = [_later(record, begin) for part, begin in zip(parts, begins, strict=True) for record in part.records]
    run: dict[str, Any] = {
        **runs[0],
        "started": min(run["started"] for run in runs),
        "options": options([run["options"] for run in runs]),
        "seconds": sums([cast(Mapping[str, float], run["seconds"]) for run in runs]),
        **{key: union(entry for run in runs for entry in run[key]) for key in ("unavailable", "warnings")},
        **{key: [entry for run in runs for entry in run[key]] for key in ("skipped", "failed")},
        "unreached": [case for run in runs for case in run.get("unreached", [])],
    }
    found = {
        "stopped": _last(runs, "stopped"),
        "passing": passing([run["passing"] for run in runs if "passing" in run]),
        "ceilings": union(ceiling for run in runs for ceiling in run.get("ceilings", [])),
        "pilots": [
            cast(PilotRecord, {**pilot, "at": pilot["at"] + begin})
            for run, begin in zip(runs, begins, strict=True)
            for pilot in run.get("pilots", [])
        ],
        "noise": noisiest(run["noise"] for run in runs if "noise" in run),
        "visits": _visits(records, [run["visits"] for run in runs if "visits" in run]),
        "gpus": gpus((run.get("gpus", []), partial(add, begin)) for run, begin in zip(runs, begins, strict=True)),
        **{key: _last(runs, key) for key in FIGURES_OF_MACHINE},
    }
    for key, value in found.items():
        run.pop(key, None)
        if value is not None and (value or key in ("ceilings", "pilots")):
            run[key] = value
    return Part(records, cast(RunRecord, run))


def _last(runs: Sequence[Mapping[str, Any]], key: str) -> Any:
    """The value of the last run that has one; None without one."""
    return next((run[key] for run in reversed(runs) if run.get(key)), None)


def _later(record: Record, seconds: float) -> Record:
    """The record with its visits so many seconds later in the run."""
    timing = record["timing"]
    if "visits" not in timing or not seconds:
        return record
    visits = [{**visit, "at": visit["at"] + seconds} for visit in timing["visits"]]
    return cast(Record, {**record, "timing": {**timing, "visits": visits}})


def _visits(records: Sequence[Record], given: Sequence[VisitsRecord]) -> VisitsRecord | None:
    """How often the cases were visited; what moderated the intervals, where that was the same in all comparisons."""
    numbers = [len(record["timing"].get("visits", ())) for record in records]
    if not given or not numbers:
        return None
    visits = VisitsRecord(fewest=min(numbers), median=round(median(numbers)), most=max(numbers))
    priors = union(of.get("priors", []) for of in given)
    if len(priors) == 1 and priors[0]:
        visits["priors"] = priors[0]
    return visits
