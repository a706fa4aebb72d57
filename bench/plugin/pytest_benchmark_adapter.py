"""The only adapter to pytest-benchmark: gives it samples that were measured elsewhere.

pytest-benchmark has no function that takes samples. Its documented ``timer`` option is enough: with a timer that
replays the samples, ``pedantic`` records exactly these.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest

OPTIONS: dict[str, Any] = {}  # of pytest-benchmark for a benchmark, shared by all benchmarks


class ReplayTimer:
    """A timer for pytest-benchmark whose differences are the given samples, in seconds."""

    __name__ = "torchduet"  # the timer's name in pytest-benchmark's JSON

    def __init__(self) -> None:
        self._times: list[float] = []

    def load(self, samples: Sequence[float]) -> None:
        """Replay these samples: each pair of calls starts at 0 and ends at the sample."""
        self._times = [time for sample in samples for time in (0.0, sample)]

    def __call__(self) -> float:
        return self._times.pop(0)


def install(item: pytest.Item) -> None:
    """Give the item a replay timer; call this before its ``benchmark`` fixture is set up."""
    item.add_marker(pytest.mark.benchmark(timer=ReplayTimer()))


def replay(
    item: pytest.Item,
    benchmark: Any,
    samples: Sequence[float],
    function: Callable[[], None] = lambda: None,
) -> None:
    """Give ``samples`` (seconds per call) to pytest-benchmark as this item's rounds, in order.

    A ``function`` that raises marks the item as one without a result; its exception is passed on.
    """
    marker = item.get_closest_marker("benchmark")
    assert marker is not None, "install() has not been called for this item"
    marker.kwargs["timer"].load(samples)
    benchmark.pedantic(function, rounds=len(samples), iterations=1)
    _reduce_memory(benchmark.stats)


def refresh(benchmarks: Sequence[Any], samples: Callable[[Any], Sequence[float] | None]) -> None:
    """Give the benchmarks the samples of visits after their items had ended.

    Args:
        benchmarks: of pytest-benchmark's session.
        samples: a benchmark's samples, in seconds per call; None: they stay as they are.
    """
    for metadata in benchmarks:
        values = None if metadata.has_error else samples(metadata)
        if values is not None and len(values) != len(metadata.stats.data):
            metadata.stats = type(metadata.stats)()
            metadata.stats.data = array("d", values)


class _FinishedFixture:
    """Replaces a fixture that is not needed any more."""

    has_error = False


def _reduce_memory(metadata: Any) -> None:
    """Drop what pytest-benchmark would keep of each benchmark until the end: most of the memory of thousands."""
    metadata.fixture = _FinishedFixture
    metadata.options = OPTIONS.setdefault(str(metadata.options | {"timer": ""}), metadata.options)
    metadata.stats.data = array("d", metadata.stats.data)


def as_lists(benchmarks: Sequence[dict[str, Any]]) -> None:
    """Turn the benchmarks' samples into lists, for JSON."""
    for benchmark in benchmarks:
        if isinstance(benchmark["stats"].get("data"), array):
            benchmark["stats"]["data"] = list(benchmark["stats"]["data"])
