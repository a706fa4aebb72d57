"""Computes what a GPU does within a call: busy by kind of kernel, idle by what the host does meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.reports.profile.categories import DATA, LOADER, OPTIMIZER, category, is_optimizer
from torchduet.reports.profile.kernels import TRANSFER, kernel_kind
from torchduet.reports.profile.runtime import LAUNCHES, WAITS
from torchduet.reports.profile.span import Span
from torchduet.reports.profile.trace import Trace

IDLE_WAITING = "idle: the host already waits for it"  # launching and synchronising take effect with a delay
IDLE_DATA = "idle: the host waits for data"
IDLE_LAUNCHING = "idle: the host launches"
IDLE_OPERATORS = "idle: the host runs operators"
IDLE_PYTHON = "idle: the host runs Python"
IDLE = (IDLE_PYTHON, IDLE_OPERATORS, IDLE_LAUNCHING, IDLE_DATA, IDLE_WAITING)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Kernel:
    """A kernel, copy or fill, summed over a call: seconds and number of runs per call."""

    name: str
    category: str
    own: float
    calls: float


@dataclass(frozen=True)
class Device:
    """The activity of GPUs within a call; seconds per call.

    Attributes:
        seconds: from the call's begin until it has ended and what it launched has, too.
        parts: kind of kernel or of idle time → seconds; they add up to ``seconds``. Kernels that run at the same time
            share that time equally.
        kernels: their time by name, the longest first; kernels that run at the same time each count.
        launched: number of kernels, copies and fills.
        streams: number of streams that they run on.
        graphs: launches of CUDA graphs.
        in_graphs: number of kernels, copies and fills that these launch.
    """

    seconds: float
    parts: Mapping[str, float]
    kernels: tuple[Kernel, ...]
    launched: float
    streams: int
    graphs: float = 0.0
    in_graphs: float = 0.0

    @property
    def idle(self) -> float:
        """Seconds in which nothing runs on the GPU."""
        return sum(self.parts.get(kind, 0.0) for kind in IDLE)

    @property
    def busy(self) -> float:
        """Seconds in which at least one kernel, copy or fill runs."""
        return self.seconds - self.idle

    @property
    def copying(self) -> float:
        """Seconds of copies between host and GPU."""
        return self.parts.get(TRANSFER, 0.0)

    @property
    def computing(self) -> float:
        """Seconds in which the GPU is busy with anything else."""
        return self.busy - self.copying

    @property
    def idle_share(self) -> float:
        """Share of the time in which nothing runs."""
        return self.idle / self.seconds if self.seconds else 0.0

    @property
    def work(self) -> Mapping[str, float]:
        """The parts without idle time, the longest first."""
        parts = {kind: seconds for kind, seconds in self.parts.items() if kind not in IDLE and seconds > 0}
        return dict(sorted(parts.items(), key=lambda item: -item[1]))


def device_activity(trace: Trace, calls: Sequence[Span]) -> Device | None:
    """What the GPU does within the calls; None for a trace without a GPU's activities."""
    if not trace.device:
        return None
    of_calls = _by_call(trace, calls)
    optimizers = _Annotations(span for span in trace.host if is_optimizer(span.name))
    layers = _host_layers(trace)
    number = len(calls)
    parts: dict[str, float] = {}
    by_name: dict[tuple[str, str], list[float]] = {}
    seconds = 0.0
    for call, spans in zip(calls, of_calls, strict=True):
        kinds = [_kind(span, trace, optimizers) for span in spans]
        for span, kind in zip(spans, kinds, strict=True):
            sums = by_name.setdefault((span.name, kind), [0.0, 0.0])
            sums[0] += (span.end - span.start) / 1e6 / number
            sums[1] += 1 / number
        busy = merged((span.start, span.end) for span in spans)
        idle = list(_without([(call.start, call.end)], busy))
        for kind, length in (*_shared(spans, kinds), *_idle(idle, layers)):
            parts[kind] = parts.get(kind, 0.0) + length / 1e6 / number
        seconds += (_length(busy) + _length(idle)) / 1e6 / number
    launched = [span for spans in of_calls for span in spans]
    starts = [trace.launches[span.correlation] for span in launched if span.correlation in trace.launches]
    kernels = [Kernel(name, kind, time, runs) for (name, kind), (time, runs) in by_name.items()]
    return Device(
        seconds=seconds,
        parts=parts,
        kernels=tuple(sorted(kernels, key=lambda kernel: -kernel.own)),
        launched=len(launched) / number,
        streams=len({span.thread for span in launched}),
        graphs=_graph_launches(trace, calls) / number,
        in_graphs=sum(_is_graph_launch(start) for start in starts) / number,
    )


