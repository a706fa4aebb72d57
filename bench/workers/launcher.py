"""The parent's side of the workers: starts them, listens, and outlives whatever becomes of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any

from torchduet.bench.cases.exchange import CeilingTask, FamilyResult, PilotTask, Profiled, ProfileTask, Task
from torchduet.bench.host.job_control import JobControl
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.record.schema import CeilingRecord
from torchduet.bench.workers import process
from torchduet.bench.workers.exit_reason import end, ending, keep_short, printed
from torchduet.bench.workers.inbox import GarbageError, Inbox
from torchduet.bench.workers.messages import PRELOAD_COMPILER, Answer, Progress

SILENT_SECONDS = 600.0
MIN_SILENT_SECONDS = 180.0
GRACE_SECONDS = 6.0  # for what is being timed, when the run is to end: a CI's SIGKILL follows its SIGTERM after 10 s
POLL_SECONDS = 0.2
LONGEST_TEMPORARY = 75  # of the 107 bytes that unix(7) allows, less what multiprocessing adds

Listen = Callable[[Progress], None]


class WorkerError(Exception):
    """The worker gave no answer; the message says how it ended and what it printed last."""


class StoppedError(Exception):
    """The run is to end, and what was being measured has come to nothing."""


def silent_seconds(budget_seconds: float) -> float:
    """How long a worker may report nothing in a run of so many seconds: no longer than the run, 3 to 10 minutes."""
    return min(SILENT_SECONDS, max(MIN_SILENT_SECONDS, budget_seconds))


class Launcher:
    """Starts a fork server that has imported torch, and one worker after the other from it.

    A worker that dies, hangs or talks nonsense ends in a :class:`WorkerError`; the next one starts
    as if nothing had happened.

    Args:
        silent_seconds: a worker that reports nothing for so long is killed with its children.
        stopping: whether the run is to end: a worker that times is then asked for what it has, any other killed.
        passing: is told how long each wait took.

    Attributes:
        job_control: passes Ctrl-Z on to the worker; to be told to listen.
    """

    def __init__(
        self,
        *,
        silent_seconds: float = SILENT_SECONDS,
        stopping: Callable[[], bool] = lambda: False,
        passing: RunClock | None = None,
    ) -> None:
        self._silent_seconds, self._stopping = silent_seconds, stopping
        self._passing, self.job_control = passing or RunClock(), JobControl()
        self._folder = RunFolder()
        self._workers = 0
        self._environment: dict[str, str] = {}
        self._running = False
        self._fork_server = "forkserver" in multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("forkserver" if self._fork_server else "spawn")
        if not room_for_sockets():
            self.spawn_workers()

    def start(self, *, compiler: bool) -> None:
        """Let the fork server start importing, without waiting for it; a second call changes nothing.

        Args:
            compiler: whether cases will be compiled: the fork server then prepares for that, too.
        """
        if self._running or not self._fork_server:
            return
        self._running = True
        from multiprocessing import forkserver

        self._context.set_forkserver_preload(["torchduet.bench.workers.preload"])
        with _environment(self._for_workers(compiler=compiler)):
            forkserver.ensure_running()

    def _for_workers(self, *, compiler: bool) -> dict[str, str]:
        return for_workers(Path(self._folder.name) / "toolchain", compiler=compiler)

    def spawn_workers(self) -> None:
        """From now on start each worker as a new interpreter: slower, and nothing is inherited."""
        self._context = multiprocessing.get_context("spawn")
        self._fork_server = False
        self._environment = self._for_workers(compiler=True)

    def close(self) -> None:
        """Remove the run's temporary folder."""
        self._folder.cleanup()

    def machine(self, *, apart: bool = False) -> Machine:
        """What this machine has, seen from a worker; returns when workers can be started at once.

        Args:
            apart: in a process of its own, without starting the fork server: what that has to
                prepare for is not known yet.
        """
        context = multiprocessing.get_context("spawn") if apart else self._context
        answer = self._run(process.describe_machine, None, lambda _: None, context)
        assert isinstance(answer, Machine)
        return answer

    def ceilings(
        self, devices: Sequence[str], precisions: Sequence[str], threads: int, seconds: float
    ) -> list[CeilingRecord]:
        """The machine's own ceilings, measured in a new worker.

        Raises:
            WorkerError: the worker gave no answer.
        """
        task = CeilingTask(tuple(devices), tuple(precisions), threads, seconds)
        answer = self._run(process.measure_ceilings, task, lambda _: None)
        assert isinstance(answer, list)
        return answer

    def pilots(self, threads: int, seconds: float) -> dict[str, float]:
        """Seconds per unit of each pilot, timed in a new worker for about ``seconds`` altogether.

        Raises:
            WorkerError: the worker gave no answer.
        """
        answer = self._run(process.measure_pilots, PilotTask(threads, seconds), lambda _: None)
        assert isinstance(answer, dict)
        return answer

    def measure(
        self,
        task: Task,
        listen: Listen,
    ) -> FamilyResult:
        """Measure one family in a new worker, which gets a folder of its own; and once more without a case
        that left that worker unfit to measure the others.

        Raises:
            WorkerError: the worker gave no answer.
            StoppedError: the run is to end.
        """
        answer = self._measure(task, listen)
        if answer.broken is None:
            return answer
        left = tuple(case for case in task.family.cases if case != answer.broken)
        failed = [result for result in answer.results if result.case == answer.broken]
        if not left:
            return replace(answer, results=failed)
        whole = self.measure(replace(task, family=replace(task.family, cases=left)), listen)
        seconds = {stage: spent + answer.seconds.get(stage, 0.0) for stage, spent in whole.seconds.items()}
        return replace(whole, results=[*whole.results, *failed], seconds=seconds)

    def profile(self, job: ProfileTask, listen: Listen) -> Profiled:
        """Profile cases of one family in a new worker.

        Raises:
            WorkerError: the worker gave no answer.
        """
        with self._scratch() as folder:
            answer = self._run(process.profile_family, replace(job, task=replace(job.task, folder=folder)), listen)
        assert isinstance(answer, Profiled)
        return answer

    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self._folder.name, ignore_cleanup_errors=True)

    def _measure(self, task: Task, listen: Listen) -> FamilyResult:
        with self._scratch() as folder:
            answer = self._run(process.measure_family, replace(task, folder=folder), listen)
        if not isinstance(answer, FamilyResult):
            raise WorkerError(f"the worker answered with {type(answer).__name__} instead of a result")
        return answer

    def _run(self, job: Callable[..., Any], argument: Any, listen: Listen, context: BaseContext | None = None) -> Any:
        context = context or self._context
        if context is self._context:
            self.start(compiler=False)
        self._workers += 1
        log = Path(self._folder.name) / f"worker-{self._workers}.log"
        ours, theirs = context.Pipe(duplex=False)
        heard, orders = context.Pipe(duplex=False)
        child = context.Process(  # type: ignore[attr-defined]
            target=process.main, args=(job, argument, theirs, heard, str(log)), daemon=False
        )
        try:
            with _environment(self._environment):
                child.start()
            self.job_control.group = child.pid
            theirs.close()
            heard.close()
            answer = self._listen(child, Inbox(ours), orders, listen, log)
        finally:
            self.job_control.group = None
            end(child)
            for connection in (ours, theirs, heard, orders):
                connection.close()
        if answer.error is not None:
            raise WorkerError(f"the worker failed: {answer.error}{printed(log)}")
        return answer.value

    def _listen(self, child: BaseProcess, inbox: Inbox, orders: Connection, listen: Listen, log: Path) -> Answer:
        silent, asked, timing = 0.0, 0.0, False
        while True:
            began = monotonic()
            try:
                message = inbox.receive(POLL_SECONDS)
            except EOFError:
                child.join(5)
                raise WorkerError(f"the worker {ending(child.exitcode)}{printed(log)}") from None
            except GarbageError as error:
                raise WorkerError(
                    f"the worker sent what is no message ({error}) and was killed{printed(log)}"
                ) from None
            # Of the time for which this process was stopped nothing is heard, whatever was said.
            silent += self._passing.waited(POLL_SECONDS, monotonic() - began)
            if isinstance(message, Answer):
                return message
            if isinstance(message, Progress):
                silent, timing = 0.0, timing or message.fraction > 0
                listen(message)
            elif message is not None:
                what = type(message).__name__
                raise WorkerError(f"the worker sent a message of type {what} and was killed{printed(log)}")
            elif silent > self._silent_seconds:
                raise WorkerError(
                    f"the worker reported nothing for {self._silent_seconds:.0f} s and was killed{printed(log)}"
                )
            if self._stopping():
                if not timing or (asked and monotonic() - asked > GRACE_SECONDS):
                    raise StoppedError
                if not asked:
                    asked = monotonic()
                    with contextlib.suppress(OSError):
                        orders.send(True)
            keep_short(log)


def room_for_sockets() -> bool:
    """Whether the path of a socket below the temporary folder, as the fork server needs one, is short enough."""
    return len(os.fsencode(tempfile.gettempdir())) <= LONGEST_TEMPORARY


def for_workers(toolchain: Path, *, compiler: bool) -> dict[str, str]:
    """The environment of a process that forks workers.

    Args:
        toolchain: where what inductor builds once, for all workers, is kept.
        compiler: whether it prepares for compiled cases.
    """
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(toolchain),
        "TORCH_WARM_POOL": "0",  # inductor's helper processes would outlive the fork
        PRELOAD_COMPILER: "1" if compiler else "0",
    }


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
