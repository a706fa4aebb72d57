"""A control: times each case in segments in which no other case has a turn.

Alternating is right where it leaves each side as it is. A collective between processes may take another time when its
ranks have slept before; where the ratio of the segments lies beyond the noise of both, the report says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from torchduet.bench.host.suspension import awake
from torchduet.bench.timing.timed_case import TimedCase

SEGMENTS = 5
SEGMENT_SECONDS = 0.1
MIN_BLOCKS = 3


def least_seconds(runs: Sequence[TimedCase]) -> float:
    """Seconds that the control takes at least."""
    return SEGMENTS * sum(run.seconds + MIN_BLOCKS * run.round_seconds / run.repeats for run in runs)


def time_alone(
    runs: Sequence[TimedCase], seconds: float, rng: random.Random, must_stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[TimedCase, Exception]]:
    """Time each case in some segments, the cases in random order each time; the medians are their ``alone``.

    Args:
        seconds: for all of them, about.

    Yields:
        A case that raises, and the error; it is left out from then on.
    """
    segment = min(SEGMENT_SECONDS, seconds / max(1, SEGMENTS * len(runs)))
    failed: set[int] = set()
    for _ in range(SEGMENTS):
        for run in rng.sample(runs, len(runs)):
            if must_stop():
                return
            if id(run) in failed:
                continue
            try:
                run.call()
                times: list[float] = []
                end = awake() + segment
                while len(times) < MIN_BLOCKS or awake() < end:
                    times.append(run.block().seconds)
                run.alone.append(median(times))
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                failed.add(id(run))
                yield run, error
