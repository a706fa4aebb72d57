"""How far to trust the verdicts: false alarms, misses and the agreement of runs, as measured on this machine.

A duet has figures of its own: those of ``--aa`` are of cases within one process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torchduet.bench.record.schema import (
    KINDS,
    DuetCheckRecord,
    KindRecord,
    RateRecord,
    Record,
    SelfCheckRecord,
    TrialRecord,
)
from torchduet.reports.findings.agreement import Agreement, agreement
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

MEASURE = "torchduet run --aa"
MEASURE_DUET = "torchduet selfcheck duet"
EARLIER = "Measured by an earlier run on this machine with {}; the machine’s load may differ now."
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
    agreement: Agreement | None = None  # None for a duet, for which nothing like it is measured
    rows: list[Row] = field(default_factory=list)
    source: str = ""  # how the rows were measured, in words; empty: by this run itself
    kinds: list[Kind] = field(default_factory=list)  # empty if there is only one
    slowdowns: list[str] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    omitted: int = 0


def trust(run: Run) -> Trust:
    """The false alarms and misses of this machine, as far as they were measured."""
    if "against" in run.about:
        return _of_duets(run)
    copies = _copies(run.records)
    check = run.about.get("self_check")
    if check is None or not check["false_alarms"]["trials"]:
        missing = (
            "Not measured on this machine with this PyTorch and number of threads: "
            f"`{MEASURE}` times every case against an identical copy of itself, and against copies slowed down by a "
            "known factor. Later runs then show here how often a verdict is wrong, and which slow-downs are missed."
        )
        return Trust([missing], agreement(run))
    factors = [rate["slowdown"] for rate in check["found"] if rate["trials"]]
    kinds = check.get("kinds", [])
    return Trust(
        _sentences(check),
        agreement(run),
        rows=_rows(check),
        source="" if copies else EARLIER.format("`--aa`"),
        kinds=[_kind(kind, factors) for kind in kinds] if len(kinds) > 1 else [],
        slowdowns=[units.percent(factor - 1) for factor in factors],
        copies=copies[:WORST],
        omitted=max(0, len(copies) - WORST),
    )


def _of_duets(run: Run) -> Trust:
    """The false alarms of duets on this machine; those within one process are not a duet's."""
    check = run.about.get("duet_check")
    if check is None or not check["false_alarms"]["trials"]:
        missing = (
            "How often a duet calls identical code different is not measured on this machine with this PyTorch and "
            f"number of threads: `{MEASURE_DUET}` compares an interpreter with itself. Later duets then show it here. "
            f"What `{MEASURE}` measures holds within one process, not for two."
        )
        return Trust([missing])
    threshold = units.percent(check["threshold"])
    rows = [
        _row(check["false_alarms"], f"an interpreter against itself called faster or slower (threshold ±{threshold})"),
        *(
            _row(rate, f"slow-down of one side by {units.percent(rate['slowdown'] - 1)} called slower")
            for rate in check.get("found", [])
            if rate["trials"]
        ),
    ]
    sentences = _sentences_of_duets(check)
    if check["threshold"] != run.about["against"]["threshold"]:
        own = units.percent(run.about["against"]["threshold"])
        sentences.append(f"This duet has another threshold, ±{own}, for which these rates do not hold.")
    return Trust(sentences, rows=rows, source=EARLIER.format(f"`{MEASURE_DUET}`"))


def _sentences_of_duets(check: DuetCheckRecord) -> list[str]:
    sentences = [_alarms(check["false_alarms"], check, "an interpreter with itself")]
    if check["half_width"] is not None:
        sentences.append(
            f"Half an interval was ±{units.percent(check['half_width'])} in the median, in a duet of "
            f"{units.duration(check['seconds'])}, in which {units.plural(check['confirmed'], 'case')} had enough pairs "
            "for a verdict."
        )
    return sentences


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
    sentences = [_alarms(check["false_alarms"], check, "identical code")]
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


def _alarms(alarms: RateRecord, check: SelfCheckRecord | DuetCheckRecord, what: str) -> str:
    """How many comparisons of identical code gave a verdict, and when and how that was measured."""
    count, trials, threads = alarms["count"], alarms["trials"], check["threads"]
    return (
        f"On this machine, {units.plural(trials, 'comparison')} of {what} gave {count or 'no'} "
        f"false alarm{'' if count == 1 else 's'}. Where nothing differs, a verdict of faster or slower comes in at "
        f"most {units.percent(alarms['high'])} of cases, at {units.percent(check['bounds_confidence'])} confidence "
        f"(measured {check['measured'][:10]}, {units.plural(threads, 'thread')}, "
        f"PyTorch {check['torch']})."
    )


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
