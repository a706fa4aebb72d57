"""Fork servers: interpreters that have imported torch, and from which workers are forked in milliseconds.

A run has several. What an interpreter has by chance (where its libraries and objects lie) stays for its life, and all
workers forked from one share it: for some comparisons two interpreters differ more than two workers of one do. So the
visits to a family take turns between them.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from torchduet.bench.host.child_processes import has_ended
from torchduet.bench.received.cleaned import cleaned_text
from torchduet.bench.workers.environment import changed, sockets_in, without_ctrl_c
from torchduet.bench.workers.messages import NOTHING, PRELOAD_COMPILER, PRELOAD_MODULES, PRELOAD_READY

PRELOAD = "torchduet.bench.workers.preload"
POLL_SECONDS = 0.05
LIGHT, USUAL, COMPILER = range(3)  # levels: nothing of the compiler is imported, what optimisers need of it, all of it
MAX_ANSWER = 1000  # bytes
STOP_SECONDS = 5.0  # for all servers to end
MIN_START_SECONDS = 600.0  # for a worker to be started: its server may have to import first

Environment = Callable[[bool], Mapping[str, str]]  # whether a server imports the compiler → its variables


class Servers:
    """The fork servers of a run. The first begins with the run, the others later.

    multiprocessing has one fork server, an object of its module: each of ours is a state of that object, exchanged
    before a worker is started.

    Args:
        folder: for a file that each server makes when it is ready.
        environment: variables for a server that imports the compiler, or does not.
        modules: that every server imports before what all servers import.

    Attributes:
        needs, needs_modules: only servers of this level that import these modules are chosen, unless there is none.
    """

    def __init__(self, folder: Path, environment: Environment, modules: Sequence[str] = ()) -> None:
        self._folder, self._environment, self._modules = folder, environment, modules
        self._states: list[dict[str, Any]] = []  # of those that were started, in order
        self._variables: list[dict[str, str]] = []  # with which each was started
        self._levels: list[int] = []  # how much of the compiler each has imported
        self._imports: list[frozenset[str]] = []  # the further modules that each imports
        self.needs = LIGHT
        self.needs_modules: frozenset[str] = frozenset()
        self._begun: list[float] = []
        self._current = 0

    def __len__(self) -> int:
        return len(self._states)

    def start(self, *, compiler: bool, light: bool = False, imports: Collection[str] = ()) -> None:
        """Start another server, which begins to import; does not wait for it.

        Args:
            compiler: it imports the compiler.
            light: it imports nothing of it, and is ready a second earlier.
            imports: further modules that it imports; if they leave what no worker can use, it is never ready.
        """
        from multiprocessing import forkserver

        server: Any = forkserver._forkserver
        self._keep()
        vars(server).clear()
        type(server).__init__(server)
        server.set_forkserver_preload([*self._modules, PRELOAD])
        number = len(self._states)
        ready = {PRELOAD_READY: str(self._ready_file(number))}
        own = {PRELOAD_COMPILER: NOTHING} if light else {}
        own |= {PRELOAD_MODULES: json.dumps(sorted(imports))} if imports else {}
        variables = {**self._environment(compiler), **ready, **own}
        with changed(variables), sockets_in(self._folder), without_ctrl_c():
            forkserver.ensure_running()
        self._variables.append(variables)
        self._states.append(dict(vars(server)))
        self._levels.append(COMPILER if compiler else LIGHT if light else USUAL)
        self._imports.append(frozenset(imports))
        self._begun.append(monotonic())
        self._current = number

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """The servers are those of multiprocessing within the context; after it, that of the program is again."""
        from multiprocessing import forkserver

        server = forkserver._forkserver
        before = dict(vars(server))
        if self._states:
            self._load(self._current)
        try:
            yield
        finally:
            self._keep()
            vars(server).clear()
            vars(server).update(before)

    @contextlib.contextmanager
    def restartable(self, seconds: float, active: bool) -> Iterator[None]:
        """While a worker is started: a server that has ended is started again as it was.

        One that does not answer within ``seconds``, such as one that somebody has stopped, is killed: the worker's
        start then raises an exception. Nothing happens where it is not ``active``.
        """
        if not self._states or not active:
            yield
            return
        from multiprocessing import forkserver

        server: Any = forkserver._forkserver
        too_long = threading.Timer(max(seconds, MIN_START_SECONDS), lambda: _kill(server._forkserver_pid))
        too_long.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread can be started
            too_long.start()
        try:
            with changed(self._variables[self._current]), sockets_in(self._folder):
                with without_ctrl_c():
                    forkserver.ensure_running()
                yield
        except (OSError, EOFError):
            _await_end(server._forkserver_pid)
            raise
        finally:
            too_long.cancel()

    def kill(self) -> None:
        """Kill every server, without waiting for it."""
        self._keep()
        for state in self._states:
            _kill(state["_forkserver_pid"])

    def has_able(self) -> bool:
        """Whether a server was started that has what is needed, ready or not."""
        return any(map(self._is_able, range(len(self._states))))

    def imports(self, modules: Collection[str]) -> bool:
        """Whether one of the servers that were started imports these further modules."""
        return any(own.issuperset(modules) for own in self._imports if own)

    def _is_able(self, number: int) -> bool:
        return self._levels[number] >= self.needs and self._imports[number] >= self.needs_modules

    def choose(self, number: int, *, compiler: bool = False) -> None:
        """Let the next workers be forked from one of the servers that are ready, which take turns.

        Args:
            number: of the turn.
            compiler: only servers that have imported the compiler, unless none has.
        """
        if not self._states:
            return
        ready = [place for place in range(len(self._states)) if place == 0 or self.is_ready(place)]
        able = [place for place in ready if self._levels[place] == COMPILER or not compiler] or ready
        able = list(filter(self._is_able, able)) or able
        self._use(able[number % len(able)])

    def is_ready(self, number: int) -> bool:
        """Whether a server has imported everything, and workers can be forked from it."""
        return _is_time(self._answer(number))

    def _answer(self, number: int) -> str:
        """When a server was ready, in seconds of its clock; or why no worker can be forked from it; empty before."""
        try:
            with self._ready_file(number).open("rb") as file:
                return cleaned_text(file.read(MAX_ANSWER).decode(errors="replace"))
        except OSError:
            return ""

    @property
    def all_ready(self) -> bool:
        """Whether every server that was started is ready."""
        return all(map(self.is_ready, range(len(self._states))))

    def wait(self, seconds: float) -> None:
        """Wait until every server is ready, at most so long."""
        end = monotonic() + seconds
        while not self.all_ready and monotonic() < end:
            sleep(POLL_SECONDS)

    def wait_for_one(self, seconds: float) -> None:
        """Wait until a server that has what is needed is ready, at most so long."""
        end = monotonic() + seconds
        while not self.has_ready() and any(map(self._may_become_able, range(len(self._states)))) and monotonic() < end:
            sleep(POLL_SECONDS / 5)

    def _may_become_able(self, number: int) -> bool:
        return self._is_able(number) and not self._answer(number)

    def has_ready(self) -> bool:
        """Whether a server that has what is needed is ready."""
        return any(self.is_ready(place) and self._is_able(place) for place in range(len(self._states)))

    def seconds_of_first(self) -> float | None:
        """How long the first server took to be ready; None: it is not."""
        # The file's own time is of another clock; what it holds is of the same one.
        ready = self._answer(0) if self._begun else ""
        return float(ready) - self._begun[0] if _is_time(ready) else None

    def cpu_seconds(self) -> float:
        """Seconds of the cores that the servers but the first have used so far; 0 where the system does not say."""
        spent = 0
        for state in self._states[1:]:
            with contextlib.suppress(OSError, ValueError):
                fields = Path(f"/proc/{state['_forkserver_pid']}/stat").read_bytes().rpartition(b")")[2].split()
                spent += int(fields[11]) + int(fields[12])  # utime, stime
        return spent / os.sysconf("SC_CLK_TCK") if spent else 0.0

    def _ready_file(self, number: int) -> Path:
        return self._folder / f"server-{number}.ready"

    def _keep(self) -> None:
        """Keep the state of the server in use: it may have been started again."""
        from multiprocessing import forkserver

        if self._states:
            self._states[self._current] = dict(vars(forkserver._forkserver))

    def _use(self, number: int) -> None:
        if number != self._current:
            self._keep()
            self._load(number)
            self._current = number

    def _load(self, number: int) -> None:
        from multiprocessing import forkserver

        server = forkserver._forkserver
        vars(server).clear()
        vars(server).update(self._states[number])

    def stop(self) -> int | None:
        """Let every server end but the first, which ends with this process; called once, at the end.

        Returns the first server's process; None if there is none.
        """
        if not self._states:
            return None
        self._keep()
        self._use(0)
        with contextlib.suppress(OSError):  # somebody may have stopped it, and it would stay
            os.kill(self._states[0]["_forkserver_pid"], signal.SIGCONT)
        others = self._states[1:]
        del self._states[1:]
        for state in others:
            with contextlib.suppress(OSError):
                os.close(state["_forkserver_alive_fd"])  # the server ends when no process holds this any more
        end = monotonic() + STOP_SECONDS
        for state in others:
            pid = state["_forkserver_pid"]
            while not (ended := has_ended(pid)) and monotonic() < end:
                sleep(POLL_SECONDS)
            if not ended:  # it still imports, and would write into the folder of a run that is over
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        first: int = self._states[0]["_forkserver_pid"]
        if not self.is_ready(0):  # the same; multiprocessing waits for it when it is needed again
            _kill(first)
            _await_end(first)
        return first


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _await_end(pid: int | None) -> None:
    """Wait until a server that is ending has ended, so that multiprocessing does not take it for alive."""
    end = monotonic() + POLL_SECONDS * 20
    with contextlib.suppress(ChildProcessError):
        while pid is not None and monotonic() < end:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            sleep(POLL_SECONDS)


def _is_time(answer: str) -> bool:
    """Whether an answer is a time; a server that runs a user's file may have written anything."""
    try:
        return math.isfinite(float(answer))
    except ValueError:
        return False
