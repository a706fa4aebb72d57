"""The pairs of a duet: what each family needs for the next one, what they found, and which family comes next."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import msgspec

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import SEED
from torchduet.bench.duet.pairs import Ledger, Pace
from torchduet.bench.plan.visits import Rounds, Visited
from torchduet.bench.record.journal_events import FirstVisit, PairPace, VisitDone
from torchduet.bench.record.moderation import Prior, Visits, estimate, prior_for
from torchduet.bench.record.schema import PriorOf, Record
from torchduet.bench.record.statistics import CONFIDENCE, THRESHOLD
from torchduet.bench.record.visits.entry import VisitEntry
from torchduet.bench.record.visits.sides import pair_of, values_of
from torchduet.bench.run.visiting import Visiting

MAX_PAIRS = 64
SETTLED_PAIRS, SETTLED_SPAN = 4, 20.0  # and seconds from the first to the last: a case is not settled before
SHARE_OF_EFFECT = 0.25
FORKING = 0.2  # a guess: seconds of a pair beside its blocks, starting interpreters not included
REFIT_SHARE = 0.25  # of the families: the prior is estimated again after so many pairs


def needs_of(visits: Visits, prior: Prior | None, level: float, threshold: float = THRESHOLD) -> float:
    """How many times too wide a case's interval is: at 1 or less its verdict will hardly change.

    It is narrow enough if it shows that both sides are the same, or if at the strictest ``level`` it reaches no farther
    than ±threshold to either side, or than a quarter of a larger effect. Which side is faster decides nothing.
    """
    plain, strict = estimate(visits, prior, CONFIDENCE), estimate(visits, prior, level)
    threshold, effect = math.log1p(threshold), abs(plain.point)
    of_same = plain.half_width / (threshold - effect) if effect < threshold else math.inf
    return min(of_same, strict.half_width / max(threshold, SHARE_OF_EFFECT * effect))


@dataclass
class Paired(Visited):
    """A family's pairs so far, for the order of the next ones.

    Attributes:
        starting: seconds that its next pair waits for fresh interpreters.
        open: pairs so far and needs of each case that is not settled.
        seconds: that its blocks take in the next pair.
    """

    starting: Callable[[], float] = lambda: 0.0
    open: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether another pair would decide nothing."""
        return bool(self.failed) or self.number >= MAX_PAIRS or not self.open

    @property
    def timing(self) -> float:
        """Seconds that the blocks of the next pair take."""
        return self.seconds

    @property
    def cost(self) -> float:
        """Seconds that the next pair takes."""
        return self.beside + self.seconds + self.starting()

    @property
    def gain(self) -> float:
        """Which part of its open cases another pair settles: an interval's width falls with the root of the pairs."""
        return sum(min(1.0, 1 / max(number * (needs**2 - 1), 1e-3)) for number, needs in self.open)


@dataclass
class PairedFamily:
    """A family of a duet: how it is timed, and each pair's estimate of every case, with its standard error."""

    family: Family
    ledger: Ledger
    visited: Paired
    values: dict[Case, list[tuple[float, float | None]]] = field(default_factory=dict)

    def visits(self, case: Case) -> Visits:
        """A case's values by pair."""
        points, errors = zip(*self.values[case], strict=True)
        return Visits(points, errors)


