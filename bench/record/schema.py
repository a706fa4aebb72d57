"""The record: what ``run.json`` holds beside pytest-benchmark's own fields, and its version.

Every benchmark's ``extra_info["torchduet"]`` is a :class:`Record`; the file's top level has a
``"torchduet"`` key with a :class:`RunRecord`. Times are seconds, sizes bytes, ratios dimensionless.
Written by ``bench``, read by ``reports``; imports nothing but the standard library.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

KEY = "torchduet"
SCHEMA = 1
JOURNAL = b'{"crc32":"'  # what the journal of an unfinished run begins with
PROFILED_CALL = "torchduet call"  # the annotation around each call in a trace
LOADER_STARTS = "DataLoader.__iter__"  # the annotation of an epoch's start, with that of its workers
LOADER_ENDS = "DataLoader._shutdown_workers"
GRADES = QUIET, NOISY, DISTURBED = ("quiet", "noisy", "disturbed")  # of the machine's noise
KINDS = {  # groups of cases that --aa also counts apart: calls …
    "short": "under 2 ms",
    "medium": "of 2 to 20 ms",
    "long": "of 20 ms and more",
    "waiting": "that wait, as for workers",
}

CLOCK_REASONS = {  # why a GPU's clocks are lowered → bits of NVML's clocks event reasons (drivers from 535 on)
    "power cap": 0x04,  # SwPowerCap
    "temperature": 0x20 | 0x40,  # SwThermalSlowdown, HwThermalSlowdown
    "power brake": 0x80,  # HwPowerBrakeSlowdown: the supply asked for it
    "hardware slowdown": 0x08,  # HwSlowdown
}


class CaseRecord(TypedDict):
    """Which case this is."""

    id: str  # "matmul.square[n=1024] cpu compile fp32", unique within a run
    family: str  # "matmul.square[n=1024]": all cases timed together
    suite: str
    workload: str
    about: str
    size: dict[str, int | str]
    size_label: str  # "n=1024", "" for a workload without axes
    implementation: str
    device: str
    mode: str
    precision: str
    reference: bool  # the family's reference case
    workers: NotRequired[int]  # DataLoader workers, where that is a knob
    settings: NotRequired[dict[str, str]]  # of the knobs without a key here, where they are not the reference's


class TimingRecord(TypedDict):
    """How it was timed. ``blocks[placement][round]`` is seconds per call, in the order taken."""

    clock: str  # "perf_counter", "perf_counter_synchronized" (until the device had finished) or "cuda_events"
    calls_per_block: int
    blocks: list[list[float]]
    # "precise": every interval narrow enough; "budget": time was up; "limit": enough placements; "interrupted"
    stop: str
    seconds: float  # per call: Hodges-Lehmann over placements' medians
    low: float | None  # its 99 % interval; None with fewer than 8 placements
    high: float | None
    host_seconds: NotRequired[float]  # accelerators: per call, until the launches returned
    wall_seconds: NotRequired[float]  # accelerators: per call, until the device was done
    launch_bound: NotRequired[bool]  # CUDA: launching took most of the device time
    device_seconds: NotRequired[float]  # CUDA: per call, without the gaps in which the device waited for launches
    waits: NotRequired[bool]  # CUDA: a call waits for the device, so that its work alone is not known
    cache: NotRequired[str]  # "cold": each call found the cache full of something else; else it was hot
    disturbed: NotRequired[list[int]]  # per placement, its blocks in which the process had to leave a core
    left_out: NotRequired[int]  # blocks in which the process was stopped or the machine suspended: taken again
    rests: NotRequired[bool]  # CPU: its thread slept for at least 2 ms and a tenth of each block when warmed up


class SpeedupRecord(TypedDict):
    """This case held against another of its family, from blocks taken in alternation."""

    knob: str  # "reference", or the one knob in which the two differ: "mode", "precision", …
    value: str  # this case's setting of the knob
    baseline: str  # the other's
    against: str  # the other's case id
    ratio: float  # other's time / this case's time: above 1 means that this case is faster
    low: float | None  # None: too few placements for an interval
    high: float | None
    confidence: float
    placements: int
    threshold: float
    baseline_seconds: NotRequired[float]  # the other's time per call and first call: it may have no record
    baseline_first_call: NotRequired[float]
    baseline_compiled: NotRequired[bool]
    verdict: str  # faster, slower, same, unclear


class FirstCallRecord(TypedDict):
    """The first call, apart from steady state."""

    seconds: float  # all calls until nothing more was compiled or initialised
    calls: int  # how many those were
    returned: NotRequired[float]  # until the first of them returned, without waiting for the device
    setup: NotRequired[float]  # making what is called: an export, a session


class GraphBreak(TypedDict):
    """Why Dynamo split the graph, and how often."""

    reason: str
    count: int
    places: NotRequired[list[str]]  # in the workload: "model.py:23: print(x)"


class CompileRecord(TypedDict):
    """What torch.compile made of it."""

    graphs: int
    graph_breaks: list[GraphBreak]
    cold: bool  # the inductor cache was empty
    graph_skips: NotRequired[list[str]]  # why inductor made no CUDA graph of some of it


class CheckRecord(TypedDict):
    """The result held against the same function in float64 on the CPU."""

    what: str  # "values", or "shapes" for random results
    relative_error: float | None  # relative Frobenius error, the worst over the tensors checked
    tolerance: float | None


class MeterRecord(TypedDict):
    """Something that a call notes about itself: a phase's seconds, or a number with its unit."""

    unit: str  # "s" for phases
    values: list[float]  # the median of each placement, in the order taken
    median: float
    low: float  # the least and the greatest of the placements
    high: float


