"""What each knob brings on each machine: every speed-up was measured in alternation on its own machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from torchduet.bench.record.moderation import Visits, estimate
from torchduet.bench.record.schema import VERDICTS, CaseRecord, Record, SpeedupRecord
from torchduet.bench.record.statistics import side_of
from torchduet.bench.record.visits.intervals import MAX_LOG, ratios_of
from torchduet.reports.findings.advice import COLLECTED, standing_of
from torchduet.reports.findings.advice_words import title_of
from torchduet.reports.machines.columns import Column
from torchduet.reports.machines.measured import work_of
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.baselines import compiles_beside_eager, pay_off
from torchduet.reports.tables.comparisons import answerable, tied_families
from torchduet.reports.tables.pairs import verdict_withheld
from torchduet.reports.tables.ranks import other_work
from torchduet.reports.tables.visits import prior_of
from torchduet.reports.text.settings import KNOBS, TOGETHER

Key = tuple[str, str, str, str]  # work, knob, value, baseline
PAYS = ("yes", "mostly")  # standings with which a knob is worth turning
PAYS_NOT = ("no", "same")


@dataclass(frozen=True)
class Effect:
    """One setting of a knob in one case of a machine, held against the same case without it.

    Attributes:
        best_seconds: per call, of the faster of the two.
        pays_seconds: after how many seconds a compilation pays off; None where nothing is compiled.
    """

    device: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str
    best_seconds: float
    pays_seconds: float | None


@dataclass(frozen=True)
class Line:
    """One comparison on all machines; ``cells`` has None where a machine did not make it."""

    work: str
    case: CaseRecord
    knob: str
    value: str
    baseline: str
    cells: tuple[Effect | None, ...]

    @property
    def title(self) -> str:
        """The setting as the subject of a sentence; code is between backticks."""
        return title_of(self.knob, self.value, self.baseline)

    @cached_property
    def disagreement(self) -> int:
        """2: faster on one machine and slower on another; 1: their clear verdicts differ; 0: they do not."""
        clear = {*self._clear}
        return 2 if {"faster", "slower"} <= clear else int(len(clear) > 1)

    @property
    def settled(self) -> bool:
        """Whether two machines or more have a clear verdict, so that it can be told whether they disagree."""
        return len(self._clear) > 1

    @property
    def _clear(self) -> list[str]:
        return [cell.verdict for cell in self.cells if cell and cell.verdict != "unclear"]

    @property
    def spread(self) -> float:
        """The greatest ratio over the least."""
        ratios = [cell.ratio for cell in self.cells if cell]
        return max(ratios) / min(ratios)


@dataclass(frozen=True)
class Standing:
    """What a machine's comparisons say of a setting: a key of ``advice.STANDINGS``, the median ratio, the verdicts."""

    key: str
    ratio: float
    tally: Mapping[str, int]


@dataclass(frozen=True)
class Setting:
    """One setting of a knob, or all settings of a knob that has several, on all machines."""

    title: str
    knob: str
    cells: tuple[Standing | None, ...]

    @property
    def differs(self) -> bool:
        """Whether it is worth turning on one machine and not on another."""
        keys = {cell.key for cell in self.cells if cell}
        return bool(keys & {*PAYS}) and bool(keys & {*PAYS_NOT})


def lines(found: Sequence[Column]) -> list[Line]:
    """Every comparison that any machine made: those on which machines disagree come first, then the widest spread."""
    of_machines = [_effects(column) for column in found]
    cases: dict[Key, CaseRecord] = {}
    for effects in of_machines:
        for key, (case, _) in effects.items():
            cases.setdefault(key, case)
    made = [
        Line(key[0], case, *key[1:], tuple(effects[key][1] if key in effects else None for effects in of_machines))
        for key, case in cases.items()
    ]
    return sorted(made, key=lambda line: (-line.disagreement, -line.spread))


