"""Makes flat tables of a run for other programs: cases, comparisons, samples, and what was not measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from torchduet.bench.record.duets.sides import from_new
from torchduet.bench.record.duets.sides import sides as sides_of
from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.marks import FLOAT64
from torchduet.bench.record.schema import Record
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.run_file import Run
from torchduet.reports.read.several import machine_of
from torchduet.reports.tables import flat_ranks
from torchduet.reports.tables.flat_columns import COLUMNS
from torchduet.reports.tables.frames import Frames, frames
from torchduet.reports.tables.steadiness import steadiness
from torchduet.reports.tables.visits import number_of_visits, visit_numbers

TEXTS = (
    *("checked", "held_against", "computes_in", "notes", "marks"),
    *("cpu", "gpu", "torch", "python", "commit", "noise", "group", "verdict", "kernel_verdict", "against"),
    *("bound_by", "clock"),
    *flat_ranks.TEXTS,
)
WHOLE = (
    *(knob.name for knob in KNOBS if knob.numeric),
    *("peak_bytes", "recompilations", "visits", "placements", "blocks", "calls_per_block"),
    *flat_ranks.WHOLE,
)
SIZE = "size_"  # + the axis: a column for each axis of the run's workloads


def table_of(run: Run, name: str, tables: Frames | None = None) -> pd.DataFrame:
    """One of the tables in ``torchduet.reports.tables.flat_columns.COLUMNS``, its columns in that order.

    Every row begins with the run's file and start, so that tables of several runs can be concatenated.

    Args:
        tables: the run's tables, if they exist already.

    Raises:
        KeyError: there is no such table.
    """
    if name in ("cases", "comparisons"):
        tables = tables or frames(run)
        table = _cases(run, tables) if name == "cases" else _comparisons(run, tables)
    else:
        table = {"samples": _samples, "unmeasured": _unmeasured}[name](run)
    table = table.reset_index(drop=True)
    table.insert(0, "run", _constant(run.name, len(table)))
    table.insert(1, "started", _constant(run.about["started"], len(table)))
    table.insert(
        2, "machine", _constant("" if isinstance(run, PytestBenchmarkRun) else machine_of(run).key, len(table))
    )
    table = table[_in_order(table, name)]
    untyped = [str(column) for column in table if table[column].dtype == object]
    return table.assign(**{column: _column(table[column], column) for column in untyped})


def table_of_all(runs: Sequence[Run], name: str) -> pd.DataFrame:
    """One of the tables with the rows of all machines in a file, one after the other.

    Args:
        runs: of each machine.

    Raises:
        KeyError: there is no such table.
    """
    tables = [table_of(run, name) for run in runs]
    if len(tables) == 1:
        return tables[0]
    whole = pd.concat(
        [table.astype(dict.fromkeys(("started", "machine"), "str")) for table in tables], ignore_index=True
    )
    return whole[_in_order(whole, name)]


def _in_order(table: Iterable[Any], name: str) -> list[str]:
    """The columns that a table has, in the order in which they are described."""
    order = list(COLUMNS[name])
    columns = [str(column) for column in table]
    if axes := [column for column in columns if column.startswith(SIZE)]:
        position = order.index(f"{SIZE}*")
        order[position : position + 1] = axes
    return [column for column in order if column in columns]


def _cases(run: Run, tables: Frames) -> pd.DataFrame:
    cases = tables.cases.drop(columns=["anchor"])
    sizes = _axes([record["case"]["size"] for record in run.records])
    cases = cases.drop(columns=["sizes"]).rename(
        columns={"low": "seconds_low", "high": "seconds_high", "ratio_low": "low", "ratio_high": "high"}
    )
    more = pd.DataFrame({name: _column(values, name) for name, values in _more(run).items()} | sizes, index=cases.index)
    for knob in KNOBS:
        if knob.numeric:
            cases[knob.name] = _column([int(number) if number else None for number in cases[knob.name]], knob.name)
    return pd.concat([cases, more], axis=1)


def _more(run: Run) -> dict[str, list[Any]]:
    """The columns of cases beside their times and speed-ups."""
    machine = run.about["machine"]
    records = run.records
    columns: dict[str, list[Any]] = {
        "commit": [run.commit] * len(records),
        **{key: [machine.get(key)] * len(records) for key in ("cpu", "gpu", "torch", "python")},
        "visits": [number_of_visits(record) or None for record in records],
        "placements": [len(record["timing"]["blocks"]) for record in records],
        "blocks": [sum(map(len, record["timing"]["blocks"])) for record in records],
        "calls_per_block": [record["timing"]["calls_per_block"] for record in records],
        "clock": [record["timing"]["clock"] for record in records],
        "first_call_seconds": [record["first_call"]["seconds"] for record in records],
        "cold_start_seconds": [_compiled(record).get("warm_start", {}).get("cold") for record in records],
        "warm_start_seconds": [_compiled(record).get("warm_start", {}).get("seconds") for record in records],
        "recompilations": [_compiled(record).get("sizes", {}).get("recompilations") for record in records],
        "relative_error": [record["check"]["relative_error"] for record in records],
        "checked": [record["check"]["what"] for record in records],
        "held_against": [_held_against(record) for record in records],
        "computes_in": [record["check"].get("computes_in") for record in records],
        "notes": ["; ".join(record["notes"]) or None for record in records],
        "peak_bytes": [record.get("peak_bytes") for record in records],
        "joules": [record.get("energy", {}).get("joules") for record in records],
        **{name: [record["timing"].get(name) for record in records] for name in ("device_seconds", "host_seconds")},
        **{
            f"sustained_{name}": [record.get("sustained", {}).get(name) for record in records]
            for name in ("seconds", "watts", "sm_mhz")
        },
        "noise": [record.get("noise", {}).get("grade") for record in records],
        **flat_ranks.columns(run),
    }
    if (duet := run.about.get("against")) is not None:
        of_new = [record["against"] for record in from_new(duet, records)]
        columns |= {
            "base_seconds": [of["base_seconds"] for of in of_new],
            "new_seconds": [of["seconds"] for of in of_new],
        }
    if isinstance(run, PytestBenchmarkRun):
        columns |= _pytest_benchmark_columns(run)
    return columns


def _compiled(record: Record) -> Mapping[str, Any]:
    return record["compile"] or {}


def _held_against(record: Record) -> str | None:
    check = record["check"]
    return None if check["what"] == "nothing" else check.get("held_against", FLOAT64)


def _pytest_benchmark_columns(run: PytestBenchmarkRun) -> dict[str, list[Any]]:
    """The columns from pytest-benchmark; no placements, as batches of rounds are no measurements of their own."""
    graded = [steadiness(record, benchmark) for record, benchmark in zip(run.records, run.benchmarks, strict=True)]
    stats = [benchmark.stats for benchmark in run.benchmarks]
    return {
        "group": [benchmark.group for benchmark in run.benchmarks],
        "placements": [None] * len(stats),
        "blocks": [recorded.get("rounds") for recorded in stats],
        **{
            f"{name}_seconds": [recorded.get(name) for recorded in stats]
            for name in ("min", "q1", "q3", "mean", "stddev")
        },
        "steadiness": [steady.grade for steady in graded],
        "drift": [steady.drift for steady in graded],
    }


def _comparisons(run: Run, tables: Frames) -> pd.DataFrame:
    comparisons = tables.comparisons.drop(columns=["anchor", "seconds", "baseline_seconds"]).rename(
        columns={"first_call": "first_call_seconds", "warm_start": "warm_start_seconds"}
    )
    comparisons["workload"] = [name.rpartition(".")[2] for name in comparisons["workload"]]
    visits = [None if pd.isna(number) else int(number) for number in comparisons["visits"]]
    comparisons["visits"] = _column(visits, "visits")
    duet = run.about.get("against")
    if duet is None:
        return comparisons
    of = sides_of(duet)
    sides = [
        {
            "knob": "side",
            "value": of.new_side["label"],
            "baseline": of.base_side["label"],
            **{key: record["case"][key] for key in ("id", "suite", "workload")},
            "name": record["case"]["id"],
            **{key: record["against"][key] for key in ("ratio", "low", "high", "threshold", "confidence", "verdict")},
            "placements": record["against"]["pairs"],
        }
        for record in from_new(duet, run.records)
    ]
    duets = pd.DataFrame(sides, columns=list(comparisons.columns))
    return pd.concat([comparisons, duets], ignore_index=True) if len(comparisons) else duets


def _samples(run: Run) -> pd.DataFrame:
    """A row per timed block, in the order taken; a few columns of numbers, as there may be millions of rows."""
    parts = [part for index, record in enumerate(run.records) for part in _blocks(run, index, record)]
    ids = [record["case"]["id"] for record in run.records]
    codes = np.concatenate(
        [np.full(len(part[2]), part[0], dtype=np.int32) for part in parts] or [np.zeros(0, np.int32)]
    )
    sides = np.concatenate([np.full(len(part[2]), part[1], dtype=np.int8) for part in parts] or [np.zeros(0, np.int8)])
    visits, placements, rounds, seconds = (
        np.concatenate([part[position] for part in parts]) if parts else np.zeros(0, dtype)
        for position, dtype in ((5, np.int64), (2, np.int64), (3, np.int64), (4, np.float64))
    )
    return pd.DataFrame(
        {
            "id": pd.Categorical.from_codes(codes, categories=pd.Index(ids, dtype="str")),
            "side": pd.Categorical.from_codes(sides, categories=pd.Index(["", *_roles(run)], dtype="str")),
            "visit": pd.arrays.IntegerArray(visits.astype(np.int64), visits == 0),
            "placement": placements,
            "round": rounds,
            "seconds": seconds,
        }
    )


def _roles(run: Run) -> tuple[str, str]:
    """What the sides of a duet are, in the order of the file: ``base`` and ``new``; of a knob the other way round."""
    duet = run.about.get("against")
    return ("new", "base") if duet is not None and sides_of(duet).knob else ("base", "new")


def _blocks(run: Run, index: int, record: Record) -> Iterator[tuple[int, int, Any, Any, Any, Any]]:
    """(case, side, placements, rounds, seconds, visits) of each of a record's lists of blocks; visit 0: none."""
    if isinstance(run, PytestBenchmarkRun):
        if run.benchmarks[index].has_rounds:
            data = np.fromiter(itertools.chain.from_iterable(record["timing"]["blocks"]), np.float64)
            ones = np.ones(len(data), np.int64)
            yield index, 0, ones, np.arange(1, len(data) + 1), data, np.zeros_like(ones)
        return
    own = record["timing"]["blocks"]
    lists: list[tuple[int, Sequence[Sequence[float]], Any]] = [(0, own, visit_numbers(record))]
    if "against" in record:
        sides = record["against"]["base_blocks"], record["against"]["blocks"]
        lists += [(side, blocks, np.zeros(len(blocks), np.int64)) for side, blocks in enumerate(sides, 1)]
    for side, blocks, visits in lists:
        lengths = [len(rounds) for rounds in blocks]
        placements = np.repeat(np.arange(1, len(blocks) + 1), lengths)
        rounds = np.concatenate([np.arange(1, length + 1) for length in lengths] or [np.zeros(0, np.int64)])
        seconds = np.fromiter(itertools.chain.from_iterable(blocks), np.float64)
        yield index, side, placements, rounds, seconds, np.repeat(visits, lengths)


