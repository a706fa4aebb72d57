"""Matches the cases of two runs, and computes what is judged of each: its shift in time and in speed-up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from statistics import median

import numpy as np

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.common_factor import CommonFactor, common_factor
from torchduet.reports.compare.leave_out import Array, ranked
from torchduet.reports.compare.movement import Movement, by_pilots, levels, longer, pilots_beside, stand_in
from torchduet.reports.compare.neighbours import NEIGHBOURS, beside_in_time, without_halves
from torchduet.reports.compare.samples import Samples, questions
from torchduet.reports.compare.settings import MACHINE, SETTING, Difference, cautions, differences
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.compare.verdicts import Finding, Question, centre, findings
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.run_file import Run

VERDICTS = ("slower", "faster", "same", "unclear", "failed", "missing", "new")
JUDGED = VERDICTS[:4]
REFERENCE, FAMILY = "its reference", "what was timed together with it"


@dataclass(frozen=True)
class Change:
    """One case in two runs.

    Attributes:
        time: the change of its time per call; None unless both runs measured it.
        speedup: the change of its speed-up over its family's reference; None without one in both.
        why: the reason why it has no time in one of them.
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
    """One run compared with the base."""

    base: Run
    new: Run
    changes: tuple[Change, ...]
    differences: tuple[Difference, ...]
    cautions: tuple[str, ...]
    guarded: bool  # whether both runs have pilots
    asked: int  # number of times and speed-ups judged together, over all runs
    before: Mapping[str, Array] = field(repr=False, compare=False)  # case → logs of its placements' medians
    after: Mapping[str, Array] = field(repr=False, compare=False)
    common: CommonFactor | None = None  # by which the whole run took longer or less

    def of(self, verdict: str) -> list[Change]:
        """The changes of that verdict, the largest change of time first."""
        return list(self._by_verdict.get(verdict, ()))

    @cached_property
    def _by_verdict(self) -> dict[str, list[Change]]:
        groups: dict[str, list[Change]] = {}
        for change in sorted(
            self.changes, key=lambda change: -abs(math.log(change.time.ratio)) if change.time else 0.0
        ):
            groups.setdefault(change.verdict, []).append(change)
        return groups

    @cached_property
    def judged(self) -> int:
        """The number of cases that both runs measured."""
        return sum(change.time is not None for change in self.changes)

    @property
    def of_pytest_benchmark(self) -> bool:
        """Whether both are runs of plain pytest-benchmark, without alternation and without placements."""
        return isinstance(self.base, PytestBenchmarkRun)


def compare(base: Run, others: Sequence[Run], thresholds: Thresholds) -> list[Comparison]:
    """Every other run compared with the base; all verdicts are corrected for their total number."""
    pairs = [_Pair(base, new, thresholds) for new in others]
    groups = [group for pair in pairs for group in (pair.times, pair.speedups)]
    results = findings([list(group.values()) for group in groups])
    by_case = [dict(zip(group, result, strict=True)) for group, result in zip(groups, results, strict=True)]
    asked = sum(map(len, groups))
    return [
        pair.comparison(times, speedups, asked)
        for pair, times, speedups in zip(pairs, by_case[::2], by_case[1::2], strict=True)
    ]


