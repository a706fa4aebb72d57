"""The device's own time: cases that alternate are timed again at the end of each placement, launched behind a delay."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.host.suspension import awake
from torchduet.bench.timing.clock import DelayingClock
from torchduet.bench.timing.timed_case import TimedCase

MAX_LAUNCH_SECONDS = 1.3e-3  # of one call: the device is not kept waiting for longer than about 2 ms
QUEUE_SECONDS = 1e-3  # to launch the calls of a block
BLOCK_SECONDS = 1.5e-3  # of the calls of a block, as called, unless one takes longer
SHARE = 0.1  # of the time since the timing began
MAX_ROUNDS = 15  # per placement
ATTEMPTS = 3  # to take a block: a context switch may outlast the delay
HOPELESS_ATTEMPTS = 9  # without a block, after which a case is not tried again


@dataclass
class _Case:
    """What was tried with a case; ``rounds``: (number of the placement, number of the round) → seconds per call."""

    run: TimedCase
    tried: int = 0
    taken: int = 0
    failed: bool = False  # its call raised an exception
    rounds: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether a call waits for the device, so that its launches cannot be hidden."""
        return self.taken < self.tried / 2


def delayable(run: TimedCase) -> bool:
    """Whether the device's work in a block of the case can be told from launching it at all, by its clock."""
    return isinstance(run.clock, DelayingClock) and not (run.cold or run.restored or run.elsewhere)


def launch_seconds(run: TimedCase) -> float:
    """Seconds until a call had launched its work, in the median of the blocks so far."""
    return median(block.host for placement in run.placements for block in placement)


class DeviceTimes:
    """Times the device's work of the cases that alternate, with the memory of each of their placements.

    In each round every case takes one block, in random order: its calls are launched while the device is kept waiting,
    so that no gap between two launches counts. As the cases alternate, their times are paired as those of the blocks
    as called. Blocks are short, and take a tenth of the time, at least one round.

    Args:
        rng: source of the orders.
        now: the clock, in seconds.
    """

    def __init__(self, rng: random.Random, now: Callable[[], float] = awake) -> None:
        self._rng, self._now = rng, now
        self._began, self._spent, self._last_round = now(), 0.0, 0.0
        self._cases: dict[Case, _Case] = {}
        self._placements = 0

    def after_rounds(self, group: Sequence[TimedCase]) -> None:
        """Take rounds of cases that have just been timed in alternation, as many as the share of time allows."""
        eligible = [case for run in group if (case := self._eligible(run)) is not None]
        if not eligible:
            return
        calls = calls_per_block([case.run for case in eligible])
        self._placements += 1
        for number in range(MAX_ROUNDS):
            start = self._now()
            if self._spent + self._last_round > SHARE * (start - self._began):
                break
            self._round([case for case in eligible if not _hopeless(case)], calls, (self._placements, number))
            self._last_round = self._now() - start
            self._spent += self._last_round

    def _eligible(self, run: TimedCase) -> _Case | None:
        case = run.prepared.case
        if run.error is not None or case.copy_number or not delayable(run) or not any(run.placements):
            return None
        known = self._cases.setdefault(case, _Case(run))
        return None if launch_seconds(run) > MAX_LAUNCH_SECONDS or _hopeless(known) else known

    def _round(self, cases: Sequence[_Case], calls: Mapping[Case, int], place: tuple[int, int]) -> None:
        for case in self._rng.sample(cases, len(cases)):
            try:
                seconds = _block(case, calls[case.run.prepared.case])
            except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
                traceback.print_exc()
                case.failed = True
                continue
            if seconds is not None:
                case.rounds[place] = seconds

    def finish(self, results: Mapping[Case, CaseResult]) -> None:
        """Set the device's times of each case.

        The blocks of all cases of a device are those of the same rounds, so that they are paired. A case whose call
        waits for the device has none, nor has one without any work for the device.
        """
        tried = [case for case in self._cases.values() if case.tried and not case.failed and case.run.error is None]
        for case in tried:
            result = results[case.run.prepared.case]
            result.waits_for_device = case.waits
            if not case.waits:
                result.device_seconds = median(case.rounds.values())
        for device in dict.fromkeys(case.run.prepared.case.device for case in tried):
            of_device = [
                case
                for case in tried
                if case.run.prepared.case.device == device and not case.waits and min(case.rounds.values()) > 0
            ]
            common = set.intersection(*(set(case.rounds) for case in of_device)) if of_device else set()
            for case in of_device:
                by_placement: dict[int, list[float]] = {}
                for placement, number in sorted(common):
                    by_placement.setdefault(placement, []).append(case.rounds[placement, number])
                results[case.run.prepared.case].device_blocks = list(by_placement.values())


def calls_per_block(runs: Sequence[TimedCase]) -> dict[Case, int]:
    """Calls per block of cases on one device: as many as can be launched in a millisecond, the same for all of them.

    A block's events add a microsecond or two: with equal numbers of calls this is the same for each call of both cases,
    and a difference between their kernels is not made of it. A case of longer calls has fewer of them.
    """
    fitting = min(int(QUEUE_SECONDS / max(launch_seconds(run), 1e-9)) for run in runs)
    return {run.prepared.case: max(1, min(fitting, int(BLOCK_SECONDS / max(run.seconds, 1e-9)))) for run in runs}


def _hopeless(case: _Case) -> bool:
    return case.failed or (not case.taken and case.tried >= HOPELESS_ATTEMPTS)


def _block(case: _Case, calls: int) -> float | None:
    """Seconds of the device's work per call; None where its calls could not be launched during the delay."""
    run = case.run
    clock, launch = run.clock, launch_seconds(run)
    assert isinstance(clock, DelayingClock)
    with run.unmetered(), run.in_its_state():
        for _ in range(max(1, run.warm_up_calls)):  # after another case's block the caches hold that one's data
            run.prepared.call(*run.prepared.args)
        for _ in range(ATTEMPTS):
            case.tried += 1
            block = clock.behind_delay(run.prepared.call, run.prepared.args, calls, launch)
            if block is not None:
                case.taken += 1
                return block.seconds
    return None
