"""This project's own protocol, by its own command."""

from __future__ import annotations

import json

from torchduet.bench.peers import cases
from torchduet.bench.peers.tools.place import Answer, Place, ToolError
from torchduet.bench.plugin.run_command import pytest_arguments
from torchduet.bench.record.statistics import Speedup
from torchduet.bench.run.aa_summary import THRESHOLD

NAME = "torchduet"
RULE = "99 % interval wholly beyond ±1 %"
OVERHEAD_SECONDS = 1.0  # per case: its check and warm-up


def trial(place: Place) -> list[Answer]:
    """All sides of a case in alternation."""
    out = place.folder / "run.json"
    budget = len(place.cases) * (place.seconds * (1 + len(place.sides)) + OVERHEAD_SECONDS)
    place.python(
        *("-m", "pytest", *pytest_arguments()),
        *("--suite", cases.__file__, "--threads", str(place.threads)),
        *("--budget", f"{budget:.0f}s", "--benchmark-json", str(out), "--benchmark-quiet", "-q"),
    )
    answers = []
    for entry in json.loads(out.read_text("utf-8"))["benchmarks"]:
        record = entry["extra_info"]["torchduet"]
        for one in record["speedups"]:
            if one["knob"] == "implementation":
                found = Speedup(one["ratio"], one["low"] or 0.0, one["high"] or float("inf"), one["placements"])
                verdict = found.verdict(THRESHOLD)
                answers.append(
                    Answer(
                        record["case"]["workload"],
                        record["case"]["implementation"],
                        1 / found.ratio,
                        verdict if verdict in ("faster", "slower") else "none",
                    )
                )
    if len(answers) != len(place.cases) * len(place.sides):
        raise ToolError(f"{len(answers)} comparisons in {out.name} instead of {len(place.cases) * len(place.sides)}")
    return answers
