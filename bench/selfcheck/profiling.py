"""Whether profiles disturb the timing: makes runs with and without ``--profile`` in alternation and compares them."""

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

from torchduet.bench.plugin.pytest_command import pytest_arguments
from torchduet.bench.record.schema import KEY

Seconds = dict[str, float]  # case's id → per call
KINDS = {"": "plain", "--profile": "profiled"}  # option of a run → beginning of its file's name


class RunFailed(Exception):
    """A run or a comparison that ended with an error; the message names it."""


def run_pairs(folder: Path, pairs: int, arguments: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Make the runs, those of a pair in random order; yields the files (without profiles, with profiles).

    Args:
        arguments: of ``pytest bench/``, the same for all runs.

    Raises:
        RunFailed: a run wrote no file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(pairs)
    for number in range(1, pairs + 1):
        files = {option: folder / f"{name}-{number}.json" for option, name in KINDS.items()}
        for option in rng.sample(list(files), 2):
            command = [sys.executable, "-m", "pytest", *pytest_arguments(), "-q", "--benchmark-quiet", *arguments]
            process = subprocess.run(
                [*command, "--benchmark-json", str(files[option]), *filter(None, [option])],
                capture_output=True,
                text=True,
                check=False,
            )
            if process.returncode not in (0, 1) or not files[option].exists():
                output = (process.stderr or process.stdout).strip()
                raise RunFailed(f"{files[option]}: was not written: {output[-300:]}")
        yield files[""], files["--profile"]


def verdict(base: Path, new: Path) -> str:
    """The first line of ``torchduet compare`` for two runs.

    Raises:
        RunFailed: they cannot be compared.
    """
    command = [sys.executable, "-m", "torchduet", "compare", str(base), str(new)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RunFailed(process.stderr.strip())
    return process.stdout.split("\n", 1)[0]


def table(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """For each case, time with ``--profile`` / time without: the median over the pairs, and the extremes.

    Beside it the same ratio of consecutive runs without profiles, which shows how far identical runs differ here.
    """
    times = [(_seconds(plain), _seconds(profiled)) for plain, profiled in pairs]
    cases = [case for case in times[0][0] if all(case in plain and case in profiled for plain, profiled in times)]
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
    overall = math.exp(sum(map(math.log, medians)) / len(medians))
    rows.append(f"{'geometric mean of the medians':{width}}  {overall:6.3f}")
    return rows


def _cells(ratios: Sequence[float]) -> str:
    return " ".join(f"{ratio:6.3f}" for ratio in (median(ratios), min(ratios), max(ratios)))


def _seconds(path: Path) -> Seconds:
    seconds: Seconds = {}
    for benchmark in json.loads(path.read_text("utf-8"))["benchmarks"]:
        record = benchmark["extra_info"].get(KEY)
        if record is not None:
            seconds[record["case"]["id"]] = record["timing"]["seconds"]
    return seconds
