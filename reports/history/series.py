"""From the rows of one machine's runs to series: a time and a speed-up per case and run, and what moved them all."""

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

from torchduet.reports.history.key import Machine, identity, machines, versions
from torchduet.reports.text.settings import FILTERS

Numbers = NDArray[np.float64]
MIN_OTHERS = 4  # families beside a family whose median says how far the machine moved
USUAL = 0.5  # the share of a family's runs that measured so many, for the others to be left out
ROUNDS = 2  # of median polish


@dataclass(frozen=True)
class RunMark:
    """A run as a place on the axis of a history.

    Attributes:
        when: seconds since 1970; NaN where the file does not say.
        changed: versions that are not those of the run before: name → (before, now).
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


@dataclass(frozen=True)
class CaseName:
    """Which case a series is of; ``filters`` are its values of what the table can be filtered by."""

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
        seconds: per call; ``low`` and ``high`` its 99 % interval within the run.
        speedup: over the family's reference, likewise; NaN where that was another one than in the latest run.
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
    homes = dict(zip(facts, machines([identity(one) for one in facts.values()]), strict=True))
    rows: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        rows.setdefault(homes[text].key, []).append(place)
    named = {machine.key: machine for machine in homes.values()}
    return [
        _history(named[key], table.take(pa.array(rows[key], pa.int64())), facts)
        for key in sorted(rows, key=lambda key: -rows[key][-1])
    ]


def _history(machine: Machine, table: pa.Table, facts: Mapping[str, Any]) -> History:
    ids = _flat(table, "case").dictionary_encode()
    lengths = np.diff(_lists(table, "case").offsets.to_numpy())
    cell = (ids.indices.to_numpy(), np.repeat(np.arange(len(table)), lengths))
    names = ids.dictionary.to_pylist()
    about = dict(zip(cell[0].tolist(), _flat(table, "about").to_pylist(), strict=True))  # as in the latest run
    reference = dict(zip(cell[0].tolist(), _flat(table, "reference").to_pylist(), strict=True))
    cases = tuple(_named(name, about[place], reference[place]) for place, name in enumerate(names))

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
    """Where a case was held against another reference than in its latest run: such a speed-up is another figure."""
    latest = np.array([next((one for one in row[::-1] if one), "") for row in against], dtype=object)
    return (against != "") & (against != latest[:, None])


def _named(name: str, about: str, reference: bool) -> CaseName:
    family, *values = json.loads(about)
    its = dict(zip(FILTERS, values, strict=True))
    return CaseName(name, family, its["suite"], its["device"], its["mode"], its["precision"], reference, its)


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
    found: dict[str, dict[str, Numbers]] = {}
    columns = (_flat(table, name).to_pylist() for name in ("pilot_family", "pilot_kind", "pilot_seconds"))
    for run, family, kind, seconds in zip(runs.tolist(), *columns, strict=True):
        kinds = found.setdefault(family, {})
        if kind not in kinds:
            kinds[kind] = np.full(len(table), np.nan)
        kinds[kind][run] = np.log(seconds)
    return found


def _lists(table: pa.Table, column: str) -> Any:
    return pa.concat_arrays(table[column].chunks) if table[column].num_chunks != 1 else table[column].chunk(0)


def _flat(table: pa.Table, column: str) -> Any:
    return _lists(table, column).flatten()


def common_movement(history: History) -> tuple[Numbers, Numbers]:
    """How far the machine moved, seen from each case, and all of each device: logs of time, ``[case, run]`` each.

    The first is the median over all *other* families on the same device of the median over their cases, after each
    case's own level is taken off (median polish, Tukey 1977, two rounds): a family's own change is no part of it.
    It is 0 throughout for a family beside which fewer than four others are usually measured, as nothing can be told
    apart there, and NaN in a run that measured fewer than usual. The second is the median over all families.
    """
    logs = np.log(history.seconds)
    others, everyone = np.zeros_like(logs), np.zeros_like(logs)
    for device in dict.fromkeys(case.device for case in history.cases):
        rows = np.array([place for place, case in enumerate(history.cases) if case.device == device])
        families = [history.cases[place].family for place in rows]
        found, common = _without_each(logs[rows], families)
        others[rows], everyone[rows] = found, common
    return others, everyone


def _without_each(logs: Numbers, families: Sequence[str]) -> tuple[Numbers, Numbers]:
    names = list(dict.fromkeys(families))
    members = [np.array([place for place, one in enumerate(families) if one == name]) for name in names]
    common = np.zeros(logs.shape[1])
    for _ in range(ROUNDS):
        left = logs - np.nan_to_num(common)
        level = median_of(left, axis=1)[:, None]
        by_family = np.array([median_of(logs[rows] - level[rows], axis=0) for rows in members])
        common = median_of(by_family, axis=0)
    others = np.zeros_like(logs)
    if len(names) <= MIN_OTHERS:
        return others, np.broadcast_to(common, logs.shape)
    for place, rows in enumerate(members):
        rest = np.delete(by_family, place, axis=0)
        seen = np.isfinite(rest).sum(axis=0)
        enough = seen >= MIN_OTHERS
        measured = np.isfinite(by_family[place])
        if enough[measured].mean() >= USUAL:
            others[rows] = np.where(enough, median_of(rest, axis=0), np.nan)
    return others, np.broadcast_to(common, logs.shape)


def pilots_together(history: History) -> dict[str, Numbers]:
    """Kind of pilot → by run, the median over families of its log time, after each family's own level is taken off."""
    kinds = dict.fromkeys(kind for pilots in history.pilots.values() for kind in pilots)
    found = {}
    for kind in kinds:
        logs = np.array([pilots[kind] for pilots in history.pilots.values() if kind in pilots])
        found[kind] = median_of(logs - median_of(logs, axis=1)[:, None], axis=0)
    return found


def median_of(values: Numbers, axis: int) -> Numbers:
    """The median of what is there; NaN where nothing is.

    Sorting puts NaN last, so that the middle of the finite values is found by their count (numpy's own ``nanmedian``
    takes ten times as long on such arrays).
    """
    ordered = np.sort(values, axis=axis)
    count = np.isfinite(ordered).sum(axis=axis, keepdims=True)
    low, high = (np.maximum(place, 0) for place in ((count - 1) // 2, count // 2))
    high = np.minimum(high, values.shape[axis] - 1)
    middle = (np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis)) / 2
    return np.asarray(np.where(count > 0, middle, np.nan).squeeze(axis))
