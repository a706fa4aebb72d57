"""torch.compile for one case: separate code objects, a cold cache, and Dynamo's record of the compilation."""

from __future__ import annotations

import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from torchduet.bench.record.schema import CompileRecord, GraphBreak

TORCH = str(Path(torch.__file__).parent)
BENCH = str(Path(__file__).parents[1])  # the folder of torchduet.bench


def own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a code object of its own.

    Dynamo keeps compiled code per code object: cases of one function would otherwise test each other's guards on every
    call.
    """
    if not isinstance(function, types.FunctionType):

        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return own_code(call)
    clone = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    clone.__kwdefaults__ = function.__kwdefaults__
    return clone


class CompiledModel:
    """A stand-in for a module: a call runs the compiled forward, and all attributes are the module's own."""

    def __init__(self, model: torch.nn.Module) -> None:
        def forward(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            return module(*args, **kwargs)

        self._model = model
        self._compiled = torch.compile(own_code(forward))

    def of(self, model: torch.nn.Module) -> CompiledModel:
        """A stand-in for another module of the same class, which runs the same compiled code."""
        other = CompiledModel.__new__(CompiledModel)
        other._model, other._compiled = model, self._compiled
        return other

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output, from compiled code."""
        return self._compiled(self._model, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._model, name)
        if name not in ("train", "eval", "to", "requires_grad_"):
            return attribute

        def chained(*args: Any, **kwargs: Any) -> CompiledModel:
            attribute(*args, **kwargs)
            return self

        return chained


def cold_cache(parent: Path) -> None:
    """From now on this process compiles into a new, empty cache below ``parent``.

    Code that was compiled before stays loaded. The probe of the CPU's vector instructions is made once per run, before
    any worker starts, and is not repeated.
    """
    compile_into(Path(tempfile.mkdtemp(prefix="inductor-", dir=parent)))


def compile_into(folder: Path) -> None:
    """From now on this process compiles into this cache and reads from it."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")
    from torch._inductor.utils import clear_caches

    clear_caches()


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


class CompileWatch:
    """Dynamo's counters since this object was made."""

    def __init__(self) -> None:
        if "torch._dynamo.utils" in sys.modules:  # else nothing has been compiled yet
            _counters().clear()
            _reasons().clear()

    def compiled(self) -> int:
        """Number of frames and graphs compiled so far; grows whenever something is compiled."""
        counters = _counters()
        return int(counters["stats"]["unique_graphs"]) + int(sum(counters["frames"].values()))

    def record(self) -> CompileRecord:
        """The number of graphs, and the graph breaks with Dynamo's reason for each."""
        counters = _counters()
        breaks = []
        for reason, count in counters["graph_break"].items():
            graph_break = GraphBreak(reason=_first_line(reason), count=int(count))
            if places := _places(graph_break["reason"]):
                graph_break["places"] = places
            breaks.append(graph_break)
        return CompileRecord(graphs=int(counters["stats"]["unique_graphs"]), graph_breaks=breaks, cold=True)
