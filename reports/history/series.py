"""Builds the series of each machine from the rows of its runs, and computes the movement that its cases share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from torchduet.bench.record.machines.key import Machine, identity, machines, versions
from torchduet.reports.text.settings import FILTERS

Numbers = NDArray[np.float64]
MIN_OTHERS = 4  # other families whose median gives the machine's movement
USUAL = 0.5  # share of a family's runs that must have measured so many; else nothing is subtracted from any of its runs
DAY = 86400.0  # seconds
ROUNDS = 2  # of median polish


@dataclass(frozen=True)
class RunMark:
    """A run on the axis of a history.

    Attributes:
        when: seconds since 1970; NaN where the file has no such time.
        changed: versions that differ from those of the run before: name → (before, now).
    """

    path: str
    started: str
    when: float
    commit: str
    grade: str
    changed: Mapping[str, tuple[str, str]]

    @property
    def day(self) -> str:
        """``2026-01-05``; empty where it is not known."""
        return f"{datetime.fromtimestamp(self.when, UTC):%Y-%m-%d}" if math.isfinite(self.when) else ""

    def moment(self, *, of_one_day: bool) -> str:
        """Its day; among runs of one day its time, ``14:05``, of UTC like the day. Empty where it is not known."""
        if of_one_day and math.isfinite(self.when):
            return f"{datetime.fromtimestamp(self.when, UTC):%H:%M}"
        return self.day


def of_one_day(runs: Sequence[RunMark]) -> bool:
    """Whether several runs are of one day, so that their days do not tell them apart."""
    days = {run.when // DAY for run in runs if math.isfinite(run.when)}
    return len(runs) > 1 and len(days) == 1


@dataclass(frozen=True)
class CaseName:
    """The case of a series; ``filters`` are its values for the filters of the table."""

    id: str
    family: str
    suite: str
    device: str
    mode: str
    precision: str
    reference: bool
    filters: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class History:
    """All series of one machine; arrays are ``[case, run]``, NaN where a run did not measure a case.

    Attributes:
        seconds: per call; ``low`` and ``high`` are its 99 % interval within the run.
        speedup: over the family's reference, likewise; NaN where the reference is not that of the latest run.
        pilots: family → kind of pilot → log seconds per unit beside that family, by run.
    """

    machine: Machine
    runs: tuple[RunMark, ...]
    cases: tuple[CaseName, ...]
    seconds: Numbers
    low: Numbers
    high: Numbers
    speedup: Numbers
    speedup_low: Numbers
    speedup_high: Numbers
    pilots: Mapping[str, Mapping[str, Numbers]]


def histories(table: pa.Table) -> list[History]:
    """A history per machine, the one with the latest run first.

    Args:
        table: a row per run as in ``reader.Entry``, in the order of time.
    """
    texts = table["facts"].to_pylist()
    facts = {text: json.loads(text) for text in dict.fromkeys(texts)}
    machine_of = dict(zip(facts, machines([identity(run_facts) for run_facts in facts.values()]), strict=True))
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        rows.setdefault(machine_of[text].key, []).append(row)
    by_key = {machine.key: machine for machine in machine_of.values()}
    return [
        _history(by_key[key], table.take(pa.array(rows[key], pa.int64())), facts)
        for key in sorted(rows, key=lambda key: -rows[key][-1])
    ]


def _history(machine: Machine, table: pa.Table, facts: Mapping[str, Any]) -> History:
    ids = _flat(table, "case").dictionary_encode()
    lengths = np.diff(_lists(table, "case").offsets.to_numpy())
    cell = (ids.indices.to_numpy(), np.repeat(np.arange(len(table)), lengths))
    names = ids.dictionary.to_pylist()
    about = dict(zip(cell[0].tolist(), _flat(table, "about").to_pylist(), strict=True))  # as in the latest run
    reference = dict(zip(cell[0].tolist(), _flat(table, "reference").to_pylist(), strict=True))
    cases = tuple(_case_name(name, about[index], reference[index]) for index, name in enumerate(names))

    def grid(column: str) -> Numbers:
        values = np.full((len(names), len(table)), np.nan)
        values[cell] = _flat(table, column).to_numpy(zero_copy_only=False)
        return values

    against = np.full((len(names), len(table)), "", dtype=object)
    against[cell] = _flat(table, "against").to_pylist()
    over_another = _over_another(against)
    ratios = {name: np.where(over_another, np.nan, grid(name)) for name in ("speedup", "speedup_low", "speedup_high")}
    return History(
        machine=machine,
        runs=_marks(table, facts),
        cases=cases,
        seconds=grid("seconds"),
        low=grid("low"),
        high=grid("high"),
        **ratios,
        pilots=_pilots(table),
    )


def _over_another(against: Any) -> Any:
    """Where a case's reference is not that of its latest run, so that the speed-up is a different quantity."""
    latest = np.array([next((reference for reference in row[::-1] if reference), "") for row in against], dtype=object)
    return (against != "") & (against != latest[:, None])


