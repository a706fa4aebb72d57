"""Builds one tree of nested names with their times from the calls of a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from torchduet.reports.profile.span import Span
from torchduet.reports.profile.trace import Trace


@dataclass
class Node:
    """A name within the names above it; times in seconds, summed over the selected calls.

    Attributes:
        total: time with its children.
        calls: how often it ran.
        shapes: shapes of its inputs → how often.
        gap: for a root, the time in which nothing ran on any thread.
    """

    name: str
    kind: str = "operator"
    total: float = 0.0
    calls: int = 0
    shapes: dict[str, int] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)
    gap: float = 0.0

    @property
    def own(self) -> float:
        """Seconds in which none of its children ran."""
        return max(0.0, self.total - sum(child.total for child in self.children.values()))

    def walk(self, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
        """This node and all below it, each with the nodes above it, the outermost first."""
        yield self, above
        for child in self.children.values():
            yield from child.walk((*above, self))


def typical(trace: Trace) -> list[Span]:
    """The calls whose durations are in the middle half: a call that other processes delayed is not typical."""
    ordered = sorted(trace.calls, key=lambda call: call.end - call.start)
    quarter = len(ordered) // 4
    middle = median(call.end - call.start for call in ordered)
    half = ordered[quarter : len(ordered) - quarter]
    return sorted(half or [min(ordered, key=lambda call: abs(call.end - call.start - middle))])


def tree(trace: Trace, calls: Sequence[Span], name: str) -> Node:
    """The tree of what ran on the host within the calls, all threads together, below a root for the calls.

    Threads that run at the same time, such as those of a DataLoader, each count.
    """
    root = Node(name, "call")
    host = iter(trace.host)
    pending: Span | None = next(host, None)
    for call in calls:
        inside: dict[tuple[str, str], list[Span]] = {}
        while pending is not None and pending.start < call.start:
            pending = next(host, None)
        until, covered = call.start, 0.0
        while pending is not None and pending.start <= call.end:
            end = min(pending.end, call.end)
            if end > until:
                covered += end - max(pending.start, until)
                until = end
            inside.setdefault(pending.thread, []).append(pending)
            pending = next(host, None)
        root.total += (call.end - call.start) / 1e6
        root.gap += (call.end - call.start - covered) / 1e6
        root.calls += 1
        for spans in inside.values():
            _insert(root, spans, call.end)
    return root


def _insert(root: Node, spans: Iterable[Span], latest: float) -> None:
    """Insert a thread's spans, in order of their starts, below the root."""
    stack: list[tuple[float, Node]] = [(float("inf"), root)]  # open nodes with their ends
    for span in spans:
        while span.start >= stack[-1][0]:
            stack.pop()
        above = stack[-1][1]
        node = above.children.get(span.name)
        if node is None:
            node = above.children[span.name] = Node(span.name, span.kind)
        end = min(span.end, latest, stack[-1][0])  # clocks of nested spans may differ in their last digit
        node.total += max(0.0, end - span.start) / 1e6
        node.calls += 1
        if span.shapes:
            node.shapes[span.shapes] = node.shapes.get(span.shapes, 0) + 1
        stack.append((end, node))
