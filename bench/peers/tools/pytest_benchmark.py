"""pytest-benchmark: saved runs of base and side, compared by their medians.

As in its documentation: ``--benchmark-save``, then ``--benchmark-compare --benchmark-compare-fail=median:1%``.
All settings are its defaults (at least 5 rounds, about 1 s per test).
"""

from __future__ import annotations

import json
from pathlib import Path

from torchduet.bench.peers.cases import BASE
from torchduet.bench.peers.tools.trial import Answer, Trial, beyond

NAME = "pytest-benchmark"
RULE = "medians differ by more than 1 % (`--benchmark-compare-fail=median:1%`, either way)"
TESTS = """\
import os

import pytest

from torchduet.bench.peers.cases import call


@pytest.mark.parametrize("name", {cases!r})
def test_case(benchmark, name):
    benchmark(call(name, os.environ["SIDE"]))
"""


def run(trial: Trial) -> list[Answer]:
    """For each side, run the base and then the side."""
    (trial.folder / "test_cases.py").write_text(TESTS.format(cases=list(trial.cases)), "utf-8")
    (trial.folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    answers = []
    for side in trial.sides:
        base, other = _medians(trial, BASE), _medians(trial, side)
        for case in trial.cases:
            ratio = other[case] / base[case]
            answers.append(Answer(case, side, ratio, beyond(ratio)))
    return answers


def _medians(trial: Trial, side: str) -> dict[str, float]:
    out = Path(trial.folder, "run.json")
    trial.python(
        *("-m", "pytest", "test_cases.py", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini"),
        *("--benchmark-json", out.name, "--benchmark-quiet", f"--benchmark-max-time={trial.seconds:g}"),
        variables={"SIDE": side},
    )
    return {entry["param"]: entry["stats"]["median"] for entry in json.loads(out.read_text("utf-8"))["benchmarks"]}
