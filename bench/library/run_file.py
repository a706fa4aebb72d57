"""The file of a comparison: a run like any other, in pytest-benchmark's format."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torchduet.bench.host.atomic_files import write_json
from torchduet.bench.merge.benchmarks import benchmark_of
from torchduet.bench.record.schema import KEY, Record, RunRecord


def document(records: Sequence[Record], run: RunRecord, at: datetime) -> dict[str, Any]:
    """The whole file, with what pytest-benchmark records of the machine and of the commit in the working folder.

    Args:
        at: when the comparison ended.
    """
    import pytest_benchmark
    from pytest_benchmark.utils import get_commit_info

    return {
        "machine_info": _machine(),
        "commit_info": get_commit_info(),  # type: ignore[no-untyped-call]
        "benchmarks": [benchmark_of(record) for record in records],
        "datetime": at.astimezone(UTC).isoformat(),
        "version": pytest_benchmark.__version__,
        KEY: run,
    }


def write(document: dict[str, Any], path: Path) -> None:
    """Write the file, completely or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_json(document, path)


def _machine() -> dict[str, Any]:
    import platform

    return {
        "node": platform.node(),
        "processor": platform.processor(),
        "machine": platform.machine(),
        "python_implementation": platform.python_implementation(),
        "python_version": platform.python_version(),
        "release": platform.release(),
        "system": platform.system(),
    }
