"""The worker process: does one job, such as measuring a family, and sends the answer.

It runs in a process group of its own with its output in a file, so that a failure in it (an abort, a hang, megabytes of
output) does not affect its parent.
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
from typing import Any

from torchduet.bench.cases.exchange import Answer, Progress
from torchduet.bench.host import suspension
from torchduet.bench.host.child_processes import write_output_to
from torchduet.bench.host.error_words import one_line
from torchduet.bench.workers.messages import OWN_THREAD, STOP_REQUESTED


def main(job: Callable[..., Any], argument: Any, outbox: Connection, stop_inbox: Connection, log: str) -> None:
    """Run ``job(argument, report)`` and send its answer; the process target of every worker.

    Args:
        outbox: for messages to the parent.
        stop_inbox: receives the parent's stop request.
        log: file for the worker's output.
    """
    isolate(log)
    from torchduet.bench.received.answers import Codec, cases_of  # a duet's sides import this module without msgspec

    codec = Codec(None, cases_of(argument))
    suspension.listen()
    threading.Thread(target=_watch_parent, args=(stop_inbox,), name=OWN_THREAD, daemon=True).start()

    def report(what: str, fraction: float) -> None:
        outbox.send_bytes(codec.encoded(Progress(what, fraction)))

    try:
        unsafe = _unsafe()
        answer = codec.encoded(Answer(unsafe=unsafe) if unsafe else Answer(job(argument, report)))
    except Exception as error:  # noqa: BLE001 - sent to the parent as the reason
        import traceback

        traceback.print_exc()
        answer = codec.encoded(Answer(error=one_line(error)))
    outbox.send_bytes(answer)
    outbox.close()
    sys.stdout.flush()
    os._exit(0)  # skips the interpreter's shutdown, which takes long with CUDA and compiled libraries loaded


def _unsafe() -> str:
    """Why the server that this worker was forked from must fork none; empty if it may, or if there is no server."""
    preload = sys.modules.get("torchduet.bench.workers.preload")
    return getattr(preload, "unsafe", "")


def isolate(log: str) -> None:
    """Give this process a group of its own and its output a file; set it up like a user's own process."""
    if hasattr(os, "setsid"):
        os.setsid()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the process that has forked it leaves it blocked
    write_output_to(log)
    like_a_users_process()
    gc.freeze()
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        server = forkserver._forkserver
        type(server).__init__(server)  # for the workload's own start method "forkserver", too


def like_a_users_process() -> None:
    """Set up what workloads see of this process as in a user's own.

    By default a workload's processes would come from the run's fork server: slower, without the modules loaded since,
    and outside this process group, so that they would outlive it.
    """
    sys.argv = sys.argv[:1]  # a workload that parses arguments gets its defaults, not pytest's
    faulthandler.enable(file=sys.stderr, all_threads=False)
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn", force=True)


def _watch_parent(stop_inbox: Connection) -> None:
    """Stop timing at the parent's request; when the parent has ended (SIGKILL), kill this worker and its children."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if stop_inbox in multiprocessing.connection.wait([parent.sentinel, stop_inbox]):
        with contextlib.suppress(EOFError, OSError):
            stop_inbox.recv()
            STOP_REQUESTED.set()
        multiprocessing.connection.wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)  # where there are no process groups


def measure_family(task: Any, report: Callable[[str, float], None]) -> Any:
    """Job: measure the family of a :class:`torchduet.bench.cases.exchange.Task`."""
    import torchduet.bench.workers.preload  # noqa: F401 - imported already, unless this worker was not forked
    from torchduet.bench.workers.visit import measure

    return measure(task, report)


def profile_family(job: Any, report: Callable[[str, float], None]) -> Any:
    """Job: profile the cases of a :class:`torchduet.bench.cases.exchange.ProfileTask`."""
    import torchduet.bench.workers.preload  # noqa: F401 - imported already, unless this worker was not forked
    from torchduet.bench.workers import profiling

    return profiling.profile_family(job, report)


def take_first_call(job: Any, report: Callable[[str, float], None]) -> Any:
    """Job: take the first call of the case of a :class:`torchduet.bench.cases.exchange.FirstCallTask`."""
    import torchduet.bench.workers.preload  # noqa: F401 - imported already, unless this worker was not forked
    from torchduet.bench.passes import first_call

    return first_call.take_first_call(job, report)


def measure_ceilings(task: Any, report: Callable[[str, float], None]) -> Any:
    """Job: measure the machine's ceilings, for a :class:`torchduet.bench.cases.exchange.CeilingTask`."""
    from torchduet.bench.passes import ceilings

    del report
    return ceilings.measure_ceilings(task)


def measure_pilots(task: Any, report: Callable[[str, float], None]) -> Any:
    """Job: time the pilots, for a :class:`torchduet.bench.cases.exchange.PilotTask`."""
    from torchduet.bench.passes import pilots

    del report
    return pilots.measure_pilots(task)


def describe_machine(_: None, __: Callable[[str, float], None]) -> Any:
    """Job: describe this machine; initialises its devices' drivers, which the parent never does."""
    from dataclasses import replace

    from torchduet.bench.host.machine import probe
    from torchduet.bench.timing.device_registry import accelerators

    present, missing = accelerators()
    return replace(probe(), accelerators=present, no_accelerator=missing)


def machine_of(in_worker: Callable[[], Any]) -> Any:
    """This machine, described by this process, or in a worker where there may be an accelerator.

    This process never initialises a driver.

    Args:
        in_worker: describes it in a worker.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    import torch

    return describe_machine(None, lambda *_: None) if torch.accelerator.current_accelerator() is None else in_worker()
