"""The one adapter to pytest-benchmark: feeds it samples that were measured elsewhere.

pytest-benchmark has no call that takes samples. Its documented ``timer`` option is enough: a timer
that plays the samples back makes ``pedantic`` record exactly them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest

OPTIONS: dict[str, Any] = {}  # pytest-benchmark's for a benchmark, which are the same for all


class ReplayTimer:
    """A timer for pytest-benchmark whose differences are the given samples, in seconds."""

    __name__ = "torchduet"  # what pytest-benchmark writes as the timer's name

    def __init__(self) -> None:
        self._times: list[float] = []

    def load(self, samples: Sequence[float]) -> None:
        """Play these back: each pair of calls starts at 0 and ends at the sample."""
        self._times = [time for sample in samples for time in (0.0, sample)]

    def __call__(self) -> float:
        return self._times.pop(0)


def install(item: pytest.Item) -> None:
    """Give the item a replay timer; must come before its ``benchmark`` fixture is set up."""
    item.add_marker(pytest.mark.benchmark(timer=ReplayTimer()))


def replay(
    item: pytest.Item,
    benchmark: Any,
    samples: Sequence[float],
    function: Callable[[], None] = lambda: None,
) -> None:
    """Hand ``samples`` (seconds per call) to pytest-benchmark as this item's rounds, in order.

    A ``function`` that raises marks the item as one without a result; its exception passes through.
    """
    marker = item.get_closest_marker("benchmark")
    assert marker is not None, "install() has not been called for this item"
    marker.kwargs["timer"].load(samples)
    benchmark.pedantic(function, rounds=len(samples), iterations=1)
    _lighten(benchmark.stats)


class _Done:
    """In place of a fixture that has done its work."""

    has_error = False


def _lighten(kept: Any) -> None:
    """pytest-benchmark keeps all of each benchmark until the end: of thousands that is most of the memory."""
    kept.fixture = _Done
    kept.options = OPTIONS.setdefault(str(kept.options | {"timer": ""}), kept.options)
    kept.stats.data = array("d", kept.stats.data)


def as_lists(benchmarks: Sequence[dict[str, Any]]) -> None:
    """Samples as JSON has them."""
    for one in benchmarks:
        if isinstance(one["stats"].get("data"), array):
            one["stats"]["data"] = list(one["stats"]["data"])
