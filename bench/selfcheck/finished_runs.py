"""Makes runs of ``pytest bench/`` one after the other, and reads the files of finished ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.files.regular import read_text
from torchduet.bench.plugin.pytest_command import pytest_arguments
from torchduet.bench.record.contract import check_record, check_run
from torchduet.bench.record.schema import KEY, Record, RunRecord
from torchduet.bench.record.schema_check import ContractError

FINISHED = (0, 1)  # exit codes of a run: 1 means that some cases failed
LAST_CHARACTERS = 300


class RunError(Exception):
    """A run failed, or its file cannot be used; the message names the file."""


@dataclass(frozen=True)
class FinishedRun:
    """A run's file: its path, the record of the run, and those of its cases."""

    path: Path
    about: RunRecord
    records: Sequence[Record]

    @property
    def threads(self) -> int:
        """Intra-op threads."""
        return int(self.about["options"].get("threads") or 0)


def make(path: Path, arguments: Sequence[str]) -> FinishedRun:
    """Make one run in a new process of this interpreter.

    Args:
        arguments: of ``pytest bench/``.

    Raises:
        RunError: it ended with an error, or wrote no file.
    """
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", *pytest_arguments(), "-q", "--benchmark-quiet", *arguments]
    process = subprocess.run(
        [*command, "--benchmark-json", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    if process.returncode not in FINISHED or not path.exists():
        output = (process.stderr.strip() or process.stdout.strip())[-LAST_CHARACTERS:]
        raise RunError(f"{path}: the run ended with {process.returncode}: {output}")
    return read(path)


def read(path: Path) -> FinishedRun:
    """The run in a file.

    Raises:
        RunError: it cannot be read, or is not one of Torchduet's.
    """
    try:
        content = json.loads(read_text(path))
        about = content[KEY]
        records = [entry["extra_info"][KEY] for entry in content["benchmarks"]]
        check_run(about)
        for record in records:
            check_record(record, record["case"]["id"])
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except ContractError as error:
        raise RunError(f"{path}: {error}") from None
    except (ValueError, LookupError, TypeError, RecursionError):
        raise RunError(f"{path}: is not a file of a run: write it with torchduet run --benchmark-json") from None
    return FinishedRun(path, about, records)