def settings(made: Sequence[Line], number: int) -> list[Setting]:
    """The standing of each setting on each machine, in the order of the report's answers; differing ones first.

    Args:
        number: of machines.
    """
    ordered = sorted(made, key=lambda line: (KNOBS.index(line.knob), line.title))
    of_knobs: dict[str, dict[str, None]] = {}
    for line in ordered:
        of_knobs.setdefault(line.knob, {})[line.title] = None
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in ordered:
        several = line.knob in COLLECTED and len(of_knobs[line.knob]) > 1
        title = COLLECTED[line.knob][0] if several else line.title
        groups.setdefault((line.knob, title), []).append(line)
    table = [
        Setting(title, knob, tuple(_standing([line.cells[at] for line in group]) for at in range(number)))
        for (knob, title), group in groups.items()
    ]
    return sorted(table, key=lambda setting: not setting.differs)


def _standing(cells: Sequence[Effect | None]) -> Standing | None:
    effects = [cell for cell in cells if cell]
    if not effects:
        return None
    tally: dict[str, int] = {verdict: sum(effect.verdict == verdict for effect in effects) for verdict in VERDICTS}
    waits = [effect.pays_seconds for effect in effects if effect.pays_seconds is not None]
    key = standing_of(tally, min(waits, default=None))
    return Standing(key, median(effect.ratio for effect in effects), tally)


def _effects(column: Column) -> dict[Key, tuple[CaseRecord, Effect]]:
    """The comparisons of one machine, each on the device that is best for its work."""
    made: dict[tuple[Key, str], list[_Made]] = {}
    for run in column.runs:
        for one in _comparisons(run):
            made.setdefault((one.key, one.record["case"]["device"]), []).append(one)
    best: dict[Key, tuple[CaseRecord, Effect]] = {}
    for (key, device), group in made.items():
        effect = _effect(device, group)
        if key not in best or effect.best_seconds < best[key][1].best_seconds:
            best[key] = (group[0].record["case"], effect)
    return best


@dataclass(frozen=True)
class _Made:
    """A comparison as a run made it."""

    key: Key
    run: Run
    record: Record
    speedup: SpeedupRecord
    pays_seconds: float | None


def _comparisons(run: Run) -> Iterator[_Made]:
    """The comparisons of a run that an answer on one knob can rest on."""
    by_id = {record["case"]["id"]: record for record in run.records}
    tied = tied_families(run, by_id)
    for record in run.records:
        for speedup, baseline in answerable(record, by_id, record["case"]["family"] in tied):
            if speedup["knob"] == TOGETHER or speedup["knob"] not in KNOBS:
                continue
            if other_work(record, by_id.get(speedup["against"]), speedup):
                continue
            if compiles_beside_eager(record, baseline, speedup):
                continue
            key = (work_of(record["case"]), speedup["knob"], speedup["value"], speedup["baseline"])
            yield _Made(key, run, record, speedup, pay_off(record, baseline, speedup)["pays_seconds"])


def _effect(device: str, group: Sequence[_Made]) -> Effect:
    """A comparison of one case, pooled over the runs of a machine key: their visits together."""
    first = group[0]
    ratio, low, high, verdict = first.speedup["ratio"], first.speedup["low"], first.speedup["high"], ""
    if len(group) == 1:
        verdict = first.speedup["verdict"]
    else:
        of_runs = [ratios_of(one.speedup) for one in group]
        values = tuple(value for visits in of_runs for value in visits.values)
        errors = tuple(error for visits in of_runs for error in visits.errors)
        pooled = estimate(Visits(values, errors), prior_of(first.run))
        known = pooled.half_width < MAX_LOG
        ratio = math.exp(pooled.point)
        low, high = (math.exp(pooled.low), math.exp(pooled.high)) if known else (None, None)
        sure = known and not any(verdict_withheld(one.record) for one in group)
        verdict = side_of(pooled.low, pooled.high, first.speedup["threshold"]) if sure else "unclear"
    seconds = [one.record["timing"]["seconds"] for one in group]
    waits = [one.pays_seconds for one in group if one.pays_seconds is not None]
    return Effect(
        device,
        ratio,
        low,
        high,
        verdict,
        min(second * min(1.0, ratio) for second in seconds),
        max(waits, default=None),
    )
