"""A case's timing and speed-ups, its first call, compilation and check. Times are seconds per call."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Blocks, Count, Length, Level, Positive
from torchduet.bench.record.schema.words import PriorSource, StopReason, Verdict


class SmClockRecord(TypedDict):
    """The SM clock of a GPU right after some of a case's blocks, in MHz."""

    low: Positive
    median: Positive
    high: Positive
    samples: Count


class VisitRecord(TypedDict):
    """One visit to a case's family: timing by one process, which measured nothing else."""

    at: Amount  # seconds into the run, when its timing began
    placements: Count  # how many of the case's placements it took
    part: NotRequired[Count]  # of a merged run: index of the part that made it
    address_sets: NotRequired[Count]  # accelerators: in how many of them its inputs lay at addresses of their own
    sm_mhz: NotRequired[SmClockRecord]  # CUDA, where PyTorch's delay kernel counts SM cycles


class IntervalRecord(TypedDict):
    """What an interval over visits rests on. Deviations are standard deviations of log ratios (or of log times)."""

    visits: Count
    deviation: Amount  # of one visit's value, as the interval allows for: between visits and within
    degrees: Positive  # degrees of freedom of Student's t
    prior: PriorSource  # what the variance between visits was moderated by


class TimingRecord(TypedDict):
    """The timing of a case. ``blocks[placement][round]`` is seconds per call, in the order taken."""

    clock: str  # "perf_counter" or "cuda_events"
    calls_per_block: int
    blocks: Blocks
    visits: NotRequired[list[VisitRecord]]  # in the order taken; absent: one visit, by a writer without visits
    stop: StopReason
    seconds: Positive  # per call: over visits the (trimmed) mean of logarithms; in one Hodges-Lehmann of placements
    low: Positive | None  # its 99 % interval; None where there are too few values for one
    high: float | None
    host_seconds: NotRequired[float]  # accelerators: per call, until the launches returned
    wall_seconds: NotRequired[float]  # accelerators: per call, until the device was done
    launch_bound: NotRequired[bool]  # CUDA: launching took most of the device time
    device_seconds: NotRequired[Amount]  # CUDA: per call, without the gaps in which the device waited for launches
    device_blocks: NotRequired[Blocks]  # the same, paired with those of the family's other cases on the device
    waits: NotRequired[bool]  # CUDA: a call waits for the device, so the host's work alone is not known
    cache: NotRequired[str]  # "cold": before each call the cache was filled with other data; else it was hot
    disturbed: NotRequired[list[int]]  # per placement, its blocks with a context switch
    left_out: NotRequired[int]  # blocks during which the process or the machine was suspended: taken again
    rests: NotRequired[
        bool
    ]  # CPU: idle-waiting: its thread slept for at least 2 ms and a tenth of each block during warm-up


class DeviceSpeedupRecord(TypedDict):
    """The speed-up of the device's own work: all is launched before it begins, so launching takes none of the time."""

    ratio: Positive
    low: Positive | None
    high: float | None
    confidence: Level
    placements: int
    visit_ratios: Annotated[list[Positive], Length("visit")]
    visit_errors: list[Amount | None]
    interval: NotRequired[IntervalRecord]
    threshold: Positive
    verdict: Verdict


class SpeedupRecord(TypedDict):
    """This case held against another of its family, from blocks taken in alternation."""

    knob: str  # "reference", or the one knob that differs: "mode", "precision", …
    value: str  # this case's setting of the knob
    baseline: str  # the other's
    against: str  # the other's case id
    ratio: Positive  # other's time / this case's time: above 1 means that this case is faster
    low: Positive | None  # None: too few placements for an interval
    high: float | None
    confidence: Level
    placements: int
    visit_ratios: NotRequired[Annotated[list[Positive], Length("visit")]]  # each visit's own estimate of the ratio
    visit_errors: NotRequired[list[Amount | None]]  # standard error of its logarithm, by the visit's placements alone
    interval: NotRequired[IntervalRecord]  # with visits only
    threshold: Positive
    baseline_seconds: NotRequired[Positive]  # the other's time per call and first call: it may have no record
    baseline_first_call: NotRequired[float]
    baseline_compiled: NotRequired[bool]
    device_speedup: NotRequired[DeviceSpeedupRecord]  # CUDA: of both cases' kernels, where they are on one device
    verdict: Verdict


class FirstCallRecord(TypedDict):
    """The first call, measured separately from steady state."""

    seconds: float  # all calls until nothing more was compiled or initialised
    calls: int  # the number of these calls
    returned: NotRequired[float]  # until the first of them returned, without waiting for the device
    setup: NotRequired[float]  # creating the callable: an export, a session


