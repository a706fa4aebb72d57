"""The baseline of a comparison, whether or not the file has a record of it, and when a compilation pays off.

A baseline that was timed without being selected (``-k "compile and bf16"``) has no record. The comparison itself
then holds what is needed of the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torchduet.bench.record.knobs import IMPLEMENTATION, KNOBS
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.bench.record.statistics import calls_to_pay_off
from torchduet.reports.text.settings import settings

NOTHING: dict[str, float | None] = dict.fromkeys(
    ("pays_after", "pays_after_low", "pays_after_high", "pays_seconds", "warm_pays_after")
)


@dataclass(frozen=True)
class Baseline:
    """The other side of a comparison; None where the file does not say.

    Attributes:
        settings: knob → its setting.
        seconds: per call, in steady state.
        first_call: seconds until the first result.
    """

    settings: dict[str, str] | None
    seconds: float | None
    first_call: float | None
    compiled: bool | None


def baseline_of(record: Record, speedup: SpeedupRecord, by_id: Mapping[str, Record]) -> Baseline:
    """The baseline of ``record`` in ``speedup``: from the baseline's own record, or else from the comparison."""
    other = by_id.get(speedup["against"])
    if other is not None:
        return Baseline(
            settings(other),
            other["timing"]["seconds"],
            other["first_call"]["seconds"],
            other["compile"] is not None,
        )
    return Baseline(
        _settings_without_record(record, speedup),
        speedup.get("baseline_seconds"),
        speedup.get("baseline_first_call"),
        speedup.get("baseline_compiled"),
    )


def _settings_without_record(record: Record, speedup: SpeedupRecord) -> dict[str, str] | None:
    """The baseline's settings, as far as the comparison names them."""
    own = settings(record)
    if speedup["knob"] in own:
        return {**own, speedup["knob"]: speedup["baseline"]}
    if _parsed(speedup["value"], own) != own:
        return None
    return _parsed(speedup["baseline"], own)


def _parsed(variant: str, own: Mapping[str, str]) -> dict[str, str] | None:
    """``mm cpu eager fp32 workers2`` → knob → setting; an implementation that is not named is that of ``own``."""
    words = variant.split(" ")
    parsed: dict[str, str] = {}
    for knob in reversed(KNOBS):  # from the last word: an implementation's name may have several words
        if knob.name == IMPLEMENTATION:
            continue
        setting = knob.read(words[-1]) if knob.optional and words else None
        if setting is None and knob.optional:
            if own[knob.name] and not knob.absent:
                return None  # its workload has the knob, and the words do not name it
            parsed[knob.name] = knob.absent
        elif not words:
            return None
        else:
            parsed[knob.name] = words.pop() if setting is None else (words.pop(), setting)[1]
    return {**parsed, IMPLEMENTATION: " ".join(words) or own[IMPLEMENTATION]}


def only_this_compiles(record: Record, baseline: Baseline) -> bool:
    """Whether the case is compiled and its baseline is not (as far as the file says)."""
    return record["compile"] is not None and not baseline.compiled


def compiles_beside_eager(record: Record, baseline: Baseline, speedup: SpeedupRecord) -> bool:
    """Whether a compiled case is compared with an eager one that calls compiled code itself.

    Such a ratio says nothing of torch.compile.
    """
    of_modes = speedup["knob"] == "mode" and speedup["baseline"] == "eager"
    return of_modes and record["compile"] is not None and bool(baseline.compiled)


def warm_start(record: Record) -> float | None:
    """Seconds of the first call in a new process with a filled cache; None where that was not measured."""
    compiled = record["compile"]
    return None if compiled is None or "warm_start" not in compiled else compiled["warm_start"].get("seconds")


def pay_off(record: Record, baseline: Baseline, speedup: SpeedupRecord) -> dict[str, float | None]:
    """After how many calls, and after how many seconds, the longer first call has paid off.

    At that moment both sides have spent the same time: the first call, plus the other calls at this case's own speed.
    The interval follows from the speed-up's interval. ``warm_pays_after`` is the same after a warm start.
    """
    if baseline.seconds is None or baseline.first_call is None:
        return NOTHING
    if speedup["verdict"] != "faster" or not only_this_compiles(record, baseline):
        return NOTHING
    first = record["first_call"]["seconds"]
    extra = first - baseline.first_call
    calls = calls_to_pay_off(extra, baseline.seconds, speedup["ratio"])
    if calls is None:
        return NOTHING
    warm = warm_start(record)
    extra_warm = None if warm is None else warm - baseline.first_call
    return {
        "warm_pays_after": None
        if extra_warm is None
        else calls_to_pay_off(extra_warm, baseline.seconds, speedup["ratio"]),
        "pays_after": calls,
        "pays_after_low": calls_to_pay_off(extra, baseline.seconds, speedup["high"]) if speedup["high"] else None,
        "pays_after_high": calls_to_pay_off(extra, baseline.seconds, speedup["low"]) if speedup["low"] else None,
        "pays_seconds": first + (calls - 1) * baseline.seconds / speedup["ratio"],
    }
