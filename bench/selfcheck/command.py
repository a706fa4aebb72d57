"""``torchduet selfcheck``: the suite measured by itself; one part for each question."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from torchduet.bench.files.streams import note
from torchduet.bench.selfcheck import repeated_command

EPILOG = (
    "Examples: `torchduet selfcheck overhead`; `torchduet selfcheck beside pytest bench/ --aa --threads 1`; "
    "`torchduet selfcheck profiled results/profiled -k mlp`; `torchduet selfcheck reproduce --runs 5`; "
    "`torchduet selfcheck levels -o levels.json`; `torchduet selfcheck coverage --quick`."
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command, its parts and their options."""
    parser = commands.add_parser(
        "selfcheck",
        help="measure the suite itself: its overhead, a loaded machine, the cost of profiles, how far runs agree",
        description="Measures the suite itself.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(title="parts", required=True, metavar="PART")
    overhead = parts.add_parser("overhead", help="measure the time per call that the harness adds")
    overhead.set_defaults(command=_overhead)
    beside = parts.add_parser("beside", help="run a command beside processes that keep cores busy")
    beside.add_argument("--cores", type=_positive, default=1, help="cores to keep busy (default: %(default)s)")
    beside.add_argument("what", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    beside.set_defaults(command=_beside)
    profiled = parts.add_parser("profiled", help="compare runs with and without --profile, finished in alternation")
    profiled.add_argument("folder", type=Path, help="where the files of the runs are written")
    profiled.add_argument("--pairs", type=_positive, default=10, help="runs of each kind (default: %(default)s)")
    profiled.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="further options of `pytest bench/`")
    profiled.set_defaults(command=_profiled)
    coverage = parts.add_parser("coverage", help="simulate runs: how often intervals over visits hold the true value")
    coverage.add_argument("--quick", action="store_true", help="fewer runs, of 10 and of 30 families only")
    coverage.set_defaults(command=_coverage)
    repeated_command.add_to(parts)
    _add_levels(parts)


def _add_levels(parts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the part ``levels``."""
    levels = parts.add_parser(
        "levels", help="measure how far interpreters, their forks and placements differ; some minutes"
    )
    levels.add_argument("-o", "--output", type=Path, metavar="FILE", help="JSON with every visit (default: none)")
    levels.add_argument("--from", type=Path, dest="finished", metavar="FILE", help="print the table of such a file")
    for name, default, text in (
        ("interpreters", 6, "fresh interpreters, alive at once"),
        ("forks", 7, "forks of each for every pair"),
        ("placements", 4, "fresh allocations in each fork"),
        ("threads", 1, "intra-op threads"),
    ):
        levels.add_argument(f"--{name}", type=_positive, default=default, help=f"{text} (default: %(default)s)")
    levels.add_argument("--seconds", type=float, default=0.45, help="of timing per visit (default: %(default)s)")
    levels.set_defaults(command=_levels)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:7]) < 1_000_000 or len(text) > 7:
        raise argparse.ArgumentTypeError(f"{text!r}: use a whole number from 1")
    return int(text)


def _levels(options: argparse.Namespace) -> int:
    import json

    from torchduet.bench.files.places import try_place
    from torchduet.bench.files.regular import read_text
    from torchduet.bench.host.atomic_files import write_json
    from torchduet.bench.selfcheck.levels import Design, LevelsError, markdown, measure

    if min(options.interpreters, options.forks, options.placements) < 2 or not 0 < options.seconds < math.inf:
        return _unusable("levels: use 2 or more of each level, and a time above 0 for --seconds")
    try:
        if options.output:
            try_place(options.output)
    except OSError as error:
        return _unusable(f"levels: {options.output}: cannot be written: {error.strerror or error}")
    numbers = (options.interpreters, options.forks, options.placements, options.seconds, options.threads)
    try:
        results = json.loads(read_text(options.finished)) if options.finished else measure(Design(*numbers), note)
        if options.output:
            write_json(results, options.output)
        print(markdown(results), end="")
    except (LevelsError, OSError) as error:
        return _unusable(f"levels: {error}")
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        cause = f"{options.finished}: not a file of this command" if options.finished else "too few visits were made"
        return _unusable(f"levels: {cause}: {error}")
    return 0


def _overhead(_: argparse.Namespace) -> int:
    from torchduet.bench.selfcheck.overhead import overhead

    print("\n".join(overhead()))
    return 0


def _beside(options: argparse.Namespace) -> int:
    import subprocess

    from torchduet.bench.selfcheck.neighbours import neighbours

    if not options.what:
        return _unusable("beside: name a command, such as: torchduet selfcheck beside pytest bench/ --aa --threads 1")
    with neighbours(options.cores):
        try:
            return subprocess.run(options.what, check=False).returncode
        except OSError as error:
            return _unusable(f"beside: {options.what[0]}: {error.strerror}")


def _unusable(reason: str) -> int:
    note(f"error: {reason}")
    return 2


def _profiled(options: argparse.Namespace) -> int:
    return with_profiles(options.folder, options.pairs, options.rest)


def with_profiles(folder: Path, pairs: int, arguments: Sequence[str]) -> int:
    """Make the runs, compare them and print the table; returns the exit code."""
    from torchduet.bench.selfcheck.profiling import RunFailed, run_pairs, table, verdict

    finished: list[tuple[Path, Path]] = []
    try:
        for plain, profiled in run_pairs(folder, pairs, arguments):
            print(verdict(plain, profiled), flush=True)
            if finished:
                print(verdict(finished[-1][0], plain), flush=True)
            finished.append((plain, profiled))
    except RunFailed as error:
        note(str(error))
        return 2
    print("\n".join(table(finished)))
    return 0


def _coverage(options: argparse.Namespace) -> int:
    from torchduet.bench.selfcheck.coverage import report

    for line in report(options.quick):
        print(line, flush=True)
    return 0
