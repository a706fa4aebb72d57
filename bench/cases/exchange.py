"""What travels between the pytest process and a worker: the task, and what came out. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.record.schema import (
    CheckRecord,
    CompileRecord,
    EnergyRecord,
    FirstCallRecord,
    HeadroomRecord,
    ProfileRecord,
    StopReason,
)
from torchduet.bench.record.telemetry import Telemetry

SEED = 20_230_315  # any fixed number: the inputs of a run can be made again


@dataclass(frozen=True)
class Task:
    """What a worker is asked to measure.

    Attributes:
        seconds: time for placements × rounds; the stages before it take what they need.
        threads: intra-op threads.
        folder: for compile caches; the caller removes it.
        check_only: stop after the check.
        data: where the images of the suite ``training`` come from; None: scikit-learn's digits.
        cold: each call is to find the cache full of something else.
        energy: whether joules per call are measured, in some seconds for each case.
        headroom: whether the largest batch that fits into a GPU's memory is searched for.
        uuids: CUDA device → its UUID.
        most: seconds for everything, preparation included; what does not fit is left out for being too slow.
    """

    family: Family
    seconds: float
    threads: int
    folder: str = ""
    check_only: bool = False
    data: str | None = None
    cold: bool = False
    energy: bool = False
    headroom: bool = False
    uuids: Mapping[str, str] = field(default_factory=dict)
    most: float = math.inf


@dataclass(frozen=True)
class Extras:
    """What a profile is to hold beside operators, shapes and memory.

    Attributes:
        stacks: Python's stacks; slows the profiled calls down many times.
        flops: the operators' estimated operations.
        python: what pyinstrument sees of Python's stack, in calls of its own.
    """

    stacks: bool = False
    flops: bool = False
    python: bool = False


@dataclass(frozen=True)
class ProfileTask:
    """What is to be profiled: cases of one family, each with the folder for its trace."""

    task: Task
    folders: Mapping[Case, str]
    extras: Extras = field(default_factory=Extras)


@dataclass
class Profiled:
    """What came of it: a record per case that was profiled, and why there is none of the others."""

    records: dict[Case, ProfileRecord] = field(default_factory=dict)
    errors: dict[Case, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CeilingTask:
    """Which of the machine's ceilings a worker is asked to measure."""

    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: int
    seconds: float  # roughly, for all of them


@dataclass(frozen=True)
class PilotTask:
    """The pilots, as a worker is asked to time them."""

    threads: int
    seconds: float  # roughly, for all of them


@dataclass
class ContextSwitches:
    """How often the process had to leave a core during a case's blocks, those too of which rounds took the median."""

    blocks: int = 0
    interrupted: int = 0
    switches: int = 0
    seconds: float = 0.0

    def add(self, switches: int, seconds: float) -> None:
        """One more block, of so many seconds."""
        self.blocks += 1
        self.interrupted += switches > 0
        self.switches += switches
        self.seconds += seconds


@dataclass
class LeftOut:
    """Blocks during which the process was stopped or the machine suspended: left out, and taken again.

    Attributes:
        blocks: how many.
        seconds: for which it stood still, at the most.
        kept: those that counted all the same, as it happened again and again.
    """

    blocks: int = 0
    seconds: float = 0.0
    kept: int = 0


@dataclass
class CaseResult:
    """What came out for one case: ``error``, or ``skip`` (too slow for the budget), or everything else."""

    case: Case
    error: str | None = None
    skip: str | None = None
    too_slow: float | None = None  # seconds that one call takes, where that is why it was skipped
    check: CheckRecord | None = None
    first_call: FirstCallRecord | None = None
    compile: CompileRecord | None = None
    clock: str = ""
    calls: int = 1
    blocks: list[list[float]] = field(default_factory=list)
    host: list[list[float]] = field(default_factory=list)
    wall: list[list[float]] = field(default_factory=list)
    disturbed: list[int] | None = None  # per placement, blocks that were interrupted; None: not counted here
    interruptions: ContextSwitches = field(default_factory=ContextSwitches)
    left_out: LeftOut = field(default_factory=LeftOut)
    notes: list[str] = field(default_factory=list)
    meters: dict[str, tuple[str, list[float]]] = field(default_factory=dict)  # name → unit, placements' medians
    operators: int | None = None
    peak_bytes: int | None = None
    reserved_bytes: int | None = None  # accelerators
    context_bytes: int | None = None  # CUDA: what it takes itself, beside that
    device_seconds: float | None = None  # CUDA: per call, without the gaps between launches
    waits: bool = False  # CUDA: a call waits for the device
    waits_unknown: bool = False  # no clock of this device tells a call that waits from one that is launch-bound
    energy: EnergyRecord | None = None
    headroom: HeadroomRecord | None = None
    cold: bool = False
    rests: bool = False  # CPU: its calls leave the cores idle for a while


@dataclass
class FamilyResult:
    """The cases' results, why timing stopped (None: nothing was timed), and where the time went (seconds)."""

    results: list[CaseResult]
    stop: StopReason | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    telemetry: Telemetry | None = None  # of the time from the first placement to the last
    broken: Case | None = None  # it failed in a way that left the process unfit to measure the others
