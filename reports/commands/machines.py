"""``torchduet machines``: puts runs on several machines side by side: which machine for what, at which price."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torchduet.bench.files.collecting import without_collecting
from torchduet.reports.text.refusal import refuse, say

if TYPE_CHECKING:
    from torchduet.reports.machines.prices import Prices
    from torchduet.reports.read.run_file import Run

EPILOG = (
    "Prices of an hour are read from the nearest pyproject.toml under [tool.torchduet.prices], e.g. "
    '"NVIDIA H200" = 3.5 and currency = "EUR"; a name is a machine\'s key, or whole words of the name of its GPU or, '
    "without one, of its CPU. Exit code: 0; 2 if a file cannot be used, two files are the same run, or the page cannot "
    "be written."
)
A_DUET = "{path}: is a duet of two sides on one machine; name runs of one side"


class NotMachines(Exception):
    """Valid files that cannot be put side by side; the message is one line: which, why, what to do."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "machines",
        help="which machine for what: runs on several machines side by side, with prices and energy",
        usage="%(prog)s [options] RUN [RUN ...]",
        description="Puts runs on several machines side by side: which is the fastest, costs least and needs least "
        "energy for what, and which knobs pay on which. Runs of one machine key share a column.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="JSON files of `torchduet run --benchmark-json RUN`, or of several machines by `torchduet merge`",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="also write one self-contained HTML page (default: none)"
    )
    parser.add_argument(
        "--markdown", metavar="FILE", help="write a summary as Markdown, at most 60 lines; - for stdout, for the text"
    )
    parser.add_argument(
        "--base",
        metavar="MACHINE",
        help="the machine that ratios are held against, by its key or a part of its name (default: that of the first "
        "run)",
    )
    parser.add_argument(
        "--prices", metavar="FILE", help="pyproject.toml with the prices (default: the nearest one; - for none)"
    )
    parser.set_defaults(command=run)


@without_collecting()
def run(options: argparse.Namespace) -> int:
    """Print and write which machine is for what; returns the exit code."""
    from torchduet.reports.machines.columns import NoSuchMachine
    from torchduet.reports.machines.comparison import comparison
    from torchduet.reports.read.pyproject import PyprojectError
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import OutputError, attempt, check_places, write_stdout

    try:
        check_places({"-o": options.output, "--markdown": options.markdown}, options.runs, "machines.html")
        prices = prices_for(options.prices)
        of = comparison(_runs(options.runs), prices, options.base)
        unwritten = []
        if options.output is not None:
            from torchduet.reports.machines.page import render

            unwritten.append(attempt(render(of), options.output))
        if options.markdown is not None:
            from torchduet.reports.machines.brief import markdown

            unwritten.append(attempt(markdown(of), options.markdown))
        if options.markdown != "-":
            from torchduet.reports.machines.text import terminal

            write_stdout(terminal(of) + "\n")
    except (OutputError, RunFileError, PyprojectError, NoSuchMachine, NotMachines) as error:
        return refuse(error)
    for note in of.notes():
        say(f"note: {note}")
    refused = [refuse(error) for error in unwritten if error is not None]
    return refused[0] if refused else 0


def _runs(paths: list[str]) -> list[Run]:
    """The runs in the files.

    Raises:
        RunFileError: a file cannot be used.
        NotMachines: a file is a duet, or two are the same run.
    """
    from torchduet.reports.commands.compare import unique_names
    from torchduet.reports.commands.duet_alone import is_duet
    from torchduet.reports.compare.identity import sameness
    from torchduet.reports.read.run_file import load_all

    named = zip(paths, unique_names(paths), strict=True)
    runs = [(path, replace(run, name=name)) for path, name in named for run in load_all(path)]
    for path, run in runs:
        if is_duet(run):
            raise NotMachines(A_DUET.format(path=path))
    if same := sameness(runs):
        raise NotMachines(f"{same}; leave one of them out")
    return [run for _, run in runs]


def prices_for(given: str | None) -> Prices:
    """The prices in the file that is named, else in the nearest ``pyproject.toml``.

    Raises:
        PyprojectError: the file cannot be used, or a price in it.
    """
    from torchduet.reports.machines.prices import TABLE, PriceError, Prices, prices_of
    from torchduet.reports.read.pyproject import nearest_pyproject, working_folder

    if given == "-":
        return Prices()
    if given is None:
        nearest = nearest_pyproject(working_folder())
        return prices_of(nearest) if nearest else Prices()
    prices = prices_of(Path(given))
    if not prices.per_hour:
        raise PriceError(f'{given}: has no price in [{TABLE}]; write e.g. "NVIDIA H200" = 3.5')
    return prices
