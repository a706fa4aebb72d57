"""asv: the base and the side as two commits' results, then ``asv compare --factor 1.01``.

All settings are its defaults but the factor (1.1 otherwise): Mann-Whitney's U at p < 0.002 where there are
samples enough, and the ratio of medians beyond the factor.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from torchduet.bench.peers.cases import BASE
from torchduet.bench.peers.tools.place import Answer, Place, ToolError
from torchduet.bench.run.aa_summary import THRESHOLD

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
MARKS = {"+": "slower", "-": "faster"}


def trial(place: Place) -> list[Answer]:
    """For each side a run of the base and then one of the side, each under a commit of its own."""
    _project(place)
    answers = []
    for side in place.sides:
        commits = [_commit(place, f"{which} for {side}") for which in (BASE, side)]
        for which, commit in zip((BASE, side), commits, strict=True):
            place.python(
                *("-m", "asv", "run", "--environment", f"existing:{sys.executable}"),
                *("--set-commit-hash", commit, "--machine", "here"),
                more={"SIDE": which, **_home(place)},
            )
        answers += _compared(place, side, commits)
    return answers


def _project(place: Place) -> None:
    """A repository with benchmarks, as asv wants one."""
    (place.folder / "benchmarks").mkdir()
    (place.folder / "benchmarks" / "__init__.py").touch()
    text = HEAD + "".join(BENCHMARK.format(case=case) for case in place.cases)
    (place.folder / "benchmarks" / "cases.py").write_text(text, "utf-8")
    settings = {"version": 1, "project": "peers", "repo": ".", "branches": ["main"], "benchmark_dir": "benchmarks"}
    settings |= {"environment_type": "existing", "pythons": [sys.executable]}
    (place.folder / "asv.conf.json").write_text(json.dumps(settings), "utf-8")
    _git(place.folder, "init", "-q", "-b", "main")
    _commit(place, "start")
    place.python("-m", "asv", "machine", "--yes", "--machine", "here", more=_home(place))


def _commit(place: Place, message: str) -> str:
    identity = ("-c", "user.name=peers", "-c", "user.email=peers@localhost", "-c", "commit.gpgsign=false")
    _git(place.folder, *identity, "commit", "-q", "--allow-empty", "-m", message)
    return _git(place.folder, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def _home(place: Place) -> dict[str, str]:
    return {"HOME": str(place.folder)}  # asv keeps its description of the machine there


def _compared(place: Place, side: str, commits: list[str]) -> list[Answer]:
    ran = place.python(
        *("-m", "asv", "compare", "--factor", f"{1 + THRESHOLD:g}", *commits, "--machine", "here"),
        more=_home(place),
    )
    base, other = (_medians(place, commit) for commit in commits)
    rows = filter(None, (ROW.match(line) for line in ran.stdout.splitlines()))
    found = {
        row["case"]: Answer(row["case"], side, other[row["case"]] / base[row["case"]], MARKS.get(row["change"], "none"))
        for row in rows
    }
    if sorted(found) != sorted(place.cases):
        raise ToolError(f"asv compare: no row for every case in\n{ran.stdout[-2000:]}")
    return list(found.values())


def _medians(place: Place, commit: str) -> dict[str, float]:
    """What asv compares, with more digits than its table shows."""
    from asv.results import iter_results_for_machine_and_hash

    results = iter_results_for_machine_and_hash(str(place.folder / "results"), "here", commit)
    return {
        name.rpartition("time_")[2]: result.get_result_value(name, result.get_result_params(name))[0]
        for result in results
        for name in result.get_all_result_keys()
    }
