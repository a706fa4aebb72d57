"""Torchduet itself, by its own command."""

from __future__ import annotations

import json
import math

from torchduet.bench.peers import cases
from torchduet.bench.peers.tools.trial import Answer, ToolError, Trial
from torchduet.bench.plugin.pytest_command import pytest_arguments
from torchduet.bench.record.schema import CaseRecord, SpeedupRecord
from torchduet.bench.record.statistics import Speedup
from torchduet.bench.record.visits.intervals import COPY_THRESHOLD as THRESHOLD

NAME = "torchduet"
RULE = "99 % interval wholly beyond ±1 %"
OVERHEAD_SECONDS = 1.0  # per case, for its check and warm-up


def run(trial: Trial) -> list[Answer]:
    """Time all sides of a case in alternation."""
    out = trial.folder / "run.json"
    budget = len(trial.cases) * (trial.seconds * (1 + len(trial.sides)) + OVERHEAD_SECONDS)
    trial.python(
        *("-m", "pytest", *pytest_arguments()),
        *("--suite", cases.__file__, "--threads", str(trial.threads)),
        *("--budget", f"{budget:.0f}s", "--benchmark-json", str(out), "--benchmark-quiet", "-q"),
    )
    answers = []
    for entry in json.loads(out.read_text("utf-8"))["benchmarks"]:
        record = entry["extra_info"]["torchduet"]
        for row in record["speedups"]:
            if row["knob"] == "implementation":
                answers.append(_answer(record["case"], row))
    if len(answers) != len(trial.cases) * len(trial.sides):
        raise ToolError(f"{len(answers)} comparisons in {out.name} instead of {len(trial.cases) * len(trial.sides)}")
    return answers


def _answer(case: CaseRecord, row: SpeedupRecord) -> Answer:
    """What a speed-up says of the time of the side / the time of the base, the inverse of the speed-up."""
    low, high = row["low"], row["high"]
    speedup = Speedup(row["ratio"], low or 0.0, high or math.inf, row["placements"])
    verdict = speedup.side(THRESHOLD) if "interval" in row else speedup.verdict(THRESHOLD)
    return Answer(
        case["workload"],
        case["implementation"],
        1 / speedup.ratio,
        verdict if verdict in ("faster", "slower") else "none",
        (1 / high, 1 / low) if low and high else None,
    )
