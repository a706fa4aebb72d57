"""Adds up what several parts measured of one case: visits, one after the other; of other figures the worse counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from statistics import median
from typing import Any, cast

from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import (
    GRADES,
    MAX_PLACEMENTS,
    CheckRecord,
    MeterRecord,
    NoiseRecord,
    PartRecord,
    Record,
    SpeedupRecord,
    TimingRecord,
    TrialRecord,
    VisitRecord,
)

CHECKED = ("values", "shapes", "nothing")  # what a check compared, the most first
Compared = Mapping[str, Any]  # a speed-up, the device's part of one, or a trial


def placed(record: Record, own: Sequence[PartRecord], parts: Sequence[PartRecord], at: Mapping[str, int]) -> Record:
    """The record with its visits in the merged run: which part made each, and when.

    Args:
        own: the parts of its source.
        parts: of the merged run.
        at: digest of a part → its index among ``parts``.
    """
    index = [at[part["digest"]] for part in own]
    new: Record = {**record, "parts": sorted(index[part] for part in record.get("parts", range(len(own))))}
    if "visits" in record["timing"]:
        visits = []
        for visit in record["timing"]["visits"]:
            part = visit.get("part", 0)
            later = parts[index[part]]["begins"] - own[part]["begins"]
            visits.append(cast(VisitRecord, {**visit, "part": index[part], "at": max(0.0, visit["at"] + later)}))
        new["timing"] = {**record["timing"], "visits": visits}
    return new


def united(records: Sequence[Record], parts: Sequence[PartRecord]) -> Record:
    """One record of several of the same case, placed in the merged run; its intervals have yet to be judged.

    Visits come in the order of the parts. Blocks beyond 512 placements are left out, as in a run. What later visits
    leave as it is is that of the first part; of figures of a process the worse counts: the longest first call, the most
    memory, the smallest batch that fits, the least exact result.
    """
    records = sorted(records, key=lambda record: record["parts"])
    if len(records) == 1:
        return records[0]
    records = [_in_visits(record, parts) for record in records]
    first = records[0]
    new: dict[str, Any] = {
        **{key: value for record in reversed(records) for key, value in record.items()},
        **first,
        "parts": sorted({part for record in records for part in record["parts"]}),
        "timing": _timing([record["timing"] for record in records]),
        "speedups": _speedups(records),
        "check": max((record["check"] for record in records), key=_inexact),
        "cost": next((record["cost"] for record in records if record["cost"]), first["cost"]),
        "notes": list(dict.fromkeys(note for record in records for note in record["notes"])),
        **_first_call(records),
    }
    if any("trials" in record for record in records):
        new["trials"] = _trials([record for record in records if "trials" in record])
    if any("meters" in record for record in records):
        new["meters"] = _meters([record["meters"] for record in records if "meters" in record])
    for key in ("operators", "peak_bytes", "reserved_bytes", "context_bytes"):
        if known := [record[key] for record in records if key in record]:
            new[key] = max(known)
    worse: dict[str, Callable[[Any], Any]] = {
        "energy": lambda energy: energy.get("joules", -1.0),
        "sustained": lambda sustained: sustained["seconds"],
        "headroom": lambda headroom: -headroom["batch"],
        "ranks": lambda ranks: ranks["mean"],
        "profile": lambda _: 0,
        "noise": lambda noise: GRADES.index(noise["grade"]),
    }
    for key, how_bad in worse.items():
        if known := [record[key] for record in records if key in record]:  # type: ignore[literal-required]
            new[key] = max(known, key=lambda value: (how_bad(value), _text(value)))
    if any("alone" in record for record in records):
        new["alone"] = [seconds for record in records for seconds in record.get("alone", [])]
    return cast(Record, new)


def unjudged(record: Record) -> Record:
    """The record without what its intervals rested on, for estimates from all visits."""
    new: Record = {**record, "speedups": [_without_interval(speedup) for speedup in record["speedups"]]}
    if "trials" in record:
        new["trials"] = [_without_interval(trial) for trial in record["trials"]]
    return new


def with_verdicts_as_withheld(record: Record) -> Record:
    """The record with every verdict ``unclear`` if a part withheld them, as processes waited for cores."""
    if not any(note.startswith(NO_VERDICT) for note in record["notes"]):
        return record
    new: Record = {**record, "speedups": [{**speedup, "verdict": "unclear"} for speedup in record["speedups"]]}
    if "trials" in record:
        new["trials"] = [{**trial, "verdict": "unclear"} for trial in record["trials"]]
    return new


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _without_interval(compared: Any) -> Any:
    new = {key: value for key, value in compared.items() if key != "interval"}
    if "device_speedup" in new:
        new["device_speedup"] = _without_interval(new["device_speedup"])
    return new


def _in_visits(record: Record, parts: Sequence[PartRecord]) -> Record:
    """The record of a writer without visits as one visit."""
    timing = record["timing"]
    if "visits" in timing:
        return record
    (part,) = record["parts"]
    visit = VisitRecord(at=parts[part]["begins"], placements=len(timing["blocks"]), part=part)
    return {
        **record,
        "timing": {**timing, "visits": [visit]},
        "speedups": [_with_ratios(speedup) for speedup in record["speedups"]],
    }


def _with_ratios(compared: Any) -> Any:
    ratios, errors = compared.get("visit_ratios", [compared["ratio"]]), compared.get("visit_errors", [])
    if len(errors) != len(ratios):
        errors = [None] * len(ratios)
    return {**compared, "visit_ratios": ratios, "visit_errors": errors}


def _timing(timings: Sequence[TimingRecord]) -> TimingRecord:
    """The visits of all in the order of the parts, with as many blocks as a record may have."""
    visits = []
    for timing in timings:
        start = 0
        switches = timing.get("disturbed", [])
        for visit in timing["visits"]:
            end = start + visit["placements"]
            visits.append((visit, timing["blocks"][start:end], switches[start:end]))
            start = end
    visits.sort(key=lambda item: item[0].get("part", 0))
    new: TimingRecord = {**timings[0], "visits": [], "blocks": []}
    disturbed: list[int] = []
    for visit, blocks, switches in visits:
        kept = min(len(blocks), MAX_PLACEMENTS - len(new["blocks"]))
        new["visits"].append({**visit, "placements": kept})
        new["blocks"] += blocks[:kept]
        disturbed += switches[:kept]
    new.pop("disturbed", None)
    if len(disturbed) == len(new["blocks"]):
        new["disturbed"] = disturbed
    new.pop("left_out", None)
    if left_out := sum(timing.get("left_out", 0) for timing in timings):
        new["left_out"] = left_out
    if all("device_blocks" in timing for timing in timings):
        together = [rounds for timing in timings for rounds in timing["device_blocks"]]
        new["device_blocks"] = together[:MAX_PLACEMENTS]
        new["device_seconds"] = median(value for rounds in new["device_blocks"] for value in rounds)
    return new


def _speedups(records: Sequence[Record]) -> list[SpeedupRecord]:
    """Each comparison with the ratios of all its visits."""
    found: dict[tuple[str, str], list[tuple[Compared, Record]]] = {}
    for record in records:
        for speedup in record["speedups"]:
            found.setdefault((speedup["knob"], speedup["against"]), []).append((speedup, record))
    return [cast(SpeedupRecord, _compared(compared)) for compared in found.values()]


def _compared(of_records: Sequence[tuple[Compared, Record]]) -> dict[str, Any]:
    """One comparison of those of several records; its ratios come in the order of the visits."""
    ratios = sorted((item for compared, record in of_records for item in _by_part(compared, record)), key=itemgetter(0))
    new = {
        **of_records[0][0],
        "placements": sum(compared["placements"] for compared, _ in of_records),
        "visit_ratios": [ratio for _, ratio, _ in ratios],
        "visit_errors": [error for _, _, error in ratios],
    }
    of_device = [
        (compared["device_speedup"], record) for compared, record in of_records if "device_speedup" in compared
    ]
    if of_device:
        new["device_speedup"] = _compared(of_device)
    return new


def _by_part(compared: Compared, record: Record) -> list[tuple[int, float, float | None]]:
    """The part of each ratio, the ratio and its error. Where visits lack one, all count as of the first part."""
    whole = _with_ratios(compared)
    parts = [visit.get("part", 0) for visit in record["timing"]["visits"]]
    if len(parts) != len(whole["visit_ratios"]):
        parts = [record["parts"][0]] * len(whole["visit_ratios"])
    return list(zip(parts, whole["visit_ratios"], whole["visit_errors"], strict=True))


def _trials(records: Sequence[Record]) -> list[TrialRecord]:
    """Each copy with the ratios of all its visits; copies are paired by their slow-downs, in order."""
    found: dict[tuple[float, int], list[tuple[Compared, Record]]] = {}
    for record in records:
        slowdowns = [trial["slowdown"] for trial in record["trials"]]
        for at, trial in enumerate(record["trials"]):
            found.setdefault((trial["slowdown"], slowdowns[:at].count(trial["slowdown"])), []).append((trial, record))
    return [
        cast(TrialRecord, {**_compared(trials), "seconds": sum(trial["seconds"] for trial, _ in trials)})
        for trials in found.values()
    ]


def _meters(of_parts: Sequence[Mapping[str, MeterRecord]]) -> dict[str, MeterRecord]:
    """Each meter with the values of all placements."""
    names = dict.fromkeys(name for meters in of_parts for name in meters)
    return {name: _meter([meters[name] for meters in of_parts if name in meters]) for name in names}


def _meter(parts: Sequence[MeterRecord]) -> MeterRecord:
    values = [value for part in parts for value in part["values"]][:MAX_PLACEMENTS]
    new: MeterRecord = {
        **parts[0],
        "values": values,
        "median": median(values),
        "low": min(values),
        "high": max(values),
    }
    if lost := sum(part.get("not_finite", 0) for part in parts):
        new["not_finite"] = lost
    return new


def _inexact(check: CheckRecord) -> tuple[Any, ...]:
    """How little a check says for the result: nothing compared, or the larger error by its tolerance."""
    error, tolerance = check["relative_error"], check["tolerance"]
    what = CHECKED.index(check["what"]) if check["what"] in CHECKED else 0
    relative = 0.0 if error is None else error if not tolerance else error / tolerance
    return what, relative, error or 0.0, _text(check)


def _first_call(records: Sequence[Record]) -> dict[str, Any]:
    """The longest first call and its compilation, of those with an empty cache if there are any."""

    def key(record: Record) -> tuple[Any, ...]:
        compiled = record["compile"]
        cold = compiled is not None and compiled["cold"]
        return cold, record["first_call"]["seconds"], _text([record["first_call"], compiled])

    chosen = max(records, key=key)
    compiled = chosen["compile"]
    warm = [of["warm_start"] for record in records if (of := record["compile"]) is not None and "warm_start" in of]
    if compiled is not None and warm:
        compiled = {**compiled, "warm_start": max(warm, key=lambda of: (of["cold"], _text(of)))}
    return {"first_call": chosen["first_call"], "compile": compiled}


def noisiest(noises: Iterable[NoiseRecord]) -> NoiseRecord | None:
    """The noise of the noisiest: the causes of quieter ones say less."""
    return max(noises, key=lambda noise: (GRADES.index(noise["grade"]), _text(noise)), default=None)
