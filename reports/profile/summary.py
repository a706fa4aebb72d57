"""Summarises a trace: a call's time by operator and by category, on the host and on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torchduet.bench.record.devices import on_host
from torchduet.reports.profile.categories import FUSED, PYTHON, host_category
from torchduet.reports.profile.device import Device, device_activity
from torchduet.reports.profile.memory import Memory, memory
from torchduet.reports.profile.trace import Trace
from torchduet.reports.profile.tree import Node, tree, typical


@dataclass(frozen=True)
class Operator:
    """One operator, summed over all places where it runs; seconds and numbers are per call of the case.

    Attributes:
        own: seconds without the operators that it calls.
        total: seconds with them; of nested runs of the same operator only the outer ones count.
        shapes: of its inputs, the most frequent first.
        named: whether it is no operator: an annotation, whose own time is Python's, or a call of the GPU's runtime.
    """

    name: str
    category: str
    own: float
    total: float
    calls: float
    shapes: tuple[str, ...]
    named: bool = False


@dataclass(frozen=True)
class Summary:
    """A case's trace; seconds are per call, the mean over the calls of typical duration.

    Attributes:
        calls: number of calls that the figures are averaged over.
        seconds: per call.
        operators: by their own time, the longest first.
        categories: category → seconds; with ``PYTHON`` they add up to ``seconds``, or to more where threads run
            at the same time.
        dispatched: number of operators and kernels that ran per call on the host.
        fused: number of kernels among them that a compiler generated.
        device: what GPUs do; None for a trace without it.
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
        return self.share_of(self.categories.get(name, 0.0))

    def share_of(self, seconds: float) -> float:
        """The share of the time that these seconds are; 0 of a call whose length was recorded as 0."""
        return seconds / self.seconds if self.seconds else 0.0


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
        kind = PYTHON if node is root else host_category(node.name, node.kind, within)
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
        device=device_activity(trace, calls),
    )
