"""``python -m reports compare``: reads the runs, judges, prints or writes, and says by its exit code what came out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reports.compare.thresholds import DEFAULT, ThresholdError, Thresholds, fraction, globs_of, nearest_pyproject
from reports.refusal import refuse

SLOWER = 1
BASE_HELP = "JSON file of `pytest bench/ --benchmark-json BASE`, or of plain pytest-benchmark if all are"
NOT_ALIKE = (
    "one of it and {} is plain pytest-benchmark's, the other Torchduet's; these time differently (rounds in one "
    "stretch, blocks in alternation), so that a difference may be the method's alone: compare two of a kind"
)
EPILOG = (
    "Exit code: 0; with --fail-on slower, 1 if any case of any run is slower; 2 if a file cannot be used, no case is "
    "in both runs, or the page cannot be written. Thresholds by case stand in the nearest pyproject.toml under "
    '[tool.torchduet.compare.thresholds], e.g. "* bf16" = "10%"; the last glob that matches a case\'s id counts.'
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="hold finished runs against a base: what became slower, what faster",
        description="Holds finished runs against the first, the base: what became slower or faster, and how surely.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("base", metavar="BASE", help=BASE_HELP)
    parser.add_argument("new", metavar="NEW", nargs="+", help="JSON files of the runs to hold against it")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write one self-contained HTML page, too (default: none)"
    )
    parser.add_argument(
        "--format", choices=("text", "markdown"), default="text", help="what is printed (default: text)"
    )
    parser.add_argument("--fail-on", choices=("slower",), help="exit with 1 if any case is slower (default: never)")
    parser.add_argument(
        "--threshold",
        metavar="SHARE",
        type=_threshold,
        default=DEFAULT,
        help="what must be exceeded to matter, e.g. 3%% or 0.03, where pyproject.toml says nothing else (default: 5%%)",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code."""
    from reports.compare.match import compare
    from reports.compare.text import markdown, terminal
    from reports.load import RunFileError
    from reports.output import OutputError, keep_apart, say, write
    from reports.plain import PlainRun, load_any

    paths = [options.base, *options.new]
    try:
        for path in paths if options.output is not None else ():
            keep_apart(options.output, path)
        pyproject = nearest_pyproject(Path.cwd())
        thresholds = Thresholds(options.threshold, globs_of(pyproject) if pyproject else ())
        base, *others = [
            replace(load_any(path), name=name) for path, name in zip(paths, unique_names(paths), strict=True)
        ]
    except (OutputError, RunFileError, ThresholdError) as error:
        return refuse(error)
    for other, path in zip(others, options.new, strict=True):
        if isinstance(other, PlainRun) != isinstance(base, PlainRun):
            return refuse(f"{path}: {NOT_ALIKE.format(options.base)}")
    comparisons = compare(base, others, thresholds)
    for one, path in zip(comparisons, options.new, strict=True):
        if not one.judged:
            return refuse(
                f"{path}: has no case that {options.base} measured, too; run the same suites and tier in both"
            )
    if options.output is not None:
        from reports.compare.page import render

        try:
            write(render(comparisons, thresholds.default), options.output)
        except OutputError as error:
            return refuse(error)
    say({"text": terminal, "markdown": markdown}[options.format](comparisons) + "\n")
    slower = any(one.of("slower") for one in comparisons)
    return SLOWER if options.fail_on and slower else 0


def _threshold(text: str) -> float:
    try:
        return fraction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def unique_names(paths: Sequence[str]) -> list[str]:
    """What runs are called: their files' names, with as many folders as tell them apart."""
    parts = [Path(path).parts for path in paths]
    for depth in range(1, max(map(len, parts))):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(set(paths)):
            return names
    return list(paths)
