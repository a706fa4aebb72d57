"""Measures a program's functions: first in its own process, then in fresh processes where these can find them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import FamilyResult, Progress, Task
from torchduet.bench.host.temporary import HEADERS
from torchduet.bench.library import shipped
from torchduet.bench.library.described import Described
from torchduet.bench.library.worker import measure_described
from torchduet.bench.record.schema import IMPORTING
from torchduet.bench.workers.launcher import EndedEarlyError, Launcher, Listen, WorkerError
from torchduet.bench.workers.measured_again import measured_again
from torchduet.bench.workers.servers import COMPILER, LIGHT, USUAL
from torchduet.bench.workers.visit import measure

MAX_IMPORT_SECONDS = 0.2  # of a visit: what takes longer is imported by a fork server, once
MIN_LIMIT_SECONDS, LIMIT = 30.0, 20.0  # a visit may take so long, and so many times the seconds of its timing
MODULES = ("torchduet.bench.library.worker", "cloudpickle")  # that a fork server imports

_shared: dict[int, Launcher] = {}  # process → its launcher, whose servers live as long as the process


def shared_launcher(stop_requested: Callable[[], bool]) -> Launcher:
    """The launcher of this process; its fork servers stay, so that only the first comparison waits for one."""
    launcher = _shared.get(os.getpid())
    if launcher is None:
        launcher = Launcher(light=True, modules=MODULES, job=measure_described)
        _shared[os.getpid()] = launcher
        atexit.register(close)
    launcher.stop_requested = stop_requested
    return launcher


def close() -> None:
    """Let the fork servers of this process end, and remove its temporary folder; later calls start others."""
    launcher = _shared.pop(os.getpid(), None)
    if launcher is not None:
        with launcher.servers.in_use():
            launcher.close()


class CallerLauncher:
    """What a run's measuring asks of a launcher, for functions of this process.

    Args:
        workers: starts fresh processes; None: every visit is made in this process.

    Attributes:
        alone: why every visit is made in this process; empty while later ones are made in others.
        source: of the functions' suite: the path of the file from which other processes read them.
    """

    def __init__(self, described: Described, workers: Launcher, *, alone: str = "") -> None:
        self._workers, self.alone, self.servers = workers, alone, workers.servers
        self.fresh = 0  # visits by other processes
        self._expected: dict[Case, Mapping[str, tuple[str, float]]] = {}
        # The import of the compiler makes its folder. These variables are as before when measuring ends.
        os.environ[HEADERS] = str(Path(workers.folder, "toolchain", "headers"))
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(workers.folder, "toolchain")))
        self._folder = Path(tempfile.mkdtemp(prefix="functions-", dir=workers.folder))
        self.source = str(self._folder / "functions.pt")
        self.stop_requested = workers.stop_requested
        self._modules = shipped.modules_of(described)
        if not alone:
            try:
                shipped.write(described, Path(self.source))
            except shipped.NotShippedError as error:
                self.alone = str(error)

    def start(self, *, compiler: bool, suites: Collection[str] = ()) -> None:
        """Start a fork server, without waiting for it; what is measured is the program's own, in no suite."""
        del suites
        if self.alone:
            return
        try:
            self._start(compiler)
        except (OSError, EOFError) as error:  # no working folder, no standard streams
            self.alone = f"no fresh process can be started: {_words(error)}"

    def _start(self, compiler: bool) -> None:
        self.servers.needs_modules = self._modules if self.servers.imports(self._modules) else frozenset()
        self.servers.needs = COMPILER if compiler else USUAL if "torch._dynamo" in sys.modules else LIGHT
        self._workers.light = self.servers.needs == LIGHT
        self._workers.start(compiler=compiler)
        self.add_able()

    def add_able(self) -> None:
        """Start a fork server that has imported as much as visits need, if there is none.

        Optimisers import parts of the compiler, which take a second in every process whose server has not; so do the
        modules of the functions, if the first visit shows that these take long.
        """
        if self.alone or not len(self.servers):
            return
        if "torch._dynamo" in sys.modules:
            self.servers.needs = max(self.servers.needs, USUAL)
        if not self.servers.has_able():
            level = self.servers.needs
            self.servers.start(compiler=level == COMPILER, light=level == LIGHT, imports=self.servers.needs_modules)

    def close(self) -> None:
        """Remove what later visits have read."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def kept_folder(self, name: str) -> str:
        """A folder for a family's compiled code."""
        folder = self._folder / f"kept-{abs(hash(name))}"
        folder.mkdir(exist_ok=True)
        return str(folder)

    def measure(self, task: Task, listen: Listen) -> FamilyResult:
        """The first visit to a family, in this process; what it leaves unable to measure the others ends it.

        Raises:
            WorkerError: a case left this process unable to measure the others, and no other process can.
            EndedEarlyError: a stop was requested.
        """
        answer = self._here(replace(task, expected={}), listen)
        self._expected |= {result.case: result.summary for result in answer.results if result.summary}
        if answer.broken is None:
            return answer
        if self.alone:
            error = next(result.error for result in answer.results if result.case == answer.broken)
            raise WorkerError(f"{answer.broken.id}: {error}")
        return measured_again(task, answer, lambda rest: self._workers.measure(rest, listen))

    def visit(self, task: Task, listen: Listen) -> FamilyResult:
        """A later visit, in a fresh process; where that fails, in this one, and so are all others.

        Raises:
            WorkerError: this process cannot measure, either.
            EndedEarlyError: a stop was requested.
        """
        if not self.alone:
            limit = MIN_LIMIT_SECONDS + LIMIT * task.seconds
            try:
                answer = self._workers.visit(replace(task, expected=self._expected, max_seconds=limit), listen)
                for result in answer.results:
                    if result.error:
                        raise WorkerError(f"{result.case.implementation}: {result.error}")
            except (WorkerError, OSError, EOFError) as error:
                if self.fresh and isinstance(error, WorkerError):
                    raise
                self.alone = _words(error)
            else:
                self.fresh += 1
                if answer.seconds.get(IMPORTING, 0.0) > MAX_IMPORT_SECONDS:
                    self.servers.needs_modules = self._modules
                return answer
        answer = self._here(task, listen)
        if answer.broken is not None:
            raise WorkerError(f"{answer.broken.id} left this process unable to measure")
        return answer

    def _here(self, task: Task, listen: Listen) -> FamilyResult:
        def report(what: str, fraction: float) -> None:
            listen(Progress(what, fraction))
            if self.stop_requested() and not fraction:
                raise EndedEarlyError

        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            return measure(replace(task, folder=folder), report)


def _words(error: Exception) -> str:
    """Why a fresh process has no answer, in one line."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.removeprefix("the worker failed: LookupError: ").removesuffix(":")
