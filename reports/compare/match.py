"""Finds every case of two runs in both, and makes of each what is judged: its shift in time and in speed-up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from statistics import median

import numpy as np

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.leave_out import Array, ranked
from torchduet.reports.compare.movement import Movement, beside, by_pilots, levels, stand_in
from torchduet.reports.compare.neighbours import NEIGHBOURS, beside_in_time, without_halves
from torchduet.reports.compare.samples import Samples, questions
from torchduet.reports.compare.settings import MACHINE, SETTING, Difference, cautions, differences
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.compare.verdicts import Finding, Question, centre, findings
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.run_file import Run

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
    before: Mapping[str, Array] = field(repr=False, compare=False)  # case → logs of its placements' medians
    after: Mapping[str, Array] = field(repr=False, compare=False)

    def of(self, verdict: str) -> list[Change]:
        """The changes of that verdict; those of times with the largest first."""
        return list(self._by_verdict.get(verdict, ()))

    @cached_property
    def _by_verdict(self) -> dict[str, list[Change]]:
        found: dict[str, list[Change]] = {}
        for one in sorted(self.changes, key=lambda one: -abs(math.log(one.time.ratio)) if one.time else 0.0):
            found.setdefault(one.verdict, []).append(one)
        return found

    @cached_property
    def judged(self) -> int:
        """How many cases both runs measured."""
        return sum(one.time is not None for one in self.changes)

    @property
    def plain(self) -> bool:
        """Both are runs of plain pytest-benchmark: nothing was timed in alternation, there are no placements."""
        return isinstance(self.base, PytestBenchmarkRun)


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
        self.base, self.new, self.threshold = base, new, cache(thresholds.of)
        self.first, self.second = _by_id(base), _by_id(new)
        self.both = [case for case in self.first if case in self.second]
        self.differences = differences(base, new)
        self.another_machine = any(one.kind in (MACHINE, SETTING) for one in self.differences)
        samples = [Samples(side) for side in (self.first, self.second)]
        self.before, self.after = (side.log_times(self.both) for side in samples)
        self.times = self._questions(self.both, list(self.before.values()), list(self.after.values()))
        self.neighbours: Mapping[str, float] | None = None
        if isinstance(base, PytestBenchmarkRun):
            self.times = without_halves(self.times)
            self.neighbours = beside_in_time(self.times)
        guards = self._guards()
        self.guarded = bool(guards)
        moved = {case: guards.get(one.unit) for case, one in self.times.items()}
        for case, found in self._stand_ins([case for case, one in moved.items() if one is None]):
            moved[case] = found
        moved |= self._with_their_devices({case: one for case, one in moved.items() if one})
        self.times = {case: one.beside(moved[case]) for case, one in self.times.items()}
        still = Movement(0.0, 0.0, "")
        first, second = (side.log_speedups(self.both) for side in samples)
        held = [case for case in self.both if case in first and case in second]
        speedups = self._questions(held, [second[case] for case in held], [first[case] for case in held])
        self.speedups = {case: one.beside(still) for case, one in speedups.items()}

    def _questions(self, cases: Sequence[str], above: Sequence[Array], below: Sequence[Array]) -> dict[str, Question]:
        units, thresholds = list(map(self._family, cases)), list(map(self.threshold, cases))
        return dict(zip(cases, questions(units, above, below, thresholds), strict=True))

    def comparison(self, times: Mapping[str, Finding], speedups: Mapping[str, Finding], asked: int) -> Comparison:
        """All that there is to say of both."""
        changes = [
            Change(
                self.second[case]["case"],
                times[case].verdict,
                self.threshold(case),
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
            self.before,
            self.after,
        )

    def _family(self, case: str) -> str:
        return self.first[case]["case"]["family"]

    def _device(self, case: str) -> str:
        return self.first[case]["case"]["device"]

    def _guards(self) -> dict[str, Movement]:
        """What the pilots beside each family say; nothing where a run has none.

        Between machines and settings, the level of the pilots is part of the question; only what moves
        about it may still be the machine's.
        """
        base, new = (beside(run.about.get("pilots", [])) for run in (self.base, self.new))
        level = levels(base, new) if self.another_machine else {}
        found = {}
        for family in dict.fromkeys(map(self._family, self.both)):
            movement = by_pilots(base.get(family, ()), new.get(family, ()), level)
            if movement is not None:
                found[family] = movement
        return found

    def _with_their_devices(self, moved: Mapping[str, Movement]) -> dict[str, Movement]:
        """The pilots run on the CPU. What moved all other families of a GPU may be its clocks."""
        if self.another_machine:
            return {}
        families: dict[str, dict[str, list[float]]] = {}
        for case, one in self.times.items():
            if (device := self._device(case)) and not on_host(device):
                families.setdefault(device, {}).setdefault(one.unit, []).append(one.shift.point)
        found = {}
        for device, shifts in families.items():
            units = {unit: place for place, unit in enumerate(shifts)}
            middles = ranked(np.array([median(values) for values in shifts.values()]))
            for case, movement in moved.items():
                if self._device(case) == device and len(units) > 1:
                    common = middles.without([units[self.times[case].unit]]).median()
                    found[case] = movement.reaching(common, f"all other families on {device} in the median")
        return found

    def _stand_ins(self, cases: Sequence[str]) -> Iterator[tuple[str, Movement | None]]:
        """What stands in for pilots, for each of these cases."""
        common = centre(list(self.times.values()))
        if self.neighbours is not None:
            for case in cases:
                yield case, stand_in(self.neighbours.get(case), common, NEIGHBOURS)
            return
        together: dict[tuple[str, str], dict[str, int]] = {}
        for case in self.both if cases else ():
            members = together.setdefault((self._family(case), self._device(case)), {})
            members[case] = len(members)
        shifts = {
            key: ranked(np.array([self.times[case].shift.point for case in members]))
            for key, members in together.items()
        }
        for case in cases:
            held = [one["against"] for one in self.first[case]["speedups"] if one["knob"] == "reference"]
            if held and held[0] in self.times and self._device(held[0]) == self._device(case):
                yield case, stand_in(self.times[held[0]].shift.point, common, REFERENCE)
                continue
            key = self._family(case), self._device(case)
            others = shifts[key].without([together[key][case]])
            yield case, stand_in(others.median() if len(others) else None, common, OTHERS)

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
                self.threshold(case),
                base=self.first.get(case),
                why=one["reason"].removeprefix(f"{case}: ")
                + (f" (in {self.base.name}, too)" if case in before else ""),
            )
            for case, one in failed.items()
        ]
        for case, record in self.first.items():
            if case not in self.second and case not in failed:
                why = reasons.get(case, "not selected in this run")
                found.append(Change(record["case"], "missing", self.threshold(case), base=record, why=why))
        known = self._reasons_before()
        for case, record in self.second.items():
            if case not in self.first:
                why = known.get(case, f"not measured in {self.base.name}")
                found.append(Change(record["case"], "new", self.threshold(case), new=record, why=why))
        return found

    def _reasons_before(self) -> dict[str, str]:
        """What the base says of cases that it did not measure."""
        return {
            one["case"]["id"]: f"{words} in {self.base.name}: {one['reason'].removeprefix(one['case']['id'] + ': ')}"
            for words, cases in (("skipped", self.base.about["skipped"]), ("failed", self.base.about["failed"]))
            for one in cases
        }


def _by_id(run: Run) -> dict[str, Record]:
    return {record["case"]["id"]: record for record in run.records}
