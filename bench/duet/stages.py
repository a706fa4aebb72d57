"""The two stages of a duet: every case is screened; cases that look different are confirmed in fresh processes."""

from __future__ import annotations

import contextlib
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import SEED
from torchduet.bench.duet.cores import cores_for
from torchduet.bench.duet.judge import SCREENING_PAIRS, difference, pairs_needed
from torchduet.bench.duet.order import order
from torchduet.bench.duet.pairs import (
    AGAINST,
    BASE,
    Failure,
    Ledger,
    PairError,
    prepare,
    random_order,
    set_paces,
    workers,
)
from torchduet.bench.duet.placements import time_blocks
from torchduet.bench.duet.processes import Facts, Server, SideError, Worker, link_packages
from torchduet.bench.duet.protocol import Message
from torchduet.bench.duet.sides import Side
from torchduet.bench.record.statistics import CONFIDENCE, speedup_of, wanted
from torchduet.bench.workers.environment import for_workers

MAX_PAIRS = 64

Report = Callable[[str, int, int], None]  # of progress: family, pairs done, pairs needed
Servers = tuple[Server, Server]


class Duet:
    """The processes of both sides, from the first server to the last.

    Each pair of processes in a stage is forked from a pair of interpreters of its own, started for that
    stage: what an interpreter has by chance is inherited by every worker forked from it.

    Args:
        compiler: whether cases will be compiled: the servers then import the compiler, too.
    """

    def __init__(self, sides: tuple[Side, Side], *, compiler: bool, threads: int = 1, data: str | None = None) -> None:
        self.sides = sides
        self._compiler, self.threads, self._data = compiler, threads, data
        self._temporary = tempfile.TemporaryDirectory(prefix="torchduet-duet-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)
        self._packages = link_packages(self._folder / "packages")
        self.start_seconds = 0.0  # for a pair of servers, as measured with the first
        self._servers: list[Servers] = []
        self._started = 0
        self._rng = random.Random(SEED)

    def start(self, pairs: int = 1) -> None:
        """Start so many more pairs of servers, which begin to import torch, without waiting for them.

        Raises:
            SideError: an interpreter cannot be run.
        """
        for _ in range(pairs):
            self._servers.append(self._start_pair())

    def _start_pair(self) -> Servers:
        self._started += 1
        servers: dict[int, Server] = {}
        try:
            for side in random_order(self._rng):
                letter = "ab"[side]
                common = for_workers(self._folder / f"toolchain-{letter}", compiler=self._compiler)
                log = self._folder / f"server-{self._started}{letter}.log"
                servers[side] = Server(self.sides[side], self._packages, log, common)
        except BaseException:
            for server in servers.values():
                server.close()
            raise
        return servers[BASE], servers[AGAINST]

    def facts(self) -> tuple[Facts, Facts]:
        """The versions of both sides; waits for the first pair of servers.

        Raises:
            SideError: one of them cannot be a side.
        """
        started = monotonic()
        base, against = self._servers[0]
        facts = base.ready(), against.ready()
        self.start_seconds = max(self.start_seconds, monotonic() - started)
        return facts

    def await_servers(self) -> None:
        """Wait until every server has imported torch; a server that cannot raises its error when it is used."""
        for servers in self._servers:
            for server in servers:
                with contextlib.suppress(SideError):
                    server.ready()

    def check(self, cases: Sequence[Case]) -> Ledger:
        """Prepare the cases of a family on both sides, results checked, and time nothing."""
        ledger = Ledger(tuple(cases))
        with self._new_folder() as folder:
            self._pair(self._servers[0], ledger, folder, 0, timed=False)
        return ledger

    def screen(self, cases: Sequence[Case], seconds: float, report: Callable[[int], None]) -> Ledger:
        """Time a family in a pair of workers from each pair of servers.

        A worker that gives no answer makes all cases fail.

        Args:
            seconds: for its blocks, in all pairs together.
            report: gets the number of each pair before it is timed.
        """
        ledger = Ledger(tuple(cases))
        share = seconds / SCREENING_PAIRS
        with self._new_folder() as folder:
            for number, servers in enumerate(self._servers):
                if ledger.live():
                    report(number + 1)
                    self._pair(servers, ledger, folder, number, share)
        return ledger

    def confirm(self, ledgers: Sequence[Ledger], deadline: float, report: Report) -> None:
        """Time the cases of these ledgers again, in one fresh pair of interpreters after the other.

        Takes at least the pairs that so many cases need; then more, until the interval of each case is narrow
        enough, or :func:`time.monotonic` reaches ``deadline``. Only the widths of intervals decide the stop.
        """
        cases = sum(len(ledger.cases) for ledger in ledgers)
        minimum = pairs_needed(cases)
        with contextlib.ExitStack() as stack:
            folders = [stack.enter_context(self._new_folder()) for _ in ledgers]
            for number in range(max(MAX_PAIRS, minimum)):
                if number >= minimum and monotonic() >= deadline:
                    return
                self.close_servers()
                try:
                    self.start()
                except SideError as error:
                    _fail(ledgers, str(error))
                    return
                for ledger, folder in zip(ledgers, folders, strict=True):
                    if ledger.live():
                        report(ledger.cases[0].family, number, minimum)
                        self._pair(self._servers[0], ledger, folder, number)
                if number + 1 >= minimum:
                    for ledger in ledgers:
                        ledger.done |= {case for case in ledger.live() if _precise(ledger, case, cases)}
                if not any(ledger.live() for ledger in ledgers):
                    return

    def _pair(
        self,
        servers: Servers,
        ledger: Ledger,
        folder: str,
        number: int,
        share: float | None = None,
        *,
        timed: bool = True,
    ) -> None:
        """Time one more pair; the first pair, with its ``share`` of seconds, sets how the cases are timed."""
        started = monotonic()
        first = number == 0
        cases = ledger.live()
        try:
            for server in servers:
                server.ready()
            with workers(servers, self._rng, compiler=ledger.compiler) as pair:
                ledger.cores = cores_for(ledger.cases, [side.threads(self.threads) for side in self.sides])
                orders = self._order(BASE, cases, folder, number), self._order(AGAINST, cases, folder, number)
                seconds = prepare(pair, orders, ledger, self._rng, first=first)
                if first and share is not None:
                    set_paces(ledger, seconds, share, SCREENING_PAIRS)
                if timed and ledger.live():
                    time_blocks(pair, cases, ledger, self._rng)
        except PairError as error:
            for case in ledger.live():
                ledger.fail(case, Failure(error.side, f"the worker {error}"))
        except SideError as error:
            _fail([ledger], str(error))
        ledger.seconds += monotonic() - started
        ledger.pairs += 1

    @contextlib.contextmanager
    def to_profile(
        self, cases: Sequence[Case], *, compiler: bool
    ) -> Iterator[tuple[tuple[Worker, Worker], tuple[Message, Message]]]:
        """A pair of workers for cases that will be profiled, with their orders; all pairs share two servers.

        Raises:
            SideError: one of the interpreters does not start.
            PairError: a worker gave no answer.
        """
        if not self._servers:
            self.start()
        servers = self._servers[0]
        for server in servers:
            server.ready()
        with self._new_folder() as folder, workers(servers, self._rng, compiler=compiler) as pair:
            base, against = (self._order(side, cases, folder, 1, profiled=True) for side in (BASE, AGAINST))
            yield pair, (base, against)

    def _order(self, side: int, cases: Sequence[Case], folder: str, number: int, *, profiled: bool = False) -> Message:
        side_folder = Path(folder) / "ab"[side]
        side_folder.mkdir(exist_ok=True)
        return order(
            self.sides[side],
            cases,
            threads=self.threads,
            folder=str(side_folder),
            data=self._data,
            seed=f"{cases[0].family} {self._started} {number} {side}",
            first=number == 0,
            profiled=profiled,
        )

    def _new_folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True)

    def close_servers(self) -> None:
        """End every server, with its workers."""
        while self._servers:
            for server in self._servers.pop():
                server.close()

    def close(self) -> None:
        """End every process and remove what they wrote."""
        self.close_servers()
        self._temporary.cleanup()


def differences(ledger: Ledger, case: Case) -> list[float]:
    """log(time of A / time of B) of each pair, in the order in which they were timed."""
    return [difference(base, against) for base, against in ledger.blocks.get(case, [])]


def _fail(ledgers: Sequence[Ledger], reason: str) -> None:
    for ledger in ledgers:
        for case in ledger.live():
            ledger.fail(case, Failure(None, reason))


def _precise(ledger: Ledger, case: Case, cases: int) -> bool:
    estimate = speedup_of(differences(ledger, case), 1 - (1 - CONFIDENCE) / cases)
    return estimate.half_width <= wanted(math.log(estimate.ratio))
