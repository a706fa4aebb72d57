"""The data between the pytest process and a worker: tasks and results. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.record.schema import (
    CheckRecord,
    CompileRecord,
    EnergyRecord,
    FirstCallRecord,
    HeadroomRecord,
    ProfileRecord,
    StopReason,
    SustainedRecord,
)
from torchduet.bench.record.schema.bounds import Count, Positive
from torchduet.bench.record.telemetry import Telemetry

SEED = 20_230_315  # an arbitrary fixed number, so that the inputs of a run can be reproduced


@dataclass(frozen=True)
class Pace:
    """How a case is timed in every visit, as its first visit has found it: seconds per call, and blocks.

    Attributes:
        seconds: per call.
        pacing_seconds: per call; sets calls and turns: equal for cases that are timed alike.
        calls: per block.
        warm_up_calls: untimed calls before each block.
        idle_waiting: its calls leave the cores idle for a while.
    """

    seconds: float
    pacing_seconds: float
    calls: int
    warm_up_calls: int
    idle_waiting: bool


@dataclass(frozen=True)
class Task:
    """A family to measure in one visit, and how.

    Attributes:
        seconds: time for placements × rounds; the stages before them are not limited.
        threads: intra-op threads.
        folder: for files of the worker; the caller removes it.
        compiled: folder for compiled code, kept for later visits; empty: below ``folder``.
        share: the family's time for all visits, in which a case needs 8 placements; 0: it is ``seconds``.
        number: of the visit, 0 for the first.
        paces: in a later visit, how each case is timed. Nothing is checked or compiled again then.
        check_only: stop after the check.
        data: folder of the images of the suite ``training``; None: scikit-learn's digits.
        cold: fill the cache with other data before each call.
        energy: measure joules per call, which takes some seconds for each case.
        headroom: search for the largest batch that fits into a GPU's memory.
        uuids: CUDA device → its UUID.
        max_seconds: time for everything, first calls included; cases for which it is too short are skipped.
        grace: seconds beyond ``max_seconds`` for a call in progress, and for timing the reference; then it is ended.
        compiling: seconds of a compiled case's first calls, as of earlier families; 0: unknown.
        placements: how many to aim at; 0: as many as usual.
        patient: no case is skipped as too slow.
        expected: summaries of results in the first visit, which a later one must find again; None: none are made.
    """

    family: Family
    seconds: float
    threads: int
    folder: str = ""
    compiled: str = ""
    share: float = 0.0
    paces: Mapping[Case, Pace] | None = None
    number: int = 0
    check_only: bool = False
    data: str | None = None
    cold: bool = False
    energy: bool = False
    headroom: bool = False
    uuids: Mapping[str, str] = field(default_factory=dict)
    max_seconds: float = math.inf
    grace: float = 0.0
    compiling: float = 0.0
    placements: int = 0
    patient: bool = False
    expected: Mapping[Case, Mapping[str, tuple[str, float]]] | None = None


@dataclass(frozen=True)
class Extras:
    """What a profile contains beside operators, shapes and memory.

    Attributes:
        stacks: Python's stacks; they slow the profiled calls down many times.
        flops: the operators' estimated operations.
        python: pyinstrument's samples of Python's stack, in separate calls.
    """

    stacks: bool = False
    flops: bool = False
    python: bool = False


@dataclass(frozen=True)
class ProfileTask:
    """Cases of one family to profile, each with the folder for its trace."""

    task: Task
    folders: Mapping[Case, str]
    extras: Extras = field(default_factory=Extras)


@dataclass
class Profiled:
    """The result of a :class:`ProfileTask`: a record per profiled case, and the error of each of the others."""

    records: dict[Case, ProfileRecord] = field(default_factory=dict)
    errors: dict[Case, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FirstCallTask:
    """A case whose first call a new process takes: ``task`` has no other. ``cache`` is the folder of compiled code."""

    task: Task
    cache: str


class FirstCallTaken(TypedDict):
    """The first call in a new process; numbers are of graphs."""

    seconds: Positive
    hits: Count  # loaded from inductor's cache
    misses: Count  # compiled, as its cache did not have them
    uncached: Count  # compiled, as it keeps them in no cache
    traced: Count  # traced by AOTAutograd, as its cache did not have them or keeps none of them
    kept: Count  # that AOTAutograd has put into its cache


@dataclass(frozen=True)
class CeilingTask:
    """The machine's ceilings to measure."""

    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: int
    seconds: float  # for all of them, about


