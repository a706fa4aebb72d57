"""The peak memory of a side's cases, counted after their first pair is timed: the profiler would disturb that."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import partial

from torchduet.bench.passes.operators_and_memory import peak_memory
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import GRAPHED

WITHOUT = (*GRAPHED, "graph")  # modes whose memory was allocated when they were captured


def peaks(runs: Mapping[int, TimedCase]) -> dict[str, int]:
    """Index of a case → bytes that a call holds at most beyond its inputs; cases without a figure are left out.

    The lesser of two calls counts, as the first may fill a cache; a long call is made once.
    """
    found = {}
    for index, run in runs.items():
        case = run.prepared.case
        if run.error is not None or case.mode in WITHOUT or run.elsewhere:
            continue
        try:
            peak = partial(peak_memory, device=case.device)
            values = [run.measure_call(peak)[0] for _ in range(1 if run.seconds > LONG_CALL_SECONDS else 2)]
        except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
            traceback.print_exc()
            continue
        if known := [value for value in values if value is not None]:
            found[str(index)] = max(0, min(known))
    return found
