"""torch.utils.benchmark: two Timers in one process, one after the other, as its tutorial has it.

``blocked_autorange(min_run_time=…)`` with the time that every tool has, ``adaptive_autorange()`` with its
defaults. It has no rule of its own for when two measurements differ: its tables show the medians.
"""

from __future__ import annotations

import json
import sys
from statistics import median

from torchduet.bench.peers.cases import BASE, call, inputs_of, setting
from torchduet.bench.peers.tools.place import Answer, Place, beyond

RULE = "medians differ by more than 1 %"


def trial(place: Place, method: str) -> list[Answer]:
    """Each case's sides in a process of their own."""
    answers = []
    for case in place.cases:
        ran = place.python(
            "-m", "torchduet.bench.peers.tools.torch_timer", method, case, str(place.seconds), *place.sides
        )
        for side, (base, other) in json.loads(ran.stdout.splitlines()[-1]).items():
            answers.append(Answer(case, side, other / base, beyond(other / base)))
    return answers


def medians(method: str, case: str, seconds: float, sides: list[str]) -> dict[str, tuple[float, float]]:
    """Side → seconds per call of (base, side), on the same tensors."""
    from torch.utils.benchmark import Timer

    inputs = inputs_of(case)
    threads = setting().threads
    found = {}
    for side in sides:
        pair = []
        for which in (BASE, side):
            timer = Timer("f()", globals={"f": call(case, which, inputs)}, num_threads=threads)
            measured = (
                timer.blocked_autorange(min_run_time=seconds) if method == "blocked" else timer.adaptive_autorange()
            )
            pair.append(median(measured.times))
        found[side] = (pair[0], pair[1])
    return found


if __name__ == "__main__":
    print(json.dumps(medians(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])))
