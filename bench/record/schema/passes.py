"""What is measured in passes of their own, after the timing: energy, the largest batch, profiles."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Positive


class EnergyRecord(TypedDict):
    """Energy per call of the whole device, including idle power; or ``why`` it is not known."""

    joules: NotRequired[Amount]  # per call
    seconds: NotRequired[float]  # of the window
    changes: NotRequired[int]  # of the counter in it
    source: NotRequired[str]  # "nvml", "rapl"
    why: NotRequired[str]


class SustainedRecord(TypedDict):
    """Calls of a case without pause, without other cases between them: the device then heats up the most."""

    seconds: Positive  # per call
    window_seconds: Positive
    watts: NotRequired[Amount]  # of the whole device, by its energy counter
    sm_mhz: NotRequired[Amount]  # NVIDIA: the SM clock, the median of the window
    first_sm_mhz: NotRequired[Amount]  # as the window began, after the first calls


class HeadroomRecord(TypedDict):
    """The largest batch that fitted, to within a sixteenth."""

    batch: int
    bytes: int  # that the allocator then held of the device
    limit: str  # what ended the search: "memory" (of the GPU), "host" (inputs are made there), "time"


class PythonFunction(TypedDict):
    """A Python function during the calls; ``share``: of the time in which it was the innermost one."""

    name: str
    place: str  # file and line
    share: float


class PythonRecord(TypedDict):
    """``--profile-python``: the result of pyinstrument."""

    file: str  # path of its page, relative to the run's file
    seconds: float  # sampled
    functions: list[PythonFunction]  # the first dozen


class ProfileRecord(TypedDict):
    """``--profile``: the result of torch.profiler for a case, from a separate pass after all timing."""

    trace: str  # path of the trace, relative to the run's file
    calls: int  # in the trace, each within an annotation named PROFILED_CALL
    seconds: Positive  # per call, under the profiler
    plain_seconds: Positive  # per call, in the same process right before and after, without the profiler
    interrupted: NotRequired[float]  # share of these calls with a context switch
    batches: NotRequired[float]  # from DataLoaders, per call
    python: NotRequired[PythonRecord]
    stacks: bool  # whether the trace holds Python's stacks, which slow the calls down many times
