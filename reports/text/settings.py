"""The knobs by which cases differ, in the order of the answers, and the words for their settings.

The knobs themselves are defined in :mod:`torchduet.bench.record.knobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchduet.bench.record.knobs import BY_NAME
from torchduet.bench.record.knobs import KNOBS as ENTRIES
from torchduet.bench.record.machines.facts import SETTABLE as SETTABLE
from torchduet.bench.record.schema import Record

KNOBS: tuple[str, ...] = tuple(knob.name for knob in sorted(ENTRIES, key=lambda knob: knob.rank))
FILTERS: tuple[str, ...] = ("suite", *SETTABLE)  # tables of cases are filtered by these and by verdict
TOGETHER = "together"  # several knobs at once


def setting(record: Record, knob: str) -> str:
    """A record's setting of a knob; empty where its workload does not have that knob."""
    return BY_NAME[knob].of(record["case"])


def settings(record: Record) -> dict[str, str]:
    """A record's setting of every knob."""
    return {knob: setting(record, knob) for knob in KNOBS}


def filter_values(case: Mapping[str, Any]) -> dict[str, str]:
    """A case's value of each of ``FILTERS``."""
    return {"suite": case["suite"], **{name: BY_NAME[name].of(case) for name in SETTABLE}}


def setting_words(record: Record, knob: str) -> str:
    """A record's setting in words, for a list of settings."""
    return value_words(knob, setting(record, knob))


def value_words(knob: str, value: str) -> str:
    """A value of a knob in words, for a list of settings: a number of workers is not clear without its noun."""
    return BY_NAME[knob].spoken(value)
