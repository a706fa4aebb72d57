"""The processes of a duet: takes the pairs of its families, each pair of workers from interpreters of its own."""

from __future__ import annotations

import contextlib
import random
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import SEED
from torchduet.bench.duet.cores import Cores, cores_for
from torchduet.bench.duet.order import order
from torchduet.bench.duet.pairs import (
    AGAINST,
    BASE,
    Failure,
    Ledger,
    PairError,
    Taken,
    peak_memory,
    prepare,
    random_order,
    set_paces,
    workers,
)
from torchduet.bench.duet.placements import time_blocks
from torchduet.bench.duet.pool import Pool, Servers
from torchduet.bench.duet.processes import Facts, Server, SideError, link_packages
from torchduet.bench.duet.side_worker import Worker
from torchduet.bench.duet.sides import Side
from torchduet.bench.host.process.left_behind import end_marked
from torchduet.bench.host.suspension import awake
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.plan.threads import threads_for
from torchduet.bench.received.channel import Message
from torchduet.bench.received.sides import Imported, Pilots
from torchduet.bench.record.schema import INTERPRETERS, PEAK_MEMORY
from torchduet.bench.workers.environment import for_workers
from torchduet.bench.workers.launcher import WorkerError

Report = Callable[[], None]


class Duet:
    """The processes of both sides, from the first interpreter to the last.

    Args:
        compiler: whether cases will be compiled: the interpreters then import the compiler, too.
        suites: to which the cases belong: the interpreters import the packages that these use.
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        *,
        compiler: bool,
        threads: int = 1,
        data: str | None = None,
        suites: Collection[str] = (),
    ) -> None:
        self.sides = sides
        self._compiler, self.threads, self._data, self._suites = compiler, threads, data, suites
        self._temporary = RunFolder()
        self._folder = Path(self._temporary.name)
        self._packages = link_packages(self._folder / "packages")
        self.pool = Pool(self._start_servers)
        self._started = 0
        self._folders: dict[str, str] = {}  # of each family, for what its workers write, compile caches included
        self._rng = random.Random(SEED)

    def _start_servers(self) -> Servers:
        self._started += 1
        servers: dict[int, Server] = {}
        try:
            for side in random_order(self._rng):
                letter = "ab"[side]
                common = for_workers(self._folder, compiler=self._compiler, suites=self._suites, side=letter)
                log = self._folder / f"server-{self._started}{letter}.log"
                servers[side] = Server(self.sides[side], self._packages, log, common)
        except BaseException:
            for server in servers.values():
                server.close()
            raise
        return servers[BASE], servers[AGAINST]

    def facts(self) -> tuple[Facts, Facts]:
        """The versions of both sides; waits for a pair of interpreters.

        Raises:
            SideError: one of them cannot be a side.
        """
        base, against = self.pool.any()
        return base.ready(), against.ready()

    def imports(self, sources: Sequence[str]) -> tuple[Imported, Imported]:
        """What each side imports for these suites of the user, in workers that do nothing else.

        Raises:
            SideError: an interpreter does not start, or a worker gave no answer.
        """
        ends = socket.socketpair()
        found = []
        with ends[BASE], ends[AGAINST]:
            for side, server, end in zip(self.sides, self.pool.any(), ends, strict=True):
                worker = server.fork(end)
                try:
                    own = [side.sources.get(source, source) for source in sources]
                    worker.send({"do": "import", "sources": own, "threads": side.threads(self.threads)})
                    found.append(worker.receive(Imported))
                except WorkerError as error:
                    raise SideError(f"the import of {', '.join(sources)}: the worker {error}") from None
                finally:
                    worker.end()
        return found[BASE], found[AGAINST]

    def check(self, cases: Sequence[Case]) -> Ledger:
        """Prepare the cases of a family on both sides, results checked, and time nothing."""
        ledger = Ledger(tuple(cases))
        with _into(ledger), self._pair(self.pool.any(), ledger.cases, 0) as (pair, orders):
            prepare(pair, orders, ledger, self._rng, first=True)
        return ledger

    def first(self, cases: Sequence[Case], share: float, report: Report) -> tuple[Ledger, Taken]:
        """A family's first pair, which checks its cases and sets how they are timed.

        A worker that gives no answer makes all cases fail.

        Args:
            share: seconds for all of the family's pairs.
            report: called before each placement; an exception ends the pair.
        """
        ledger, taken, began = Ledger(tuple(cases), cores=self._cores(cases)), Taken(), awake()
        with _into(ledger), self._pair(self.pool.unused(cases[0].family), cases, 0) as (pair, orders):
            forked = awake()
            set_paces(ledger, prepare(pair, orders, ledger, self._rng, first=True), share)
            before = _before_blocks(pair, forked - began, awake() - forked, first=True)
            if ledger.live():
                taken = time_blocks(pair, cases, ledger, self._rng, report)
                timed = awake()
                taken.peaks = peak_memory(pair, cases)
                taken.stages[PEAK_MEMORY] += awake() - timed
            _add(taken, before)
        ledger.pairs = 1
        return ledger, taken

    def later(self, ledger: Ledger, report: Report) -> Taken:
        """Another pair of the cases that are still timed.

        Raises:
            PairError: a worker gave no answer.
            SideError: an interpreter does not start.
        """
        cases, began = ledger.live(), awake()
        ledger.cores = self._cores(ledger.cases)
        servers = self.pool.unused(cases[0].family)
        ledger.pairs += 1
        with self._pair(servers, cases, ledger.pairs - 1, compiler=ledger.compiler) as (pair, orders):
            forked = awake()
            prepare(pair, orders, ledger, self._rng, first=False)
            before = _before_blocks(pair, forked - began, awake() - forked, first=False)
            return _add(time_blocks(pair, cases, ledger, self._rng, report) if ledger.live() else Taken(), before)

    def starting(self, family: str) -> float:
        """Seconds that a family's next pair waits for fresh interpreters."""
        return 0.0 if self.pool.has_unused(family) else self.pool.start_seconds

    def _cores(self, cases: Sequence[Case]) -> Cores:
        return cores_for(cases, [side.threads(self.threads) for side in self.sides])

    @contextlib.contextmanager
    def _pair(
        self, servers: Servers, cases: Sequence[Case], number: int, *, compiler: bool = False, profiled: bool = False
    ) -> Iterator[tuple[tuple[Worker, Worker], tuple[Message, Message]]]:
        """A pair of fresh workers for these cases of a family, with their orders."""
        with workers(servers, self._rng, compiler=compiler) as pair:
            base, against = (self._order(side, cases, number, profiled=profiled) for side in (BASE, AGAINST))
            yield pair, (base, against)

    @contextlib.contextmanager
    def to_profile(
        self, cases: Sequence[Case], *, compiler: bool
    ) -> Iterator[tuple[tuple[Worker, Worker], tuple[Message, Message]]]:
        """A pair of workers for cases that will be profiled, with their orders; all pairs share two interpreters.

        Raises:
            SideError: one of the interpreters does not start.
            PairError: a worker gave no answer.
        """
        with self._pair(self.pool.any(), cases, 1, compiler=compiler, profiled=True) as started:
            yield started

    def pilots(self, threads: int, seconds: float, devices: Sequence[str] = ()) -> dict[str, float]:
        """Seconds per unit of each pilot, timed in a new worker of side A.

        Args:
            threads, seconds, devices: see :class:`torchduet.bench.cases.exchange.PilotTask`.

        Raises:
            WorkerError: the worker sent no answer.
        """
        ends = socket.socketpair()
        with ends[BASE], ends[AGAINST]:
            worker = self.pool.any()[BASE].fork(ends[BASE])
            try:
                worker.send({"do": "pilots", "threads": threads, "seconds": seconds, "devices": [*devices]})
                return worker.receive(Pilots)["pilots"]
            finally:
                worker.end()

    def _order(self, side: int, cases: Sequence[Case], number: int, *, profiled: bool) -> Message:
        family = cases[0].family
        folder = self._folders.get(family) or tempfile.mkdtemp(dir=self._folder)
        self._folders[family] = folder
        side_folder = Path(folder) / "ab"[side]
        side_folder.mkdir(exist_ok=True)
        return order(
            self.sides[side],
            cases,
            threads=threads_for(Family(tuple(cases), tuple(cases)), self.threads),
            folder=str(side_folder),
            data=self._data,
            seed=f"{family} {self._started} {number} {side}",
            first=number == 0,
            profiled=profiled,
        )

    def close(self) -> None:
        """End every process and remove what they wrote."""
        self.pool.close()
        end_marked(self._folder)
        self._temporary.cleanup()


