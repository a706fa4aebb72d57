"""The later visits of a run: what each family needs for them, what they found, and which comes next."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import msgspec

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import SEED, CaseResult, FamilyResult, Pace
from torchduet.bench.cases.outcome import Measured, Outcome
from torchduet.bench.plan.visits import (
    MIN_VISIT_SECONDS,
    Rounds,
    Visited,
    guess_beside,
    in_ranks,
    needs_of,
    shortest_visit,
)
from torchduet.bench.record.gpu_samples import sm_clock
from torchduet.bench.record.journal_events import FirstVisit, PaceEntry, VisitDone
from torchduet.bench.record.moderation import Prior, Visits, estimate, prior_for
from torchduet.bench.record.schema import STARTING, PriorOf, Record
from torchduet.bench.record.statistics import placement_differences, value_of
from torchduet.bench.record.visits.entry import Ratio, VisitEntry
from torchduet.bench.run.figures import number_of, rounded
from torchduet.bench.run.records import device_speedup_record
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.stopping import MIN_VISIT_PLACEMENTS
from torchduet.suites.workload import COMPILED

REFITS = 100  # in a run of many comparisons: priors are estimated again when this part of them has changed

Values = dict[tuple[str, str], list[Ratio]]  # (case id, what it is compared with) → one ratio per visit


@dataclass
class VisitedFamily:
    """A family that was visited: its cases that are timed, and each visit's ratios.

    Attributes:
        starting: seconds of starting its devices in the first visit.
    """

    family: Family
    paces: Mapping[Case, Pace]
    visited: Visited
    speedups: Values
    copies: Values
    starting: float = 0.0

    def add(self, entries: Mapping[str, VisitEntry]) -> None:
        """Add what a visit found, by case id."""
        for case, entry in entries.items():
            for values, ratios in ((self.speedups, entry.ratios), (self.copies, entry.copies)):
                for ratio in ratios:
                    values.setdefault((case, ratio.of), []).append(ratio)


class Visiting:
    """The visits of a run, and what is left to decide.

    Args:
        machine: what earlier runs on the machine taught of the variance between visits.
        shortest: seconds that a visit times at least.
    """

    def __init__(self, machine: Mapping[PriorOf, Prior] | None = None, shortest: float = MIN_VISIT_SECONDS) -> None:
        self.families: dict[str, VisitedFamily] = {}
        self.shortest = shortest
        self.machine = machine or {}
        self._rounds = Rounds(random.Random(SEED))
        self._priors: dict[PriorOf, Prior | None] = {}
        self._visits_since_fit = 0

    def add_first(
        self,
        family: Family,
        paces: Mapping[Case, Pace],
        share: float,
        began: float,
        records: Sequence[Record],
        starting: float = 0.0,
    ) -> None:
        """Take note of a family's first visit.

        Args:
            family: as planned; those without a pace were not timed.
            records: of its reported cases.
            starting: seconds of starting its devices.
        """
        timed = Family(
            cases=tuple(case for case in family.cases if case in paces),
            reported=tuple(case for case in family.reported if case in paces),
        )
        if not timed.reported or family.reference not in paces:
            return
        new = VisitedFamily(
            timed,
            paces,
            Visited(
                family.name,
                len(timed.cases),
                share,
                compared=any(record["speedups"] for record in records),
                beside=guess_beside(
                    sum(case.mode in COMPILED for case in timed.cases),
                    starting,
                    ranks=in_ranks(timed),
                    calls=sum(pace.seconds for pace in paces.values() if pace.seconds >= LONG_CALL_SECONDS),
                ),
                least=MIN_VISIT_PLACEMENTS * sum(pace.seconds * pace.calls for pace in paces.values()),
                shortest=shortest_visit(timed, self.shortest),
            ),
            {},
            {},
            starting,
        )
        new.add({record["case"]["id"]: _first_entry(record) for record in records})
        new.visited.begun.append(began)
        new.visited.compared = bool(new.speedups or new.copies)
        self.families[family.name] = new
        self._visits_since_fit += 1

    def add_answer(
        self, family: Family, result: FamilyResult, outcomes: Mapping[Case, Outcome], share: float, began: float
    ) -> None:
        """Take note of a family's first visit, from its worker's answer and the outcomes that were made of it."""
        timed = [each for each in result.results if each.pace is not None and each.blocks and not each.error]
        records = [outcome.record for outcome in outcomes.values() if isinstance(outcome, Measured)]
        paces = {each.case: each.pace for each in timed if each.pace is not None}
        self.add_first(family, paces, share, began, records, result.seconds.get(STARTING, 0.0))

    def first_visit(self, family: str) -> FirstVisit | None:
        """What the journal needs of a family's first visit."""
        if family not in self.families:
            return None
        of = self.families[family]
        paces = {case.id: PaceEntry(**asdict(pace)) for case, pace in of.paces.items()}
        return FirstVisit(began=of.visited.begun[0], share=of.visited.share, paces=paces, starting=of.starting)

    def add(self, name: str, entries: Mapping[str, VisitEntry], began: float, beside: float) -> None:
        """Take note of a later visit, which began so many seconds into the run.

        Args:
            beside: seconds that it took beside its timing.
        """
        of = self.families[name]
        of.add(entries)
        of.visited.begun.append(began)
        of.visited.beside = beside
        self._visits_since_fit += 1
        self._judge(of)

    def restore_first(self, family: Family, first: FirstVisit, records: Sequence[Record]) -> None:
        """Take note of the first visit of the process whose run is resumed."""
        cases = {case.id: case for case in family.cases}
        paces = {cases[case]: Pace(**msgspec.structs.asdict(pace)) for case, pace in first.paces.items()}
        self.add_first(family, paces, first.share, first.began, records, first.starting)

    def restore(self, event: VisitDone) -> None:
        """Take note of a visit of the process whose run is resumed."""
        if event.name in self.families:
            self.add(event.name, event.cases, event.began, max(0.0, event.took - event.timing))

    def next(self, seconds: float) -> VisitedFamily | None:
        """The family to visit next in the seconds that are left; None where nothing is left to do."""
        self._refit()
        chosen = self._rounds.next([of.visited for of in self.families.values()], seconds)
        return None if chosen is None else self.families[chosen.name]

    def unclear(self) -> tuple[int, int]:
        """How many comparisons are not precise yet, and how many there are."""
        all_of = [found for of in self.families.values() for found in self._estimates(of)]
        return sum(needs_of([found]) > 1 for found in all_of), len(all_of)

    def _refit(self) -> None:
        """Estimate the priors again if enough has changed, and judge every family by them."""
        number = sum(len(of.speedups) + len(of.copies) for of in self.families.values())
        if self._visits_since_fit <= number / REFITS:
            return
        self._visits_since_fit = 0
        values: dict[PriorOf, list[tuple[str, Visits]]] = {
            "speedups": [(name, _visits(r)) for name, of in self.families.items() for r in of.speedups.values()],
            "copies": [(name, _visits(r)) for name, of in self.families.items() for r in of.copies.values()],
        }
        self._priors = {of: prior_for(of, named, self.machine.get(of)) for of, named in values.items() if named}
        for family in self.families.values():
            self._judge(family)

    def _judge(self, of: VisitedFamily) -> None:
        of.visited.needs = needs_of(self._estimates(of))

    def _estimates(self, of: VisitedFamily):  # type: ignore[no-untyped-def]
        for kind, values in (("speedups", of.speedups), ("copies", of.copies)):
            prior = self._priors.get(cast(PriorOf, kind))
            for ratios in values.values():
                yield estimate(_visits(ratios), prior)


