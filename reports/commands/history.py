"""``torchduet history``: reads a folder of runs, judges each machine's history, prints what changed and writes it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from torchduet.reports.compare.thresholds import fraction
from torchduet.reports.text.refusal import refuse

if TYPE_CHECKING:
    from torchduet.bench.record.machines.key import Machine

THRESHOLD = 0.03
EPILOG = (
    "The folder and all folders in it are searched; of hidden folders, only pytest-benchmark's storage (.benchmarks) "
    "is. What was read is cached in torchduet-history.parquet there (in the "
    "user's cache if the folder cannot be written to), so only new runs are read next time; the file may be deleted at "
    "any time. Needs the packages of the extra `history`, and says how to install them. Exit code: 0; 2 if the folder "
    "cannot be read, holds no run, or the page cannot be written."
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "history",
        help="show what changed over many runs of a machine, and when",
        description="Shows what changed over many runs of one machine, and between which runs.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("folder", metavar="DIR", help="folder with JSON files of `torchduet run --benchmark-json`")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="history.html", help="where to write (default: history.html)"
    )
    parser.add_argument(
        "--machine", metavar="KEY", help="only this machine, by its key or a part of its name (default: all)"
    )
    parser.add_argument(
        "--threshold",
        metavar="SHARE",
        type=_threshold,
        default=THRESHOLD,
        help="a change must exceed this to matter, e.g. 5%% or 0.05 (default: 3%%)",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Make the report; returns the exit code."""
    from torchduet.reports.history.dependencies import DependencyMissing, require
    from torchduet.reports.text.output import OutputError, check_places, refuse_overwrite, write

    try:
        require()
    except DependencyMissing as error:
        return refuse(error)

    from torchduet.reports.history.collect import FolderError, collect
    from torchduet.reports.history.series import histories
    from torchduet.reports.html.helper_process import helper

    folder = Path(options.folder)
    try:
        check_places({"-o": options.output}, [], "history.html")
        collection = collect(folder)
        if Path(options.output).is_file():
            for path in collection.paths:
                refuse_overwrite(options.output, folder / path)
    except (FolderError, OutputError) as error:
        return refuse(error)
    by_machine = histories(collection.runs)
    selected = [history for history in by_machine if _matches(history.machine, options.machine)]
    if not selected:
        known = "; ".join(f"{history.machine.key} ({history.machine.label})" for history in by_machine)
        return refuse(f"--machine {options.machine}: no run in {folder} is of this machine; choose one of {known}")

    try:
        with helper(collection.runs.nbytes) as helper_process:
            from torchduet.reports.history.judge import judge
            from torchduet.reports.history.page import render
            from torchduet.reports.history.run_reports import beside
            from torchduet.reports.history.text import terminal

            judged = [judge(history, options.threshold, helper_process) for history in selected]
            reports = beside(folder, collection.runs["path"].to_pylist(), Path(options.output))
            write(render(collection, judged, options.threshold, helper_process, reports), options.output)
    except OutputError as error:
        return refuse(error)
    print(terminal(collection, judged))
    print(options.output)
    return 0


def _matches(machine: Machine, wanted: str | None) -> bool:
    return not wanted or machine.key == wanted.lower() or wanted.lower() in machine.label.lower()


def _threshold(text: str) -> float:
    try:
        value = fraction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if value < 0.001:
        raise argparse.ArgumentTypeError(
            "expected at least 0.1 %: smaller changes cannot be distinguished from rounding"
        )
    return value
