"""The run of one machine, of all its parts: its cases with intervals from all visits, and the run's own record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torchduet.bench.merge.cases import unjudged, with_verdicts_as_withheld
from torchduet.bench.merge.causes import in_all_parts
from torchduet.bench.merge.conflicts import missing_in_words, plan_of
from torchduet.bench.merge.outcomes import FAILED_ELSEWHERE, Outcomes, outcomes_of
from torchduet.bench.merge.run_parts import (
    FIGURES_OF_MACHINE,
    ceilings,
    gpus,
    later_in,
    options,
    passing,
    sums,
    union,
)
from torchduet.bench.merge.sources import Source, in_order
from torchduet.bench.noise.grades import MIN_SHARE
from torchduet.bench.record.machines.parts import SHARD, label_of
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import (
    GRADES,
    QUIET,
    NoiseRecord,
    PartRecord,
    PilotRecord,
    PriorOf,
    PriorRecord,
    Record,
    RunRecord,
    SelfCheckRecord,
    VisitsRecord,
)
from torchduet.bench.record.visits.intervals import judged, priors_of
from torchduet.bench.run.aa_summary import summary
from torchduet.bench.run.machine_prior import combined

BUDGET = "budget_seconds"
MAX_NAMED = 3  # parts, in a warning
Missing = Mapping[tuple[int, str], Sequence[int]]


@dataclass(frozen=True)
class Whole:
    """The run of one machine: case id → its record, and the run's own record."""

    records: Mapping[str, Record]
    about: RunRecord


def whole_of(sources: Sequence[Source], missing: Missing) -> Whole:
    """All sources of one machine as one run.

    Args:
        missing: the shards that no machine has measured.
    """
    parts = in_order(sources)
    outcomes = outcomes_of(sources, parts)
    records, visits = outcomes.records, sources[0].about.get("visits")
    if len(sources) > 1:
        records, visits = _judged(outcomes.records, _priors(parts))
    first = next(source for source in sources if parts[0]["digest"] in {part["digest"] for part in source.parts})
    about: dict[str, Any] = {**first.about, **_of_parts(parts), **_of_cases(outcomes)}
    if len(sources) > 1:
        about |= _together(sources, parts)
    about["warnings"] = [*about["warnings"], *_own_warnings(parts, records, missing)]
    if len(sources) > 1 and any("trials" in record for record in records.values()):
        about["self_check"] = _self_check(about, records)
    about |= {"visits": visits, "missing_shards": _missing(parts, missing)}
    if len(parts) > 1 and not outcomes.unreached:  # the parts that ended early say so
        about["stopped"] = ""
    for key in ("stopped", "missing_shards", "visits", "resumed", "passing", "noise", "gpus", *FIGURES_OF_MACHINE):
        if not about.get(key):
            about.pop(key, None)
    return Whole(records, cast(RunRecord, about))


def _self_check(about: Mapping[str, Any], records: Mapping[str, Record]) -> SelfCheckRecord:
    """The figures of ``--aa``, over the copies of all parts."""
    threads = about["options"].get("threads")
    return summary(
        [*records.values()],
        measured=about["started"],
        machine=about["machine"],
        threads=threads if isinstance(threads, int) else 0,
    )


def _judged(records: Mapping[str, Record], machine: Mapping[PriorOf, Prior]) -> tuple[dict[str, Record], Any]:
    """The records with intervals from all visits, and how many visits there are.

    They are judged in the order of their ids, so that sums do not depend on the order of the documents.
    """
    found = judged({name: unjudged(records[name]) for name in sorted(records)}, machine)
    return {name: with_verdicts_as_withheld(found.records[name]) for name in records}, found.visits


def _priors(parts: Sequence[PartRecord]) -> dict[PriorOf, Prior]:
    """What earlier runs on the machines of all parts taught: a prior of several is one for yet another machine."""
    given: dict[PriorOf, list[PriorRecord]] = {}
    for part in parts:
        for prior in part.get("priors", []):
            given.setdefault(prior["of"], []).append(prior)
    found: dict[PriorOf, Prior] = {}
    for of, priors in given.items():
        different = union(priors)
        of_all = combined(different) if len(different) > 1 else priors_of(_as_visits(different))[of]
        if of_all is not None:
            found[of] = of_all
    return found


def _as_visits(priors: list[PriorRecord]) -> VisitsRecord:
    return VisitsRecord(fewest=0, median=0, most=0, priors=priors)


def _of_parts(parts: Sequence[PartRecord]) -> dict[str, Any]:
    """What follows from the parts alone, in whatever order they were merged."""
    several = len(parts) > 1
    given = options([part["options"] for part in parts])
    if several:
        given.pop(SHARD, None)
        if budgets := [seconds for part in parts if isinstance(seconds := part["options"].get(BUDGET), int | float)]:
            given[BUDGET] = max(budgets)  # of a run: what to multiply for narrower intervals
    stopped = [
        f"{label_of(part)} ended early: {part['stopped']}" if several else part["stopped"]
        for part in parts
        if "stopped" in part
    ]
    return {
        "started": min(part["started"] for part in parts),
        "options": given,
        "machine": parts[0]["machine"],
        "version": parts[0]["version"],
        "seconds": sums([cast(Mapping[str, float], part["stages"]) for part in parts]),
        "warnings": _warnings(parts),
        "stopped": "; ".join(stopped),
        "noise": _noise(parts),
        "parts": parts,
    }


