"""The outcome of a case: measured, skipped or failed."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record.schema import Record


@dataclass(frozen=True, slots=True)
class Measured:
    """The case was measured."""

    record: Record


@dataclass(frozen=True, slots=True)
class Skipped:
    """The case was not measured, without an error; ``reason`` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The case raised an error, or its worker ended without an answer; ``reason`` says which."""

    reason: str


Outcome = Measured | Skipped | Failed
