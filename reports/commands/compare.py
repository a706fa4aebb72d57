"""``torchduet compare``: compares finished runs with a base, prints or writes the result, and sets the exit code."""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torchduet.reports.compare.thresholds import (
    DEFAULT,
    ThresholdError,
    Thresholds,
    fraction,
    globs_of,
    nearest_pyproject,
)
from torchduet.reports.text.escaping import visible
from torchduet.reports.text.refusal import refuse

if TYPE_CHECKING:
    from torchduet.reports.compare.comparison import Comparison
    from torchduet.reports.html.helper_process import Helper
    from torchduet.reports.read.run_file import Run

SLOWER, NO_VERDICT = 1, 3
BASE_HELP = "JSON file of `torchduet run --benchmark-json BASE`, or pytest-benchmark's own if all files are"
NOT_ALIKE = (
    "this file and {} are of two kinds, pytest-benchmark's own and Torchduet's; they time differently (rounds in one "
    "stretch, blocks in alternation), so a difference may come from the method alone: compare files of one kind"
)
EPILOG = (
    "Exit code: 0; with --fail-on slower, 1 if any case of any run is slower, or all cases of a run are by a common "
    "factor that no pilot explains by the machine; with --fail-on unclear, 1 also if any case is unclear; with "
    "--fail-on all-slower, 1 if all cases of a run are slower by a common factor, whatever the cause; with --fail-on, "
    "3 if it is not 1 and no verdict is possible on any case of a run, as none would be called slower if it took 1.5 "
    "times as long; 2 if a file cannot be used, no case is in both runs, two files are the same run, or the page "
    "cannot be written. Thresholds by case are read from the nearest pyproject.toml under "
    '[tool.torchduet.compare.thresholds], e.g. "* bf16" = "10%"; the last glob that matches a case\'s id counts.'
)


class NothingToCompare(Exception):
    """Valid files that cannot be compared; the message is one line: which, why, what to do."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="compare finished runs with a base: what became slower, what faster",
        description="Compares finished runs with the first, the base: what became slower or faster, and how surely.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("base", metavar="BASE", help=BASE_HELP)
    parser.add_argument("new", metavar="NEW", nargs="+", help="JSON files of the runs to compare with it")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="also write one self-contained HTML page (default: none)"
    )
    parser.add_argument(
        "--format", choices=("text", "markdown"), default="text", help="what is printed (default: text)"
    )
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="write a summary of the comparison as Markdown, at most 60 lines; - for stdout, in place of the text",
    )
    parser.add_argument(
        "--fail-on",
        choices=("slower", "unclear", "all-slower"),
        help="exit with 1 if any case is slower or the whole run is, unless the pilots say that it is the machine; "
        "unclear: also if any case is unclear; all-slower: only if the whole run is, whatever the cause; exit with 3 "
        "if no verdict is possible (default: never)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="list each case that only one run has (default: one line for each reason)",
    )
    parser.add_argument(
        "--threshold",
        metavar="SHARE",
        type=_threshold,
        default=DEFAULT,
        help="a change must exceed this to matter, e.g. 3%% or 0.03, unless pyproject.toml sets another (default: 5%%)",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code."""
    from torchduet.reports.html.helper_process import helper
    from torchduet.reports.read.pytest_benchmark import load_any
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import OutputError, refuse_overwrite

    paths = [options.base, *options.new]
    written = [path for path in (options.output, options.markdown) if path not in (None, "-")]
    # Reading creates millions of objects, hardly any in cycles: looking for cycles would take longer than reading.
    gc.disable()
    try:
        for output, path in itertools.product(written, paths):
            refuse_overwrite(output, path)
        if len({Path(path).absolute() for path in written}) < len(written):
            raise OutputError(f"{options.output}: is given for both the page and the Markdown; choose two files")
        pyproject = nearest_pyproject(Path.cwd())
        thresholds = Thresholds(options.threshold, globs_of(pyproject) if pyproject else ())
        with helper(sum(map(_size, paths)) if options.output else 0) as helper_process:
            runs = [replace(load_any(path), name=name) for path, name in zip(paths, unique_names(paths), strict=True)]
            return _compare(options, runs, thresholds, helper_process)
    except (OutputError, RunFileError, ThresholdError, NothingToCompare) as error:
        return refuse(error)
    finally:
        gc.enable()


