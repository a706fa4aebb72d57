"""Matches the cases of two runs, and computes what is judged of each: its shift in time and in speed-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from torchduet.bench.record.machines.facts import MACHINE, SETTING
from torchduet.bench.record.schema import Record
from torchduet.reports.compare.common_factor import CommonFactor, common_factor
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.compare.settings import cautions, differences
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.compare.unmatched import unmatched
from torchduet.reports.compare.verdicts import Finding, findings
from torchduet.reports.compare.withheld import times_withheld, withheld
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.run_file import Run
from torchduet.reports.shifts.guards import Guards, stand_ins
from torchduet.reports.shifts.movement import Movement, longer
from torchduet.reports.shifts.neighbours import beside_in_time, without_halves
from torchduet.reports.shifts.question import Question
from torchduet.reports.shifts.samples import Samples, questions
from torchduet.reports.shifts.visits import Values, values, visited_questions, visited_run


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
        another_machine = any(difference.kind in (MACHINE, SETTING) for difference in self.differences)
        self.guards = Guards(base, new, another_machine=another_machine)
        withheld_of = {case: withheld(*self._sides(case)) for case in self.cases}
        times_withheld_of = {case: times_withheld(*self._sides(case)) for case in self.cases}
        samples = [Samples(side) for side in (self.base_records, self.new_records)]
        times = [side.log_times(self.cases) for side in samples]
        speedups = [side.log_speedups(self.cases) for side in samples]
        self.before, self.after = times
        visited = [visited_run(run, *logs) for run, *logs in zip((base, new), times, speedups, strict=True)]
        of_times = values("times", visited, times, self._judged(times_withheld_of), alike=not another_machine)
        of_speedups = values("speedups", visited, speedups, self._judged(withheld_of), alike=not another_machine)
        before, after = of_times
        self.times = self._with_movements(self._questions(before, after, times_withheld_of))
        still = Movement(0.0, 0.0, "")  # both sides of a speed-up are timed in alternation
        before, after = of_speedups
        asked = self._questions(after, before, withheld_of)
        self.speedups = {case: question.with_movement(still) for case, question in asked.items()}

    def _sides(self, case: str) -> tuple[tuple[Run, Record], tuple[Run, Record]]:
        return (self.base, self.base_records[case]), (self.new, self.new_records[case])

    def _judged(self, withheld_of: Mapping[str, str]) -> dict[str, str]:
        """Case → its family, of those whose verdict is not withheld."""
        return {case: self._family(case) for case, why in withheld_of.items() if not why}

    def _questions(self, above: Values, below: Values, withheld_of: Mapping[str, str]) -> dict[str, Question]:
        """By how much ``above`` lies above ``below`` in all cases of both: by visits, or by placements without any.

        Args:
            withheld_of: case → why no verdict is given on it; else empty.
        """
        visited = [case for case in self.cases if case in above.visits and case in below.visits]
        asked = visited_questions(
            list(map(self._family, visited)),
            [above.visits[case] for case in visited],
            [below.visits[case] for case in visited],
            (above.prior, below.prior),
            list(map(self.threshold, visited)),
        )
        placed = above.placements.keys() & below.placements.keys() - set(visited)
        rest = [case for case in self.cases if case in placed]
        asked += questions(
            list(map(self._family, rest)),
            [above.placements[case] for case in rest],
            [below.placements[case] for case in rest],
            list(map(self.threshold, rest)),
        )
        of_cases = dict(zip((*visited, *rest), asked, strict=True))
        return {case: replace(of_cases[case], withheld=withheld_of[case]) for case in self.cases if case in of_cases}

    def _with_movements(self, times: dict[str, Question]) -> dict[str, Question]:
        """The questions on times, with how much the machine itself may have changed."""
        neighbours: Mapping[str, float] | None = None
        if isinstance(self.base, PytestBenchmarkRun):
            times = without_halves(times)
            neighbours = beside_in_time(times)
        measured_on = {case: (self._family(case), self.base_records[case]["case"]["device"]) for case in self.cases}
        of_families = self.guards.of_families(dict.fromkeys(measured_on.values()))
        self.guarded = bool(of_families)
        movements = {case: of_families.get((question.unit, measured_on[case][1])) for case, question in times.items()}
        unguarded = [case for case, movement in movements.items() if movement is None]
        movements.update(stand_ins(unguarded, times, self.base_records, neighbours))
        devices = {case: measured_on[case][1] for case in times}
        known = {case: movement for case, movement in movements.items() if movement}
        movements |= self.guards.with_their_devices(known, times, devices)
        return {case: question.with_movement(movements[case]) for case, question in times.items()}

    def comparison(self, times: Mapping[str, Finding], speedups: Mapping[str, Finding], asked: int) -> Comparison:
        """The comparison of both runs, with the findings on its questions."""
        counted = {case: question for case, question in self.times.items() if not question.withheld}
        levels = self.guards.levels_on({self.base_records[case]["case"]["device"] for case in counted})
        common = common_factor([*counted.values()], self.default_threshold, levels, self.differences)
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
            (*changes, *unmatched(self.base, self.new, self.base_records, self.new_records, self.threshold)),
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


def _by_id(run: Run) -> dict[str, Record]:
    return {record["case"]["id"]: record for record in run.records}
