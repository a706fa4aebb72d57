"""What ran within what: the calls of a trace as one tree of names with their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from torchduet.reports.profile.trace import Span, Trace


@dataclass
class Node:
    """A name within the names above it; times in seconds, summed over the calls that count.

    Attributes:
        total: with what it called.
        calls: how often it ran.
        shapes: of its inputs → how often.
        gap: of a root: in which nothing ran on any thread.
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
        """Seconds in which nothing that it called ran."""
        return max(0.0, self.total - sum(child.total for child in self.children.values()))

    def walk(self, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
        """This node and all below it, each with those above it, the outermost first."""
        yield self, above
        for child in self.children.values():
            yield from child.walk((*above, self))


def typical(trace: Trace) -> list[Span]:
    """The calls whose durations are in the middle half: one call that others held up is not what a call is like."""
    ordered = sorted(trace.calls, key=lambda call: call.end - call.start)
    quarter = len(ordered) // 4
    middle = median(call.end - call.start for call in ordered)
    kept = ordered[quarter : len(ordered) - quarter]
    return sorted(kept or [min(ordered, key=lambda call: abs(call.end - call.start - middle))])


def tree(trace: Trace, calls: Sequence[Span], name: str) -> Node:
    """What ran on the host within some calls, all threads together, below a node of the calls themselves.

    Threads that work at the same time, as those of a DataLoader do, count side by side.
    """
    root = Node(name, "call")
    places = iter(trace.host)
    pending: Span | None = next(places, None)
    for call in calls:
        inside: dict[tuple[str, str], list[Span]] = {}
        while pending is not None and pending.start < call.start:
            pending = next(places, None)
        until, covered = call.start, 0.0
        while pending is not None and pending.start <= call.end:
            end = min(pending.end, call.end)
            if end > until:
                covered += end - max(pending.start, until)
                until = end
            inside.setdefault(pending.thread, []).append(pending)
            pending = next(places, None)
        root.total += (call.end - call.start) / 1e6
        root.gap += (call.end - call.start - covered) / 1e6
        root.calls += 1
        for spans in inside.values():
            _hang(root, spans, call.end)
    return root


def _hang(root: Node, spans: Iterable[Span], latest: float) -> None:
    """Hang a thread's spans, in order of their starts, below the root."""
    open_ones: list[tuple[float, Node]] = [(float("inf"), root)]
    for span in spans:
        while span.start >= open_ones[-1][0]:
            open_ones.pop()
        above = open_ones[-1][1]
        node = above.children.get(span.name)
        if node is None:
            node = above.children[span.name] = Node(span.name, span.kind)
        end = min(span.end, latest, open_ones[-1][0])  # clocks of nested spans may differ in their last digit
        node.total += max(0.0, end - span.start) / 1e6
        node.calls += 1
        if span.shapes:
            node.shapes[span.shapes] = node.shapes.get(span.shapes, 0) + 1
        open_ones.append((end, node))
