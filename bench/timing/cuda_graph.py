"""CUDA graphs: captures and replays one case, and collects torch.compile's reasons for making none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import torch

from torchduet.bench.host.error_words import one_line

WARM_UP_CALLS = 3  # before a capture, as in the documentation of torch.cuda.graphs


class CaptureError(RuntimeError):
    """A call that could not be captured; later CUDA calls of this process are not reliable."""


class Captured:
    """A call that replays a CUDA graph of another call.

    The graph reads and writes the memory that was used when it was captured. When the inputs have moved,
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
        """Call it a few times on a separate stream, as a capture requires, then capture one call.

        Memory that the calls write to is not restored.

        Raises:
            CaptureError: with the reason; PyTorch's own second error (the capture was invalidated) hides it.
        """
        self._graph = self.result = None  # releases the memory of the previous graph
        with torch.cuda.device(self._device):
            before = torch.cuda.current_stream()
            # One stream for all captures: cuBLAS keeps a workspace for each stream.
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
                raise CaptureError(f"it cannot be captured in a CUDA graph: {one_line(first)}") from first
            self._graph = graph

    def __call__(self, *args: Any) -> Any:
        """Replay the graph; the result is the same memory each time. ``args`` are those of the capture."""
        del args
        assert self._graph is not None, "capture() comes before the first call"
        self._graph.replay()
        return self.result


def newest_first(device: str) -> None:
    """Let inductor search its recorded graphs from the newest to the oldest.

    When parameters have moved, inductor records a new graph and keeps the earlier ones. Each later call would test
    these one after the other, the oldest first, and take longer from placement to placement.
    """
    from torch._inductor import cudagraph_trees

    index = torch.device(device).index or 0
    manager = cudagraph_trees.get_manager(index, create_if_none_exists=False)
    left = list(manager.roots.values()) if manager is not None and manager.roots else []
    while left:
        nodes = left.pop()
        nodes.sort(key=lambda node: node.id.id, reverse=True)
        left += [children for node in nodes for children in node.children.values()]


def step_by_step(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` with each call marked as a new step, after which its CUDA graphs may reuse their outputs' memory."""

    def step(*args: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return call(*args)

    return step


class _Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(" ".join(record.getMessage().split()))


@contextlib.contextmanager
def skipped_graphs(graphed: bool) -> Iterator[list[str]]:
    """The reasons why inductor made no CUDA graph of code that is compiled within the context.

    Args:
        graphed: whether graphs are expected; if not, inductor is not imported, which takes seconds.
    """
    if not graphed:
        yield []
        return
    from torch._inductor.cudagraph_utils import cudagraphs_log

    handler = _Messages()
    cudagraphs_log.addHandler(handler)
    try:
        yield handler.messages
    finally:
        cudagraphs_log.removeHandler(handler)


def captured(graph: Captured | None, restore: Callable[[], None]) -> float:
    """Capture the graph of a case that has one, and restore the inputs; returns the seconds of the capture."""
    if graph is None:
        return 0.0
    start = perf_counter()
    graph.capture()
    seconds = perf_counter() - start
    restore()
    return seconds
