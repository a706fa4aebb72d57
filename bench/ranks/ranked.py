"""The cases of a family that run in several processes: their pools, from first calls to what follows the timing."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.ranks.blame import of_all
from torchduet.bench.ranks.failures import RanksError
from torchduet.bench.ranks.group import why_none
from torchduet.bench.ranks.ranked_case import Elsewhere, RankedCase
from torchduet.bench.timing.callables import Prepared
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.meter import Context
from torchduet.bench.timing.slowed.spin import seconds_per_iteration
from torchduet.suites.workload import Workload

if TYPE_CHECKING:  # they need msgspec, which a side of a duet may lack
    from torchduet.bench.ranks.messages import Did, Order
    from torchduet.bench.ranks.pool import Members, Pool

FITTED_BLOCKS = 9  # of a slowed copy and of its original, to fit the loop
MEMORY_SECONDS = 20.0  # for the pass over memory, at most
COLD = "--cache cold is not measured in several processes: filling the cache would be part of waiting for each other"
TURNED_NAN = "its result turned NaN while it was being timed; keep its state bounded"
Key = tuple[str, int]  # device, number of ranks


def started_here(order: Order, folder: Path) -> Members:
    """Start the ranks of a pool: on this machine, or in the processes that were started together."""
    from torchduet.bench.ranks.local import LocalRanks
    from torchduet.bench.ranks.torchrun import TorchrunRanks, several_processes

    return TorchrunRanks(order, folder) if several_processes() else LocalRanks(order, folder)


class Ranked:
    """The pools of one family, one for each number of ranks on each device.

    Args:
        seed: of the random orders in the ranks.
        start: starts the ranks of a pool.

    Attributes:
        runs: the cases that can be timed.
        checks: whether results are checked.
        lost: why a pool is no longer in step; the family's other cases cannot be compared any more.
    """

    def __init__(
        self,
        task: Task,
        workload: Workload,
        results: Mapping[Case, CaseResult],
        seed: str,
        start: Callable[[Order, Path], Members] = started_here,
    ) -> None:
        self.task, self.workload, self.results = task, workload, results
        self.runs: list[RankedCase] = []
        self.lost = ""
        self._changing = False  # calls change their inputs in some rank
        self.checks = task.paces is None
        self._seed, self._start = seed, start
        self._differ: dict[int, str] = {}  # pool → why its ranks cannot be compared
        self._pools: dict[Key, Pool] = {}
        self._cases: dict[Key, list[Case]] = {}
        for case in task.family.cases:
            if workload.in_ranks(case.implementation):
                self._cases.setdefault((case.device, case.ranks or 1), []).append(case)

    def __bool__(self) -> bool:
        return bool(self._cases)

    def start(self) -> None:
        """Start every pool, before this process has threads that a fork would not survive."""
        for key, cases in self._cases.items():
            if reason := COLD if self.task.cold else why_none(key[0]):
                self._skip(cases, reason)
                continue
            try:
                self._pools[key] = self._started(key, [case for case in cases if case.slowdown == 1])
            except OSError as error:
                self._fail(cases, f"the ranks could not be started: {error}")

    def _started(self, key: Key, cases: list[Case]) -> Pool:
        from torchduet.bench.ranks.messages import Order
        from torchduet.bench.ranks.pool import COLLECTIVE_SECONDS, Pool

        number = f"{os.getpid()}-{[*self._cases].index(key)}"  # a folder may be used by several visits
        folder = Path(self.task.folder)
        order = Order(
            cases=cases,
            ranks=key[1],
            store=str(folder / f"group-{number}"),
            prefix=number,
            seed=self._seed,
            threads=self.task.threads,
            folder=self.task.folder,
            data=self.task.data,
            checks=self.checks,
            number=self.task.number,
            timeout=COLLECTIVE_SECONDS,
            compiled=self.task.compiled,
        )
        return Pool(order, self._start(order, folder))

    def _skip(self, cases: Sequence[Case], reason: str) -> None:
        for case in cases:
            self.results[case].skip = reason

    def _fail(self, cases: Sequence[Case], reason: str) -> None:
        for case in cases:
            self.results[case].error = reason

    def prepare(self, cases: Sequence[Case], report: Callable[[str, float], None]) -> None:
        """Let the ranks take the first calls of these cases, and check them."""
        for key, of_pool in self._cases.items():
            pool = self._pools.get(key)
            here = [case for case in of_pool if case in cases]
            if pool is None or not here or self.lost:
                continue
            report(f"starting {pool.ranks} ranks for {here[0].family}", 0.0)
            try:
                pool.join()
                for case in [case for case in here if case.slowdown == 1]:
                    report(f"checking {case.id}", 0.0)
                    self._first_call(pool, case)
            except RanksError as error:
                self.lose(error)
        self._add_slowed(cases)

    def _first_call(self, pool: Pool, case: Case) -> None:
        index = pool.order.cases.index(case)
        answers = pool.ask("prepare", case=index)
        result, first = self.results[case], answers[0]
        found = (note for did in answers for note in did.result.get("notes", ()))
        result.notes = [*dict.fromkeys([*result.notes, *found])]
        result.skip = next((did.skip for did in answers if did.skip), None)
        result.error = self._differing(pool, answers) or of_all([did.error for did in answers]) or None
        if result.skip or result.error:
            return
        result.clock, result.compile = first.result["clock"], first.result["compile"]
        result.context_bytes = first.result["context_bytes"]
        result.first_call = max((did.result["first_call"] for did in answers), key=lambda call: call["seconds"])
        result.check = max((did.result["check"] for did in answers), key=_error) if first.result["check"] else None
        run = self._run(case, pool, index)
        run.expected = result.first_call["seconds"] / result.first_call["calls"]
        self.runs.append(run)

    def _differing(self, pool: Pool, answers: Sequence[Did]) -> str:
        """Why the ranks cannot be compared: they have made other inputs; empty where they have not."""
        digests = {rank: digest for rank, did in enumerate(answers) if (digest := did.result.get("digest", ""))}
        other = next((rank for rank, digest in digests.items() if digest != digests.get(0, digest)), None)
        if other is not None:
            self._differ[id(pool)] = (
                f"inputs= returns other values in rank {other} than in rank 0: let them depend on nothing but the "
                "generators of PyTorch, NumPy and Python, which are seeded alike"
            )
        return self._differ.get(id(pool), "")

    def _run(self, case: Case, pool: Pool, index: int) -> RankedCase:
        prepared = Prepared(case, lambda: None, (), (), Context())
        run = RankedCase(prepared, device_of(case.device).clock(), pool=pool, index=index)
        run.restoring = Elsewhere()
        return run

    def _add_slowed(self, cases: Sequence[Case]) -> None:
        """The slowed copies make the calls of their originals, with an empty loop after them in each rank."""
        originals = {run.prepared.case: run for run in self.runs}
        for case in cases:
            if case.slowdown == 1:
                continue
            original = originals.get(case.original)
            if original is None:
                self.results[case].skip = "the case that it is a copy of could not be timed"
                continue
            self.results[case].clock = self.results[original.prepared.case].clock
            self.runs.append(self._run(case, original.pool, original.index))

    def lose(self, error: RanksError) -> None:
        """Take note of ranks that are no longer in step."""
        self.lost = self.lost or str(error)

    def decide(self, here: bool | None) -> bool | None:
        """Whether inputs are put back before each call in all processes of the family; None where no call changes any.

        Args:
            here: whether they are in this process, for the cases without ranks.
        """
        answers: list[Did] = []
        for pool in self._live():
            paces = {run.index: run.seconds for run in self.runs if run.pool is pool}
            known = [paces.get(index, 0.0) for index in range(len(pool.order.cases))]
            answers += pool.tell("decide", seconds=2.0, paces=known)
        decided = [value for value in (here, *(did.result["restores"] for did in answers)) if value is not None]
        self._changing = any(did.result["restores"] is not None for did in answers)
        active = all(decided) if decided else None
        self.agree(active=bool(active))
        return active

    def agree(self, *, active: bool) -> None:
        """Put inputs back before each call in all ranks, or not."""
        for pool in self._live():
            pool.tell("agree", active=active)
        for run in self.runs:
            assert isinstance(run.restoring, Elsewhere)
            run.restoring.active = active and self._changing

    def fresh(self) -> None:
        """Let the ranks move their inputs to fresh memory."""
        for pool in self._live():
            pool.tell("fresh")

    def _live(self) -> list[Pool]:
        used = {id(run.pool) for run in self.runs}
        return [pool for pool in self._pools.values() if id(pool) in used]

    def slow_down(self, run: RankedCase, original: RankedCase) -> None:
        """Fit the loop of a slowed copy to blocks of the original."""
        run.calls, run.warm_up_calls, run.seconds = original.calls, original.warm_up_calls, original.seconds
        run.pacing_seconds, share = original.pacing_seconds, run.prepared.case.slowdown - 1
        run.spin = max(1, round(share * original.seconds * run.calls / seconds_per_iteration()))
        for _ in range(2):
            ratios = []
            for _ in range(FITTED_BLOCKS):
                plain = original.block().seconds
                ratios.append(run.block().seconds / max(plain, 1e-12) - 1)
            run.spin = max(1, round(run.spin * share / max(median(ratios), share / 4)))

    def verify(self, run: RankedCase) -> str | None:
        """Why a case's results are no longer what they were when it was checked; None where they are."""
        answers = run.pool.ask("verify", case=run.index, seconds=run.patience(1))
        if answers[0].error:
            return f"after its timing, {answers[0].error}"
        return of_all([TURNED_NAN if did.result["lost"] else "" for did in answers]) or None

    def after(self, run: RankedCase) -> None:
        """Measure the peak of memory in each rank, where the workload asks for it."""
        if not (self.workload.memory or not device_of(run.prepared.case.device).host_memory):
            return
        answers = run.pool.ask("memory", case=run.index, seconds=MEMORY_SECONDS + run.patience(3))
        peaks = [did.result["peak"] for did in answers if did.result.get("peak") is not None]
        if len(peaks) == len(answers):
            result = self.results[run.prepared.case]
            result.peak_bytes = max(peaks)
            result.ranks = run.ranks_result()
            result.ranks.peak_bytes = peaks

    def sessions(self) -> list[int]:
        """Sessions of processes whose work is no load by others: this process's own, and those of its ranks."""
        own = [os.getsid(0)] if hasattr(os, "getsid") else []
        return [*own, *(session for pool in self._live() for session in pool.sessions())]

    def close(self) -> None:
        """End every rank."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


def _error(check: Mapping[str, Any] | None) -> float:
    error = None if check is None else check["relative_error"]
    return -math.inf if error is None else error