def _by_call(trace: Trace, calls: Sequence[Span]) -> list[list[Span]]:
    """For each call, what it launched, in order of start; without a launch, what starts within the call."""
    ordered = sorted(range(len(calls)), key=lambda index: calls[index].start)
    starts = [calls[index].start for index in ordered]
    result: list[list[Span]] = [[] for _ in calls]
    for span in trace.device:
        launch = trace.launches.get(span.correlation)
        at = span.start if launch is None else launch.start
        place = bisect_right(starts, at) - 1
        if place >= 0 and at <= calls[ordered[place]].end:
            result[ordered[place]].append(span)
    return result


def _kind(span: Span, trace: Trace, optimizers: _Annotations) -> str:
    """A kernel's kind; everything that is launched within an optimizer counts as its, as on the host."""
    launch = trace.launches.get(span.correlation)
    return OPTIMIZER if launch is not None and optimizers.hold(launch) else kernel_kind(span.name)


def _graph_launches(trace: Trace, calls: Sequence[Span]) -> int:
    launches = [span.start for span in trace.launches.values() if _is_graph_launch(span)]
    return sum(any(call.start <= start <= call.end for call in calls) for start in launches)


def _is_graph_launch(launch: Span) -> bool:
    return "GraphLaunch" in launch.name


def _host_layers(trace: Trace) -> list[tuple[str, list[Interval]]]:
    """(why the GPU idles, when the host does that), the first that applies counts."""
    layers: dict[str, list[Interval]] = {IDLE_WAITING: [], IDLE_DATA: [], IDLE_LAUNCHING: [], IDLE_OPERATORS: []}
    for span in trace.host:
        if span.kind == WAITS:
            why = IDLE_WAITING
        elif span.kind == LAUNCHES:
            why = IDLE_LAUNCHING
        elif span.kind == "python":
            continue
        else:
            why = IDLE_DATA if category(span.name) in (DATA, LOADER) else IDLE_OPERATORS
        layers[why].append((span.start, span.end))
    return [(why, merged(intervals)) for why, intervals in layers.items()]


def _idle(idle: list[Interval], layers: Sequence[tuple[str, list[Interval]]]) -> Iterator[tuple[str, float]]:
    """(why the GPU idles, microseconds) of the idle intervals."""
    for why, intervals in layers:
        rest = list(_without(idle, intervals))
        yield why, _length(idle) - _length(rest)
        idle = rest
    yield IDLE_PYTHON, _length(idle)


def _shared(spans: Sequence[Span], kinds: Sequence[str]) -> Iterator[tuple[str, float]]:
    """(kind, microseconds): what runs at the same time shares that time equally."""
    changes = [(span.start, 1, kind) for span, kind in zip(spans, kinds, strict=True)]
    changes += [(span.end, -1, kind) for span, kind in zip(spans, kinds, strict=True)]
    running: dict[str, int] = {}
    number, before = 0, 0.0
    for at, change, kind in sorted(changes):
        if number:
            for name, count in running.items():
                yield name, (at - before) * count / number
        number += change
        running[kind] = running.get(kind, 0) + change
        before = at


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of intervals, as disjoint ones in order."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _without(intervals: Sequence[Interval], taken: Sequence[Interval]) -> Iterator[Interval]:
    """The parts of disjoint intervals that lie in none of ``taken``; both in order, ``taken`` disjoint, too."""
    ends = [end for _, end in taken]
    for start, end in intervals:
        at = start
        place = bisect_right(ends, start)
        while place < len(taken) and taken[place][0] < end:
            if taken[place][0] > at:
                yield at, taken[place][0]
            at = max(at, taken[place][1])
            place += 1
        if at < end:
            yield at, end


def _length(intervals: Iterable[Interval]) -> float:
    return sum(end - start for start, end in intervals)


class _Annotations:
    """Annotations, to find whether one of them holds a span of its thread."""

    def __init__(self, spans: Iterable[Span]) -> None:
        by_thread: dict[tuple[str, str], list[Interval]] = {}
        for span in spans:
            by_thread.setdefault(span.thread, []).append((span.start, span.end))
        self._intervals = {thread: merged(intervals) for thread, intervals in by_thread.items()}

    def hold(self, span: Span) -> bool:
        """Whether a span begins within one of them."""
        intervals = self._intervals.get(span.thread, [])
        place = bisect_right(intervals, (span.start, float("inf"))) - 1
        return place >= 0 and span.start <= intervals[place][1]
