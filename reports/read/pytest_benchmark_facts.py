"""The machine, the options and the run's own record from a file of pytest-benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torchduet.bench.record.schema import SCHEMA, NotMeasured, RunRecord
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.read.jsonfile import TOO_DEEP

COMMON_OPTIONS = ("timer", "disable_gc", "min_rounds", "max_time", "min_time", "warmup")


def run_record(document: Mapping[str, Any], failed: list[NotMeasured], warnings: list[str]) -> RunRecord:
    """The run as a whole; what pytest-benchmark does not record is empty or 0.

    Args:
        document: the decoded file of pytest-benchmark, its benchmarks checked.
    """
    total = sum(float(entry["stats"].get("total", 0.0)) for entry in document["benchmarks"])
    return RunRecord(
        schema=SCHEMA,
        version="",
        started=as_text(document.get("datetime") or ""),
        options=_options(document["benchmarks"]),
        machine=_machine(document),
        seconds={"total": total, "startup": 0.0, "compiling": 0.0, "timed": total, "checking": 0.0, "warming": 0.0},
        skipped=[],
        failed=failed,
        unavailable=[],
        warnings=warnings,
    )


def _options(benchmarks: Sequence[Mapping[str, Any]]) -> dict[str, str | int | float | None]:
    """The options that affect a time, of all benchmarks together."""
    given = [entry["options"] for entry in benchmarks if isinstance(entry.get("options"), dict)]
    common: dict[str, str | int | float | None] = {}
    for key in COMMON_OPTIONS:
        values = list(dict.fromkeys(as_text(options[key]) for options in given if key in options))
        if values:
            common[key] = ", ".join(values[:3]) + (", …" if len(values) > 3 else "")
    return common


def _machine(document: Mapping[str, Any]) -> dict[str, str | int | float | bool | None]:
    info = document.get("machine_info")
    if not isinstance(info, dict):
        return {}
    cpu = info["cpu"] if isinstance(info.get("cpu"), dict) else {}
    system = " ".join(as_text(info[key]) for key in ("system", "release") if info.get(key))
    facts = {
        "cpu": cpu.get("brand_raw") or cpu.get("brand"),
        "cores": cpu.get("count"),
        "architecture": info.get("machine"),
        "python": info.get("python_version"),
        "implementation": info.get("python_implementation"),
        "system": system,
        "host": info.get("node"),
        "pytest-benchmark": document.get("version"),
    }
    return {key: scalar(value) for key, value in facts.items() if value}


def scalar(value: object) -> int | str:
    """A whole number unchanged, anything else as text."""
    return value if isinstance(value, int) and not isinstance(value, bool) else as_text(value)


def as_text(value: object) -> str:
    """Any value as text that can be encoded."""
    text = value if isinstance(value, str) else as_json(value)
    return text.encode("utf-8", "backslashreplace").decode()


def as_json(value: object) -> str:
    """A value as JSON that can be encoded.

    Raises:
        ContractError: the value is nested too deeply.
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise ContractError(TOO_DEEP) from None
    return text.encode("utf-8", "backslashreplace").decode()