@dataclass(frozen=True)
class PilotTask:
    """How to time the pilots."""

    threads: int
    seconds: float  # for all of them, about; on GPUs for those of each
    devices: tuple[str, ...] = ()  # "cuda:0": those of these GPUs; none: those of the CPU


@dataclass
class ContextSwitches:
    """Involuntary context switches during all blocks of a case, whether or not their times are in the record.

    Attributes:
        blocks: their number.
        interrupted: blocks with at least one context switch.
        switches: context switches in all blocks.
        seconds: of all blocks.
    """

    blocks: int = 0
    interrupted: int = 0
    switches: int = 0
    seconds: float = 0.0

    def add(self, switches: int, seconds: float) -> None:
        """Add one block of ``seconds`` with ``switches`` context switches."""
        self.blocks += 1
        self.interrupted += switches > 0
        self.switches += switches
        self.seconds += seconds


@dataclass
class LeftOut:
    """Blocks during which the process or the machine was suspended: left out, and taken again.

    Attributes:
        blocks: their number.
        seconds: of suspension, at most.
        kept: blocks that were kept nevertheless, as each attempt was suspended.
    """

    blocks: int = 0
    seconds: float = 0.0
    kept: int = 0


@dataclass
class RanksResult:
    """What the ranks of a case found; seconds are per call, and medians over its blocks.

    Attributes:
        backend: of their process group.
        seconds: of each rank.
        mean: of the mean over ranks.
        least: of the fastest rank.
        skew: of the slowest rank's time less the fastest's.
        threads: of each process.
        slowest: of each rank, the number of blocks in which it was the slowest.
        peak_bytes: of each rank, from the case's setup through two calls; empty where it was not measured.
    """

    backend: str
    seconds: list[float]
    mean: float
    least: float
    skew: float
    threads: int = 1
    slowest: list[int] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)


@dataclass
class CaseResult:
    """The result of one case: ``error``, or ``skip`` (too slow for the budget), or everything else."""

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
    disturbed: list[int] | None = None  # per placement, blocks with a context switch; None: this system has no count
    context_switches: ContextSwitches = field(default_factory=ContextSwitches)
    left_out: LeftOut = field(default_factory=LeftOut)
    notes: list[str] = field(default_factory=list)
    meters: dict[str, tuple[str, list[float]]] = field(default_factory=dict)  # name → unit, placements' medians
    address_sets: int | None = None  # accelerators: different sets of addresses that its inputs had in the placements
    operators: int | None = None
    peak_bytes: int | None = None
    reserved_bytes: int | None = None  # accelerators
    context_bytes: int | None = None  # CUDA: of its own, beside those
    device_seconds: float | None = None  # CUDA: per call, without the gaps between launches
    device_blocks: list[list[float]] = field(default_factory=list)  # the same, per placement and round, paired
    sustained: SustainedRecord | None = None  # CUDA: without pause for a second or more
    waits_for_device: bool = False  # CUDA: a call waits for the device
    waiting_unknown: bool = False  # the device's clock cannot distinguish a call that waits from a launch-bound one
    energy: EnergyRecord | None = None
    sm_mhz: list[float] = field(default_factory=list)  # CUDA: the SM clock right after some of its blocks
    headroom: HeadroomRecord | None = None
    cold: bool = False
    launch_hidden: bool = False  # an accelerator waits until each call is launched
    idle_waiting: bool = False  # CPU: its calls leave the cores idle for a while
    pace: Pace | None = None  # of a case that was timed
    ranks: RanksResult | None = None  # of a case that runs in several processes
    alone: list[float] = field(default_factory=list)  # seconds per call in segments without other cases between them
    summary: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # of its first result


@dataclass
class FamilyResult:
    """The cases' results, why timing stopped (None: nothing was timed), and the seconds of each stage."""

    results: list[CaseResult]
    stop: StopReason | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    telemetry: Telemetry | None = None  # from the first placement to the last
    broken: Case | None = None  # it failed and left the process unable to measure the others


@dataclass(frozen=True)
class Progress:
    """A worker's activity, and the fraction of the timing that is done (0 to 1)."""

    what: str
    fraction: float


@dataclass(frozen=True)
class Answer:
    """The result of a worker's job, or the one-line reason why there is none.

    Attributes:
        unsafe: why no worker may be forked from the server; the job was not begun.
    """

    value: Any = None
    error: str | None = None
    unsafe: str = ""
