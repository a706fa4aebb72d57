"""The knobs by which cases differ, and what their settings are called."""

from __future__ import annotations

from torchduet.bench.record.schema import Record

KNOBS = ("mode", "precision", "device", "workers", "implementation")
TOGETHER = "together"  # several knobs at once


def setting(record: Record, knob: str) -> str:
    """A record's setting of a knob; empty where its workload does not have that knob."""
    case = record["case"]
    return {
        "mode": case["mode"],
        "precision": case["precision"],
        "device": case["device"],
        "implementation": case["implementation"],
        "workers": str(case.get("workers", "")),
    }[knob]


def settings(record: Record) -> dict[str, str]:
    """A record's setting of every knob."""
    return {knob: setting(record, knob) for knob in KNOBS}


def spoken(record: Record, knob: str) -> str:
    """A record's setting as it stands among others."""
    return said(knob, setting(record, knob))


def said(knob: str, value: str) -> str:
    """A setting as it stands among others: a bare number of workers would say nothing there."""
    return workers(int(value)) if knob == "workers" and value.isascii() and value.isdigit() else value


def workers(number: int) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{number} worker{'s' if number != 1 else ''}"
