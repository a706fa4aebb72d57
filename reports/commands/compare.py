"""``torchduet compare``: compares finished runs with a base, or shows a duet; prints, writes, sets the exit code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torchduet.bench.files.collecting import without_collecting
from torchduet.reports.commands import machine_option
from torchduet.reports.compare.thresholds import DEFAULT, Thresholds, fraction, globs_of
from torchduet.reports.read.pyproject import PyprojectError, nearest_pyproject, working_folder
from torchduet.reports.text.refusal import refuse, say

if TYPE_CHECKING:
    from torchduet.reports.read.run_file import Run
    from torchduet.reports.text.output import OutputError

BASE_HELP = (
    "JSON file of `torchduet run --benchmark-json BASE`, or pytest-benchmark's own if all files are; a duet alone is "
    "shown with the result of its two sides"
)
NOT_ALIKE = (
    "this file and {} are of two kinds, pytest-benchmark's own and Torchduet's; they time differently (rounds in one "
    "stretch, blocks in alternation), so a difference may come from the method alone: compare files of one kind"
)
A_DUET = (
    "{path}: is a duet, which holds its own two sides; `torchduet compare {path}` shows their result, and runs of one "
    "side are compared with each other"
)
EPILOG = (
    "Exit code: 0; with --fail-on slower, 1 if any case of any run is slower, or all cases of a run are by a common "
    "factor that no pilot explains by the machine; with --fail-on unclear, 1 also if any case is unclear; with "
    "--fail-on all-slower, 1 if all cases of a run are slower by a common factor, whatever the cause; with --fail-on "
    "memory, 1 if a call of any case has a higher peak of memory, by more than 5 % and by 64 KiB or more; with "
    "--fail-on, 3 if it is not 1 and no verdict is possible on any case of a run, as none would be called slower if "
    "it took 1.5 times as long, or if memory was asked for and no case has its peak in both runs; 2 if a file cannot "
    "be used, no case is in both runs, two files are the same run, or the page cannot be written. A duet exits in the "
    "same way by the verdicts on its two sides, and has the threshold with which it was measured. Thresholds by case "
    "are read from the nearest pyproject.toml under [tool.torchduet.compare.thresholds], e.g. "
    '"* bf16" = "10%"; the last glob that matches a case\'s id counts.'
)


class NothingToCompare(Exception):
    """Valid files that cannot be compared; the message is one line: which, why, what to do."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="compare finished runs with a base: what became slower, what faster",
        usage="%(prog)s [options] BASE [NEW ...]",
        description="Compares finished runs with the first, the base: what became slower or faster, and how surely. "
        "Of a single file that holds a duet, shows the result of its two sides.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("base", metavar="BASE", help=BASE_HELP)
    new = parser.add_argument(
        "new", metavar="NEW", nargs="+", default=[], help="JSON files of the runs to compare with it"
    )
    new.required = False  # nargs="*" would refuse files after an option: `BASE --verbose NEW`
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
        metavar="GROUND,…",
        type=_grounds,
        default=(),
        help="slower: exit with 1 if any case is slower or the whole run is, unless the pilots say that it is the "
        "machine; unclear: also if any case is unclear; all-slower: if the whole run is slower, whatever the cause; "
        "memory: if any case needs more memory; several with commas: slower,memory; exit with 3 if no verdict is "
        "possible (default: never)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="list each case that only one run has (default: one line for each reason), or every case of a duet",
    )
    parser.add_argument(
        "--threshold",
        metavar="SHARE",
        type=_threshold,
        help="a change must exceed this to matter, e.g. 3%% or 0.03, unless pyproject.toml sets another (default: 5%%)",
    )
    machine_option.add_to(parser)
    parser.set_defaults(command=run)


