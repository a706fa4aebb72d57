"""The worker process: measures one family or describes the machine, and sends what came out.

It runs in a process group of its own with its output in a file, so that whatever happens in it
(an abort, a hang, megabytes of output) stays there.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torchduet.bench.host import suspension
from torchduet.bench.workers.messages import ASKED_TO_STOP, Answer, Progress


def main(job: Callable[..., Any], argument: Any, channel: Connection, orders: Connection, log: str) -> None:
    """Run ``job(argument, tell)`` and send its answer; the process target of every worker."""
    isolate(log)
    suspension.listen()
    threading.Thread(target=_heed_parent, args=(orders,), daemon=True).start()

    def tell(what: str, fraction: float) -> None:
        channel.send(Progress(what, fraction))

    try:
        answer = Answer(job(argument, tell))
    except Exception as error:  # noqa: BLE001 - sent to the parent as the reason
        import traceback

        traceback.print_exc()
        answer = Answer(error=f"{type(error).__name__}: {error}".split("\n")[0])
    channel.send(answer)
    channel.close()
    sys.stdout.flush()
    os._exit(0)  # interpreter shutdown with CUDA and compiled libraries loaded only costs time


def isolate(log: str) -> None:
    """Give this process a group of its own and its output a file, and set it up as a user's own process is."""
    if hasattr(os, "setsid"):
        os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable(file=sys.stderr, all_threads=False)
    gc.freeze()
    # As in a user's own process. Left alone, a workload's processes would come from the run's fork server:
    # slower, without what was loaded since, and outside this process group, so that they would outlive it.
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn", force=True)


def _heed_parent(orders: Connection) -> None:
    """When the parent says so, stop timing. When it is gone (SIGKILL), so is this worker, with its children."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if orders in multiprocessing.connection.wait([parent.sentinel, orders]):
        with contextlib.suppress(EOFError, OSError):
            orders.recv()
            ASKED_TO_STOP.set()
        multiprocessing.connection.wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)


def measure_family(task: Any, tell: Callable[[str, float], None]) -> Any:
    """Job: measure a :class:`torchduet.bench.workers.family.Task`."""
    import torchduet.bench.workers.preload  # noqa: F401 - done already, unless this worker was not forked
    from torchduet.bench.workers.family import measure

    return measure(task, tell)


def profile_family(job: Any, tell: Callable[[str, float], None]) -> Any:
    """Job: profile what a :class:`torchduet.bench.cases.exchange.ProfileTask` names."""
    import torchduet.bench.workers.preload  # noqa: F401 - done already, unless this worker was not forked
    from torchduet.bench.passes import profiler

    return profiler.profile_family(job, tell)


def measure_ceilings(task: Any, tell: Callable[[str, float], None]) -> Any:
    """Job: the best that the machine does; takes a :class:`torchduet.bench.cases.exchange.CeilingTask`."""
    from torchduet.bench.passes import ceilings

    del tell
    return ceilings.measure_ceilings(task)


def measure_pilots(task: Any, tell: Callable[[str, float], None]) -> Any:
    """Job: how fast the machine is just now; takes a :class:`torchduet.bench.cases.exchange.PilotTask`."""
    from torchduet.bench.passes import pilots

    del tell
    return pilots.measure_pilots(task)


def describe_machine(_: None, __: Callable[[str, float], None]) -> Any:
    """Job: what this machine has; initialises its devices' drivers, which the parent never does."""
    from dataclasses import replace

    from torchduet.bench.host.machine import probe
    from torchduet.bench.timing.device_registry import accelerators

    found, missing = accelerators()
    return replace(probe(), accelerators=found, no_accelerator=missing)


def last_lines(log: Path, count: int = 6, most: int = 16_384) -> str:
    """The last lines of a worker's output, at most ``most`` bytes of it.

    Of a crash that faulthandler reports, the innermost two frames are kept.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    kept: list[str] = []
    frames = 0
    for line in filter(str.strip, lines):
        frame = line.startswith("  File ")
        frames = frames + 1 if frame else 0
        if frames <= 2 and not line.startswith(("Extension modules:", "Current thread ")):
            kept.append(line)
    return "\n".join(kept[-count:])