def _compare(options: argparse.Namespace, runs: Sequence[Run], thresholds: Thresholds, helper: Helper) -> int:
    from torchduet.reports.compare.brief import markdown
    from torchduet.reports.compare.identity import sameness
    from torchduet.reports.compare.match import compare
    from torchduet.reports.compare.text import terminal
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
    from torchduet.reports.text.output import write, write_stdout

    paths = [options.base, *options.new]
    for run, path in zip(runs, paths, strict=True):
        if isinstance(run, PytestBenchmarkRun) != isinstance(runs[0], PytestBenchmarkRun):
            raise NothingToCompare(f"{path}: {NOT_ALIKE.format(options.base)}")
    if same := sameness(list(zip(paths, runs, strict=True))):
        raise NothingToCompare(f"{same}, so there is nothing to compare; leave one of them out, or measure again")
    comparisons = compare(runs[0], runs[1:], thresholds)
    for comparison, path in zip(comparisons, options.new, strict=True):
        if not comparison.judged:
            raise NothingToCompare(
                f"{path}: has no case in common with {options.base}; run the same suites and tier in both"
            )
    if options.output is not None:
        from torchduet.reports.compare.page import render

        write(render(comparisons, thresholds.default, helper), options.output)
    if options.markdown not in (None, "-"):
        write(markdown(comparisons), options.markdown)
    if options.format == "markdown" or options.markdown == "-":
        write_stdout(markdown(comparisons))
    else:
        write_stdout(terminal(comparisons, verbose=options.verbose) + "\n")
    return _exit_code(comparisons, options.fail_on)


def _exit_code(comparisons: Sequence[Comparison], fail_on: str | None) -> int:
    """The exit code that ``--fail-on`` asks for; what it does not count as slower is noted."""
    if fail_on is None or any(_fails(comparison, fail_on) for comparison in comparisons):
        return 0 if fail_on is None else SLOWER
    for comparison in comparisons:
        if comparison.common and comparison.common.slower:
            print(
                f"note: {visible(comparison.new.name)} is slower as a whole, and so is its machine by the pilots; "
                "--fail-on all-slower exits with 1 for that",
                file=sys.stderr,
            )
    unknown = [comparison for comparison in comparisons if _unknown(comparison, fail_on)]
    for comparison in unknown:
        print(
            f"note: no verdict is possible on any case of {visible(comparison.new.name)}, so nothing is known of "
            f"slow-downs: exit code {NO_VERDICT}",
            file=sys.stderr,
        )
    return NO_VERDICT if unknown else 0


def _unknown(comparison: Comparison, fail_on: str) -> bool:
    """Whether a comparison cannot answer what ``--fail-on`` asks: no case can have a verdict, nor is there one on all.

    A run that is faster as a whole answers. One that is slower as a whole, and so is its machine, hides whether any
    case is slower by its code.
    """
    whole = comparison.common is not None and (fail_on == "all-slower" or not comparison.common.slower)
    return comparison.blind and not whole


def _fails(comparison: Comparison, fail_on: str) -> bool:
    """Whether ``--fail-on`` counts this comparison."""
    common = comparison.common if comparison.common and comparison.common.slower else None
    if fail_on == "all-slower":
        return common is not None
    failing = ("slower", "unclear") if fail_on == "unclear" else ("slower",)
    return bool(common and not common.by_machine) or any(comparison.of(verdict) for verdict in failing)


def _size(path: str) -> int:
    """The size of a file in bytes; 0 if it cannot be read, which its reader reports."""
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0


def _threshold(text: str) -> float:
    try:
        return fraction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def unique_names(paths: Sequence[str]) -> list[str]:
    """The names of runs: their files' names, with as many parent folders as make them differ."""
    parts = [Path(path).parts for path in paths]
    for depth in range(1, max(map(len, parts))):
        names = ["/".join(folders[-depth:]) for folders in parts]
        if len(set(names)) == len(set(paths)):
            return names
    return list(paths)