@without_collecting()
def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code."""
    from torchduet.reports.commands.matching import NoCommonMachine, matched
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import OutputError, check_places

    paths = [options.base, *options.new]
    try:
        check_places({"-o": options.output, "--markdown": options.markdown}, paths)
        pyproject = nearest_pyproject(working_folder())
        threshold = DEFAULT if options.threshold is None else options.threshold
        thresholds = Thresholds(threshold, globs_of(pyproject) if pyproject else ())
        found, notes = matched(paths, options.machine)
        runs = [replace(run, name=name) for run, name in zip(found, unique_names(paths), strict=True)]
        for note in notes:
            say(f"note: {note}")
        if len(runs) == 1:
            return _alone(options, runs[0])
        return _compare(options, runs, thresholds)
    except (OutputError, RunFileError, PyprojectError, NothingToCompare, NoCommonMachine) as error:
        return refuse(error)


def _alone(options: argparse.Namespace, run: Run) -> int:
    """Show the two sides of a duet."""
    from torchduet.bench.record.duets.sides import from_new, of_gate
    from torchduet.reports.commands import duet_alone, fail_on
    from torchduet.reports.text.output import attempt, write_stdout

    if not duet_alone.is_duet(run):
        raise NothingToCompare(f"{options.base}: is a run of one side; name a second run to compare it with")
    if options.threshold is not None:
        raise NothingToCompare(
            f"--threshold: {options.base} is a duet, whose verdicts hold for the threshold with which it was "
            "measured; measure it again with that --threshold"
        )
    unwritten = []
    if options.output is not None:
        from torchduet.reports.html.run_page import render

        unwritten.append(attempt(render(run), options.output))
    to_stdout = options.format == "markdown" or options.markdown == "-"
    if options.markdown is not None or to_stdout:
        from torchduet.reports.markdown.run import markdown

        text = markdown(run)
        if options.markdown not in (None, "-"):
            unwritten.append(attempt(text, options.markdown))
    write_stdout(text if to_stdout else duet_alone.terminal(run, verbose=options.verbose) + "\n")
    duet = run.about["against"]
    code, reasons = fail_on.of_duet(from_new(duet, run.records), options.fail_on)
    return _ended(code, [of_gate(duet, reason) for reason in reasons], unwritten)


def _ended(code: int, notes: Sequence[str], unwritten: Sequence[OutputError | None]) -> int:
    """The exit code, after its notes were printed, and what could not be written."""
    for note in notes:
        say(f"note: {note}")
    refused = [refuse(error) for error in unwritten if error is not None]
    return refused[0] if refused else code


def _compare(options: argparse.Namespace, runs: Sequence[Run], thresholds: Thresholds) -> int:
    from torchduet.reports.commands import duet_alone, fail_on
    from torchduet.reports.compare.brief import markdown
    from torchduet.reports.compare.identity import sameness
    from torchduet.reports.compare.match import compare
    from torchduet.reports.compare.text import terminal
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
    from torchduet.reports.text.output import attempt, write_stdout

    paths = [options.base, *options.new]
    for run, path in zip(runs, paths, strict=True):
        if duet_alone.is_duet(run):
            raise NothingToCompare(A_DUET.format(path=path))
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
    unwritten = []
    if options.output is not None:
        from torchduet.reports.compare.page import render

        unwritten.append(attempt(render(comparisons, thresholds.default), options.output))
    if options.markdown not in (None, "-"):
        unwritten.append(attempt(markdown(comparisons), options.markdown))
    if options.format == "markdown" or options.markdown == "-":
        write_stdout(markdown(comparisons))
    else:
        write_stdout(terminal(comparisons, verbose=options.verbose) + "\n")
    return _ended(*fail_on.of_runs(comparisons, options.fail_on), unwritten)


def _grounds(text: str) -> tuple[str, ...]:
    from torchduet.bench.record.duets.gate import grounds
    from torchduet.reports.commands.fail_on import KNOWN

    try:
        return grounds(text, KNOWN)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix(f"--fail-on {text}: ")) from None


def _threshold(text: str) -> float:
    try:
        return fraction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def unique_names(paths: Sequence[str]) -> list[str]:
    """The names of runs: their files' names, with as many parent folders as make them differ."""
    paths = [path.encode("utf-8", "backslashreplace").decode() for path in paths]
    parts = [Path(path).parts for path in paths]
    for depth in range(1, max(map(len, parts))):
        names = ["/".join(folders[-depth:]) for folders in parts]
        if len(set(names)) == len(set(paths)):
            return names
    return list(paths)
