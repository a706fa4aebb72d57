"""Summarises a trace: a call's time by operator and by category, on the host and on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.devices import on_host
from torchduet.reports.profile.categories import FUSED, PYTHON, category, category_within
from torchduet.reports.profile.memory import Memory, memory
from torchduet.reports.profile.trace import Span, Trace
from torchduet.reports.profile.tree import Node, tree, typical


@dataclass(frozen=True)
class Operator:
    """One operator, summed over all places where it runs; seconds and numbers are per call of the case.

    Attributes:
        own: seconds without the operators that it calls.
        total: seconds with them; of nested runs of the same operator only the outer ones count.
        shapes: of its inputs, the most frequent first.
        named: whether it is an annotation, whose own time is that of Python.
    """

    name: str
    category: str
    own: float
    total: float
    calls: float
    shapes: tuple[str, ...]
    named: bool = False


@dataclass(frozen=True)
class Device:
    """The activity of GPUs within a call; seconds per call.

    Attributes:
        busy: in which at least one kernel, copy or fill runs.
        idle_share: share of the time from the first call's begin to the last one's end in which none runs.
        kernels: their time by name, the longest first.
    """

    busy: float
    idle_share: float
    kernels: tuple[Operator, ...]


@dataclass(frozen=True)
class Summary:
    """A case's trace; seconds are per call, the mean over the calls of typical duration.

    Attributes:
        calls: number of calls that the figures are averaged over.
        seconds: per call.
        operators: by their own time, the longest first.
        categories: category → seconds; with ``PYTHON`` they add up to ``seconds``, or to more where threads run
            at the same time.
        dispatched: number of operators and kernels that ran per call.
        fused: number of kernels among them that a compiler generated.
    """

    calls: int
    seconds: float
    operators: tuple[Operator, ...]
    categories: Mapping[str, float]
    dispatched: float
    fused: float
    root: Node
    memory: Memory | None
    device: Device | None

    def share(self, name: str) -> float:
        """A category's share of the time."""
        return self.categories.get(name, 0.0) / self.seconds if self.seconds else 0.0


def summarise(trace: Trace, name: str, device: str) -> Summary:
    """The summary of a trace whose case ran on a device such as ``cpu`` or ``cuda:0``."""
    calls = typical(trace)
    number = len(calls)
    root = tree(trace, calls, name)
    categories: dict[str, float] = {}
    sums_of: dict[str, list[float]] = {}  # name → own seconds, total seconds, calls
    shapes: dict[str, dict[str, int]] = {}
    kinds: dict[str, str] = {}
    annotations: set[str] = set()
    dispatched = fused = 0
    for node, above in root.walk():
        within = (outer.name for outer in above[1:])
        kind = PYTHON if node is root or node.kind == "python" else category_within(node.name, within)
        own_seconds = node.gap if node is root else node.own
        categories[kind] = categories.get(kind, 0.0) + own_seconds / number
        if node is root:
            continue
        if node.kind == "operator":
            dispatched += node.calls
            fused += node.calls if kind == FUSED else 0
        sums = sums_of.setdefault(node.name, [0.0, 0.0, 0.0])
        sums[0] += own_seconds / number
        sums[1] += node.total / number if all(outer.name != node.name for outer in above) else 0.0
        sums[2] += node.calls / number
        kinds.setdefault(node.name, kind)
        if node.kind != "operator":
            annotations.add(node.name)
        for shape, times in node.shapes.items():
            counts = shapes.setdefault(node.name, {})
            counts[shape] = counts.get(shape, 0) + times
    operators = [
        Operator(
            operator,
            kinds[operator],
            sums[0],
            sums[1],
            sums[2],
            tuple(sorted(shapes.get(operator, {}), key=lambda shape: -shapes[operator][shape])),
            operator in annotations,
        )
        for operator, sums in sums_of.items()
    ]
    return Summary(
        calls=number,
        seconds=root.total / number,
        operators=tuple(sorted(operators, key=lambda operator: -operator.own)),
        categories=categories,
        dispatched=dispatched / number,
        fused=fused / number,
        root=root,
        memory=memory(trace, calls[len(calls) // 2], on_cpu=on_host(device)),
        device=_device(trace, calls) if trace.device else None,
    )


def _device(trace: Trace, calls: Sequence[Span]) -> Device:
    """The device's activity over all calls of the trace, without the gaps between them.

    Calls are not selected as on the host: a kernel may run later than the call that launched it.
    """
    del calls
    first, last = trace.calls[0].start, max(call.end for call in trace.calls)
    inside = [span for span in trace.device if first <= span.start <= last]
    number = len(trace.calls)
    between = sum(max(0.0, after.start - before.end) for before, after in zip(trace.calls, trace.calls[1:]))  # noqa: B905
    busy = _covered(inside)
    by_name: dict[str, list[float]] = {}
    for span in inside:
        times = by_name.setdefault(span.name, [0.0, 0.0])
        times[0] += (span.end - span.start) / 1e6 / number
        times[1] += 1 / number
    kernels = [Operator(name, category(name), time, time, calls, ()) for name, (time, calls) in by_name.items()]
    return Device(
        busy=busy / 1e6 / number,
        idle_share=max(0.0, 1 - busy / max(last - first - between, 1e-9)),
        kernels=tuple(sorted(kernels, key=lambda operator: -operator.own)),
    )


def _covered(spans: Sequence[Span]) -> float:
    """Microseconds in which at least one of the spans, in order of their starts, runs."""
    covered, until = 0.0, float("-inf")
    for span in spans:
        covered += max(0.0, span.end - max(span.start, until))
        until = max(until, span.end)
    return covered