def _visits(ratios: Sequence[Ratio]) -> Visits:
    return Visits(tuple(math.log(ratio.ratio) for ratio in ratios), tuple(ratio.error for ratio in ratios))


def _first_entry(record: Record) -> VisitEntry:
    """The ratios of a case's first visit, from its record: one for each other case."""
    against = {speedup["against"]: speedup for speedup in record["speedups"]}
    return VisitEntry(
        blocks=[],
        ratios=[
            Ratio(of=other, ratio=speedup["ratio"], error=speedup.get("visit_errors", [None])[0])
            for other, speedup in against.items()
        ],
        copies=[
            Ratio(of=str(number), ratio=trial["ratio"], error=trial.get("visit_errors", [None])[0])
            for number, trial in enumerate(record.get("trials", []))
        ],
    )


def entries_of(family: Family, result: FamilyResult) -> dict[Case, VisitEntry]:
    """What a later visit found of each reported case; those that failed in it are left out."""
    results = {each.case: each for each in result.results if not each.error and each.blocks}
    entries = {}
    for case in family.reported:
        if case not in results:
            continue
        own = results[case]
        against = {other for _, other in family.comparisons(case)} & results.keys()
        copies = [copy for copy in family.cases if copy.copy_number and copy.original == case]
        entries[case] = VisitEntry(
            blocks=[[rounded(value) for value in rounds] for rounds in own.blocks],
            seconds=rounded(own.context_switches.seconds),
            disturbed=own.disturbed,
            left_out=own.left_out.blocks,
            sm_mhz=sm_clock(own.sm_mhz),
            ratios=[_ratio(other.id, results[other], own) for other in sorted(against, key=lambda other: other.id)],
            copies=[_ratio(str(n), own, results[copy]) for n, copy in enumerate(copies) if copy in results],
            meters={
                name: [rounded(value) for value in values if number_of(value) is not None]
                for name, (_, values) in own.meters.items()
            },
            not_finite={
                name: lost
                for name, (_, values) in own.meters.items()
                if (lost := sum(number_of(v) is None for v in values))
            },
            address_sets=own.address_sets,
            notes=own.notes,
            device_blocks=[[rounded(value) for value in rounds] for rounds in own.device_blocks],
            device_ratios=_device_ratios([results[other] for other in sorted(against, key=lambda o: o.id)], own),
        )
    return entries


def _device_ratios(others: Sequence[CaseResult], own: CaseResult) -> list[Ratio]:
    """The time of the device's work of each other case on the same device, relative to ``own``."""
    records = [(other.case.id, device_speedup_record(own, other)) for other in others]
    return [
        Ratio(of=of, ratio=record["visit_ratios"][0], error=record["visit_errors"][0])
        for of, record in records
        if record is not None
    ]


def _ratio(of: str, other: CaseResult, own: CaseResult) -> Ratio:
    """The time of ``other`` relative to ``own``."""
    point, error = value_of(placement_differences(other.blocks, own.blocks))
    return Ratio(of=of, ratio=math.exp(point), error=error)
