"""Watches what Dynamo compiles: graphs, graph breaks with their reasons, and entries into compiled code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchduet.bench.record.schema import CompileRecord, GraphBreak
from torchduet.bench.timing.dynamo import BENCH, TORCH


def _counters() -> Any:
    from torch._dynamo.utils import counters

    return counters


def _reasons() -> list[Any]:
    from torch._dynamo.utils import graph_break_reasons

    return graph_break_reasons


def _first_line(reason: object) -> str:
    return str(reason).split("\n")[0].strip()


def _places(reason: str) -> list[str]:
    """The lines of user code at which Dynamo broke the graph for a reason: the innermost outside PyTorch, once each."""
    places: dict[str, None] = {}
    for graph_break in _reasons():
        if _first_line(graph_break.reason) != reason:
            continue
        frames = [frame for frame in graph_break.user_stack if not frame.filename.startswith((TORCH, BENCH))]
        if frames:
            innermost = frames[-1]
            place = f"{Path(innermost.filename).name}:{innermost.lineno}: {innermost.line or ''}"
            places[place.rstrip(": ")] = None
    return list(places)


def sees_entries() -> bool:
    """Whether this version of PyTorch says when compiled code is entered; False if nothing has been compiled yet."""
    dynamo = sys.modules.get("torch._C._dynamo.eval_frame")
    return "torch._dynamo.eval_frame" in sys.modules and hasattr(dynamo, "set_guard_complete_hook")


@contextlib.contextmanager
def entries() -> Iterator[list[bool]]:
    """For each time within at which Dynamo looks for compiled code, whether there is some for these arguments."""
    hits: list[bool] = []
    if not sees_entries():
        yield hits
        return
    dynamo: Any = sys.modules["torch._C._dynamo.eval_frame"]

    def note(hit: bool) -> bool:
        hits.append(hit)
        return hit

    former = dynamo.set_guard_complete_hook(note)
    try:
        yield hits
    finally:
        dynamo.set_guard_complete_hook(former)


class CompileWatch:
    """Dynamo's counters since this object was made.

    Attributes:
        entered: how often compiled code was entered within :meth:`entries`, whenever it was compiled.
    """

    def __init__(self) -> None:
        self.entered = 0
        if "torch._dynamo.utils" in sys.modules:  # else nothing has been compiled yet
            _counters().clear()
            _reasons().clear()

    def compiled(self) -> int:
        """Number of frames and graphs compiled so far; grows whenever something is compiled."""
        if "torch._dynamo.utils" not in sys.modules:
            return 0
        counters = _counters()
        return int(counters["stats"]["unique_graphs"]) + int(sum(counters["frames"].values()))

    @contextlib.contextmanager
    def entries(self) -> Iterator[None]:
        """Count within how often compiled code is entered."""
        with entries() as hits:
            try:
                yield
            finally:
                self.entered += len(hits)

    def record(self, *, cold: bool = True) -> CompileRecord:
        """The number of graphs, and the graph breaks with Dynamo's reason for each."""
        counters = _counters()
        breaks = []
        for reason, count in counters["graph_break"].items():
            graph_break = GraphBreak(reason=_first_line(reason), count=int(count))
            if places := _places(graph_break["reason"]):
                graph_break["places"] = places
            breaks.append(graph_break)
        return CompileRecord(graphs=int(counters["stats"]["unique_graphs"]), graph_breaks=breaks, cold=cold)


def why_nothing(record: CompileRecord) -> str:
    """Why Dynamo compiled nothing, in its own words, each with the place in the code; empty where it says nothing.

    It leaves out a whole function in which something is used that it cannot trace, such as an ``nn.LSTM``.
    """
    return "; ".join(
        f"{found['reason']} ({', '.join(found['places'])})" if found.get("places") else found["reason"]
        for found in record["graph_breaks"]
    )
