"""The parts of ``torchduet selfcheck`` that make runs and keep what they show: ``reproduce`` and ``duet``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchduet.bench.files.streams import note
from torchduet.command_line import Parser

if TYPE_CHECKING:
    from torchduet.bench.run.machine_figures import Kept
    from torchduet.bench.selfcheck.finished_runs import FinishedRun

KEPT = "Later runs on this machine record the figures, and their reports show them."


def add_to(parts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the parts; each parses its options itself, so that arguments for pytest may stand among them."""
    for name, text, command in (
        ("reproduce", "repeat a selection, and report how far the runs agree", _reproduce),
        ("duet", "compare this interpreter with itself, and report the false alarms", _duet),
    ):
        part = parts.add_parser(name, help=text, add_help=False, prefix_chars="\0")
        part.add_argument("arguments", nargs=argparse.REMAINDER)
        part.set_defaults(command=command)


def _reproduce(options: argparse.Namespace) -> int:
    """Make or read runs, print and keep the figures; returns the exit code: 0, 2 after an error, 130 after Ctrl-C."""
    from torchduet.bench.run.machine_figures import REPRODUCTION
    from torchduet.bench.selfcheck.finished_runs import RunError, read
    from torchduet.bench.selfcheck.reproduce import ARGUMENTS, figures, lines

    parser = Parser(
        prog="torchduet selfcheck reproduce",
        description=f"Repeats a selection of cases, and reports how far the runs agree. {KEPT}",
        epilog=f"All other arguments are those of `pytest bench/`; {' '.join(ARGUMENTS)} is added unless they set the "
        "threads. Example: `torchduet selfcheck reproduce --runs 5 -k matmul`.",
        allow_abbrev=False,
    )
    parser.add_argument("--runs", type=_runs, default=5, metavar="N", help="number of runs (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path("reproduce"), help="where their files are written (default: %(default)s)"
    )
    _add_from(parser, "+")
    own, rest = _parsed(parser, options)
    runs: list[FinishedRun] = []
    stopped = False
    try:
        if own.finished:
            runs += map(read, own.finished)
        else:
            _make(runs, own.folder, own.runs, rest if _sets_threads(rest) else [*ARGUMENTS, *rest])
    except KeyboardInterrupt:
        stopped = True
    except (RunError, OSError) as error:
        return _failed(error)
    if stopped and len(runs) < 2:
        return 130
    try:
        found = figures(runs)
    except RunError as error:
        return _failed(error)
    print("\n".join(lines(found, runs)))
    if found["comparisons"]:
        _keep(REPRODUCTION, found)
    return 130 if stopped else 0


def _duet(options: argparse.Namespace) -> int:
    """Make or read a duet of identical sides, print and keep the figures; returns the exit code."""
    from torchduet.bench.run.machine_figures import DUET_CHECK
    from torchduet.bench.selfcheck.duet_check import figures, line
    from torchduet.bench.selfcheck.finished_runs import RunError, make, read

    parser = Parser(
        prog="torchduet selfcheck duet",
        description=f"Compares this interpreter with itself, and reports how often a case is called different. {KEPT}",
        epilog="All other arguments are those of `pytest bench/`. Example: `torchduet selfcheck duet --threads 1`.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--file", type=Path, default=Path("duet-of-itself.json"), help="where the run is written (default: %(default)s)"
    )
    _add_from(parser, 1)
    own, rest = _parsed(parser, options)
    try:
        run = read(own.finished[0]) if own.finished else make(own.file, ["--against", sys.executable, *rest])
        found = figures(run)
    except KeyboardInterrupt:
        return 130
    except (RunError, OSError) as error:
        return _failed(error)
    print(line(found))
    _keep(DUET_CHECK, found)
    return 0


def _add_from(parser: argparse.ArgumentParser, number: int | str) -> None:
    parser.add_argument(
        "--from", type=Path, nargs=number, dest="finished", metavar="FILE", help="read finished runs, and make none"
    )


def _parsed(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[argparse.Namespace, list[str]]:
    """The options of a part, and the arguments for pytest."""
    own, rest = parser.parse_known_args(options.arguments)
    rest = [argument for argument in rest if argument != "--"]
    if own.finished and rest:
        parser.error(f"--from reads finished runs; leave out {' '.join(rest)}")
    return own, rest


def _runs(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text[:5]) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: use a whole number from 2 to 1000")
    return int(text)


def _sets_threads(arguments: Sequence[str]) -> bool:
    return any(argument.partition("=")[0] == "--threads" for argument in arguments)


def _make(runs: list[FinishedRun], folder: Path, number: int, arguments: Sequence[str]) -> None:
    """Make the runs, and add each to ``runs`` when it has ended."""
    from torchduet.bench.selfcheck.finished_runs import make

    folder.mkdir(parents=True, exist_ok=True)
    for index in range(1, number + 1):
        path = folder / f"run-{index}.json"
        note(f"run {index} of {number}: {path}")
        runs.append(make(path.resolve(), arguments))


def _keep(kept: Kept[Any], found: Any) -> None:
    try:
        kept.save(found)
    except OSError as error:
        note(f"warning: these figures are not kept for later runs: {error}")


def _failed(error: Exception) -> int:
    note(f"error: {error}")
    return 2
