"""Do profiles disturb the timing? Runs with and without ``--profile`` in alternation, held against each other."""

from __future__ import annotations

import itertools
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from torchduet.bench.plugin.run_command import pytest_arguments
from torchduet.bench.record.schema import KEY

Seconds = dict[str, float]  # case's id → per call


class RunFailed(Exception):
    """A run or a comparison that ended with an error; the message says which."""


def run_pairs(folder: Path, pairs: int, arguments: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Make the runs, in each pair in random order; yields (without profiles, with them).

    Args:
        arguments: of ``pytest bench/``, the same for all.

    Raises:
        RunFailed: one of them wrote no file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(pairs)
    for number in range(1, pairs + 1):
        both = {option: folder / f"{name}-{number}.json" for option, name in (("", "plain"), ("--profile", "profiled"))}
        for option in rng.sample(list(both), 2):
            command = [sys.executable, "-m", "pytest", *pytest_arguments(), "-q", "--benchmark-quiet", *arguments]
            done = subprocess.run(
                [*command, "--benchmark-json", str(both[option]), *filter(None, [option])],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode not in (0, 1) or not both[option].exists():
                raise RunFailed(f"{both[option]}: was not written: {(done.stderr or done.stdout).strip()[-300:]}")
        yield both[""], both["--profile"]


def verdict(base: Path, new: Path) -> str:
    """What ``torchduet compare`` says of two runs, its first line.

    Raises:
        RunFailed: they cannot be compared.
    """
    command = [sys.executable, "-m", "torchduet", "compare", str(base), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(done.stderr.strip())
    return done.stdout.split("\n", 1)[0]


def table(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Per case how its time with ``--profile`` stands to that without: the median over the pairs, and the extremes.

    Beside it the same of each run without and the next one without: how far identical runs differ here.
    """
    times = [(_seconds(plain), _seconds(profiled)) for plain, profiled in pairs]
    cases = [case for case in times[0][0] if all(case in one and case in other for one, other in times)]
    if not cases:
        return ["no case was measured in all runs; raise --budget"]
    width = max(map(len, cases))
    rows = [
        f"{'':{width}}  {'with / without --profile':22}  without / without",
        f"{'case':{width}}  median  least   most  median  least   most",
    ]
    medians = []
    for case in cases:
        ratios = [profiled[case] / plain[case] for plain, profiled in times]
        control = [after[case] / before[case] for (before, _), (after, _) in itertools.pairwise(times)]
        medians.append(median(ratios))
        rows.append("  ".join([f"{case:{width}}", *map(_cells, filter(None, (ratios, control)))]))
    whole = math.exp(sum(map(math.log, medians)) / len(medians))
    rows.append(f"{'geometric mean of the medians':{width}}  {whole:6.3f}")
    return rows


def _cells(ratios: Sequence[float]) -> str:
    return " ".join(f"{one:6.3f}" for one in (median(ratios), min(ratios), max(ratios)))


def _seconds(path: Path) -> Seconds:
    found: Seconds = {}
    for benchmark in json.loads(path.read_text("utf-8"))["benchmarks"]:
        record = benchmark["extra_info"].get(KEY)
        if record is not None:
            found[record["case"]["id"]] = record["timing"]["seconds"]
    return found
