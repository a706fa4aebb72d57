"""The two records that a file holds: of a case, and of the run as a whole."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Count, Positive
from torchduet.bench.record.schema.case import CaseRecord, NotMeasured, Unavailable
from torchduet.bench.record.schema.duet import AgainstRecord, DuetRecord
from torchduet.bench.record.schema.machine import CeilingRecord, GpuRecord, NoiseRecord, PassingRecord, PilotRecord
from torchduet.bench.record.schema.passes import EnergyRecord, HeadroomRecord, ProfileRecord, SustainedRecord
from torchduet.bench.record.schema.reproduction import DuetCheckRecord, ReproductionRecord
from torchduet.bench.record.schema.self_check import SelfCheckRecord, TrialRecord
from torchduet.bench.record.schema.timing import (
    CheckRecord,
    CompileRecord,
    CostRecord,
    FirstCallRecord,
    MeterRecord,
    RanksRecord,
    SpeedupRecord,
    TimingRecord,
)
from torchduet.bench.record.schema.visits import PriorRecord, VisitsRecord


class Record(TypedDict):
    """Everything about one case, under ``extra_info["torchduet"]``."""

    schema: int
    case: CaseRecord
    timing: TimingRecord
    speedups: list[SpeedupRecord]  # against the reference first, then one per knob that differs
    first_call: FirstCallRecord
    compile: CompileRecord | None
    check: CheckRecord
    cost: CostRecord
    notes: list[str]
    meters: NotRequired[dict[str, MeterRecord]]
    trials: NotRequired[list[TrialRecord]]
    operators: NotRequired[int]  # operators that one call dispatches, except views; eager cases
    peak_bytes: NotRequired[Count]  # the most memory that a call held at once beyond its inputs
    reserved_bytes: NotRequired[Count]  # accelerators: the most that the allocator held of the device for it
    context_bytes: NotRequired[int]  # CUDA: its own memory in a process, in addition
    energy: NotRequired[EnergyRecord]
    sustained: NotRequired[SustainedRecord]  # CUDA
    ranks: NotRequired[RanksRecord]  # of a case that runs in several processes
    alone: NotRequired[list[Positive]]  # seconds per call in segments without other cases between them: a control
    headroom: NotRequired[HeadroomRecord]
    profile: NotRequired[ProfileRecord]
    noise: NotRequired[NoiseRecord]
    against: NotRequired[AgainstRecord]  # in a duet; the record itself is side A's
    parts: NotRequired[list[Count]]  # of a merged run: indices of the parts in which it was measured
    machine: NotRequired[str]  # key of its machine, in a file of several


class SecondsRecord(TypedDict):
    """The run's time by stage, in seconds."""

    total: float
    startup: float  # until the first worker was ready
    compiling: float  # first calls of compiled cases
    timed: float  # inside timed blocks
    checking: float  # float64 references and comparisons, and the checks after the timing
    warming: float  # warm-up, calibration and untimed calls
    importing: NotRequired[float]  # a user's file, in workers: beyond the budget
    starting: NotRequired[float]  # accelerators, in workers: their driver and libraries
    interpreters: NotRequired[float]  # of a duet: fresh interpreters import torch and fork the processes of its pairs
    handing_over: NotRequired[float]  # of a duet: from the block of one side to that of the other
    peak_memory: NotRequired[float]  # of a duet: calls that measure how much memory they hold at most
    warm_starting: NotRequired[float]  # first calls in new processes, after all timing
    profiling: NotRequired[float]  # --profile: after all timing, beyond the budget


class ResumedRecord(TypedDict):
    """A run that ended early was continued from its journal."""

    at: float  # seconds into the run; the time in between does not count
    started: str  # ISO 8601, UTC
    machine: dict[str, str | int | float | bool | None]  # the same machine, at that time
    warnings: list[str]  # about its state at that time
    families: int  # finished before


class PartRecord(TypedDict):
    """One of the runs that a merged run consists of, such as a shard: what it was, and when it took place.

    Moments in a merged run (``at``) are those of its part, plus ``begins``: one part after the other, as if no two had
    been measured at the same time.
    """

    digest: str  # of its measurements, 16 hexadecimal digits: equal for copies of one run
    node: str  # host name; empty where it is not known
    shard: NotRequired[str]  # "2/8"
    started: str  # ISO 8601, UTC
    begins: Amount  # seconds into the merged run
    seconds: Amount  # its length
    stages: SecondsRecord
    cases: Count  # with a record in this part
    version: str  # of Torchduet
    commit: str  # id of the commit, with "-dirty"; empty without one
    options: dict[str, str | int | float | None]
    machine: dict[str, str | int | float | bool | None]
    warnings: list[str]
    gpus: NotRequired[dict[str, dict[str, float | int | str]]]  # device → its facts, such as its uuid
    noise: NotRequired[NoiseRecord]
    priors: NotRequired[list[PriorRecord]]  # what earlier runs on its machine taught
    stopped: NotRequired[str]  # why it ended early


class RunRecord(TypedDict):
    """The run as a whole, under the file's top-level ``"torchduet"``."""

    schema: int
    version: str  # of Torchduet
    started: str  # ISO 8601, UTC
    options: dict[str, str | int | float | None]  # tier, budget_seconds, threads, device, mode, precision, suite, data
    machine: dict[str, str | int | float | bool | None]  # cpu, cores, memory_bytes, python, torch, gpu, …
    seconds: SecondsRecord
    skipped: list[NotMeasured]
    failed: list[NotMeasured]
    unavailable: list[Unavailable]
    warnings: list[str]
    unreached: NotRequired[list[str]]  # ids of the cases that the run did not reach, as it ended early
    stopped: NotRequired[str]  # why it ended early
    resumed: NotRequired[list[ResumedRecord]]
    passing: NotRequired[PassingRecord]
    ceilings: NotRequired[list[CeilingRecord]]
    pilots: NotRequired[list[PilotRecord]]
    noise: NotRequired[NoiseRecord]
    visits: NotRequired[VisitsRecord]
    self_check: NotRequired[SelfCheckRecord]  # of this run with --aa, else the last on this machine
    reproduction: NotRequired[ReproductionRecord]  # the last on this machine
    duet_check: NotRequired[DuetCheckRecord]  # the last on this machine
    against: NotRequired[DuetRecord]
    gpus: NotRequired[list[GpuRecord]]
    parts: NotRequired[list[PartRecord]]  # of a merged run
    missing_shards: NotRequired[list[str]]  # of a merged run: "3/8"
    environment: NotRequired[dict[str, str]]  # of a machine with GPUs: variables that change their use, if set → value
