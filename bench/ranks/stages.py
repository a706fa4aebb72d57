"""What one rank does with its cases: first calls and checks, blocks, fresh inputs, memory; each when it is told to."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, Extras, Pace, Task
from torchduet.bench.passes.operators_and_memory import whole_peak
from torchduet.bench.ranks.checks import RankChecks, RankInputs
from torchduet.bench.ranks.group import Joined
from torchduet.bench.ranks.messages import Did, Do, Order
from torchduet.bench.state.entry import LastingChangeError
from torchduet.bench.state.own_state import restored
from torchduet.bench.timing.checking.reference import Reference, has_nan
from torchduet.bench.timing.checking.results import observed
from torchduet.bench.timing.clock import Block
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.first_calls import FirstCalls
from torchduet.bench.timing.stopping import MAX_VISIT_PLACEMENTS
from torchduet.bench.timing.timed_case import TimedCase

NOT_RESTORED = (
    "repeated calls do different work: a call changes its inputs, which another process of its family cannot put back "
    "before every call"
)


@dataclass
class RankedBlock(TimedCase):
    """A case in one rank: each block begins when every rank has come so far."""

    wait: Callable[[], None] = lambda: None
    spin: int = 0  # turns of an empty loop in each block of a slowed copy

    def _lead_in(self) -> None:
        if self.clock.needs_lead_in:  # the untimed call afterwards keeps the device busy, and is a meeting by itself
            self.wait()
            super()._lead_in()
        else:
            super()._lead_in()
            self.wait()

    @property
    def _block_warm_up_calls(self) -> int:
        return self.warm_up_calls  # as it was told: what this rank's own inputs need would be another number

    def _after_children(self) -> int:
        return 0

    def _block(self) -> Block:
        self.extra_work = self._spin if self.spin else None
        return super()._block()

    def _spin(self) -> None:
        if self.device.asynchronous:
            self.device.synchronize()
        for _ in itertools.repeat(None, self.spin):
            pass


class RankStages(FirstCalls):
    """The cases of one pool in one of its ranks."""

    timed_case = RankedBlock
    inputs: RankInputs
    checks: RankChecks

    def __init__(self, order: Order, rank: int, joined: Joined) -> None:
        family = Family(cases=tuple(order.cases), reported=tuple(order.cases))
        compiled = str(Path(order.compiled) / f"{order.ranks}-{rank}") if order.compiled else ""
        if compiled:
            Path(compiled).mkdir(parents=True, exist_ok=True)
        later: dict[Case, Pace] | None = None if order.checks else {}  # reads what the first visit has compiled
        task = Task(family, 0.0, order.threads, order.folder, compiled, paces=later)
        super().__init__(task, lambda _stage, _fraction: None, order.seed)
        self.inputs = RankInputs(self.family, self.workload, self.rng, rank, order.ranks)
        self.checks = RankChecks(self.family, self.workload, self.inputs)
        self.checks.enabled = order.checks
        self.checks.agreed = self.inputs.agreed = self.agreed
        self.joined, self.order = joined, order
        self.device = device_of(order.cases[0].device)
        self.clock = self.device.clock()
        self._opened: tuple[Sequence[Any], Reference] | tuple[()] = ()
        self._runs: dict[int, RankedBlock] = {}
        self._decided: dict[Case, CaseResult] = {}

    def agreed(self, value: bool) -> bool:
        """Whether a condition holds in any rank."""
        flag = torch.tensor([int(value)])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self.joined.waiting)
        return bool(flag.item())

    def prepare(self, do: Do) -> Did:
        """Take the first call of a case and check it; with the first case, make the inputs."""
        case, digest = self.order.cases[do.case], ""
        if self.broken is not None:
            return Did(number=do.number, error=self._beside_broken())
        if not self._opened:
            if not self.start(self.device, self.order.cases):
                return Did(number=do.number, error=self.results[case].error or "the device could not be started")
            self._opened = self.open(self.device, self.order.cases)
            digest = self.inputs.digest() if self.checks.enabled else ""
        result = self.results[case]
        if self._opened:
            with self.device.current():
                self.take(case, self.device, self.clock, *self._opened)
        if result.error is None and result.skip is None:
            run = self.runs[-1]
            assert isinstance(run, RankedBlock)
            run.wait = self.joined.wait
            run.prepared.context.seed = self.order.number * MAX_VISIT_PLACEMENTS
            self._runs[do.case] = run
        return Did(
            number=do.number,
            error=result.error or "",
            skip=result.skip or "",
            result={
                "clock": result.clock,
                "check": result.check,
                "first_call": result.first_call,
                "compile": result.compile,
                "notes": result.notes,
                "changes": bool(self.inputs.changes.get(case)),
                "context_bytes": result.context_bytes,
                "digest": digest,
            },
        )

    def _beside_broken(self) -> str:
        """Why nothing more can be measured here."""
        assert self.broken is not None
        return f"it cannot be timed beside {self.broken.id}: {self.results[self.broken].error}"

    def call(self, do: Do) -> Did:
        """Make one untimed call."""
        self._runs[do.case].call()
        return Did(number=do.number)

    def block(self, do: Do) -> Did:
        """Time a block, as long as the order says."""
        run = self._runs[do.case]
        if self.broken is not None and self.broken != run.prepared.case:
            return Did(number=do.number, error=self._beside_broken())
        run.calls, run.warm_up_calls, run.spin = do.calls, do.warm_up_calls, do.spin
        if self.clock.needs_lead_in:  # a device that is kept waiting for longer than others would wait for them
            run.launch_seconds = do.launch_seconds
        try:
            return Did(number=do.number, result={"block": astuple(run.block())})
        except LastingChangeError as error:
            self.broken, self.results[run.prepared.case].error = run.prepared.case, str(error)
            raise

    def fresh(self, do: Do) -> Did:
        """Move the inputs to fresh memory."""
        self.inputs.fresh(self.device.name)
        gc.collect()
        for run in self._runs.values():
            run.prepared.next_placement()
        return Did(number=do.number)

    def settle(self, do: Do) -> Did:
        """After the inputs have moved, make again what a case holds itself, and call it."""
        self._runs[do.case].settle()
        return Did(number=do.number)

    def decide(self, do: Do) -> Did:
        """Whether the inputs can be put back before every call; None where no call changes any."""
        self.checks.forget()
        self._decided = {case: CaseResult(case) for case in self.results}
        # With times of its own, a rank would make other untimed calls before its blocks than the others.
        paced = [replace(run, seconds=do.paces[index]) for index, run in self._runs.items()]
        self.inputs.decide(paced, self._decided)
        return Did(number=do.number, result={"restores": self.inputs.restores()})

    def agree(self, do: Do) -> Did:
        """Put inputs back before every call, or not, as all processes of the family do."""
        alike = self.inputs.restores() == do.active
        self.inputs.agree(do.active)
        for case, decided in self._decided.items():
            self.results[case].notes += decided.notes if alike else [NOT_RESTORED] if decided.notes else []
        return Did(number=do.number)

    def verify(self, do: Do) -> Did:
        """Whether the result of a case has become NaN while it was timed."""
        run = self._runs[do.case]
        with restored():
            tensors = observed(self.workload, run.prepared.inputs, run.call())
        lost = any(isinstance(part.value, torch.Tensor) and has_nan(part.value) for part in tensors.values())
        return Did(number=do.number, result={"lost": lost})

    def memory(self, do: Do) -> Did:
        """The peak of memory of a case from its setup through two calls."""
        peak, reserved = whole_peak(self._runs[do.case])
        return Did(number=do.number, result={"peak": peak, "reserved": reserved})

    def profile(self, do: Do) -> Did:
        """Let the first rank profile a case; the others make the same calls, as many as the order says."""
        from torchduet.bench.passes.profiler import Counts, plain_calls, profiled_calls, ready  # imports the compiler

        run, order = self._runs[do.case], do.profile
        assert order is not None
        run.calls, run.warm_up_calls = do.calls, do.warm_up_calls
        counts = Counts(order.plain, order.wait, order.warm_up, order.active)
        if self.inputs.rank == 0:
            extras = Extras(stacks=order.stacks, flops=order.flops)
            return Did(number=do.number, result={"profile": profiled_calls(run, Path(order.folder), extras, counts)})
        plain_calls(run, counts)
        with run.unmetered(), run.in_its_state():
            for _ in range(counts.wait + counts.warm_up + counts.active):
                ready(run)
                run.prepared.call(*run.prepared.args)
                run.clock.synchronize()
        plain_calls(run, counts)
        return Did(number=do.number)

    def finish(self, do: Do) -> Did:
        """What is known of a case beside its blocks."""
        run = self._runs[do.case]
        meters = run.prepared.context.meter.medians(len(run.prepared.context.meter.placements))
        notes = [*self.results[run.prepared.case].notes, *run.prepared.own_state.notes]
        result = {"meters": meters, "notes": notes, "address_sets": self.inputs.address_sets(run)}
        return Did(number=do.number, result=result)
