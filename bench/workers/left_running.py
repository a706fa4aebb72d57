"""Finds work that goes on after a call has returned: on other streams of its device, or in Python's threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep

from torch.utils.data import DataLoader

from torchduet.bench.inputs.graph import walk
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.messages import OWN_THREAD

MIN_STREAMS, STREAMS_SHARE = 3e-5, 0.02  # seconds, and of a block; waiting for an idle device takes some microseconds
MIN_THREADS, THREADS_SHARE = 2e-4, 0.05  # seconds, and of a call
CALLS = 5  # most of them have to leave work behind
QUIET_SECONDS = 1.0  # until what earlier calls have left is done, at most
MIN_PAUSE, MAX_PAUSE = 0.01, 0.1  # the system counts a running thread's time every 10 ms at the latest
POLL_SECONDS = 2e-4
TASKS = Path("/proc/self/task")


def left_running(run: TimedCase) -> str | None:
    """What a case leaves running when its calls return, in words; None where it leaves nothing, or not much."""
    return _on_streams(run) or (None if run.device.asynchronous else _in_threads(run))


def _on_streams(run: TimedCase) -> str | None:
    if not run.unfinished:
        return None
    unfinished, block_seconds = (median(values) for values in zip(*run.unfinished, strict=True))
    if unfinished <= max(MIN_STREAMS, STREAMS_SHARE * block_seconds):
        return None
    return (
        f"when it returns, it has left work on other streams than the current one: {1e6 * unfinished:.0f} µs after a "
        f"block of {1e6 * block_seconds:.0f} µs, which are not in its time; let the current stream wait for them: "
        "torch.cuda.current_stream().wait_stream(other)"
    )


def _in_threads(run: TimedCase) -> str | None:
    """Whether threads of Python compute on; PyTorch's own threads only wait actively, for some milliseconds."""
    if not TASKS.is_dir() or run.seconds >= LONG_CALL_SECONDS:
        return None
    if any(isinstance(value, DataLoader) for value in walk(*run.prepared.inputs)):
        return None  # it fetches the next batches in the background
    limit, pause = max(MIN_THREADS, THREADS_SHARE * run.seconds), min(max(MIN_PAUSE, 4 * run.seconds), MAX_PAUSE)
    left: list[float] = []
    anyway = _anyway(pause, limit)
    while len(left) < CALLS and sum(seconds <= limit for seconds in left) <= CALLS // 2:
        run.call()
        left.append(_computed_on(pause) - anyway)
    if median(left) <= limit:
        return None
    return (
        f"when it returns, a thread that it has started works on for {1e3 * median(left):.2g} ms, which is not in its "
        "time; let the function wait for what it starts"
    )


def _anyway(pause: float, limit: float) -> float:
    """Seconds that threads compute in a pause, whether or not there was a call before."""
    start, least = perf_counter(), _computed_on(pause)
    while least > limit and perf_counter() - start < QUIET_SECONDS:
        least = min(least, _computed_on(pause))
    return least


def _computed_on(pause: float) -> float:
    """Seconds that Python's other threads compute within the next ``pause`` seconds."""
    threads = {thread: own for thread in _others() if (own := _seconds_of(thread)) is not None}
    if not threads:
        return 0.0
    start, spent = perf_counter(), process_time()
    ended: dict[threading.Thread, float] = {}
    while (passed := perf_counter() - start) < pause and len(ended) < len(threads):
        ended |= {thread: passed for thread in threads if thread not in ended and not thread.is_alive()}
        sleep(POLL_SECONDS)
    spent = process_time() - spent
    return max(_grown(threads), min(spent, max(ended.values(), default=0.0)))


def _grown(before: Mapping[threading.Thread, float]) -> float:
    """The largest increase of one thread's time; 0 for threads that have ended."""
    after = {thread: _seconds_of(thread) for thread in before}
    return max((now - before[thread] for thread, now in after.items() if now is not None), default=0.0)


def _others() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one is not threading.current_thread() and one.name != OWN_THREAD]


def _seconds_of(thread: threading.Thread) -> float | None:
    """Seconds that a thread has computed, from proc(5)'s ``schedstat``; None where the system does not say."""
    try:
        return int((TASKS / str(thread.native_id) / "schedstat").read_text().split()[0]) * 1e-9
    except (OSError, ValueError, IndexError):
        return None
