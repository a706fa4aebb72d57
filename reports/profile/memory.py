"""Computes the memory within one call of a trace: bytes held over time, and what holds them at the peak."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torchduet.reports.profile.categories import COMPILED, category, is_optimizer
from torchduet.reports.profile.span import Allocation, Span
from torchduet.reports.profile.trace import Trace

OUTSIDE = "no operator"
ENGINE = "autograd::engine::evaluate_function: "


@dataclass(frozen=True)
class Memory:
    """The memory that a call holds beyond what was held when it began.

    Attributes:
        points: (seconds since the call began, bytes held) after each change.
        peak: the most bytes held at once.
        at: when the peak is reached, in seconds.
        holders: (operator, bytes) of what is held at the peak, the largest first.
        released: bytes that were held before the call and are released before the peak.
    """

    points: tuple[tuple[float, int], ...]
    peak: int
    at: float
    holders: tuple[tuple[str, int], ...]
    released: int


def memory(trace: Trace, call: Span, *, on_cpu: bool) -> Memory | None:
    """The memory of the CPU or the GPU within a call; None where the trace records no change of it."""
    changes = [
        change for change in trace.allocations if change.on_cpu == on_cpu and call.start <= change.at <= call.end
    ]
    if not changes:
        return None
    names = _names(trace, call, changes)
    held = peak = released = 0
    at = call.start
    points, live = [], dict[int, tuple[str, int]]()
    holders: dict[int, tuple[str, int]] = {}
    released_at_peak = 0
    for change, name in zip(changes, names, strict=True):
        held += change.bytes
        if change.bytes > 0:
            live[change.address] = (name, change.bytes)
        elif live.pop(change.address, None) is None:
            released -= change.bytes
        points.append(((change.at - call.start) / 1e6, held))
        if held > peak:
            peak, at, holders, released_at_peak = held, change.at, dict(live), released
    by_name: dict[str, int] = {}
    for name, size in holders.values():
        by_name[name] = by_name.get(name, 0) + size
    ordered = sorted(by_name.items(), key=lambda item: -item[1])
    return Memory(tuple(points), peak, (at - call.start) / 1e6, tuple(ordered), released_at_peak)


def _names(trace: Trace, call: Span, changes: Sequence[Allocation]) -> list[str]:
    """The outermost operator around each change: the user called that one, not the operator that allocates inside it.

    A compiled region encloses all of its operators. It is named only for memory that none of them allocates.
    """
    inside = [span for span in trace.host if span.end >= call.start and span.start <= call.end]
    operators = _Outermost(
        span for span in inside if is_optimizer(span.name) or (span.kind == "operator" and not _is_compiled(span))
    )
    regions = _Outermost(span for span in inside if _is_compiled(span))
    names = []
    for change in changes:
        span = operators.around(change) or regions.around(change)
        names.append(span.name.removeprefix(ENGINE) if span else OUTSIDE)
    return names


def _is_compiled(span: Span) -> bool:
    return category(span.name) == COMPILED


class _Outermost:
    """The spans of each thread that lie within no other; the spans are given in order of their starts."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        for span in spans:
            of_thread = self._spans.setdefault(span.thread, [])
            if not of_thread or span.start >= of_thread[-1].end:
                of_thread.append(span)
        self._starts = {thread: [span.start for span in spans] for thread, spans in self._spans.items()}

    def around(self, change: Allocation) -> Span | None:
        """The span in which a change falls."""
        index = bisect.bisect_right(self._starts.get(change.thread, []), change.at) - 1
        span = self._spans[change.thread][index] if index >= 0 else None
        return span if span and change.at <= span.end else None
