"""``torchduet.compare``: each pair of sides in one call, from within a program, with its default time of 3 s."""

from __future__ import annotations

import json
import sys
from time import perf_counter

from torchduet.bench.peers.cases import BASE, inputs_of, prepare_process, read_settings, sides_of
from torchduet.bench.peers.tools.trial import Answer, Trial
from torchduet.bench.record.visits.intervals import COPY_THRESHOLD as THRESHOLD

NAME = "torchduet.compare, 3 s"
RULE = "the 99 % interval over visits lies beyond ±1 %"


def run(trial: Trial) -> list[Answer]:
    """Compare the sides of each case with its base, all in one process of their own."""
    process = trial.python(
        "-m", "torchduet.bench.peers.tools.torchduet_compare", json.dumps([*trial.cases]), *trial.sides
    )
    return [
        Answer(case, side, ratio, verdict if verdict in ("faster", "slower") else "none", (low, high))
        for case, side, ratio, low, high, verdict, _ in json.loads(process.stdout.splitlines()[-1])
    ]


def compared(cases: list[str], sides: list[str]) -> list[tuple[str, str, float, float, float, str, float]]:
    """(case, side, its time / the base's time, the interval's ends, verdict, seconds that the call took)."""
    import torchduet

    settings = read_settings()
    prepare_process(settings.threads)
    answers: list[tuple[str, str, float, float, float, str, float]] = []
    for case in cases:
        functions, inputs = sides_of(case, settings.turns), inputs_of(case)
        for side in sides:
            start = perf_counter()
            found = torchduet.compare(
                {side: functions[side], BASE: functions[BASE]}, *inputs, threshold=THRESHOLD, progress=False
            )
            seconds, result = perf_counter() - start, found[side]
            answers.append((case, side, 1 / result.speedup, 1 / result.high, 1 / result.low, result.verdict, seconds))
    return answers


if __name__ == "__main__":
    print(json.dumps(compared(json.loads(sys.argv[1]), sys.argv[2:])))
