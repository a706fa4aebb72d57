"""pytest-benchmark: one saved run of the base, one of the side, compared by their medians.

Its documentation: ``--benchmark-save``, then ``--benchmark-compare --benchmark-compare-fail=median:1%``.
All settings are its defaults (at least 5 rounds, about 1 s per test).
"""

from __future__ import annotations

import json
from pathlib import Path

from torchduet.bench.peers.cases import BASE
from torchduet.bench.peers.tools.place import Answer, Place, beyond

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


def trial(place: Place) -> list[Answer]:
    """For each side a run of the base and then one of the side."""
    (place.folder / "test_cases.py").write_text(TESTS.format(cases=list(place.cases)), "utf-8")
    (place.folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    answers = []
    for side in place.sides:
        base, other = _medians(place, BASE), _medians(place, side)
        for case in place.cases:
            ratio = other[case] / base[case]
            answers.append(Answer(case, side, ratio, beyond(ratio)))
    return answers


def _medians(place: Place, side: str) -> dict[str, float]:
    out = Path(place.folder, "run.json")
    place.python(
        *("-m", "pytest", "test_cases.py", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini"),
        *("--benchmark-json", out.name, "--benchmark-quiet", f"--benchmark-max-time={place.seconds:g}"),
        more={"SIDE": side},
    )
    return {one["param"]: one["stats"]["median"] for one in json.loads(out.read_text("utf-8"))["benchmarks"]}
