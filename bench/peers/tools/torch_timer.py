"""torch.utils.benchmark: two Timers in one process, one after the other, as in its tutorial.

``blocked_autorange(min_run_time=…)`` gets the time that every tool has, ``adaptive_autorange()`` has its
defaults. The tool has no rule for when two measurements differ; its tables show the medians.
"""

from __future__ import annotations

import json
import sys
from statistics import median

from torchduet.bench.peers.cases import BASE, call, inputs_of, read_settings
from torchduet.bench.peers.tools.trial import Answer, Trial, beyond

RULE = "medians differ by more than 1 %"


def run(trial: Trial, method: str) -> list[Answer]:
    """Time the sides of each case in a process of their own."""
    answers = []
    for case in trial.cases:
        process = trial.python(
            "-m", "torchduet.bench.peers.tools.torch_timer", method, case, str(trial.seconds), *trial.sides
        )
        for side, (base, other) in json.loads(process.stdout.splitlines()[-1]).items():
            answers.append(Answer(case, side, other / base, beyond(other / base)))
    return answers


def medians(method: str, case: str, seconds: float, sides: list[str]) -> dict[str, tuple[float, float]]:
    """Side → seconds per call of (base, side), on the same tensors."""
    from torch.utils.benchmark import Timer

    inputs = inputs_of(case)
    threads = read_settings().threads
    medians_of = {}
    for side in sides:
        pair = []
        for name in (BASE, side):
            timer = Timer("f()", globals={"f": call(case, name, inputs)}, num_threads=threads)
            measured = (
                timer.blocked_autorange(min_run_time=seconds) if method == "blocked" else timer.adaptive_autorange()
            )
            pair.append(median(measured.times))
        medians_of[side] = (pair[0], pair[1])
    return medians_of


if __name__ == "__main__":
    print(json.dumps(medians(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])))
