"""CUDA graphs: one case captured and replayed, and what torch.compile says where it makes none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

WARM_UP_CALLS = 3  # before a capture, as torch.cuda.graphs' documentation has it


class CaptureError(RuntimeError):
    """A call that could not be captured; after it no CUDA call of this process can be relied on."""


class Captured:
    """A call that replays a CUDA graph of another call.

    The graph reads and writes the memory that was used when it was captured. Where the inputs have moved
    :meth:`capture` has to be called again.

    Args:
        call, args: what is captured; it must not wait for the device.
    """

    def __init__(self, call: Callable[..., Any], args: Sequence[Any], device: str) -> None:
        self._call, self._args, self._device = call, args, torch.device(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream: torch.cuda.Stream | None = None
        self.result: Any = None

    def capture(self) -> None:
        """Call it a few times on a stream of its own, as capturing needs, then capture one call.

        What the calls write to is left as they made it.

        Raises:
            CaptureError: with the reason; PyTorch's own second error (the capture was invalidated) hides it.
        """
        self._graph = self.result = None  # gives back the memory of the graph before
        with torch.cuda.device(self._device):
            before = torch.cuda.current_stream()
            # One for all captures: cuBLAS keeps a workspace for each that it meets.
            self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._stream.wait_stream(before)
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP_CALLS):
                    self._call(*self._args)
            before.wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            reason: Exception | None = None
            try:
                with torch.cuda.graph(graph, stream=self._stream):
                    try:
                        self.result = self._call(*self._args)
                    except Exception as error:
                        reason = error
                        raise
            except Exception as error:  # noqa: BLE001 - raised again with its first cause
                torch.cuda.set_stream(before)  # which torch.cuda.graph leaves where it cannot end a capture
                first = reason or error
                message = " ".join(str(first).split("\n")[0].split())
                what = f"it cannot be captured in a CUDA graph: {type(first).__name__}: {message}"
                raise CaptureError(what) from first
            self._graph = graph

    def __call__(self, *args: Any) -> Any:
        """Replay the graph; the result is the same memory each time. ``args`` are those of the capture."""
        del args
        assert self._graph is not None, "capture() comes before the first call"
        self._graph.replay()
        return self.result


def newest_first(device: str) -> None:
    """Let inductor look for a recorded graph among the newest first.

    Where parameters have moved it records anew, and keeps what it recorded before: each later call would
    test these one after the other, the oldest first, and take longer from placement to placement.
    """
    from torch._inductor import cudagraph_trees

    index = torch.device(device).index or 0
    manager = cudagraph_trees.get_manager(index, create_if_none_exists=False)
    for nodes in manager.roots.values() if manager is not None and manager.roots else ():
        nodes.sort(key=lambda node: node.id.id, reverse=True)


def step_by_step(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` with each call marked as a new step, after which its CUDA graphs may reuse their outputs' memory."""

    def step(*args: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return call(*args)

    return step


class _Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(" ".join(record.getMessage().split()))


@contextlib.contextmanager
def skipped_graphs(graphed: bool) -> Iterator[list[str]]:
    """The reasons why inductor made no CUDA graph of what was compiled meanwhile.

    Args:
        graphed: whether it is to make any; importing it takes seconds.
    """
    if not graphed:
        yield []
        return
    from torch._inductor.cudagraph_utils import cudagraphs_log

    handler = _Messages()
    cudagraphs_log.addHandler(handler)
    try:
        yield handler.heard
    finally:
        cudagraphs_log.removeHandler(handler)
