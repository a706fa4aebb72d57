"""The knobs by which cases differ, in the order in which answers come, and what their settings are called.

What there is to say of each knob stands in :mod:`torchduet.bench.record.knobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchduet.bench.record.knobs import BY_NAME, IMPLEMENTATION, NAMES
from torchduet.bench.record.knobs import KNOBS as ENTRIES
from torchduet.bench.record.schema import Record

KNOBS: tuple[str, ...] = tuple(knob.name for knob in sorted(ENTRIES, key=lambda knob: knob.rank))
SET: tuple[str, ...] = tuple(name for name in NAMES if name != IMPLEMENTATION)  # without what the author wrote anew
FILTERED: tuple[str, ...] = ("suite", *SET)  # what tables of cases can be filtered by, beside their verdicts
TOGETHER = "together"  # several knobs at once


def setting(record: Record, knob: str) -> str:
    """A record's setting of a knob; empty where its workload does not have that knob."""
    return BY_NAME[knob].of(record["case"])


def settings(record: Record) -> dict[str, str]:
    """A record's setting of every knob."""
    return {knob: setting(record, knob) for knob in KNOBS}


def filtered(case: Mapping[str, Any]) -> dict[str, str]:
    """A case's values of what tables can be filtered by."""
    return {"suite": case["suite"], **{name: BY_NAME[name].of(case) for name in SET}}


def spoken(record: Record, knob: str) -> str:
    """A record's setting as it stands among others."""
    return said(knob, setting(record, knob))


def said(knob: str, value: str) -> str:
    """A setting as it stands among others: a bare number of workers would say nothing there."""
    return BY_NAME[knob].spoken(value)