class GraphBreak(TypedDict):
    """Why Dynamo split the graph, and how often."""

    reason: str
    count: int
    places: NotRequired[list[str]]  # in the workload: "model.py:23: print(x)"


class SizeRecord(TypedDict):
    """The first call of a compiled function at one of several sizes."""

    size: str  # the shapes of its tensors: "4×128"
    seconds: Amount
    compilations: NotRequired[Count]  # frames that Dynamo compiled
    recompilations: NotRequired[Count]  # times that no compiled code was valid for these sizes
    reason: NotRequired[str]  # of the first of them, in Dynamo's words
    limit: NotRequired[bool]  # Dynamo gave up, as one function was compiled too often
    eager: NotRequired[bool]  # later calls at this size run without compiled code


class SizesRecord(TypedDict):
    """What a workload that visits several sizes costs at each, and how often it was compiled again."""

    sizes: list[SizeRecord]  # in the order in which they were first visited
    recompilations: Count  # as TORCH_LOGS=recompiles counts them
    limit: NotRequired[Count]  # torch._dynamo.config.recompile_limit, where it was reached


class WarmStartRecord(TypedDict):
    """The first call in new processes that load what another has compiled, beside that of a process with no cache.

    All have imported PyTorch and its compiler before, and have compiled nothing else. Seconds include no import.
    """

    cold: Positive  # seconds in a new process with an empty cache
    tries: list[Positive]  # seconds of each new process with the cache that it filled
    seconds: NotRequired[Positive]  # their median; absent where the cache did not serve, for the reason in why
    hits: Count  # graphs that each try loaded from inductor's cache
    traced: NotRequired[Count]  # graphs that AOTAutograd traced again, as its cache cannot hold them
    why: NotRequired[str]


class CompileRecord(TypedDict):
    """The result of torch.compile."""

    graphs: int
    graph_breaks: list[GraphBreak]
    cold: bool  # the inductor cache was empty
    graph_skips: NotRequired[list[str]]  # why inductor made no CUDA graph of some parts
    sizes: NotRequired[SizesRecord]  # of a workload that visits several sizes
    warm_start: NotRequired[WarmStartRecord]  # with --warm-start


class CheckRecord(TypedDict):
    """The result held against the same function in float64 on the CPU, unless the optional keys say otherwise."""

    what: str  # "values"; "shapes" for random results; "nothing" with check=False: the result is compared with nothing
    relative_error: float | None  # relative Frobenius error, the worst over the tensors checked
    tolerance: float | None
    # What the result is held against, if not float64: the first implementation in the types of its inputs, or nothing.
    held_against: NotRequired[Literal["own dtype", "nothing"]]
    float64_on: NotRequired[str]  # the device that computed float64, if not the CPU: "cuda"
    why: NotRequired[str]  # what prevented float64: "RuntimeError: mat1 and mat2 must have the same dtype"
    computes_in: NotRequired[str]  # the type of its tensors, if the precision says another: "bfloat16", "float64"
    scale: NotRequired[Literal["rounding"]]  # some errors are relative to the rounding that the reference shows
    undecided: NotRequired[Count]  # values that differ and were left out, as rounding decides them, such as argmax ties


class MeterRecord(TypedDict):
    """A figure that a call records about itself: a phase's seconds, or a number with its unit."""

    unit: str  # "s" for phases
    values: Annotated[list[float], Length("placement")]  # the median of each placement, in the order taken
    not_finite: NotRequired[int]  # placements without a value here, as one was NaN, infinite or beyond 1e100
    median: float
    low: float  # the least and the greatest of the placements
    high: float


class CostRecord(TypedDict):
    """The cost of one call; a missing key is unknown."""

    flops: NotRequired[float]
    bytes: NotRequired[float]
    samples: NotRequired[int]
    unit: NotRequired[str]  # what is counted in samples; samples if it is missing
    message: NotRequired[float]  # bytes of a collective: of the larger of what a rank gives and gets (nccl-tests)
    bus: NotRequired[float]  # bytes that a collective has to move over the slowest link (nccl-tests)


class RanksRecord(TypedDict):
    """The ranks of a case that runs in several processes. Seconds are per call: medians over blocks of the first visit.

    The time of a case is that of its slowest rank, block by block.
    """

    backend: str  # of the process group: "gloo", "nccl"
    threads: Count  # of each process
    seconds: list[Positive]  # of each rank
    mean: Positive  # of the mean over ranks
    least: Positive  # of the fastest rank in each block
    skew: Amount  # of the slowest rank's time less the fastest's, in each block
    slowest: NotRequired[list[Count]]  # of each rank, the blocks in which it was the slowest
    peak_bytes: NotRequired[list[Count]]  # of each rank: the most memory from its setup through two calls
