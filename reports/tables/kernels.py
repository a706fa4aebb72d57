"""Holds the kernels' speed-up beside the one as called: whether the kernels or their launches made the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchduet.bench.record.schema import SpeedupRecord
from torchduet.reports.text import units

COLUMNS = ("kernel_ratio", "kernel_low", "kernel_high", "kernel_verdict", "kernel_words")
# (verdict as called, verdict of the kernels) → what launching does, in words
LAUNCHING: Mapping[tuple[str, str], str] = {
    ("same", "faster"): "launching hides the gain",
    ("same", "slower"): "launching hides the loss",
    ("faster", "same"): "the gain is in launching",
    ("slower", "same"): "the loss is in launching",
    ("faster", "slower"): "launching saves more than the kernels lose",
    ("slower", "faster"): "launching costs more than the kernels gain",
}


def row_of(speedup: SpeedupRecord | None) -> dict[str, Any]:
    """The columns of a table's row; empty values without a speed-up of the kernels."""
    values: tuple[Any, ...] = (None, None, None, "", "")
    if speedup is not None and (found := speedup.get("device_speedup")) is not None:
        values = (found["ratio"], found["low"], found["high"], found["verdict"], described(speedup))
    return dict(zip(COLUMNS, values, strict=True))


def described(speedup: SpeedupRecord) -> str:
    """The kernels' ratio, interval and verdict in words, and what launching does; empty where they are not known."""
    found = speedup.get("device_speedup")
    if found is None:
        return ""
    interval = units.ratio_interval(found["low"], found["high"])
    words = launching(speedup)
    return (
        f"kernels alone {units.ratio(found['ratio'])}{f' ({interval})' if interval else ''}, {found['verdict']}"
        f"{f': {words}' if words else ''}"
    )


def another(speedup: SpeedupRecord) -> bool:
    """Whether the verdict of the kernels is another than the one as called, and neither is unclear."""
    found = speedup.get("device_speedup")
    return found is not None and (speedup["verdict"], found["verdict"]) in LAUNCHING


def launching(speedup: SpeedupRecord) -> str:
    """What launching does to a speed-up as called; empty where that is not known, or nothing."""
    found = speedup.get("device_speedup")
    if found is None:
        return ""
    verdict, ratio, margin = speedup["verdict"], speedup["ratio"], 1 + speedup["threshold"]
    if (words := LAUNCHING.get((verdict, found["verdict"]))) is not None:
        return words
    if verdict == found["verdict"] == "faster":
        if found["low"] is not None and ratio * margin < found["low"]:
            return "launching costs the rest"
        if found["high"] is not None and ratio > found["high"] * margin:
            return "launching is faster, too"
    return ""
