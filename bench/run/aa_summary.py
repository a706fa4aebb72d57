"""Summarises an A/A run: rates of false alarms and of slow-downs found, widths of intervals; keeps them for later runs.

``pytest bench/ --aa`` writes the figures to the user's cache folder. Every later run on the same machine, with the same
PyTorch and number of threads, has them in its record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.record.proportions import BOUNDS_CONFIDENCE, clopper_pearson, minimum_effect
from torchduet.bench.record.schema import (
    KINDS,
    KindRecord,
    RateRecord,
    RatesRecord,
    Record,
    SelfCheckRecord,
    TrialRecord,
)
from torchduet.bench.record.statistics import CONFIDENCE, half_width, placement_differences, speedup, value_of
from torchduet.bench.record.visits.intervals import COPY_THRESHOLD as THRESHOLD
from torchduet.bench.run.machine_figures import Kept

NARROW = 0.01
FILE = "self_check.json"
SHORT, LONG = 2e-3, 2e-2  # seconds per call: short below the first, long from the second on


def trial(copy: Case, original_result: CaseResult, copy_result: CaseResult) -> TrialRecord:
    """A copy of a case held against the case itself."""
    estimate = speedup(original_result.blocks, copy_result.blocks)
    log_ratio, error = value_of(placement_differences(original_result.blocks, copy_result.blocks))
    width = estimate.half_width
    finite = math.isfinite(width)
    return TrialRecord(
        slowdown=copy.slowdown,
        ratio=estimate.ratio,
        low=estimate.low if finite else None,
        high=estimate.high if finite else None,
        placements=estimate.placements,
        visit_ratios=[math.exp(log_ratio)],
        visit_errors=[error],
        verdict=estimate.verdict(THRESHOLD),
        seconds=original_result.context_switches.seconds,
        minimum_effect=minimum_effect(width, THRESHOLD) if finite else None,
    )


def summary(records: Sequence[Record], *, measured: str, machine: Mapping[str, Any], threads: int) -> SelfCheckRecord:
    """The figures of a run with ``--aa``.

    A false alarm is the verdict faster or slower on identical code. A slow-down is found if the verdict is slower.
    """
    by_kind: dict[str, list[TrialRecord]] = {kind: [] for kind in KINDS}
    for record in records:
        if trials := record.get("trials"):
            by_kind[kind_of(record)] += trials
    trials = [trial for of_kind in by_kind.values() for trial in of_kind]
    identical = _identical(trials)
    seconds = [trial["seconds"] for trial in identical]
    effects = [trial["minimum_effect"] for trial in identical]
    widths = [half_width(trial["low"], trial["high"]) for trial in identical]
    return SelfCheckRecord(
        measured=measured,
        cpu=machine.get("cpu"),
        cores=machine.get("cores"),
        torch=machine.get("torch"),
        gpu=machine.get("gpu"),
        threads=threads,
        threshold=THRESHOLD,
        confidence=CONFIDENCE,
        bounds_confidence=BOUNDS_CONFIDENCE,
        **_rates(trials),
        outside=sum(trial["low"] is not None and not trial["low"] <= 1 <= (trial["high"] or 1) for trial in identical),
        half_width=_median(widths),
        half_width_after_1s=_median([width * math.sqrt(spent) for width, spent in zip(widths, seconds, strict=True)]),
        minimum_effect=_median([math.inf if effect is None else effect for effect in effects]),
        kinds=[KindRecord(kind=kind, **_rates(of_kind)) for kind, of_kind in by_kind.items() if of_kind],
    )


def kind_of(record: Record) -> str:
    """One of ``KINDS``: which slow-downs can be found depends on a call's time and on how much it scatters."""
    timing = record["timing"]
    if timing.get("rests"):
        return "waiting"
    return "short" if timing["seconds"] < SHORT else "medium" if timing["seconds"] < LONG else "long"


