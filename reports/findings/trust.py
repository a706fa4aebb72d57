"""How far to trust the verdicts: the false alarms and misses that ``--aa`` measured on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import KINDS, KindRecord, RateRecord, Record, SelfCheckRecord, TrialRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

MEASURE = "pytest bench/ --aa"
WORST = 20  # cases that are listed, the least sensitive


@dataclass(frozen=True)
class Row:
    """One rate: what was counted, how many times of how many, and the bounds of its probability."""

    what: str
    count: int
    trials: int
    share: str
    bounds: str


@dataclass(frozen=True)
class Kind:
    """The figures for calls of about the same length; ``found`` has an entry per slow-down of the table's head."""

    what: str
    seconds: str
    alarms: str
    found: list[str]
    narrow: str


@dataclass(frozen=True)
class Copy:
    """One case against its A/A copy, and the slowed copies that were found and missed."""

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
    """The section's content; ``rows`` is empty if nothing was measured on this machine."""

    sentences: list[str]
    rows: list[Row]
    kinds: list[Kind]  # empty if there is only one
    slowdowns: list[str]
    copies: list[Copy]
    omitted: int
    own_run: bool  # measured by this run itself


def trust(run: Run) -> Trust:
    """The false alarms and misses of this machine, as far as they were measured."""
    copies = _copies(run.records)
    check = run.about.get("self_check")
    if check is None or not check["false_alarms"]["trials"]:
        missing = (
            "Not measured on this machine with this PyTorch and number of threads: "
            f"`{MEASURE}` times every case against an identical copy of itself, and against copies slowed down by a "
            "known factor. Later runs then show here how often a verdict is wrong, and which slow-downs are missed."
        )
        return Trust([missing], [], [], [], [], 0, own_run=False)
    factors = [rate["slowdown"] for rate in check["found"] if rate["trials"]]
    kinds = check.get("kinds", [])
    return Trust(
        _sentences(check),
        _rows(check),
        [_kind(kind, factors) for kind in kinds] if len(kinds) > 1 else [],
        [units.percent(factor - 1) for factor in factors],
        copies[:WORST],
        max(0, len(copies) - WORST),
        own_run=bool(copies),
    )


def _rows(check: SelfCheckRecord) -> list[Row]:
    threshold = units.percent(check["threshold"])
    return [
        _row(check["false_alarms"], f"identical code called faster or slower (threshold ±{threshold})"),
        *(
            _row(rate, f"slow-down by {units.percent(rate['slowdown'] - 1)} called slower")
            for rate in check["found"]
            if rate["trials"]
        ),
        _row(check["narrow"], "interval of identical code within ±1 %"),
    ]


def _kind(record: KindRecord, factors: Sequence[float]) -> Kind:
    by_factor = {rate["slowdown"]: rate for rate in record["found"]}
    return Kind(
        KINDS.get(record["kind"], record["kind"]),
        "" if record["seconds"] is None else units.duration(record["seconds"]),
        _counted(record["false_alarms"]),
        [_counted(by_factor.get(factor)) for factor in factors],
        _counted(record["narrow"]),
    )


def _counted(rate: RateRecord | None) -> str:
    return f"{rate['count']} of {rate['trials']}" if rate is not None and rate["trials"] else ""


def _row(rate: RateRecord, what: str) -> Row:
    share = rate["count"] / rate["trials"] if rate["trials"] else 0.0
    bounds = f"{units.percent(rate['low'])} to {units.percent(rate['high'])}"
    return Row(what, rate["count"], rate["trials"], units.percent(share), bounds)


def _sentences(check: SelfCheckRecord) -> list[str]:
    alarms = check["false_alarms"]
    count, trials = alarms["count"], alarms["trials"]
    sentences = [
        f"On this machine, {trials:,} comparison{'' if trials == 1 else 's'} of identical code gave {count or 'no'} "
        f"false alarm{'' if count == 1 else 's'}. Where nothing differs, a verdict of faster or slower comes in at "
        f"most {units.percent(alarms['high'])} of cases, at {units.percent(check['bounds_confidence'])} confidence "
        f"(measured {check['measured'][:10]}, {check['threads']} thread{'' if check['threads'] == 1 else 's'}, "
        f"PyTorch {check['torch']})."
    ]
    if check["half_width"] is not None and check["seconds"] is not None:
        sentences.append(
            f"Half an interval was ±{units.percent(check['half_width'])} in the median, after "
            f"{units.duration(check['seconds'])} of timing a case."
        )
    if check["minimum_effect"] is not None:
        sentences.append(
            f"In the median case a slow-down of {units.percent(check['minimum_effect'])} is found 95 times in 100; "
            "smaller ones stay unclear more often."
        )
    return sentences


def _copies(records: Sequence[Record]) -> list[Copy]:
    """The A/A copy of every case, the least sensitive case first."""
    copies = []
    for record in records:
        trials = record.get("trials", [])
        slowed = sorted((trial for trial in trials if trial["slowdown"] != 1), key=lambda trial: trial["slowdown"])
        for trial in trials:
            if trial["slowdown"] == 1:
                copies.append(
                    Copy(
                        record["case"]["id"],
                        trial,
                        _listed([other for other in slowed if other["verdict"] == "slower"]),
                        _listed([other for other in slowed if other["verdict"] != "slower"]),
                    )
                )
    return sorted(copies, key=lambda copy: -(math.inf if copy.effect is None else copy.effect))


def _listed(trials: Sequence[TrialRecord]) -> str:
    return ", ".join(units.percent(trial["slowdown"] - 1) for trial in trials)
