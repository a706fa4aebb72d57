"""Starts workers, receives their messages, and ends them: the parent's side, which survives any failure of a worker."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import multiprocessing
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any, cast

from torchduet.bench.cases.exchange import CeilingTask, FamilyResult, PilotTask, Profiled, ProfileTask, Task
from torchduet.bench.host.gpus.processes import note_started
from torchduet.bench.host.job_control import JobControl
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.process.left_behind import end_marked
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.host.system_limits import can_fork
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.host.without_main import without_main
from torchduet.bench.received.answers import Answer, Codec, Progress, Seconds, cases_of, why_incomplete
from torchduet.bench.received.cleaned import GarbageError
from torchduet.bench.received.inbox import Inbox
from torchduet.bench.record.schema import IMPORTING, STARTING, CeilingRecord
from torchduet.bench.workers import process
from torchduet.bench.workers.ended import SILENT_SECONDS as SILENT_SECONDS
from torchduet.bench.workers.ended import EndedEarlyError as EndedEarlyError
from torchduet.bench.workers.ended import OutOfTimeError as OutOfTimeError
from torchduet.bench.workers.ended import WorkerError as WorkerError
from torchduet.bench.workers.ended import part_of_stop
from torchduet.bench.workers.ended import silent_seconds as silent_seconds
from torchduet.bench.workers.environment import changed, for_workers, room_for_sockets, scratch
from torchduet.bench.workers.exit_reason import describe_exit, end, last_output, raise_unless_full, start, truncate_log
from torchduet.bench.workers.measured_again import measured_again
from torchduet.bench.workers.messages import PRELOAD_FILES
from torchduet.bench.workers.servers import Servers

GRACE_SECONDS = 6.0  # to finish timing after a stop request: a CI's SIGKILL follows its SIGTERM after 10 s
POLL_SECONDS = 0.2

Listen = Callable[[Progress], None]


class Launcher:
    """Starts a fork server that has imported torch, and one worker after the other from it.

    A worker that dies, hangs or sends anything but a message raises :class:`WorkerError`; the next is unaffected.

    Args:
        silent_seconds: a worker that reports nothing for this long is killed with its children.
        stop_requested: whether the run is to end early: a worker that times returns what it has, any other is killed.
        run_clock: records how long each wait took.
        files: of users, which the fork server imports for all workers.
        modules: that a fork server imports first.
        job: measures a family in a worker.
        warn: adds a warning to the run's record.
        ended: called when a worker has ended.

    Attributes:
        servers: the fork servers; none where each worker is a new interpreter.
        light: the first fork server imports nothing of the compiler, unless that is needed: see :class:`Servers`.
        job_control: passes Ctrl-Z on to the worker; the caller starts and ends its listening.
    """

    def __init__(
        self,
        *,
        silent_seconds: float = SILENT_SECONDS,
        stop_requested: Callable[[], bool] = lambda: False,
        run_clock: RunClock | None = None,
        files: Sequence[str] = (),
        modules: Sequence[str] = (),
        light: bool = False,
        job: Callable[..., Any] = process.measure_family,
        warn: Callable[[str], object] = lambda _: None,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._silent_seconds, self.stop_requested = silent_seconds, stop_requested
        self._run_clock, self.job_control = run_clock or RunClock(), JobControl()
        self._folder, self._files = RunFolder(), files
        self._warn, self._job, self.light, self._ended = warn, job, light, ended
        self._environment: dict[str, str] = {}
        self._workers, self._suites = 0, tuple[str, ...]()
        self.servers = Servers(Path(self._folder.name), self._for_workers, modules)
        self._fork_server = can_fork() and room_for_sockets()
        self._context: BaseContext = multiprocessing.get_context("forkserver" if self._fork_server else "spawn")
        if not self._fork_server:
            self.spawn_workers()

    def start(self, *, compiler: bool, suites: Collection[str] = ()) -> None:
        """Start the fork server, which begins to import, without waiting for it; a second call has no effect.

        Args:
            compiler: whether cases will be compiled: the fork server then imports the compiler, too.
            suites: to which the cases belong: the fork server imports the packages that these use.
        """
        if self._fork_server and not len(self.servers):
            self._suites = tuple(suites)
            try:
                self.servers.start(compiler=compiler, light=self.light and not compiler)
            except OSError as error:
                raise_unless_full(error)
                self._warn(f"each worker imports torch itself, as the process that would fork them failed: {error}")
                self.spawn_workers()

    def _for_workers(self, compiler: bool) -> dict[str, str]:
        files = json.dumps([str(Path(file).resolve()) for file in self._files])
        return for_workers(self._folder.path, compiler=compiler, suites=self._suites) | {PRELOAD_FILES: files}

    def spawn_workers(self) -> None:
        """From now on start each worker as a new interpreter, which is slower and inherits nothing."""
        self._context, self._fork_server = multiprocessing.get_context("spawn"), False
        self._environment = for_workers(self._folder.path, compiler=True)

    @property
    def folder(self) -> str:
        """The run's temporary folder."""
        return self._folder.name

    def close(self) -> None:
        """Let the fork servers end, and remove the run's temporary folder."""
        end_marked(self._folder.path, [self.servers.stop()])
        self._folder.cleanup()

    def machine(self, *, own_process: bool = False) -> Machine:
        """Describe this machine from a worker; returns when workers can be started at once.

        Args:
            own_process: use a new interpreter, as long as it is not known what the fork server has to import.
        """
        context = multiprocessing.get_context("spawn") if own_process else self._context
        return cast(Machine, self._run(process.describe_machine, None, Machine, context=context))

    def ceilings(
        self, devices: Sequence[str], precisions: Sequence[str], threads: int, seconds: float
    ) -> list[CeilingRecord]:
        """The machine's ceilings, measured in a new worker.

        Raises:
            WorkerError: the worker sent no answer.
        """
        task = CeilingTask(tuple(devices), tuple(precisions), threads, seconds)
        ceilings: list[CeilingRecord] = self._run(process.measure_ceilings, task, list[CeilingRecord])
        return ceilings

    def pilots(self, threads: int, seconds: float, devices: Sequence[str] = ()) -> dict[str, float]:
        """Seconds per unit of each pilot, timed in a new worker: see :class:`torchduet.bench.cases.exchange.PilotTask`.

        Raises:
            WorkerError: the worker sent no answer.
        """
        task = PilotTask(threads, seconds, tuple(devices))
        pilots: dict[str, float] = self._run(process.measure_pilots, task, dict[str, Seconds])
        return pilots

    def measure(self, task: Task, listen: Listen) -> FamilyResult:
        """Measure one family in a new worker, which gets a folder of its own.

        If a case leaves the worker unable to measure the others, these are measured again in another worker.

        Raises:
            WorkerError: the worker sent no answer.
            EndedEarlyError: the run ends early.
        """
        answer = self._measure(task, listen)
        if answer.broken is None:
            return answer
        return measured_again(task, answer, lambda rest: self.measure(rest, listen))

    def visit(self, task: Task, listen: Listen) -> FamilyResult:
        """Visit a family again, in a new worker.

        Raises:
            WorkerError: the worker sent no answer, or was left unable to measure.
            EndedEarlyError: the run ends early.
        """
        answer = self._measure(task, listen)
        if answer.broken is not None:
            error = next(result.error for result in answer.results if result.case == answer.broken)
            raise WorkerError(f"{answer.broken.id}: {error}")
        return answer

    def kept_folder(self, name: str) -> str:
        """A folder for what later visits to a family read, removed at the end of the run."""
        folder = Path(self._folder.name) / "kept" / hashlib.sha256(name.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def profile(self, job: ProfileTask, listen: Listen) -> Profiled:
        """Profile cases of one family in a new worker.

        Raises:
            WorkerError: the worker sent no answer.
        """
        return cast(Profiled, self.of_family(process.profile_family, job, Profiled, listen))

    def of_family(self, do: Callable[..., Any], job: Any, kind: Any, listen: Listen) -> Any:
        """The result, of this kind, of a job with a task, from a new worker; raises as :meth:`profile` does."""
        with scratch(self._folder.name) as folder:
            return self._run(do, replace(job, task=replace(job.task, folder=folder)), kind, listen)

    def _measure(self, task: Task, listen: Listen) -> FamilyResult:
        with scratch(self._folder.name) as folder:
            own = replace(task, folder=folder)
            answer: FamilyResult = self._run(self._job, own, FamilyResult, listen, limit=task.max_seconds + task.grace)
        if lacking := why_incomplete(task, answer):
            raise WorkerError(f"the worker sent an incomplete result ({lacking})")
        return answer

    def _run(
        self,
        job: Callable[..., Any],
        argument: Any,
        kind: Any,
        listen: Listen = lambda _: None,
        *,
        context: BaseContext | None = None,
        limit: float = math.inf,
    ) -> Any:
        """The result of a job, of this kind, from a new worker."""
        context = context or self._context
        if context is self._context:
            self.start(compiler=False)
        self._workers += 1
        log = Path(self._folder.name) / f"worker-{self._workers}.log"
        inbox, outbox = context.Pipe(duplex=False)  # of messages from the worker: the receiving end, the sending end
        stop_inbox, stop_outbox = context.Pipe(duplex=False)  # of the stop request to the worker
        child = context.Process(  # type: ignore[attr-defined]
            target=process.main, args=(job, argument, outbox, stop_inbox, str(log)), daemon=False
        )
        try:
            forks = self._fork_server and context is self._context
            with part_of_stop(self.stop_requested):
                with changed(self._environment), self.servers.restartable(self._silent_seconds, forks), without_main():
                    start(child)
                self.job_control.group = child.pid
                note_started(child.pid)
                outbox.close()
                stop_inbox.close()
                received = Inbox(inbox, Codec(kind, cases_of(argument)))
                answer = self._listen(child, received, stop_outbox, listen, log, limit)
        finally:
            self.job_control.group = None
            end(child)
            for connection in (inbox, outbox, stop_inbox, stop_outbox):
                connection.close()
            self._ended()
        if answer.unsafe and self._fork_server:
            self._warn(f"each worker imports torch itself, which takes some seconds: a file {answer.unsafe}")
            self.spawn_workers()
            return self._run(job, argument, kind, listen, limit=limit)
        if reason := answer.error or answer.unsafe:
            raise WorkerError(f"the worker failed: {reason}{last_output(log)}")
        return answer.value

    def _listen(
        self, child: BaseProcess, inbox: Inbox, stop_outbox: Connection, listen: Listen, log: Path, limit: float
    ) -> Answer:
        """Wait for the answer. The limit includes neither the import of the family's file nor the start of devices."""
        silent, stop_sent, timing, counts, left = 0.0, 0.0, False, False, limit
        while True:
            started = monotonic()
            try:
                message = inbox.receive(POLL_SECONDS)
            except EOFError:
                child.join(5)
                raise WorkerError(f"the worker {describe_exit(child.exitcode)}{last_output(log)}") from None
            except GarbageError as error:
                garbage = f"the worker sent something that is not a message ({error}) and was killed"
                raise WorkerError(f"{garbage}{last_output(log)}") from None
            # The clock leaves out time for which this process was suspended: it then receives nothing.
            waited = self._run_clock.waited(POLL_SECONDS, monotonic() - started)
            silent, left = silent + waited, left - waited if counts else left
            if isinstance(message, Answer):
                return message
            if isinstance(message, Progress):
                silent, timing = 0.0, timing or message.fraction > 0
                counts = not message.what.startswith((IMPORTING, STARTING))
                listen(message)
            elif silent > self._silent_seconds:
                nothing = f"the worker reported nothing for {self._silent_seconds:.0f} s and was killed"
                raise WorkerError(f"{nothing}{last_output(log)}")
            if left < 0:
                raise OutOfTimeError(f"it took longer than the {limit:.1f} s that were left")
            if self.stop_requested():
                if not timing or (stop_sent and monotonic() - stop_sent > GRACE_SECONDS):
                    raise EndedEarlyError
                if not stop_sent:
                    stop_sent = monotonic()
                    with contextlib.suppress(OSError):
                        stop_outbox.send(True)
            truncate_log(log)
