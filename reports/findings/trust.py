"""How far to trust the verdicts: what the suite found of itself on this machine (``--aa``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import KINDS, KindRecord, RateRecord, Record, SelfCheckRecord, TrialRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

MEASURE = "pytest bench/ --aa"
WORST = 20  # cases that are listed


@dataclass(frozen=True)
class Row:
    """One rate: what was counted, how often of how many, and the bounds of the chance."""

    what: str
    count: int
    trials: int
    share: str
    bounds: str


@dataclass(frozen=True)
class Kind:
    """The figures for calls that take about as long; ``found`` goes with the slow-downs of the table's head."""

    what: str
    seconds: str
    alarms: str
    found: list[str]
    narrow: str


@dataclass(frozen=True)
class Twin:
    """One case against its identical copy, and the slow-downs of it that were found."""

    name: str
    trial: TrialRecord
    found: str
    missed: str

    @property
    def effect(self) -> float | None:
        """The least slow-down found in 95 of 100, as a share."""
        return self.trial["minimum_effect"]


@dataclass(frozen=True)
class Trust:
    """The section's content; ``rows`` is empty where nothing was measured on this machine."""

    sentences: list[str]
    rows: list[Row]
    kinds: list[Kind]  # where there are several
    slowdowns: list[str]
    twins: list[Twin]
    omitted: int
    own: bool  # measured by this very run


def trust(run: Run) -> Trust:
    """What is known of this machine's false alarms and misses."""
    twins = _twins(run.records)
    found = run.about.get("self_check")
    if found is None or not found["false_alarms"]["trials"]:
        missing = (
            "Not measured on this machine with this PyTorch and number of threads: "
            f"`{MEASURE}` times every case against an identical copy of itself, and against copies slowed down by a "
            "known factor; later runs then say here how often a verdict is wrong, and what they overlook."
        )
        return Trust([missing], [], [], [], [], 0, own=False)
    factors = [one["slowdown"] for one in found["found"] if one["trials"]]
    kinds = found.get("kinds", [])
    return Trust(
        _sentences(found),
        _rows(found),
        [_kind(one, factors) for one in kinds] if len(kinds) > 1 else [],
        [units.percent(factor - 1) for factor in factors],
        twins[:WORST],
        max(0, len(twins) - WORST),
        own=bool(twins),
    )


def _rows(found: SelfCheckRecord) -> list[Row]:
    threshold = units.percent(found["threshold"])
    return [
        _row(found["false_alarms"], f"identical code called faster or slower (threshold ±{threshold})"),
        *(
            _row(one, f"slow-down by {units.percent(one['slowdown'] - 1)} called slower")
            for one in found["found"]
            if one["trials"]
        ),
        _row(found["narrow"], "interval of identical code within ±1 %"),
    ]


def _kind(found: KindRecord, factors: Sequence[float]) -> Kind:
    by_factor = {one["slowdown"]: one for one in found["found"]}
    return Kind(
        KINDS.get(found["kind"], found["kind"]),
        "" if found["seconds"] is None else units.duration(found["seconds"]),
        _counted(found["false_alarms"]),
        [_counted(by_factor.get(factor)) for factor in factors],
        _counted(found["narrow"]),
    )


def _counted(rate: RateRecord | None) -> str:
    return f"{rate['count']} of {rate['trials']}" if rate is not None and rate["trials"] else ""


def _row(rate: RateRecord, what: str) -> Row:
    share = rate["count"] / rate["trials"] if rate["trials"] else 0.0
    bounds = f"{units.percent(rate['low'])} to {units.percent(rate['high'])}"
    return Row(what, rate["count"], rate["trials"], units.percent(share), bounds)


def _sentences(found: SelfCheckRecord) -> list[str]:
    alarms = found["false_alarms"]
    count, trials = alarms["count"], alarms["trials"]
    said = [
        f"On this machine, {trials:,} comparisons of identical code gave {count or 'no'} "
        f"false alarm{'' if count == 1 else 's'}: a verdict of faster or slower where nothing differs comes in at most "
        f"{units.percent(alarms['high'])} of cases, at {units.percent(found['bounds_confidence'])} confidence "
        f"(measured {found['measured'][:10]}, {found['threads']} thread{'' if found['threads'] == 1 else 's'}, "
        f"PyTorch {found['torch']})."
    ]
    if found["half_width"] is not None and found["seconds"] is not None:
        said.append(
            f"Half an interval was ±{units.percent(found['half_width'])} in the median, after "
            f"{units.duration(found['seconds'])} of timing a case."
        )
    if found["minimum_effect"] is not None:
        said.append(
            f"In the median case a slow-down of {units.percent(found['minimum_effect'])} is found 95 times in 100; "
            "smaller ones are more often left unclear."
        )
    return said


def _twins(records: Sequence[Record]) -> list[Twin]:
    """Every case's identical twin, the least sensitive first."""
    found = []
    for record in records:
        trials = record.get("trials", [])
        slowed = sorted((one for one in trials if one["slowdown"] != 1), key=lambda one: one["slowdown"])
        for one in trials:
            if one["slowdown"] == 1:
                found.append(
                    Twin(
                        record["case"]["id"],
                        one,
                        _listed([other for other in slowed if other["verdict"] == "slower"]),
                        _listed([other for other in slowed if other["verdict"] != "slower"]),
                    )
                )
    return sorted(found, key=lambda twin: -(math.inf if twin.effect is None else twin.effect))


def _listed(trials: Sequence[TrialRecord]) -> str:
    return ", ".join(units.percent(one["slowdown"] - 1) for one in trials)