class EnergyRecord(TypedDict):
    """Energy per call of the whole device, idle power included; or ``why`` it is not known."""

    joules: NotRequired[float]  # per call
    seconds: NotRequired[float]  # of the window
    changes: NotRequired[int]  # of the counter in it
    source: NotRequired[str]  # "nvml", "rapl"
    why: NotRequired[str]


class HeadroomRecord(TypedDict):
    """The largest batch that was seen to fit, to within a sixteenth."""

    batch: int
    bytes: int  # that the allocator had then taken from the device
    limit: str  # what ended the search: "memory" (of the GPU), "host" (inputs are made there), "time"


class GpuRecord(TypedDict):
    """One GPU from the run's start to its end, as NVML sees it; ``samples[name]`` goes with ``at``."""

    device: str  # "cuda:0"
    facts: dict[str, float | int | str]  # name, uuid, driver, power_limit_w, most_sm_mhz, ecc, …
    slice: bool  # a part of a GPU (MIG): power and clocks are the whole's
    update_seconds: dict[str, float]  # "power", "energy" → how often the counter takes a new value, measured
    missing: dict[str, str]  # field → why it cannot be read
    at: list[float]  # seconds since the run began
    samples: dict[str, list[float | None]]  # power_w, sm_mhz, memory_mhz, temperature_c, utilisation, …
    lost: NotRequired[str]  # why nothing can be read, or could not from then on


class CeilingRecord(TypedDict):
    """The best that this machine was seen to do, on one device; measured at the run's start and end."""

    device: str
    flops_per_second: dict[str, float]  # precision → matrix products
    bytes_per_second: dict[str, float]  # working set in bytes → copying, read plus written
    operator_seconds: float  # the cheapest operator on one value


class PilotRecord(TypedDict):
    """Three fixed little workloads, timed between families: how fast the machine was just then."""

    at: float  # seconds since the run began
    before: str  # the family measured next, "" at the end
    seconds: dict[str, float]  # "arithmetic", "memory", "calls" → per unit, the median of its blocks


class NoiseRecord(TypedDict):
    """How noisy the machine was while this was timed, and why."""

    grade: str  # one of GRADES
    causes: list[str]  # in words, with figures; the worst first
    remedy: NotRequired[str]  # what would help; of a run that was not quiet
    figures: NotRequired[dict[str, float]]  # what the grade follows from; what is not known here is missing


class CostRecord(TypedDict):
    """What one call costs; a missing key is unknown."""

    flops: NotRequired[float]
    bytes: NotRequired[float]
    samples: NotRequired[int]


class ScreeningRecord(TypedDict):
    """What the first stage of a duet said of a case that was then confirmed on fresh data."""

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    pairs: int


class AgainstRecord(TypedDict):
    """Side B of a duet held against side A in this case; ``blocks[pair][turn]``, the two paired turn by turn."""

    stage: str  # "screened": by the first stage alone; "confirmed": judged by fresh pairs alone
    verdict: str  # faster, slower: B than A; same, unclear
    ratio: float  # A's time / B's time: above 1 means that B is faster
    low: float | None  # None: too few pairs for an interval
    high: float | None
    confidence: float  # the level that it was judged by, after Holm's procedure
    threshold: float
    pairs: int
    base_seconds: float  # per call: A
    seconds: float  # per call: B
    base_blocks: list[list[float]]
    blocks: list[list[float]]
    screening: NotRequired[ScreeningRecord]
    note: NotRequired[str]
    profile: NotRequired[ProfileRecord]  # side B's


class PythonFunction(TypedDict):
    """A Python function while the case was called; ``share`` of the time in which it was the innermost one."""

    name: str
    place: str  # file and line
    share: float


class PythonRecord(TypedDict):
    """``--profile-python``: what pyinstrument saw."""

    file: str  # path of its page, relative to the run's file
    seconds: float  # sampled
    functions: list[PythonFunction]  # the first dozen


