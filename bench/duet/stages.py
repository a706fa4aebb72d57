"""The two stages of a duet: every case is screened; what looks different is confirmed on fresh processes."""

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
    in_turn,
    prepare,
    set_paces,
    time_blocks,
    workers,
)
from torchduet.bench.duet.processes import Facts, Server, SideError, Worker, link_packages
from torchduet.bench.duet.protocol import Message
from torchduet.bench.duet.sides import Side
from torchduet.bench.record.statistics import CONFIDENCE, speedup_of
from torchduet.bench.timing.stopping import wanted
from torchduet.bench.workers.launcher import for_workers

MAX_PAIRS = 64

Tell = Callable[[str, int, int], None]  # family, pairs done, pairs needed
Servers = tuple[Server, Server]


class Duet:
    """Both sides' processes, from the first server to the last.

    Each pair of processes in a stage descends from a pair of interpreters of its own, started for that
    stage: what an interpreter has by chance is inherited by every worker forked from it.

    Args:
        compiler: whether cases will be compiled: the servers then prepare for that, too.
    """

    def __init__(self, sides: tuple[Side, Side], *, compiler: bool, threads: int = 1, data: str | None = None) -> None:
        self.sides = sides
        self._compiler, self.threads, self._data = compiler, threads, data
        self._temporary = tempfile.TemporaryDirectory(prefix="torchduet-duet-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)
        self._packages = link_packages(self._folder / "packages")
        self.start_seconds = 0.0  # what a pair of servers took to start, as of the first
        self._servers: list[Servers] = []
        self._started = 0
        self._rng = random.Random(SEED)

    def start(self, pairs: int = 1) -> None:
        """Let so many more pairs of servers start importing, without waiting for them.

        Raises:
            SideError: an interpreter cannot be run.
        """
        for _ in range(pairs):
            self._servers.append(self._start_pair())

    def _start_pair(self) -> Servers:
        self._started += 1
        made: dict[int, Server] = {}
        try:
            for side in in_turn(self._rng):
                letter = "ab"[side]
                common = for_workers(self._folder / f"toolchain-{letter}", compiler=self._compiler)
                log = self._folder / f"server-{self._started}{letter}.log"
                made[side] = Server(self.sides[side], self._packages, log, common)
        except BaseException:
            for server in made.values():
                server.close()
            raise
        return made[BASE], made[AGAINST]

    def facts(self) -> tuple[Facts, Facts]:
        """What both sides are; waits for the first pair of servers.

        Raises:
            SideError: one of them cannot be a side.
        """
        started = monotonic()
        base, against = self._servers[0]
        facts = base.ready(), against.ready()
        self.start_seconds = max(self.start_seconds, monotonic() - started)
        return facts

    def await_servers(self) -> None:
        """Wait until every server that was started has imported torch; one that cannot is met again later."""
        for servers in self._servers:
            for server in servers:
                with contextlib.suppress(SideError):
                    server.ready()

    def check(self, cases: Sequence[Case]) -> Ledger:
        """Prepare a family's cases on both sides, which checks their results, and time nothing."""
        ledger = Ledger(tuple(cases))
        with self._a_folder() as folder:
            self._pair(self._servers[0], ledger, folder, 0, timed=False)
        return ledger

    def screen(self, cases: Sequence[Case], seconds: float, tell: Callable[[int], None]) -> Ledger:
        """Time a family in a pair of workers from each pair of servers.

        ``seconds`` is for its blocks, in all pairs together. A worker that gives no answer ends in a
        failure of all cases.
        """
        ledger = Ledger(tuple(cases))
        share = seconds / SCREENING_PAIRS
        with self._a_folder() as folder:
            for number, servers in enumerate(self._servers):
                if ledger.live():
                    tell(number + 1)
                    self._pair(servers, ledger, folder, number, share)
        return ledger

    def confirm(self, ledgers: Sequence[Ledger], deadline: float, tell: Tell) -> None:
        """Time the cases of these ledgers anew, in one fresh pair of interpreters after the other.

        At least as many pairs as their number needs; then until each is known precisely enough, or
        :func:`time.monotonic` reaches ``deadline``. What decides the stop is how wide intervals are.
        """
        cases = sum(len(ledger.cases) for ledger in ledgers)
        least = pairs_needed(cases)
        with contextlib.ExitStack() as stack:
            folders = [stack.enter_context(self._a_folder()) for _ in ledgers]
            for number in range(max(MAX_PAIRS, least)):
                if number >= least and monotonic() >= deadline:
                    return
                self.close_servers()
                try:
                    self.start()
                except SideError as error:
                    _fail(ledgers, str(error))
                    return
                for ledger, folder in zip(ledgers, folders, strict=True):
                    if ledger.live():
                        tell(ledger.cases[0].family, number, least)
                        self._pair(self._servers[0], ledger, folder, number)
                if number + 1 >= least:
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
        """One more pair; the first, with its ``share`` of seconds, decides how the cases are timed."""
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
        """A pair of workers for cases that will be profiled, with their orders; all have the same servers.

        Raises:
            SideError: one of the interpreters does not start.
            PairError: a worker gave no answer.
        """
        if not self._servers:
            self.start()
        servers = self._servers[0]
        for server in servers:
            server.ready()
        with self._a_folder() as folder, workers(servers, self._rng, compiler=compiler) as pair:
            base, against = (self._order(side, cases, folder, 1, profiled=True) for side in (BASE, AGAINST))
            yield pair, (base, against)

    def _order(self, side: int, cases: Sequence[Case], folder: str, number: int, *, profiled: bool = False) -> Message:
        own = Path(folder) / "ab"[side]
        own.mkdir(exist_ok=True)
        return order(
            self.sides[side],
            cases,
            threads=self.threads,
            folder=str(own),
            data=self._data,
            seed=f"{cases[0].family} {self._started} {number} {side}",
            first=number == 0,
            profiled=profiled,
        )

    def _a_folder(self) -> tempfile.TemporaryDirectory[str]:
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
    """log(time of A / time of B) of each pair, in the order taken."""
    return [difference(base, against) for base, against in ledger.blocks.get(case, [])]


def _fail(ledgers: Sequence[Ledger], reason: str) -> None:
    for ledger in ledgers:
        for case in ledger.live():
            ledger.fail(case, Failure(None, reason))


def _precise(ledger: Ledger, case: Case, cases: int) -> bool:
    estimate = speedup_of(differences(ledger, case), 1 - (1 - CONFIDENCE) / cases)
    return estimate.half_width <= wanted(math.log(estimate.ratio))
