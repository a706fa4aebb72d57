"""What came out for a case: a record, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record.schema import Record


@dataclass(frozen=True, slots=True)
class Measured:
    """It was measured."""

    record: Record


@dataclass(frozen=True, slots=True)
class Skipped:
    """It was not measured although nothing went wrong."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong."""

    reason: str


Outcome = Measured | Skipped | Failed