class DuetVisiting(Visiting):
    """The pairs of a duet, and what is left to decide.

    Args:
        machine: what earlier runs on the machine taught of the variance between pairs.
        starting: family name → seconds that its next pair waits for fresh interpreters.
        threshold: a change must exceed this to matter.
    """

    def __init__(
        self, machine: Mapping[PriorOf, Prior], starting: Callable[[str], float], threshold: float = THRESHOLD
    ) -> None:
        super().__init__(machine)
        self._threshold = threshold
        self.paired: dict[str, PairedFamily] = {}
        self._starting = starting
        self._order = Rounds(random.Random(SEED))
        self._prior: Prior | None = None
        self._pairs_since_fit = 0

    def add_ledger(self, family: Family, ledger: Ledger, began: float, records: Sequence[Record], share: float) -> None:
        """Take note of a family's first pair, from the records of the cases that it has measured."""
        cases = {case.id: case for case in ledger.cases}
        of = PairedFamily(family, ledger, Paired(family.name, len(records), share, compared=True, beside=FORKING))
        of.visited.starting = lambda: self._starting(family.name)
        for record in records:
            visits = values_of(record["against"])
            of.values[cases[record["case"]["id"]]] = list(zip(visits.values, visits.errors, strict=True))
        if of.values:
            of.visited.begun.append(began)
            self.paired[family.name] = of
            self._changed(of)

    def add_pair(self, name: str, entries: Mapping[str, VisitEntry], began: float, beside: float | None = None) -> None:
        """Take note of a later pair, by case id, which began so many seconds into the run.

        Args:
            beside: seconds that it took beside its blocks and the start of interpreters, if known.
        """
        of = self.paired[name]
        cases = {case.id: case for case in of.values}
        for case, entry in entries.items():
            of.values[cases[case]].append(pair_of(entry.blocks, entry.against))
        of.visited.begun.append(began)
        of.visited.beside = of.visited.beside if beside is None else beside
        self._changed(of)

    def next_family(self, seconds: float) -> PairedFamily | None:
        """The family whose pair comes next in the seconds that are left; None where nothing is left to do."""
        if self._pairs_since_fit > REFIT_SHARE * len(self.paired):
            self._refit_all()
        chosen = self._order.next([of.visited for of in self.paired.values()], seconds)
        return None if chosen is None else self.paired[chosen.name]

    def unclear(self) -> tuple[int, int]:
        """How many cases are not settled, and how many there are."""
        return sum(len(of.visited.open) for of in self.paired.values()), self._number()

    def first_visit(self, family: str) -> FirstVisit | None:
        """What the journal needs of a family's first pair."""
        if (of := self.paired.get(family)) is None:
            return None
        return FirstVisit(
            began=of.visited.begun[0],
            share=of.visited.share,
            paces={},
            pairs={case.id: PairPace(**asdict(pace)) for case, pace in of.ledger.paces.items()},
            compiler=of.ledger.compiler,
        )

    def restore_first(self, family: Family, first: FirstVisit, records: Sequence[Record]) -> None:
        """Take note of the first pair of the process whose run is resumed."""
        cases = {case.id: case for case in family.cases}
        ledger = Ledger(
            tuple(case for case in family.cases if case.id in first.pairs),
            {cases[name]: Pace(**msgspec.structs.asdict(pace)) for name, pace in first.pairs.items()},
            pairs=1,
            compiler=first.compiler,
        )
        self.add_ledger(family, ledger, first.began, records, first.share)

    def restore(self, event: VisitDone) -> None:
        """Take note of a later pair of the process whose run is resumed."""
        if event.name in self.paired:
            of = self.paired[event.name]
            of.ledger.pairs += 1
            self.add_pair(event.name, {name: e for name, e in event.cases.items() if e.against}, event.began)

    def _number(self) -> int:
        return sum(len(of.values) for of in self.paired.values())

    def _changed(self, of: PairedFamily) -> None:
        self._pairs_since_fit += 1
        self._settle(of)

    def _refit_all(self) -> None:
        """Estimate the prior again, and judge every family by it."""
        self._pairs_since_fit = 0
        values = [(name, of.visits(case)) for name, of in self.paired.items() for case in of.values]
        self._prior = prior_for("sides", values, self.machine.get("sides")) if values else None
        for of in self.paired.values():
            self._settle(of)

    def _settle(self, of: PairedFamily) -> None:
        """Find out which cases of a family need further pairs."""
        ledger, begun = of.ledger, of.visited.begun
        level = 1 - (1 - CONFIDENCE) / max(self._number(), 1)
        long_enough = bool(begun) and begun[-1] - begun[0] >= SETTLED_SPAN
        ledger.settled.clear()
        of.visited.open.clear()
        for case in of.values:
            visits = of.visits(case)
            needs = needs_of(visits, self._prior, level, self._threshold)
            if needs <= 1 and long_enough and len(visits.values) >= SETTLED_PAIRS:
                ledger.settled.add(case)
            elif case not in ledger.failures:
                of.visited.open.append((len(visits.values), needs))
        of.visited.seconds = sum(ledger.paces[case].timing for case in ledger.live() if case in ledger.paces)
