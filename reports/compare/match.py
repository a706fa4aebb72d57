"""Finds every case of two runs in both, and makes of each what is judged: its shift in time and in speed-up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.engine.schema import CaseRecord, Record
from reports.compare.movement import Movement, beside, by_pilots, levels, stand_in
from reports.compare.neighbours import NEIGHBOURS, beside_in_time, without_halves
from reports.compare.samples import log_speedups, log_times, question
from reports.compare.settings import MACHINE, SETTING, Difference, cautions, differences
from reports.compare.thresholds import Thresholds
from reports.compare.verdicts import Finding, centre, findings
from reports.load import Run
from reports.plain import PlainRun

VERDICTS = ("slower", "faster", "same", "unclear", "failed", "missing", "new")
JUDGED = VERDICTS[:4]
REFERENCE, OTHERS = "its reference", "what was timed together with it"


@dataclass(frozen=True)
class Change:
    """One case in two runs.

    Attributes:
        time: what became of its time per call; None unless both runs measured it.
        speedup: what became of its speed-up over its family's reference; None without one in both.
        why: why it has no time in one of them.
    """

    case: CaseRecord
    verdict: str
    threshold: float
    base: Record | None = None
    new: Record | None = None
    time: Finding | None = None
    speedup: Finding | None = None
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """One run held against the base."""

    base: Run
    new: Run
    changes: tuple[Change, ...]
    differences: tuple[Difference, ...]
    cautions: tuple[str, ...]
    guarded: bool  # both runs have pilots
    asked: int  # how many verdicts were sought, over all runs compared

    def of(self, verdict: str) -> list[Change]:
        """The changes of that verdict; those of times with the largest first."""
        found = [one for one in self.changes if one.verdict == verdict]
        return sorted(found, key=lambda one: -abs(math.log(one.time.ratio)) if one.time else 0.0)

    @property
    def judged(self) -> int:
        """How many cases both runs measured."""
        return sum(one.time is not None for one in self.changes)

    @property
    def plain(self) -> bool:
        """Both are runs of plain pytest-benchmark: nothing was timed in alternation, there are no placements."""
        return isinstance(self.base, PlainRun)


def compare(base: Run, others: Sequence[Run], thresholds: Thresholds) -> list[Comparison]:
    """Every other run held against the base; all verdicts are corrected for their number together."""
    sides = [_Sides(base, new, thresholds) for new in others]
    groups = [group for one in sides for group in (one.times, one.speedups)]
    found = findings([list(group.values()) for group in groups])
    named = [dict(zip(group, ours, strict=True)) for group, ours in zip(groups, found, strict=True)]
    asked = sum(map(len, groups))
    return [
        one.comparison(times, speedups, asked)
        for one, times, speedups in zip(sides, named[::2], named[1::2], strict=True)
    ]


class _Sides:
    """Two runs with what is asked about the cases that both measured."""

    def __init__(self, base: Run, new: Run, thresholds: Thresholds) -> None:
        self.base, self.new, self.thresholds = base, new, thresholds
        self.first, self.second = _by_id(base), _by_id(new)
        self.both = [case for case in self.first if case in self.second]
        self.differences = differences(base, new)
        self.another_machine = any(one.kind in (MACHINE, SETTING) for one in self.differences)
        self.times = {
            case: question(self._family(case), log_times(record), log_times(self.second[case]), thresholds.of(case))
            for case, record in self.first.items()
            if case in self.second
        }
        self.neighbours: Mapping[str, float] | None = None
        if isinstance(base, PlainRun):
            self.times = without_halves(self.times)
            self.neighbours = beside_in_time(self.times)
        common = centre(list(self.times.values()))
        guards = self._guards()
        self.guarded = bool(guards)
        moved = {case: guards.get(one.unit) or self._stand_in(case, common) for case, one in self.times.items()}
        moved = {case: self._with_its_device(case, one) if one else None for case, one in moved.items()}
        self.times = {case: replace(one, movement=moved[case]) for case, one in self.times.items()}
        still = Movement(0.0, 0.0, "")
        self.speedups = {
            case: replace(question(self._family(case), second, first, thresholds.of(case)), movement=still)
            for case in self.both
            if (first := log_speedups(case, self.first)) and (second := log_speedups(case, self.second))
        }

    def comparison(self, times: Mapping[str, Finding], speedups: Mapping[str, Finding], asked: int) -> Comparison:
        """All that there is to say of both."""
        changes = [
            Change(
                self.second[case]["case"],
                times[case].verdict,
                self.thresholds.of(case),
                self.first[case],
                self.second[case],
                times[case],
                speedups.get(case),
            )
            for case in self.both
        ]
        return Comparison(
            self.base,
            self.new,
            (*changes, *self._unmatched()),
            tuple(self.differences),
            tuple(cautions(self.base, self.new, self.differences)),
            self.guarded,
            asked,
        )

    def _family(self, case: str) -> str:
        return self.first[case]["case"]["family"]

    def _guards(self) -> dict[str, Movement]:
        """What the pilots beside each family say; nothing where a run has none.

        Between machines and settings, the level of the pilots is part of the question; only what moves
        about it may still be the machine's.
        """
        base, new = self.base.about.get("pilots", []), self.new.about.get("pilots", [])
        level = levels(base, new) if self.another_machine else {}
        found = {}
        for family in dict.fromkeys(map(self._family, self.both)):
            movement = by_pilots(beside(family, base), beside(family, new), level)
            if movement is not None:
                found[family] = movement
        return found

    def _with_its_device(self, case: str, movement: Movement) -> Movement:
        """The pilots run on the CPU. What moved all other families of a GPU may be its clocks."""
        device = self.first[case]["case"]["device"]
        others = [
            one
            for other, one in self.times.items()
            if one.unit != self.times[case].unit and self.first[other]["case"]["device"] == device
        ]
        if device in ("cpu", "") or not others or self.another_machine:
            return movement
        return movement.reaching(centre(others), f"all other families on {device} in the median")

    def _stand_in(self, case: str, common: float) -> Movement | None:
        if self.neighbours is not None:
            return stand_in(self.neighbours.get(case), common, NEIGHBOURS)
        record = self.first[case]["case"]
        held = [one["against"] for one in self.first[case]["speedups"] if one["knob"] == "reference"]
        if held and held[0] in self.times and self.first[held[0]]["case"]["device"] == record["device"]:
            return stand_in(self.times[held[0]].shift.point, common, REFERENCE)
        beside_it = [
            self.times[other].shift.point
            for other in self.both
            if other != case
            and self._family(other) == record["family"]
            and self.first[other]["case"]["device"] == record["device"]
        ]
        return stand_in(median(beside_it) if beside_it else None, common, OTHERS)

    def _unmatched(self) -> list[Change]:
        """What only one run measured: failed or missing in the new one, or new in it."""
        failed = {one["case"]["id"]: one for one in self.new.about["failed"]}
        before = {one["case"]["id"] for one in self.base.about["failed"]}
        reasons = {one["case"]["id"]: one["reason"] for one in self.new.about["skipped"]}
        reasons |= dict.fromkeys(self.new.about.get("unreached", []), "the run was stopped before its turn")
        found = [
            Change(
                one["case"],
                "failed",
                self.thresholds.of(case),
                base=self.first.get(case),
                why=one["reason"].removeprefix(f"{case}: ")
                + (f" (in {self.base.name}, too)" if case in before else ""),
            )
            for case, one in failed.items()
        ]
        for case, record in self.first.items():
            if case not in self.second and case not in failed:
                why = reasons.get(case, "not selected in this run")
                found.append(Change(record["case"], "missing", self.thresholds.of(case), base=record, why=why))
        for case, record in self.second.items():
            if case not in self.first:
                found.append(
                    Change(record["case"], "new", self.thresholds.of(case), new=record, why=self._before(case))
                )
        return found

    def _before(self, case: str) -> str:
        for words, cases in (("failed", self.base.about["failed"]), ("skipped", self.base.about["skipped"])):
            for one in cases:
                if one["case"]["id"] == case:
                    return f"{words} in {self.base.name}: {one['reason'].removeprefix(f'{case}: ')}"
        return f"not measured in {self.base.name}"


def _by_id(run: Run) -> dict[str, Record]:
    return {record["case"]["id"]: record for record in run.records}
