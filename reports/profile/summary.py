"""A trace in figures: where a call's time goes by operator and by category, on the host and on the device."""

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
    """One operator over all places where it runs; seconds and numbers are per call of the case.

    Attributes:
        own: seconds without what it calls.
        total: with it; of nested runs of the same operator, the outer ones.
        shapes: of its inputs, the most frequent first.
        named: it is an annotation, whose own time is that of Python.
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
    """What GPUs do within a call; seconds per call.

    Attributes:
        busy: in which at least one kernel, copy or fill runs.
        idle_share: of the time from the first call's begin to the last one's end in which none does.
        kernels: their time by name, the longest first.
    """

    busy: float
    idle_share: float
    kernels: tuple[Operator, ...]


@dataclass(frozen=True)
class Summary:
    """A case's trace; seconds are per call, the mean over the calls of typical duration.

    Attributes:
        calls: how many calls the figures rest on.
        seconds: per call.
        operators: by their own time, the longest first.
        categories: category → seconds; with ``PYTHON`` they add up to ``seconds``, or to more where threads
            work side by side.
        dispatched: operators and kernels that ran per call.
        fused: kernels among them that a compiler made.
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
    """The figures of a trace whose case ran on a device such as ``cpu`` or ``cuda:0``."""
    calls = typical(trace)
    number = len(calls)
    root = tree(trace, calls, name)
    categories: dict[str, float] = {}
    found: dict[str, list[float]] = {}
    shapes: dict[str, dict[str, int]] = {}
    kinds: dict[str, str] = {}
    annotations: set[str] = set()
    dispatched = fused = 0
    for node, above in root.walk():
        within = (one.name for one in above[1:])
        kind = PYTHON if node is root or node.kind == "python" else category_within(node.name, within)
        own_seconds = node.gap if node is root else node.own
        categories[kind] = categories.get(kind, 0.0) + own_seconds / number
        if node is root:
            continue
        if node.kind == "operator":
            dispatched += node.calls
            fused += node.calls if kind == FUSED else 0
        own = found.setdefault(node.name, [0.0, 0.0, 0.0])
        own[0] += own_seconds / number
        own[1] += node.total / number if all(one.name != node.name for one in above) else 0.0
        own[2] += node.calls / number
        kinds.setdefault(node.name, kind)
        if node.kind != "operator":
            annotations.add(node.name)
        for shape, times in node.shapes.items():
            mine = shapes.setdefault(node.name, {})
            mine[shape] = mine.get(shape, 0) + times
    operators = [
        Operator(
            one,
            kinds[one],
            times[0],
            times[1],
            times[2],
            tuple(sorted(shapes.get(one, {}), key=lambda shape: -shapes[one][shape])),
            one in annotations,
        )
        for one, times in found.items()
    ]
    return Summary(
        calls=number,
        seconds=root.total / number,
        operators=tuple(sorted(operators, key=lambda one: -one.own)),
        categories=categories,
        dispatched=dispatched / number,
        fused=fused / number,
        root=root,
        memory=memory(trace, calls[len(calls) // 2], on_cpu=on_host(device)),
        device=_device(trace, calls) if trace.device else None,
    )


def _device(trace: Trace, calls: Sequence[Span]) -> Device:
    """Kernels run apart from the calls that launch them: all calls of the trace count, without gaps between them."""
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
        kernels=tuple(sorted(kernels, key=lambda one: -one.own)),
    )


def _covered(spans: Sequence[Span]) -> float:
    """Microseconds in which at least one of the spans, in order of their starts, runs."""
    covered, until = 0.0, float("-inf")
    for span in spans:
        covered += max(0.0, span.end - max(span.start, until))
        until = max(until, span.end)
    return covered
