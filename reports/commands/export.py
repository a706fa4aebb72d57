"""``torchduet export``: a run's tables as CSV or Parquet, for a notebook, a database or a spreadsheet."""

from __future__ import annotations

import argparse
import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchduet.reports.tables.csv import as_csv
from torchduet.reports.tables.flat_columns import COLUMNS, described
from torchduet.reports.text.escaping import visible
from torchduet.reports.text.refusal import refuse

if TYPE_CHECKING:
    import pandas as pd

    from torchduet.reports.read.run_file import Run

FORMATS = ("csv", "parquet")
EPILOG = (
    "Times are seconds, sizes bytes, ratios above 1 mean faster; --columns says what each column holds. In CSV, text "
    "that a spreadsheet would run as a formula (it begins with = + - @ or a tab) gets a ' before it; Parquet has it as "
    "it is. Exit code 2: the run's file cannot be used, or the table cannot be written."
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "export",
        help="write a run's tables as CSV or Parquet",
        description="Writes a run as a table: its cases, comparisons, every timed block, or what was not measured.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "run", metavar="RUN", help="JSON file of `pytest bench/ --benchmark-json RUN`, or of plain ones"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="FILE.csv or FILE.parquet; - for CSV to stdout (default: -)"
    )
    parser.add_argument("--table", choices=tuple(COLUMNS), default="cases", help="which table (default: cases)")
    parser.add_argument("--columns", action=_Columns, nargs=0, help="say what the columns hold, and exit")
    parser.set_defaults(command=run)


class _Columns(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(described(), end="")
        parser.exit()


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    from torchduet.reports.read.pytest_benchmark import load_any
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import OutputError, keep_apart, say, write

    to_stdout = options.output == "-"
    try:
        kind = "csv" if to_stdout else _format(options.output)
        if not to_stdout:
            keep_apart(options.output, options.run)
        found = load_any(options.run)
        _check(found, options)
    except (OutputError, RunFileError, ExportError) as error:
        return refuse(error)

    from torchduet.reports.tables.flat import table_of

    table = table_of(found, options.table)
    try:
        if to_stdout:
            text = as_csv(table)
            say(visible(text) if sys.stdout.isatty() else text)
        else:
            write(as_csv(table) if kind == "csv" else as_parquet(table), options.output, f"{options.table}.csv")
            print(options.output)
    except OutputError as error:
        return refuse(error)
    for line in _left_out(found, options.table):
        print(f"note: {line}", file=sys.stderr)
    return 0


class ExportError(Exception):
    """What cannot be exported; the message is one line: what, why, what to do."""


def as_parquet(table: pd.DataFrame) -> bytes:
    """The table as a Parquet file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def _format(output: str) -> str:
    """``csv`` or ``parquet``, by the file's name.

    Raises:
        ExportError: by its name it is neither, or what is needed for it is not installed.
    """
    kind = Path(output).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ExportError(f"{output}: its name says neither CSV nor Parquet; name it FILE.csv or FILE.parquet with -o")
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise ExportError(f"{output}: Parquet needs pyarrow: pip install 'torchduet[parquet]', or name it FILE.csv")
    return kind


def _check(found: Run, options: argparse.Namespace) -> None:
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun

    if isinstance(found, PytestBenchmarkRun) and options.table == "comparisons":
        raise ExportError(
            f"{options.run}: plain pytest-benchmark compares nothing; there are --table cases, samples and unmeasured"
        )
    if (
        isinstance(found, PytestBenchmarkRun)
        and options.table == "samples"
        and not any(one.sampled for one in found.timed)
    ):
        raise ExportError(
            f"{options.run}: holds no rounds, only their summary (--benchmark-save-data keeps them); take --table cases"
        )


def _left_out(found: Run, table: str) -> list[str]:
    """What of the run is not in the table, a line each."""
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun

    said = []
    if (
        isinstance(found, PytestBenchmarkRun)
        and table == "samples"
        and (bare := sum(not one.sampled for one in found.timed))
    ):
        said.append(f"{bare} of {len(found.timed)} benchmarks hold no rounds and are not in this table")
    if found.others:
        said.append(f"{found.others} benchmarks in the file are not Torchduet's and are not in this table")
    return said