class _Pair:
    """Two runs with the questions about the cases that both measured."""

    def __init__(self, base: Run, new: Run, thresholds: Thresholds) -> None:
        self.base, self.new, self.threshold = base, new, cache(thresholds.of)
        self.default_threshold = thresholds.default
        self.base_records, self.new_records = _by_id(base), _by_id(new)
        self.cases = [case for case in self.base_records if case in self.new_records]
        self.differences = differences(base, new)
        self.another_machine = any(difference.kind in (MACHINE, SETTING) for difference in self.differences)
        samples = [Samples(side) for side in (self.base_records, self.new_records)]
        self.before, self.after = (side.log_times(self.cases) for side in samples)
        self.times = self._questions(self.cases, list(self.before.values()), list(self.after.values()))
        self.neighbours: Mapping[str, float] | None = None
        if isinstance(base, PytestBenchmarkRun):
            self.times = without_halves(self.times)
            self.neighbours = beside_in_time(self.times)
        guards = self._guards()
        self.guarded = bool(guards)
        movements = {case: guards.get(question.unit) for case, question in self.times.items()}
        for case, movement in self._stand_ins([case for case, movement in movements.items() if movement is None]):
            movements[case] = movement
        movements |= self._with_their_devices({case: movement for case, movement in movements.items() if movement})
        self.times = {case: question.with_movement(movements[case]) for case, question in self.times.items()}
        still = Movement(0.0, 0.0, "")
        first, second = (side.log_speedups(self.cases) for side in samples)
        cases = [case for case in self.cases if case in first and case in second]
        speedups = self._questions(cases, [second[case] for case in cases], [first[case] for case in cases])
        self.speedups = {case: question.with_movement(still) for case, question in speedups.items()}

    def _questions(self, cases: Sequence[str], above: Sequence[Array], below: Sequence[Array]) -> dict[str, Question]:
        units, thresholds = list(map(self._family, cases)), list(map(self.threshold, cases))
        return dict(zip(cases, questions(units, above, below, thresholds), strict=True))

    def comparison(self, times: Mapping[str, Finding], speedups: Mapping[str, Finding], asked: int) -> Comparison:
        """The comparison of both runs, with the findings on its questions."""
        pilots = levels(*(pilots_beside(run.about.get("pilots", [])) for run in (self.base, self.new)))
        common = common_factor(list(self.times.values()), self.default_threshold, pilots, self.differences)
        if common is not None:
            times = {case: self._beside(common, case, finding) for case, finding in times.items()}
        changes = [
            Change(
                self.new_records[case]["case"],
                times[case].verdict,
                self.threshold(case),
                self.base_records[case],
                self.new_records[case],
                times[case],
                speedups.get(case),
            )
            for case in self.cases
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
            common,
        )

    def _beside(self, common: CommonFactor, case: str, finding: Finding) -> Finding:
        """The finding; one that is unclear because of the machine says how the case did beside all others."""
        if finding.cause != "moved":
            return finding
        rest = self.times[case].shift.point - common.shift
        return replace(finding, why=f"{finding.why}; beside the common factor it took {longer(rest)}")

    def _family(self, case: str) -> str:
        return self.base_records[case]["case"]["family"]

    def _device(self, case: str) -> str:
        return self.base_records[case]["case"]["device"]

    def _guards(self) -> dict[str, Movement]:
        """Family → the machine's movement by the pilots beside it; empty where a run has none.

        Between two machines or settings, the difference in the pilots' level is part of the question. Only their
        scatter about it is attributed to the machine.
        """
        base, new = (pilots_beside(run.about.get("pilots", [])) for run in (self.base, self.new))
        level = levels(base, new) if self.another_machine else {}
        movements = {}
        for family in dict.fromkeys(map(self._family, self.cases)):
            movement = by_pilots(base.get(family, ()), new.get(family, ()), level)
            if movement is not None:
                movements[family] = movement
        return movements

    def _with_their_devices(self, movements: Mapping[str, Movement]) -> dict[str, Movement]:
        """The movements of cases on GPUs, extended by the median shift of all other families on the same GPU.

        The pilots run on the CPU; a shift that all families of a GPU share may come from its clocks.
        """
        if self.another_machine:
            return {}
        families: dict[str, dict[str, list[float]]] = {}
        for case, question in self.times.items():
            if (device := self._device(case)) and not on_host(device):
                families.setdefault(device, {}).setdefault(question.unit, []).append(question.shift.point)
        extended = {}
        for device, shifts in families.items():
            indices = {unit: index for index, unit in enumerate(shifts)}
            middles = ranked(np.array([median(values) for values in shifts.values()]))
            for case, movement in movements.items():
                if self._device(case) == device and len(indices) > 1:
                    common = middles.without([indices[self.times[case].unit]]).median()
                    extended[case] = movement.extended_to(common, f"all other families on {device} in the median")
        return extended

    def _stand_ins(self, cases: Sequence[str]) -> Iterator[tuple[str, Movement | None]]:
        """For each of these cases, the movement that stands in for the one by pilots."""
        common = centre(list(self.times.values()))
        if self.neighbours is not None:
            for case in cases:
                yield case, stand_in(self.neighbours.get(case), common, NEIGHBOURS)
            return
        indices: dict[tuple[str, str], dict[str, int]] = {}  # family and device → case → its index there
        for case in self.cases if cases else ():
            members = indices.setdefault((self._family(case), self._device(case)), {})
            members[case] = len(members)
        shifts = {
            key: ranked(np.array([self.times[case].shift.point for case in members]))
            for key, members in indices.items()
        }
        for case in cases:
            speedups = self.base_records[case]["speedups"]
            reference = next((speedup["against"] for speedup in speedups if speedup["knob"] == "reference"), "")
            if reference in self.times and self._device(reference) == self._device(case):
                yield case, stand_in(self.times[reference].shift.point, common, REFERENCE)
                continue
            key = self._family(case), self._device(case)
            rest = shifts[key].without([indices[key][case]])
            yield case, stand_in(rest.median() if len(rest) else None, common, FAMILY)

    def _unmatched(self) -> list[Change]:
        """The cases that only one run measured: failed or missing in the new run, or new in it."""
        failed = {failure["case"]["id"]: failure for failure in self.new.about["failed"]}
        failed_before = {failure["case"]["id"] for failure in self.base.about["failed"]}
        reasons = {skip["case"]["id"]: skip["reason"] for skip in self.new.about["skipped"]}
        reasons |= dict.fromkeys(self.new.about.get("unreached", []), "the run ended before this case")
        changes = [
            Change(
                failure["case"],
                "failed",
                self.threshold(case),
                base=self.base_records.get(case),
                why=failure["reason"].removeprefix(f"{case}: ")
                + (f" (also in {self.base.name})" if case in failed_before else ""),
            )
            for case, failure in failed.items()
        ]
        for case, record in self.base_records.items():
            if case not in self.new_records and case not in failed:
                why = reasons.get(case, "not selected in this run")
                changes.append(Change(record["case"], "missing", self.threshold(case), base=record, why=why))
        reasons_before = self._reasons_before()
        for case, record in self.new_records.items():
            if case not in self.base_records:
                why = reasons_before.get(case, f"not measured in {self.base.name}")
                changes.append(Change(record["case"], "new", self.threshold(case), new=record, why=why))
        return changes

    def _reasons_before(self) -> dict[str, str]:
        """Case → the base's reason for not measuring it."""
        reasons = {}
        for words, outcomes in (("skipped", self.base.about["skipped"]), ("failed", self.base.about["failed"])):
            for outcome in outcomes:
                case = outcome["case"]["id"]
                reasons[case] = f"{words} in {self.base.name}: {outcome['reason'].removeprefix(case + ': ')}"
        return reasons


def _by_id(run: Run) -> dict[str, Record]:
    return {record["case"]["id"]: record for record in run.records}