def _before_blocks(pair: Sequence[Worker], forking: float, preparing: float, *, first: bool) -> dict[str, float]:
    """The seconds of a pair before its blocks, by stage.

    In the first pair the sides prepare one after the other, in later ones at once: then those of the slower side count.
    What is made in later pairs under the name of a check is inputs alone.

    Args:
        forking: until both workers were forked, fresh interpreters included.
        preparing: from then on.
    """
    of_sides = [worker.stages for worker in pair]
    named = ("starting", "compiling", "checking") if first else ("starting", "compiling")
    counted = of_sides if first else [max(of_sides, key=lambda stages: sum(stages.values()))]
    stages = {stage: sum(side.get(stage, 0.0) for side in counted) for stage in named}
    return {INTERPRETERS: forking, **stages, "warming": max(0.0, preparing - sum(stages.values()))}


def _add(taken: Taken, stages: Mapping[str, float]) -> Taken:
    for stage, seconds in stages.items():
        taken.stages[stage] += seconds
    return taken


@contextlib.contextmanager
def _into(ledger: Ledger) -> Iterator[None]:
    """Make all cases fail where a worker gives no answer or an interpreter does not start."""
    try:
        yield
    except PairError as error:
        for case in ledger.live():
            ledger.fail(case, Failure(error.side, f"the worker {error}"))
    except SideError as error:
        for case in ledger.live():
            ledger.fail(case, Failure(None, str(error)))
