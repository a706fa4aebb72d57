"""What a run against its own twins found: rates, widths, and where they are kept for later runs.

``pytest bench/ --aa`` writes the figures below the user's cache folder; every run on the same machine
with the same PyTorch and number of threads carries the last ones.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, cast

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.host.atomic_files import write_json
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
from torchduet.bench.record.statistics import CONFIDENCE, half_width, speedup

THRESHOLD = 0.01
NARROW = 0.01
FILE = "self_check.json"
SAME = ("cpu", "cores", "torch", "gpu")  # facts that make it the same machine
SHORT, LONG = 2e-3, 2e-2  # seconds per call, below which and from which on


def trial(case: Case, whole: CaseResult, twin: CaseResult) -> TrialRecord:
    """A copy held against the case that it is a copy of; ``case`` is the copy."""
    estimate = speedup(whole.blocks, twin.blocks)
    width = estimate.half_width
    finite = math.isfinite(width)
    return TrialRecord(
        slowdown=case.slowdown,
        ratio=estimate.ratio,
        low=estimate.low if finite else None,
        high=estimate.high if finite else None,
        placements=estimate.placements,
        verdict=estimate.verdict(THRESHOLD),
        seconds=whole.context_switches.seconds,
        minimum_effect=minimum_effect(width, THRESHOLD) if finite else None,
    )


def summary(records: Sequence[Record], *, measured: str, machine: Mapping[str, Any], threads: int) -> SelfCheckRecord:
    """The figures of a run with ``--aa``.

    A false alarm is a verdict of faster or slower on identical code; a slow-down is found where the
    verdict is slower.
    """
    by_kind: dict[str, list[TrialRecord]] = {kind: [] for kind in KINDS}
    for record in records:
        if trials := record.get("trials"):
            by_kind[kind_of(record)] += trials
    trials = [one for kind in by_kind.values() for one in kind]
    identical = _identical(trials)
    seconds = [one["seconds"] for one in identical]
    effects = [one["minimum_effect"] for one in identical]
    widths = [half_width(one["low"], one["high"]) for one in identical]
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
        outside=sum(one["low"] is not None and not one["low"] <= 1 <= (one["high"] or 1) for one in identical),
        half_width=_middle(widths),
        half_width_after_1s=_middle([width * math.sqrt(spent) for width, spent in zip(widths, seconds, strict=True)]),
        minimum_effect=_middle([math.inf if effect is None else effect for effect in effects]),
        kinds=[KindRecord(kind=kind, **_rates(some)) for kind, some in by_kind.items() if some],
    )


def kind_of(record: Record) -> str:
    """One of ``KINDS``: how long a call takes and how much it scatters decide what can be found."""
    timing = record["timing"]
    if timing.get("rests"):
        return "waiting"
    return "short" if timing["seconds"] < SHORT else "medium" if timing["seconds"] < LONG else "long"


def _identical(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [one for one in trials if one["slowdown"] == 1]


def _rates(trials: Sequence[TrialRecord]) -> RatesRecord:
    identical = _identical(trials)
    return RatesRecord(
        false_alarms=_rate([one["verdict"] in ("faster", "slower") for one in identical], 1.0),
        found=[
            _rate([one["verdict"] == "slower" for one in trials if one["slowdown"] == factor], factor)
            for factor in sorted({one["slowdown"] for one in trials} - {1.0})
        ],
        narrow=_rate([half_width(one["low"], one["high"]) <= NARROW for one in identical], 1.0),
        seconds=_middle([one["seconds"] for one in identical]),
    )


def _middle(values: Sequence[float]) -> float | None:
    """The median; None where there is none, or it is infinite."""
    found = median(values) if values else math.inf
    return found if math.isfinite(found) else None


def _rate(happened: Sequence[bool], slowdown: float) -> RateRecord:
    count, trials = sum(happened), len(happened)
    low, high = clopper_pearson(count, trials) if trials else (0.0, 1.0)
    return RateRecord(slowdown=slowdown, count=count, trials=trials, low=low, high=high)


def lines(found: SelfCheckRecord) -> list[str]:
    """The figures for the terminal."""
    if not found["false_alarms"]["trials"]:
        return []
    said = [f"{_said(found['false_alarms'], 'comparisons of identical code called faster or slower')}"]
    said += [_said(rate, f"slow-downs by {_percent(rate)} found") for rate in found["found"] if rate["trials"]]
    said.append(_said(found["narrow"], f"intervals within ±{NARROW:.0%}"))
    width, seconds, effect = found["half_width"], found["seconds"], found["minimum_effect"]
    if width is not None and seconds is not None:
        said.append(f"half an interval: ±{width:.2%} in the median, after {seconds:.1f} s of the case")
    if effect is not None:
        said.append(f"least slow-down found in 95 of 100: {effect:.1%} in the median")
    kinds = found.get("kinds", [])
    return said + ([_said_of(kind) for kind in kinds] if len(kinds) > 1 else [])


def _said_of(kind: KindRecord) -> str:
    counts = [(f"slow-downs by {_percent(rate)} found", rate) for rate in kind["found"]]
    counts += [(f"intervals within ±{NARROW:.0%}", kind["narrow"]), ("false alarms", kind["false_alarms"])]
    said = ", ".join(f"{what}: {rate['count']} of {rate['trials']}" for what, rate in counts if rate["trials"])
    return f"  calls {KINDS.get(kind['kind'], kind['kind'])}: {said}"


def _percent(rate: RateRecord) -> str:
    return f"{100 * (rate['slowdown'] - 1):.3g}%"


def _said(rate: RateRecord, what: str) -> str:
    share = rate["count"] / rate["trials"]
    return (
        f"{rate['count']} of {rate['trials']} {what}: {share:.1%} "
        f"({rate['low']:.1%} to {rate['high']:.1%} at {BOUNDS_CONFIDENCE:.0%})"
    )


def cache_folder() -> Path:
    """Where this user's programs keep what can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "torchduet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "torchduet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torchduet"


def _same(one: SelfCheckRecord, machine: Mapping[str, Any], threads: int) -> bool:
    return one.get("threads") == threads and all(one.get(name) == machine.get(name) for name in SAME)


def _kept(path: Path) -> list[SelfCheckRecord]:
    """What the file holds.

    Raises:
        ValueError: it is not what this module writes.
    """
    try:
        kept = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    if not isinstance(kept, list) or not all(isinstance(one, dict) and "false_alarms" in one for one in kept):
        raise ValueError("not a list of self-checks")
    return cast("list[SelfCheckRecord]", kept)


def last(machine: Mapping[str, Any], threads: int, folder: Path | None = None) -> SelfCheckRecord | None:
    """The figures last measured on this machine with this PyTorch and number of threads.

    Those without ``kinds`` are not told: the extra work of their time was calibrated by itself, which made 3 % of
    0.2 ms 3.1 to 4.9 %.

    Raises:
        ValueError: the file that should hold them cannot be read; the message names it.
    """
    path = (folder or cache_folder()) / FILE
    try:
        return next((one for one in _kept(path) if "kinds" in one and _same(one, machine, threads)), None)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}; remove it, and measure it anew with --aa") from None


def keep(found: SelfCheckRecord, folder: Path | None = None) -> Path:
    """Keep the figures instead of those before, whole or not at all; returns the file.

    Raises:
        OSError: it cannot be written.
    """
    folder = folder or cache_folder()
    path = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    try:
        others = [one for one in _kept(path) if not _same(one, found, found["threads"])]
    except ValueError:
        others = []  # not ours any more; what replaces it is
    write_json([found, *others], path)
    return path