class ProfileRecord(TypedDict):
    """``--profile``: what torch.profiler wrote of a case, in a pass of its own after all timing."""

    trace: str  # path of the trace, relative to the run's file
    calls: int  # in the trace, each within an annotation named PROFILED_CALL
    seconds: float  # per call, under the profiler
    plain_seconds: float  # per call, in the same process right before and after, without it
    interrupted: NotRequired[float]  # share of these calls in which others took a core
    batches: NotRequired[float]  # per call, that DataLoaders handed over
    python: NotRequired[PythonRecord]
    stacks: bool  # whether it holds Python's stacks, which slow it down many times


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
    operators: NotRequired[int]  # operators that one call dispatches, views apart; eager cases
    peak_bytes: NotRequired[int]  # the most memory that a call held at once beyond its inputs
    reserved_bytes: NotRequired[int]  # accelerators: the most that the allocator took from the device for it
    context_bytes: NotRequired[int]  # CUDA: what it takes itself in a process, beside that
    energy: NotRequired[EnergyRecord]
    headroom: NotRequired[HeadroomRecord]
    profile: NotRequired[ProfileRecord]
    noise: NotRequired[NoiseRecord]
    against: NotRequired[AgainstRecord]  # of a duet; the record itself is side A's


class TrialRecord(TypedDict):
    """``--aa``: a copy of a case held against it: an identical one, or one slowed down by a known factor."""

    slowdown: float  # 1: identical; 1.05: it takes 1.05 times as long
    ratio: float  # the case's time / the copy's
    low: float | None
    high: float | None
    placements: int
    verdict: str  # at the self-check's own threshold
    seconds: float  # of the case's timed blocks
    minimum_effect: float | None  # the least slow-down that would be found in 95 of 100, as a share


class RateRecord(TypedDict):
    """How often something happened, with its Clopper-Pearson bounds."""

    slowdown: float
    count: int
    trials: int
    low: float
    high: float


class RatesRecord(TypedDict):
    """What ``--aa`` found of some cases."""

    false_alarms: RateRecord  # identical code called faster or slower
    found: list[RateRecord]  # slow-downs called slower, factor by factor
    narrow: RateRecord  # half-widths within ±1 %
    seconds: float | None  # spent on a case, in the median


class KindRecord(RatesRecord):
    """The figures of ``--aa`` for cases of one kind: of calls that take about as long, or that wait."""

    kind: str  # one of KINDS


class SelfCheckRecord(RatesRecord):
    """What ``--aa`` found on a machine; medians over the cases' identical twins."""

    measured: str  # ISO 8601, UTC
    cpu: str | None
    cores: int | None
    torch: str | None
    gpu: str | None
    threads: int
    threshold: float
    confidence: float  # of the intervals
    bounds_confidence: float  # of the rates' bounds
    outside: int  # intervals of identical code that do not hold 1
    half_width: float | None  # of log ratios
    half_width_after_1s: float | None  # half-width × √seconds
    minimum_effect: float | None
    kinds: NotRequired[list[KindRecord]]  # those there are any cases of; not in files of older versions


class NotMeasured(TypedDict):
    """A selected case without a record."""

    case: CaseRecord
    reason: str


class Unavailable(TypedDict):
    """A variant this machine cannot run, so that no case of it was selected by default."""

    variant: str  # "cuda", "tf32"
    reason: str


class SecondsRecord(TypedDict):
    """Where the run's time went, in seconds of wall clock."""

    total: float
    startup: float  # until the first worker was ready
    compiling: float  # first calls of compiled cases
    timed: float  # inside timed blocks
    checking: float  # float64 references and comparisons
    warming: float  # warm-up, calibration and untimed calls
    profiling: NotRequired[float]  # --profile: after all timing, beyond the budget


class SideRecord(TypedDict):
    """One side of a duet."""

    label: str  # what sets it apart from the other: "torch 2.12.0", "OMP_NUM_THREADS=1"
    python: str  # the interpreter's path
    python_version: str
    torch: str
    cuda: str | None
    env: dict[str, str]  # set on this side alone
    rev: str | None  # git revision of the user's suites; None: the files as they are


class DuetRecord(TypedDict):
    """A run of two sides: A is the interpreter that ran pytest, B what ``--against…`` named."""

    base: SideRecord  # A
    against: SideRecord  # B
    screened: int  # cases
    confirmed: int
    confidence: float
    threshold: float


class ResumedRecord(TypedDict):
    """A run that ended before its time was gone on with, from its journal."""

    at: float  # seconds into the run; the time in between does not count
    started: str  # ISO 8601, UTC
    machine: dict[str, str | int | float | bool | None]  # as of then; it is the same machine
    warnings: list[str]  # about its state as of then
    families: int  # finished before


class PassingRecord(TypedDict):
    """How a run's time did not pass as it should; seconds. No duration in the file is taken from the wall clock."""

    stopped: float  # pytest itself did not run, as after Ctrl-Z
    suspended: float  # the machine was suspended
    clock_set: list[float]  # by how much the wall clock was set, forward above 0


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
    unreached: NotRequired[list[str]]  # ids of the cases whose turn never came: the run was stopped
    stopped: NotRequired[str]  # why it was
    resumed: NotRequired[list[ResumedRecord]]
    passing: NotRequired[PassingRecord]
    ceilings: NotRequired[list[CeilingRecord]]
    pilots: NotRequired[list[PilotRecord]]
    noise: NotRequired[NoiseRecord]
    self_check: NotRequired[SelfCheckRecord]  # of this run with --aa, else the last one on this machine
    against: NotRequired[DuetRecord]
    gpus: NotRequired[list[GpuRecord]]