def _case_name(name: str, about: str, reference: bool) -> CaseName:
    family, *values = json.loads(about)
    knobs = dict(zip(FILTERS, values, strict=True))
    return CaseName(name, family, knobs["suite"], knobs["device"], knobs["mode"], knobs["precision"], reference, knobs)


def _marks(table: pa.Table, facts: Mapping[str, Any]) -> tuple[RunMark, ...]:
    marks = []
    before: Mapping[str, str] = {}
    for row in table.select(["path", "started", "when", "commit", "grade", "facts"]).to_pylist():
        now = versions(facts[row["facts"]])
        changed = {name: (before[name], now[name]) for name in now if name in before and before[name] != now[name]}
        before = {**before, **now}
        when = np.nan if row["when"] is None else row["when"]
        marks.append(RunMark(row["path"], row["started"], when, row["commit"], row["grade"], changed))
    return tuple(marks)


def _pilots(table: pa.Table) -> Mapping[str, Mapping[str, Numbers]]:
    lengths = np.diff(_lists(table, "pilot_family").offsets.to_numpy())
    runs = np.repeat(np.arange(len(table)), lengths)
    pilots: dict[str, dict[str, Numbers]] = {}
    columns = (_flat(table, name).to_pylist() for name in ("pilot_family", "pilot_kind", "pilot_seconds"))
    for run, family, kind, seconds in zip(runs.tolist(), *columns, strict=True):
        kinds = pilots.setdefault(family, {})
        if kind not in kinds:
            kinds[kind] = np.full(len(table), np.nan)
        kinds[kind][run] = np.log(seconds)
    return pilots


def _lists(table: pa.Table, column: str) -> Any:
    return pa.concat_arrays(table[column].chunks) if table[column].num_chunks != 1 else table[column].chunk(0)


def _flat(table: pa.Table, column: str) -> Any:
    return _lists(table, column).flatten()


def common_movement(history: History) -> tuple[Numbers, Numbers, list[bool]]:
    """The machine's movement, by all other families and by all families of a device: logs of time, ``[case, run]``.

    The first is the median over all *other* families on the same device of the median over their cases, minus each
    case's own level (median polish, Tukey 1977, two rounds); so a family's own change is no part of it. It is 0 in all
    runs of a family if these usually measured fewer than four others, which is too few to tell the machine from them;
    otherwise it is NaN in a run that measured fewer than four. The second is the median over all families. The third
    says of each case whether enough other families measured the first.
    """
    logs = np.log(history.seconds)
    of_others, of_all, known = np.zeros_like(logs), np.zeros_like(logs), np.zeros(len(logs), bool)
    for device in dict.fromkeys(case.device for case in history.cases):
        rows = np.array([index for index, case in enumerate(history.cases) if case.device == device])
        families = [history.cases[row].family for row in rows]
        of_others[rows], of_all[rows], known[rows] = _without_each(logs[rows], families)
    return of_others, of_all, known.tolist()


def _without_each(logs: Numbers, families: Sequence[str]) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
    names = list(dict.fromkeys(families))
    members = [np.array([row for row, family in enumerate(families) if family == name]) for name in names]
    common = np.zeros(logs.shape[1])
    for _ in range(ROUNDS):
        level = median_of(logs - np.nan_to_num(common), axis=1)[:, None]
        by_family = np.array([median_of(logs[rows] - level[rows], axis=0) for rows in members])
        common = median_of(by_family, axis=0)
    of_others, known = np.zeros_like(logs), np.zeros(len(logs), bool)
    if len(names) <= MIN_OTHERS:
        return of_others, np.broadcast_to(common, logs.shape), known
    for index, rows in enumerate(members):
        rest = np.delete(by_family, index, axis=0)
        enough = np.isfinite(rest).sum(axis=0) >= MIN_OTHERS
        measured = np.isfinite(by_family[index])
        if enough[measured].mean() >= USUAL:
            of_others[rows] = np.where(enough, median_of(rest, axis=0), np.nan)
            known[rows] = True
    return of_others, np.broadcast_to(common, logs.shape), known


def pilots_together(history: History) -> dict[str, Numbers]:
    """Kind of pilot → by run, the median over families of its log time minus each family's own level."""
    kinds = dict.fromkeys(kind for pilots in history.pilots.values() for kind in pilots)
    medians = {}
    for kind in kinds:
        logs = np.array([pilots[kind] for pilots in history.pilots.values() if kind in pilots])
        medians[kind] = median_of(logs - median_of(logs, axis=1)[:, None], axis=0)
    return medians


def median_of(values: Numbers, axis: int) -> Numbers:
    """The median of the finite values; NaN where there is none.

    Sorting puts NaN last, so the count of finite values gives their middle. (numpy's own ``nanmedian`` takes ten times
    as long on such arrays.)
    """
    ordered = np.sort(values, axis=axis)
    count = np.isfinite(ordered).sum(axis=axis, keepdims=True)
    low, high = (np.maximum(index, 0) for index in ((count - 1) // 2, count // 2))
    high = np.minimum(high, values.shape[axis] - 1)
    middle = (np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis)) / 2
    return np.asarray(np.where(count > 0, middle, np.nan).squeeze(axis))