def _constant(text: str, rows: int) -> Any:
    """One text in every row, stored once."""
    if not rows:
        return pd.Series([], dtype="str")
    return pd.Categorical.from_codes(np.zeros(rows, np.int8), categories=pd.Index([text], dtype="str"))


def _unmeasured(run: Run) -> pd.DataFrame:
    rows = [(entry["case"]["id"], "failed", entry["reason"]) for entry in run.about["failed"]]
    rows += [(entry["case"]["id"], "skipped", entry["reason"]) for entry in run.about["skipped"]]
    rows += [(case, "unreached", "the run ended before its turn") for case in run.about.get("unreached", [])]
    return pd.DataFrame(rows, columns=["id", "status", "reason"], dtype="str")


def _axes(sizes: Sequence[Mapping[str, Any]]) -> dict[str, pd.Series]:
    """A column per axis of any workload, empty where a case's workload lacks the axis."""
    names = dict.fromkeys(itertools.chain.from_iterable(sizes))
    return {f"{SIZE}{name}": _column([size.get(name) for size in sizes]) for name in names}


def _column(values: Iterable[Any], name: str = "") -> pd.Series:
    """A column of truth values, whole numbers, numbers or text, whichever holds all values; None is missing.

    A column without values is one of numbers, unless its name is one of ``TEXTS``.
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
