"""The harness measured by itself: its overhead per call, and runs beside a neighbour that keeps cores busy.

``python -m bench.selfcheck overhead``, ``python -m bench.selfcheck beside pytest bench/ --aa --threads 1``, and
``python -m bench.selfcheck profiled results/profiled -k mlp``: whether profiles disturb the timing.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import subprocess
import sys
import timeit
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

ROUNDS = 200
BLOCK_CALLS = 1000


def nothing() -> None:
    """The empty function whose cost is all overhead."""


def overhead() -> list[str]:
    """Own overhead beside ``timeit`` and ``torch.utils.benchmark``, interleaved in this process."""
    import torch
    import torch.utils.benchmark

    from bench.engine.clock import CpuClock

    torch.set_num_threads(1)
    clock = CpuClock()
    x, y = torch.ones(1), torch.ones(1)
    add = torch.add
    plain = timeit.Timer("f()", globals={"f": nothing})
    theirs = torch.utils.benchmark.Timer("f(x, y)", globals={"f": add, "x": x, "y": y})
    ours_empty, timeit_empty, ours_add, theirs_add = [], [], [], []
    for _ in range(ROUNDS):
        ours_empty.append(clock.block(nothing, (), BLOCK_CALLS).seconds)
        timeit_empty.append(plain.timeit(BLOCK_CALLS) / BLOCK_CALLS)
        ours_add.append(clock.block(add, (x, y), BLOCK_CALLS).seconds)
        theirs_add.append(theirs.timeit(BLOCK_CALLS).median)
    empty, bare = median(ours_empty) * 1e9, median(timeit_empty) * 1e9
    ratio = math.exp(median(math.log(a / b) for a, b in zip(ours_add, theirs_add, strict=True)))
    return [
        f"{ROUNDS} rounds of blocks of {BLOCK_CALLS} calls, interleaved; medians per call",
        f"empty function      block {empty:8.1f} ns   timeit                {bare:8.1f} ns   "
        f"difference {empty - bare:+.1f} ns",
        f"torch.add, 1 value  block {median(ours_add) * 1e9:8.1f} ns   torch.utils.benchmark "
        f"{median(theirs_add) * 1e9:8.1f} ns   ratio {ratio:.4f}",
    ]


def busy_loop() -> None:
    """Keep one core busy."""
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def neighbours(cores: int) -> Iterator[None]:
    """Other processes that keep so many cores busy meanwhile."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=busy_loop, daemon=True) for _ in range(cores)]
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def with_profiles(folder: Path, pairs: int, arguments: Sequence[str]) -> int:
    """Run, compare and print; returns the exit code."""
    from bench.engine.profile_check import RunFailed, run_pairs, table, verdict

    made: list[tuple[Path, Path]] = []
    try:
        for plain, profiled in run_pairs(folder, pairs, arguments):
            print(verdict(plain, profiled), flush=True)
            if made:
                print(verdict(made[-1][0], plain), flush=True)
            made.append((plain, profiled))
    except RunFailed as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(table(made)))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.selfcheck", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("overhead", help="time per call that the harness itself adds")
    beside = commands.add_parser("beside", help="run a command beside processes that keep cores busy")
    beside.add_argument("--cores", type=int, default=1, help="how many cores they keep busy (default: %(default)s)")
    beside.add_argument("what", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    profiled = commands.add_parser("profiled", help="hold runs with --profile against runs without, in alternation")
    profiled.add_argument("folder", type=Path, help="where the runs' files go")
    profiled.add_argument("--pairs", type=int, default=10, help="runs of either kind (default: %(default)s)")
    profiled.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="what else `pytest bench/` is given")
    chosen = parser.parse_args(arguments)
    if chosen.command == "overhead":
        print("\n".join(overhead()))
        return 0
    if chosen.command == "profiled":
        if chosen.pairs < 1:
            parser.error("--pairs: use a number from 1")
        return with_profiles(chosen.folder, chosen.pairs, chosen.rest)
    if not chosen.what or chosen.cores < 1:
        parser.error("beside needs a command, such as: pytest bench/ --aa --threads 1, and --cores from 1")
    with neighbours(chosen.cores):
        try:
            return subprocess.run(chosen.what, check=False).returncode
        except OSError as error:
            parser.error(f"{chosen.what[0]}: {error.strerror}")


if __name__ == "__main__":
    sys.exit(main())
