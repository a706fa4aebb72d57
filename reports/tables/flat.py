"""A run as flat tables for other programs: cases, comparisons, samples, and what was not measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import Record
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.flat_columns import COLUMNS
from torchduet.reports.tables.frames import Frames, frames
from torchduet.reports.tables.steadiness import steadiness

TEXTS = ("cpu", "gpu", "torch", "python", "commit", "noise", "group", "verdict", "against", "bound_by", "clock")
WHOLE = (*(knob.name for knob in KNOBS if knob.numeric), "peak_bytes", "placements", "blocks", "calls_per_block")
SIZE = "size_"  # + the axis: a column each, as many as the run's workloads have


def table_of(run: Run, name: str, tables: Frames | None = None) -> pd.DataFrame:
    """One of the tables in ``torchduet.reports.tables.flat_columns.COLUMNS``, its columns in that order.

    Every row begins with the run's file and start, so that tables of several runs can be put together.

    Args:
        tables: the run's, where they have been made already.

    Raises:
        KeyError: there is no such table.
    """
    if name in ("cases", "comparisons"):
        tables = tables or frames(run)
        made = _cases(run, tables) if name == "cases" else _comparisons(run, tables)
    else:
        made = {"samples": _samples, "unmeasured": _unmeasured}[name](run)
    made = made.reset_index(drop=True)
    made.insert(0, "run", _constant(run.name, len(made)))
    made.insert(1, "started", _constant(run.about["started"], len(made)))
    order = list(COLUMNS[name])
    axes = [str(column) for column in made if str(column).startswith(SIZE)]
    if axes:
        place = order.index(f"{SIZE}*")
        order[place : place + 1] = axes
    made = made[[column for column in order if column in made]]
    loose = [str(column) for column in made if made[column].dtype == object]
    return made.assign(**{column: _column(made[column], column) for column in loose})


def _cases(run: Run, tables: Frames) -> pd.DataFrame:
    found = tables.cases.drop(columns=["anchor"])
    sizes = _axes([record["case"]["size"] for record in run.records])
    found = found.drop(columns=["sizes"]).rename(
        columns={"low": "seconds_low", "high": "seconds_high", "ratio_low": "low", "ratio_high": "high"}
    )
    more = pd.DataFrame({name: _column(values, name) for name, values in _more(run).items()} | sizes, index=found.index)
    for knob in (one for one in KNOBS if one.numeric):
        found[knob.name] = _column([int(number) if number else None for number in found[knob.name]], knob.name)
    return pd.concat([found, more], axis=1)


def _more(run: Run) -> dict[str, list[Any]]:
    """What the report says of a case beside its times."""
    machine = run.about["machine"]
    records = run.records
    found: dict[str, list[Any]] = {
        "commit": [run.commit] * len(records),
        **{key: [machine.get(key)] * len(records) for key in ("cpu", "gpu", "torch", "python")},
        "placements": [len(record["timing"]["blocks"]) for record in records],
        "blocks": [sum(map(len, record["timing"]["blocks"])) for record in records],
        "calls_per_block": [record["timing"]["calls_per_block"] for record in records],
        "clock": [record["timing"]["clock"] for record in records],
        "first_call_seconds": [record["first_call"]["seconds"] for record in records],
        "relative_error": [record["check"]["relative_error"] for record in records],
        "peak_bytes": [record.get("peak_bytes") for record in records],
        "joules": [record.get("energy", {}).get("joules") for record in records],
        "noise": [record.get("noise", {}).get("grade") for record in records],
    }
    if isinstance(run, PytestBenchmarkRun):
        found |= _plain(run)
    return found


def _plain(run: PytestBenchmarkRun) -> dict[str, list[Any]]:
    """What pytest-benchmark says; the batches that stand in for placements are no measurements of their own."""
    steady = [steadiness(record, timed) for record, timed in zip(run.records, run.timed, strict=True)]
    stats = [timed.stats for timed in run.timed]
    return {
        "group": [timed.group for timed in run.timed],
        "placements": [None] * len(stats),
        "blocks": [one.get("rounds") for one in stats],
        **{f"{name}_seconds": [one.get(name) for one in stats] for name in ("min", "q1", "q3", "mean", "stddev")},
        "steadiness": [one.grade for one in steady],
        "drift": [one.drift for one in steady],
    }


def _comparisons(run: Run, tables: Frames) -> pd.DataFrame:
    found = tables.comparisons.drop(columns=["anchor"]).rename(columns={"first_call": "first_call_seconds"})
    found["workload"] = [name.rpartition(".")[2] for name in found["workload"]]
    duet = run.about.get("against")
    if duet is None:
        return found
    sides = [
        {
            "knob": "side",
            "value": duet["against"]["label"],
            "baseline": duet["base"]["label"],
            **{key: record["case"][key] for key in ("id", "suite", "workload")},
            "name": record["case"]["id"],
            **{key: record["against"][key] for key in ("ratio", "low", "high", "threshold", "confidence", "verdict")},
            "placements": record["against"]["pairs"],
        }
        for record in run.records
        if "against" in record
    ]
    duets = pd.DataFrame(sides, columns=list(found.columns))
    return pd.concat([found, duets], ignore_index=True) if len(found) else duets


def _samples(run: Run) -> pd.DataFrame:
    """A row per timed block, in the order taken; of millions, a few columns of numbers and no more."""
    parts = [part for place, record in enumerate(run.records) for part in _blocks(run, place, record)]
    ids = [record["case"]["id"] for record in run.records]
    codes = np.concatenate(
        [np.full(len(part[2]), part[0], dtype=np.int32) for part in parts] or [np.zeros(0, np.int32)]
    )
    sides = np.concatenate([np.full(len(part[2]), part[1], dtype=np.int8) for part in parts] or [np.zeros(0, np.int8)])
    placements, rounds, seconds = (
        np.concatenate([part[at] for part in parts]) if parts else np.zeros(0, kind)
        for at, kind in ((2, np.int64), (3, np.int64), (4, np.float64))
    )
    return pd.DataFrame(
        {
            "id": pd.Categorical.from_codes(codes, categories=pd.Index(ids, dtype="str")),
            "side": pd.Categorical.from_codes(sides, categories=pd.Index(["", "A", "B"], dtype="str")),
            "placement": placements,
            "round": rounds,
            "seconds": seconds,
        }
    )


def _blocks(run: Run, place: int, record: Record) -> Iterator[tuple[int, int, Any, Any, Any]]:
    """(case, side, placements, rounds, seconds) of each of a record's lists of blocks."""
    if isinstance(run, PytestBenchmarkRun):
        if run.timed[place].sampled:
            data = np.fromiter(itertools.chain.from_iterable(record["timing"]["blocks"]), np.float64)
            yield place, 0, np.ones(len(data), np.int64), np.arange(1, len(data) + 1), data
        return
    lists: list[tuple[int, Sequence[Sequence[float]]]] = [(0, record["timing"]["blocks"])]
    if "against" in record:
        lists += [(1, record["against"]["base_blocks"]), (2, record["against"]["blocks"])]
    for side, blocks in lists:
        lengths = [len(rounds) for rounds in blocks]
        placements = np.repeat(np.arange(1, len(blocks) + 1), lengths)
        rounds = np.concatenate([np.arange(1, length + 1) for length in lengths] or [np.zeros(0, np.int64)])
        yield place, side, placements, rounds, np.fromiter(itertools.chain.from_iterable(blocks), np.float64)