def _identical(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [trial for trial in trials if trial["slowdown"] == 1]


def _rates(trials: Sequence[TrialRecord]) -> RatesRecord:
    identical = _identical(trials)
    return RatesRecord(
        false_alarms=_rate([trial["verdict"] in ("faster", "slower") for trial in identical], 1.0),
        found=[
            _rate([trial["verdict"] == "slower" for trial in trials if trial["slowdown"] == factor], factor)
            for factor in sorted({trial["slowdown"] for trial in trials} - {1.0})
        ],
        narrow=_rate([half_width(trial["low"], trial["high"]) <= NARROW for trial in identical], 1.0),
        seconds=_median([trial["seconds"] for trial in identical]),
    )


def _median(values: Sequence[float]) -> float | None:
    """The median; None without values, or if it is infinite."""
    middle = median(values) if values else math.inf
    return middle if math.isfinite(middle) else None


def _rate(outcomes: Sequence[bool], slowdown: float) -> RateRecord:
    count, trials = sum(outcomes), len(outcomes)
    low, high = clopper_pearson(count, trials) if trials else (0.0, 1.0)
    return RateRecord(slowdown=slowdown, count=count, trials=trials, low=low, high=high)


def lines(figures: SelfCheckRecord) -> list[str]:
    """The figures for the terminal."""
    if not figures["false_alarms"]["trials"]:
        return []
    text = [_rate_line(figures["false_alarms"], "comparisons of identical code called faster or slower")]
    text += [_rate_line(rate, f"slow-downs by {_percent(rate)} found") for rate in figures["found"] if rate["trials"]]
    text.append(_rate_line(figures["narrow"], f"intervals within ±{NARROW:.0%}"))
    width, seconds, effect = figures["half_width"], figures["seconds"], figures["minimum_effect"]
    if width is not None and seconds is not None:
        text.append(f"half an interval: ±{width:.2%} in the median, after {seconds:.1f} s of the case")
    if effect is not None:
        text.append(f"least slow-down found in 95 of 100: {effect:.1%} in the median")
    kinds = figures.get("kinds", [])
    return text + ([_kind_line(kind) for kind in kinds] if len(kinds) > 1 else [])


def _kind_line(kind: KindRecord) -> str:
    counts = [(f"slow-downs by {_percent(rate)} found", rate) for rate in kind["found"]]
    counts += [(f"intervals within ±{NARROW:.0%}", kind["narrow"]), ("false alarms", kind["false_alarms"])]
    text = ", ".join(f"{what}: {rate['count']} of {rate['trials']}" for what, rate in counts if rate["trials"])
    return f"  calls {KINDS.get(kind['kind'], kind['kind'])}: {text}"


def _percent(rate: RateRecord) -> str:
    return f"{100 * (rate['slowdown'] - 1):.3g}%"


def _rate_line(rate: RateRecord, what: str) -> str:
    share = rate["count"] / rate["trials"]
    return (
        f"{rate['count']} of {rate['trials']} {what}: {share:.1%} "
        f"({rate['low']:.1%} to {rate['high']:.1%} at {BOUNDS_CONFIDENCE:.0%})"
    )


KEPT = Kept[SelfCheckRecord](FILE, marker="false_alarms", needs="kinds", again="--aa")


def last(machine: Mapping[str, Any], threads: int, folder: Path | None = None) -> SelfCheckRecord | None:
    """The figures last measured on this machine with this PyTorch and number of threads.

    Figures without ``kinds`` are not returned: their version calibrated the extra work by itself, which made 3 % of
    0.2 ms 3.1 to 4.9 %.

    Raises:
        ValueError: the file cannot be read; the message names it.
    """
    return KEPT.last(machine, threads, folder)


def save(figures: SelfCheckRecord, folder: Path | None = None) -> Path:
    """Replace the earlier figures of the same machine, completely or not at all; returns the file.

    Raises:
        OSError: it cannot be written.
    """
    return KEPT.save(figures, folder)
