"""``torchduet export``: writes a run's tables as CSV or Parquet, for notebooks, databases and spreadsheets."""

from __future__ import annotations

import argparse
import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchduet.reports.commands import machine_option
from torchduet.reports.tables.csv import as_csv
from torchduet.reports.tables.flat_columns import COLUMNS, described
from torchduet.reports.text.escaping import visible
from torchduet.reports.text.refusal import refuse, say
from torchduet.suites.extras import install

if TYPE_CHECKING:
    import pandas as pd

    from torchduet.reports.read.run_file import Run

FORMATS = ("csv", "parquet")
EPILOG = (
    "Times are in seconds, sizes in bytes; a ratio above 1 means faster. --columns describes each column. In CSV, text "
    "that a spreadsheet would run as a formula (it begins with = + - @ or a tab) gets a ' before it; in Parquet it is "
    "unchanged. Exit code 2: the run's file cannot be used, or the table cannot be written."
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
        "run", metavar="RUN", help="JSON file of `torchduet run --benchmark-json RUN`, or of any pytest-benchmark"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="FILE.csv or FILE.parquet; - for CSV to stdout (default: -)"
    )
    parser.add_argument("--table", choices=tuple(COLUMNS), default="cases", help="which table (default: cases)")
    parser.add_argument("--columns", action=_Columns, nargs=0, help="describe the columns, and exit")
    machine_option.add_to(parser)
    parser.set_defaults(command=run)


class _Columns(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(described(), end="")
        parser.exit()


def run(options: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    from torchduet.reports.read.pytest_benchmark import load_all_of_any, load_any
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import OutputError, check_places, write, write_stdout

    to_stdout = options.output == "-"
    try:
        kind = "csv" if to_stdout else _format(options.output)
        check_places({"-o": options.output}, [options.run], f"{options.table}.csv")
        runs = [load_any(options.run, options.machine)] if options.machine else load_all_of_any(options.run)
        for loaded in runs:
            _check(loaded, options)
    except (OutputError, RunFileError, ExportError) as error:
        return refuse(error)

    from torchduet.reports.tables.flat import table_of_all

    table = table_of_all(runs, options.table)
    try:
        if to_stdout:
            text = as_csv(table)
            write_stdout(visible(text) if sys.stdout is not None and sys.stdout.isatty() else text)
        else:
            write(as_csv(table) if kind == "csv" else as_parquet(table), options.output, f"{options.table}.csv")
            print(options.output)
    except OutputError as error:
        return refuse(error)
    for line in _left_out(runs[0], options.table):
        say(f"note: {line}")
    return 0


class ExportError(Exception):
    """A table that cannot be exported; the message is one line: what, why, what to do."""


def as_parquet(table: pd.DataFrame) -> bytes:
    """The table as a Parquet file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def _format(output: str) -> str:
    """``csv`` or ``parquet``, by the file's name.

    Raises:
        ExportError: the name ends in neither, or pyarrow is needed and not installed.
    """
    kind = Path(output).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ExportError(
            f"{output}: its name ends in neither .csv nor .parquet; name it FILE.csv or FILE.parquet with -o"
        )
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise ExportError(f"{output}: Parquet needs pyarrow: {install('parquet', 'pyarrow')}, or name it FILE.csv")
    return kind


def _check(loaded: Run, options: argparse.Namespace) -> None:
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun

    if isinstance(loaded, PytestBenchmarkRun) and options.table == "comparisons":
        raise ExportError(
            f"{options.run}: pytest-benchmark compares nothing; choose --table cases, samples or unmeasured"
        )
    if (
        isinstance(loaded, PytestBenchmarkRun)
        and options.table == "samples"
        and not any(benchmark.has_rounds for benchmark in loaded.benchmarks)
    ):
        raise ExportError(
            f"{options.run}: holds no rounds, only a summary (--benchmark-save-data keeps them); choose --table cases"
        )


def _left_out(loaded: Run, table: str) -> list[str]:
    """Notes on what the table leaves out of the run, a line each."""
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun

    notes = []
    if isinstance(loaded, PytestBenchmarkRun) and table == "samples":
        number, total = sum(not benchmark.has_rounds for benchmark in loaded.benchmarks), len(loaded.benchmarks)
        if number:
            hold, are = ("holds", "is") if number == 1 else ("hold", "are")
            notes.append(f"{number} of {total} benchmarks {hold} no rounds and {are} not in this table")
    if number := loaded.other_benchmarks:
        benchmarks = "benchmark" if number == 1 else "benchmarks"
        are = "is" if number == 1 else "are"
        notes.append(f"{number} {benchmarks} in the file {are} not Torchduet's and {are} not in this table")
    return notes
