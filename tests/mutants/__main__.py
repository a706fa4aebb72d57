"""Puts small faults into the core modules, one at a time, and counts those that fast tests notice: ``nox -s mutants``.

A seeded sample of each module. The exit status is 1 if fewer than 92 % are noticed, or if the time was up before half
were tried. Equivalent faults, which change nothing that a test could see, are listed by name in ``equivalent.txt``,
with the reason, and do not count.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a pool of threads does not live on in a fork

import pytest
import torch

from tests.mutants.living import ROOT
from tests.mutants.operators import Mutant, mutants, sample
from tests.mutants.session import TIME_LIMIT, Mutants, Result

HERE = Path(__file__).parent
THRESHOLD = 92.0  # percent


def listed(name: str) -> dict[str, str]:
    """Lines of a file beside this one, and what is said about each behind two blanks and a ``#``."""
    lines = (HERE / name).read_text("utf-8").splitlines()
    return dict((*line.split("  # ", 1), "")[:2] for line in lines if line and not line.startswith("#"))


def every_mutant(paths: Sequence[str]) -> dict[str, list[Mutant]]:
    """Of each module."""
    return {path: mutants(path, (ROOT / path).read_text("utf-8")) for path in paths}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="instead of those in modules.txt")
    parser.add_argument("--seed", type=int, default=28)
    parser.add_argument("--per-module", type=int, default=24, metavar="N", help="faults in each module")
    parser.add_argument("--minutes", type=float, default=30.0, help="no fault is begun afterwards")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--lines", type=Path, metavar="FILE", help="keeps which test runs which lines, for next time")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    equivalent = listed("equivalent.txt")
    found = every_mutant(asked.modules or list(listed("modules.txt")))
    known = {mutant.name for every in found.values() for mutant in every}
    gone = sorted(name for name in equivalent if name.split(" ")[0] in found and name not in known)
    chosen = [
        mutant
        for every in found.values()
        for mutant in sample(every, asked.seed, asked.per_module)
        if mutant.name not in equivalent
    ]
    random.Random(asked.seed).shuffle(chosen)  # where the time is up, what was tried is a sample, too
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    torch.set_num_threads(1)
    session = Mutants(
        chosen, asked.minutes * 60, asked.jobs, lambda line: print(line, file=out, flush=True), asked.lines
    )
    status = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:warnings", *listed("tests.txt")], plugins=[session])
    if status != 0:
        return int(status)
    return summary(session.results, len(chosen), gone)


def summary(results: Sequence[Result], chosen: int, gone: Sequence[str]) -> int:
    """Print the survivors and the share of those that were noticed."""
    for name in gone:
        print(f"in equivalent.txt, but there is no such fault any more: {name}")
    counted = [result for result in results if result.outcome != "not applied"]
    killed = Counter(result.mutant.path for result in counted if result.outcome == "killed")
    of = Counter(result.mutant.path for result in counted)
    print("\nSurvivors:")
    for result in sorted(counted, key=lambda result: (result.mutant.path, result.mutant.index)):
        if result.outcome != "killed":
            note = "  (no fast test runs it)" if result.outcome == "not run" else ""
            print(f"{result.mutant.path}:{result.mutant.lines.start}: {result.mutant.name}{note}")
    print("\nKilled:")
    for path in sorted(of, key=lambda path: killed[path] / of[path]):
        print(f"{killed[path]:4} of {of[path]:3}  {path}")
    if not counted or len(results) < chosen:
        print(f"\nThe time was up after {len(results)} of {chosen} faults.")
    late = sum(result.by == TIME_LIMIT for result in counted)
    if late:
        print(
            f"\n{late} of these ran into their time limit, as an endless loop does; so does a machine that is too busy."
        )
    share = 100 * sum(killed.values()) / max(len(counted), 1)
    print(f"\n{sum(killed.values())} of {len(counted)} faults are noticed: {share:.1f} %")
    return int(share < THRESHOLD or len(results) < chosen / 2)


if __name__ == "__main__":
    sys.exit(main())
