"""Torchduet itself, by its own command."""

from __future__ import annotations

import json

from torchduet.bench.peers import cases
from torchduet.bench.peers.tools.trial import Answer, ToolError, Trial
from torchduet.bench.plugin.run_command import pytest_arguments
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
                speedup = Speedup(row["ratio"], row["low"] or 0.0, row["high"] or float("inf"), row["placements"])
                verdict = speedup.verdict(THRESHOLD)
                answers.append(
                    Answer(
                        record["case"]["workload"],
                        record["case"]["implementation"],
                        1 / speedup.ratio,
                        verdict if verdict in ("faster", "slower") else "none",
                    )
                )
    if len(answers) != len(trial.cases) * len(trial.sides):
        raise ToolError(f"{len(answers)} comparisons in {out.name} instead of {len(trial.cases) * len(trial.sides)}")
    return answers
