"""What a function records about its own calls, and what it may ask for beside its inputs."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import torch

from torchduet.bench.inputs.addresses import Addresses
from torchduet.bench.record.strict_json import encodable
from torchduet.suites.workload import Meter, SuiteError


class Recorder(Meter):
    """Records the phases and values of a case's calls, placement by placement; none before the first placement."""

    def __init__(self) -> None:
        self.placements: list[dict[str, list[float]]] = []
        self.units: dict[str, str] = {}
        self.paused = False
        self._since = 0.0

    def begin(self) -> None:
        """Start the clock: a call begins."""
        self._since = perf_counter()

    def lap(self, name: str) -> None:
        """Record the seconds of the phase that has just ended."""
        now = perf_counter()
        self._record(name, now - self._since, "s")
        self._since = now

    def value(self, name: str, number: float, unit: str = "") -> None:
        """Record a number: anything that ``float`` takes, such as a tensor or an array with one value.

        Raises:
            SuiteError: it is no number.
        """
        try:
            value = float(number.item() if hasattr(number, "item") else number)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            raise SuiteError(
                f"meter.value({name!r}): expected a number, got {_described(number)}; give a float, or one value of it"
            ) from None
        self._record(encodable(str(name)), value, "" if unit is None else encodable(str(unit)))

    def medians(self, placements: int) -> dict[str, tuple[str, list[float]]]:
        """Name → unit, and the median of each of the first placements; NaN or infinite where any value of it was."""
        kept = self.placements[:placements]
        return {
            name: (unit, [_median(values[name]) for values in kept if name in values])
            for name, unit in self.units.items()
        }

    def _record(self, name: str, number: float, unit: str) -> None:
        if self.placements and not self.paused:
            self.units.setdefault(name, unit)
            self.placements[-1].setdefault(name, []).append(number)


def _median(values: Sequence[float]) -> float:
    odd = [value for value in values if not math.isfinite(value)]
    return odd[0] if odd else median(values)


def _described(value: object) -> str:
    """What a value is, without writing out all of a tensor or a list."""
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {tuple(shape)}" if isinstance(shape, tuple) else f"{kind} {reprlib.repr(value)}"


@dataclass
class Context:
    """What a case's function may ask for beside its inputs and autocast."""

    workers: int | None = None
    seed: int = 0
    meter: Recorder = field(default_factory=Recorder)
    scaler: torch.amp.GradScaler | None = None
    addresses: Addresses = field(default_factory=Addresses)

    def next_placement(self) -> None:
        """Begin another placement: the next seed, and a new record in the meter."""
        self.seed += 1
        self.meter.placements.append({})
