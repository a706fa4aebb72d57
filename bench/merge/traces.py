"""Paths of traces in a run's document, which are relative to its file, for a file in another folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchduet.bench.merge.sources import has_record, record_of
from torchduet.bench.record.schema import KEY


def moved(document: Mapping[str, Any], before: Path, after: Path) -> dict[str, Any]:
    """The document with the paths of its traces for a file in another folder; the traces stay where they are.

    Args:
        before: folder of the document's file.
        after: folder of the new file.
    """
    before, after = before.absolute(), after.absolute()
    if before == after:
        return dict(document)
    return {**document, "benchmarks": [_benchmark(benchmark, before, after) for benchmark in document["benchmarks"]]}


def _benchmark(benchmark: Any, before: Path, after: Path) -> Any:
    if not has_record(benchmark) or "profile" not in (record := record_of(benchmark)):
        return benchmark
    profile: Any = {**record["profile"], "trace": _path(record["profile"]["trace"], before, after)}
    if "python" in profile:
        profile["python"] = {**profile["python"], "file": _path(profile["python"]["file"], before, after)}
    return {**benchmark, "extra_info": {**benchmark["extra_info"], KEY: {**record, "profile": profile}}}


def _path(path: str, before: Path, after: Path) -> str:
    full = before / path
    try:
        return Path(os.path.relpath(full, after)).as_posix()
    except ValueError:  # another drive
        return str(full)
