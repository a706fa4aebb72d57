"""asv: base and side as the results of two commits, then ``asv compare --factor 1.01``.

All settings but the factor (1.1 by default) are its defaults: Mann-Whitney's U at p < 0.002 if there are enough
samples, and the ratio of medians beyond the factor. Its results hold a 99 % interval of each median; that of the ratio
is here from the lowest over the highest to the highest over the lowest.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from torchduet.bench.peers.cases import BASE
from torchduet.bench.peers.tools.trial import Answer, ToolError, Trial
from torchduet.bench.record.visits.intervals import COPY_THRESHOLD as THRESHOLD

NAME = "asv"
RULE = "Mann-Whitney's U at p < 0.002, and medians differ by more than 1 % (`asv compare --factor 1.01`)"
HEAD = """\
import os

from torchduet.bench.peers.cases import call

"""
BENCHMARK = """\

CALL_{case} = call("{case}", os.environ["SIDE"])


def time_{case}():
    CALL_{case}()

"""
ROW = re.compile(r"^\|\s*(?P<change>[-+~x!*]?)\s*\|.*\|\s*\S*time_(?P<case>\w+)")


class Median(NamedTuple):
    """A median in seconds with its interval, as asv keeps them; infinite ends where it has none."""

    median: float
    low: float
    high: float


MARKS = {"+": "slower", "-": "faster"}


def run(trial: Trial) -> list[Answer]:
    """For each side, run the base and then the side, each under a commit of its own."""
    _project(trial)
    answers = []
    for side in trial.sides:
        commits = [_commit(trial, f"{name} for {side}") for name in (BASE, side)]
        for name, commit in zip((BASE, side), commits, strict=True):
            trial.python(
                *("-m", "asv", "run", "--environment", f"existing:{sys.executable}"),
                *("--set-commit-hash", commit, "--machine", "here"),
                variables={"SIDE": name, **_home(trial)},
            )
        answers += _compared(trial, side, commits)
    return answers


def _project(trial: Trial) -> None:
    """Make a repository with benchmarks, as asv needs it."""
    (trial.folder / "benchmarks").mkdir()
    (trial.folder / "benchmarks" / "__init__.py").touch()
    text = HEAD + "".join(BENCHMARK.format(case=case) for case in trial.cases)
    (trial.folder / "benchmarks" / "cases.py").write_text(text, "utf-8")
    settings = {"version": 1, "project": "peers", "repo": ".", "branches": ["main"], "benchmark_dir": "benchmarks"}
    settings |= {"environment_type": "existing", "pythons": [sys.executable]}
    (trial.folder / "asv.conf.json").write_text(json.dumps(settings), "utf-8")
    _git(trial.folder, "init", "-q", "-b", "main")
    _commit(trial, "start")
    trial.python("-m", "asv", "machine", "--yes", "--machine", "here", variables=_home(trial))


def _commit(trial: Trial, message: str) -> str:
    identity = ("-c", "user.name=peers", "-c", "user.email=peers@localhost", "-c", "commit.gpgsign=false")
    _git(trial.folder, *identity, "commit", "-q", "--allow-empty", "-m", message)
    return _git(trial.folder, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def _home(trial: Trial) -> dict[str, str]:
    return {"HOME": str(trial.folder)}  # asv keeps its description of the machine there


def _compared(trial: Trial, side: str, commits: list[str]) -> list[Answer]:
    process = trial.python(
        *("-m", "asv", "compare", "--factor", f"{1 + THRESHOLD:g}", *commits, "--machine", "here"),
        variables=_home(trial),
    )
    base, other = (_medians(trial, commit) for commit in commits)
    rows = filter(None, (ROW.match(line) for line in process.stdout.splitlines()))
    answers = {
        row["case"]: Answer(
            row["case"],
            side,
            other[row["case"]].median / base[row["case"]].median,
            MARKS.get(row["change"], "none"),
            interval_of_ratio(base[row["case"]], other[row["case"]]),
        )
        for row in rows
    }
    if sorted(answers) != sorted(trial.cases):
        raise ToolError(f"asv compare: no row for every case in\n{process.stdout[-2000:]}")
    return list(answers.values())


def interval_of_ratio(base: Median, other: Median) -> tuple[float, float] | None:
    """The interval of other / base; None where the interval of a median has no end."""
    if not all(0 < end < math.inf for end in (base.low, base.high, other.low, other.high)):
        return None
    return other.low / base.high, other.high / base.low


def _medians(trial: Trial, commit: str) -> dict[str, Median]:
    """The medians that asv compares, with more digits than its table shows."""
    from asv.results import iter_results_for_machine_and_hash

    results = iter_results_for_machine_and_hash(str(trial.folder / "results"), "here", commit)
    medians = {}
    for result in results:
        for name in result.get_all_result_keys():
            parameters = result.get_result_params(name)
            stats = (result.get_result_stats(name, parameters) or [None])[0] or {}
            medians[name.rpartition("time_")[2]] = Median(
                result.get_result_value(name, parameters)[0],
                *(math.inf if stats.get(key) is None else stats[key] for key in ("ci_99_a", "ci_99_b")),
            )
    return medians
