"""A case of several processes, as the family's worker times it: every block is one in all of its ranks."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

from torchduet.bench.cases.exchange import CaseResult, Extras, RanksResult
from torchduet.bench.inputs.restoring import Restored
from torchduet.bench.ranks.failures import PATIENCE
from torchduet.bench.record.schema import ProfileRecord
from torchduet.bench.timing.clock import Block
from torchduet.bench.timing.timed_case import TimedCase, warm_up

if TYPE_CHECKING:
    from torchduet.bench.ranks.pool import Pool  # needs msgspec, which a side of a duet may lack

PROFILE_SECONDS = 60.0  # for the profiler, which may import the compiler first
SETTLING_CALLS = 4  # a renewal may take as long as some calls
KEPT = 20_000  # blocks of which every rank's time is kept


class Elsewhere:
    """Inputs that the ranks ready themselves before each call."""

    active = False
    seconds = 0.0

    def before_call(self, run: Restored) -> None:
        """Nothing: the ranks do it."""

    def moved(self) -> None:
        """Nothing to note."""


@dataclass
class RankedCase(TimedCase):
    """A case in several processes.

    A block begins when every rank has come so far, and its time is that of the slowest.

    Attributes:
        pool: its ranks.
        index: its position among the pool's cases.
        times: of each block that counts, the seconds per call of each rank.
        keeping: blocks count.
        expected: seconds of a call, until it is warmed up.
    """

    pool: Pool = field(kw_only=True)
    index: int = field(kw_only=True)
    spin: int = 0  # of a slowed copy
    times: list[tuple[float, ...]] = field(default_factory=list)
    keeping: bool = False
    expected: float = 0.0

    elsewhere: ClassVar[bool] = True

    def _block(self) -> Block:
        answers = self.pool.tell(
            "block",
            case=self.index,
            calls=self.calls,
            warm_up_calls=self._block_warm_up_calls,
            launch_seconds=self.launch_seconds,
            spin=self.spin,
            seconds=self.patience(self.calls + self._block_warm_up_calls),
        )
        blocks = [Block(*did.result["block"]) for did in answers]
        self.launch_seconds = max(block.host for block in blocks)
        if self.keeping and len(self.times) < KEPT:
            self.times.append(tuple(block.seconds for block in blocks))
        return Block(
            max(block.seconds for block in blocks),
            max(block.host for block in blocks),
            max(block.wall for block in blocks),
            sum(block.switches for block in blocks),
            max(block.paused for block in blocks),
            max(block.unfinished for block in blocks),
        )

    def patience(self, calls: int) -> float:
        """Seconds within which so many calls should be over."""
        return PATIENCE * calls * max(self.seconds, self.expected)

    def call(self) -> object:
        """Make one untimed call in each rank."""
        self.pool.tell("call", case=self.index, seconds=self.patience(1))
        return None

    def settle(self) -> None:
        """After the inputs have moved, let the ranks make again what the case holds itself; copies share that."""
        if self.prepared.case.slowdown == 1:
            self.pool.tell("settle", case=self.index, seconds=self.patience(SETTLING_CALLS))

    @property
    def captures(self) -> bool:
        """Whether the ranks replay a CUDA graph of the call."""
        return self.prepared.case.mode == "graph"

    @contextlib.contextmanager
    def in_its_state(self, *, thorough: bool = False) -> Iterator[None]:
        """The ranks enter the state of a case themselves."""
        del thorough
        yield

    @property
    def launch_hidden(self) -> bool:
        """Not known here."""
        return False

    def profile(self, folder: Path, extras: Extras) -> ProfileRecord:
        """Profile the first rank, after a warm-up; without samples of Python's stack, which take as long as they take.

        Raises:
            RanksFailedError: all ranks failed alike.
            RanksError: the ranks are no longer in step.
        """
        from torchduet.bench.passes.profiler import WARM_UP_SECONDS, counts_for, repetitions
        from torchduet.bench.ranks.messages import ProfileOrder

        self.settle()
        warm_up(self, WARM_UP_SECONDS)
        counts = counts_for(repetitions(self.seconds * self.calls), self.seconds)
        order = ProfileOrder(folder=str(folder), stacks=extras.stacks, flops=extras.flops, **asdict(counts))
        number = 2 * counts.plain * (self.calls + self._block_warm_up_calls) + counts.wait + counts.warm_up
        answers = self.pool.tell(
            "profile",
            case=self.index,
            calls=self.calls,
            warm_up_calls=self._block_warm_up_calls,
            profile=order,
            seconds=PROFILE_SECONDS + self.patience(number + counts.active),
        )
        record: ProfileRecord = answers[0].result["profile"]
        return record

    def ranks_result(self) -> RanksResult:
        """What every rank's times were, over the blocks."""
        columns = list(zip(*self.times, strict=True))
        slowest = Counter(max(range(len(row)), key=row.__getitem__) for row in self.times)
        return RanksResult(
            backend=self.pool.backend,
            seconds=[median(column) for column in columns],
            mean=median(sum(row) / len(row) for row in self.times),
            least=median(min(row) for row in self.times),
            skew=median(max(row) - min(row) for row in self.times),
            slowest=[slowest[rank] for rank in range(len(columns))],
        )

    def finish(self, result: CaseResult) -> None:
        """Add what only the ranks know."""
        if not self.times:
            return
        answers = self.pool.tell("finish", case=self.index)
        first = answers[0].result
        result.notes = [*dict.fromkeys([*result.notes, *(note for did in answers for note in did.result["notes"])])]
        result.meters = {name: (unit, list(values)) for name, (unit, values) in first["meters"].items()}
        result.address_sets = first["address_sets"]
        known: Any = result.ranks.peak_bytes if result.ranks else []
        result.ranks = self.ranks_result()
        result.ranks.peak_bytes = known
