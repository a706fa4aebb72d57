"""The record of a check for JSON, which has no infinity. Standard library only: a duet's sides use it, too."""

from __future__ import annotations

from torchduet.bench.record.schema import CheckRecord
from torchduet.bench.record.schema_check import LARGEST


def check_record(check: CheckRecord) -> tuple[CheckRecord, list[str]]:
    """The check for JSON, which has no infinity, and a note on a check that any result passes."""
    record, notes = check.copy(), []
    if check["tolerance"] is not None and number_of(check["tolerance"]) is None:
        record["tolerance"] = None
        notes.append(f"its tolerance is {check['tolerance']}, so any result passes its check")
    if check["relative_error"] is not None and number_of(check["relative_error"]) is None:
        record["relative_error"] = None
        notes.append(f"its relative error is {check['relative_error']}")
    return record, notes


def number_of(value: object) -> float | None:
    """A number within the bounds of a record; None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    return number if abs(number) < LARGEST else None