def _of_cases(outcomes: Outcomes) -> dict[str, Any]:
    return {
        "failed": [*outcomes.failed],
        "skipped": [*outcomes.skipped],
        "unreached": [*outcomes.unreached],
    }


def _together(sources: Sequence[Source], parts: Sequence[PartRecord]) -> dict[str, Any]:
    """What the sources' own records say of the machine and of their course, one after the other."""
    at = {part["digest"]: index for index, part in enumerate(parts)}
    ordered = sorted(sources, key=lambda source: min(at[part["digest"]] for part in source.parts))
    later = [later_in(source.parts, parts, at) for source in ordered]
    runs = [source.about for source in ordered]
    pilots = [
        cast(PilotRecord, {**pilot, "at": moved(pilot["at"])})
        for run, moved in zip(runs, later, strict=True)
        for pilot in run.get("pilots", [])
    ]
    return {
        "unavailable": union(entry for run in runs for entry in run["unavailable"]),
        "passing": passing([run["passing"] for run in runs if "passing" in run]),
        "ceilings": ceilings(ceiling for run in runs for ceiling in run.get("ceilings", [])),
        "pilots": sorted(pilots, key=lambda pilot: pilot["at"]),
        "resumed": [again for run in runs for again in run.get("resumed", [])],  # moments of their own runs
        "gpus": gpus([(run.get("gpus", []), moved) for run, moved in zip(runs, later, strict=True)]),
        **{key: _last(runs, key) for key in FIGURES_OF_MACHINE},
    }


def _last(runs: Sequence[RunRecord], key: str) -> Any:
    """The figures of this kind that were measured last; None without any."""
    known: list[Any] = [run[key] for run in runs if run.get(key)]  # type: ignore[literal-required]
    return max(known, key=lambda figures: str(figures.get("measured", "")), default=None)


def _warnings(parts: Sequence[PartRecord]) -> list[str]:
    """The warnings of all parts; those that not all have with the parts that have them."""
    having: dict[str, list[str]] = {}
    for part in parts:
        for warning in dict.fromkeys(part["warnings"]):
            having.setdefault(warning, []).append(label_of(part))
    return [
        warning if len(labels) == len(parts) else f"{warning} ({_listed(labels)})" for warning, labels in having.items()
    ]


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - MAX_NAMED
    return ", ".join(labels[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _noise(parts: Sequence[PartRecord]) -> NoiseRecord | None:
    """The grade that parts with a fifth of the cases reach, as in a run its families; each cause at its worst."""
    known = [(part, part["noise"]) for part in parts if "noise" in part]
    if len(known) < 2:
        return known[0][1] if known else None
    total = sum(part["cases"] for part, _ in known)
    grade = QUIET
    for candidate in reversed(GRADES):
        reached = sum(part["cases"] for part, noise in known if GRADES.index(noise["grade"]) >= GRADES.index(candidate))
        if reached >= MIN_SHARE * total:
            grade = candidate
            break
    worst = sorted(known, key=lambda item: -GRADES.index(item[1]["grade"]))
    noisy = [item for item in worst if item[1]["grade"] != QUIET]
    record = NoiseRecord(grade=grade, causes=in_all_parts(noisy, len(known)))
    for key in ("remedy", "figures"):
        if key in worst[0][1] and (key != "remedy" or grade != QUIET):
            record[key] = worst[0][1][key]
    return record


def _missing(parts: Sequence[PartRecord], missing: Missing) -> list[str]:
    """The missing shards of the plans that this machine has a part of: ``3/8``."""
    return [
        f"{shard}/{plan[0]}"
        for plan, shards in missing.items()
        if any(plan_of(part) == plan for part in parts)
        for shard in shards
    ]


def _left_out(shards: int, parts: Sequence[PartRecord]) -> str:
    """What follows for the cases of missing shards, beside which there may be runs that are no shards."""
    whose = "its" if shards == 1 else "their"
    if all("shard" in part for part in parts):
        return f"{whose} cases were not measured"
    return f"of {whose} cases there is only what other runs measured"


def _own_warnings(parts: Sequence[PartRecord], records: Mapping[str, Record], missing: Missing) -> list[str]:
    """What merging itself has to say of the run."""
    lines = [
        f"{missing_in_words(number, shards)}: {_left_out(len(shards), parts)}"
        for (number, plan), shards in missing.items()
        if any(plan_of(part) == (number, plan) for part in parts)
    ]
    if len(parts) > 1 and any(part["commit"].endswith("-dirty") for part in parts):
        lines.append("files differed from the commit in parts of this run; whether they were the same is not known")
    elsewhere = [
        name for name, record in records.items() if any(note.startswith(FAILED_ELSEWHERE) for note in record["notes"])
    ]
    if elsewhere:
        cases = "1 case was" if len(elsewhere) == 1 else f"{len(elsewhere)} cases were"
        lines.append(f"{cases} measured in one part and failed in another: {_listed(elsewhere)}")
    return lines