def _constant(text: str, rows: int) -> Any:
    """One text in every row, stored once."""
    if not rows:
        return pd.Series([], dtype="str")
    return pd.Categorical.from_codes(np.zeros(rows, np.int8), categories=pd.Index([text], dtype="str"))


def _unmeasured(run: Run) -> pd.DataFrame:
    rows = [(one["case"]["id"], "failed", one["reason"]) for one in run.about["failed"]]
    rows += [(one["case"]["id"], "skipped", one["reason"]) for one in run.about["skipped"]]
    rows += [(case, "unreached", "the run was stopped before its turn") for case in run.about.get("unreached", [])]
    return pd.DataFrame(rows, columns=["id", "status", "reason"], dtype="str")


def _axes(sizes: Sequence[Mapping[str, Any]]) -> dict[str, pd.Series]:
    """A column per axis that any workload has, empty where a case's has it not."""
    names = dict.fromkeys(itertools.chain.from_iterable(sizes))
    return {f"{SIZE}{name}": _column([size.get(name) for size in sizes]) for name in names}


def _column(values: Iterable[Any], name: str = "") -> pd.Series:
    """Truth values, whole numbers, numbers or text, whichever holds all; missing where there is None.

    A column of nothing is one of numbers, unless its name says text.
    """
    kept = [None if value is None or value is pd.NA or value != value else value for value in values]
    kinds = {type(value) for value in kept if value is not None}
    if kinds == {bool}:
        return pd.Series(kept, dtype="boolean")
    if kinds == {int} or (not kinds and name in WHOLE):
        return pd.Series(kept, dtype="Int64")
    if (kinds and kinds <= {int, float}) or (not kinds and name not in TEXTS):
        return pd.Series(kept, dtype="float64")
    return pd.Series([None if value is None else str(value) for value in kept], dtype="str")
