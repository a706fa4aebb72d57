"""What a comparison is held against, whether or not the file has a record of it; and when it is caught up with.

A baseline that was timed without being selected (``-k "compile and bf16"``) has no record. What is needed
of it then stands with the comparison itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torchduet.bench.record.knobs import IMPLEMENTATION, KNOBS
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.bench.record.statistics import calls_to_pay_off
from torchduet.reports.text.settings import settings

NOTHING: dict[str, float | None] = dict.fromkeys(("pays_after", "pays_after_low", "pays_after_high", "pays_seconds"))


@dataclass(frozen=True)
class Baseline:
    """The other side of a comparison; None for what the file does not say.

    Attributes:
        settings: knob → its setting.
        seconds: per call, in steady state.
        first_call: seconds until the first result.
    """

    settings: dict[str, str] | None
    seconds: float | None
    first_call: float | None
    compiled: bool | None


def baseline_of(record: Record, one: SpeedupRecord, by_id: Mapping[str, Record]) -> Baseline:
    """What ``record`` is held against in ``one``: from its own record, or else from the comparison."""
    other = by_id.get(one["against"])
    if other is not None:
        return Baseline(
            settings(other),
            other["timing"]["seconds"],
            other["first_call"]["seconds"],
            other["compile"] is not None,
        )
    return Baseline(
        _settings_without_record(record, one),
        one.get("baseline_seconds"),
        one.get("baseline_first_call"),
        one.get("baseline_compiled"),
    )


def _settings_without_record(record: Record, one: SpeedupRecord) -> dict[str, str] | None:
    """The baseline's settings as far as the comparison's own words say them."""
    own = settings(record)
    if one["knob"] in own:
        return {**own, one["knob"]: one["baseline"]}
    if _in_words(one["value"], own) != own:
        return None
    return _in_words(one["baseline"], own)


def _in_words(variant: str, own: Mapping[str, str]) -> dict[str, str] | None:
    """``mm cpu eager fp32 workers2`` → knob → setting; without an implementation it is ``own``."""
    words = variant.split(" ")
    found: dict[str, str] = {}
    for knob in reversed(KNOBS):  # the last word first: an implementation's name may have several
        if knob.name == IMPLEMENTATION:
            continue
        setting = knob.read(words[-1]) if knob.optional and words else None
        if setting is None and knob.optional:
            if own[knob.name] and not knob.absent:
                return None  # its workload has the knob, and the words do not say it
            found[knob.name] = knob.absent
        elif not words:
            return None
        else:
            found[knob.name] = words.pop() if setting is None else (words.pop(), setting)[1]
    return {**found, IMPLEMENTATION: " ".join(words) or own[IMPLEMENTATION]}


def only_this_compiles(record: Record, baseline: Baseline) -> bool:
    """Whether it is compiled and what it is held against is not (as far as the file says)."""
    return record["compile"] is not None and not baseline.compiled


def pay_off(record: Record, baseline: Baseline, one: SpeedupRecord) -> dict[str, float | None]:
    """After how many calls, and after how long, the longer first call has paid for itself.

    At that moment both have spent the same time, so it is the first call plus the rest at this
    case's own pace. The interval is what the speed-up's interval makes of it.
    """
    if baseline.seconds is None or baseline.first_call is None:
        return NOTHING
    if one["verdict"] != "faster" or not only_this_compiles(record, baseline):
        return NOTHING
    first = record["first_call"]["seconds"]
    extra = first - baseline.first_call
    calls = calls_to_pay_off(extra, baseline.seconds, one["ratio"])
    if calls is None:
        return NOTHING
    return {
        "pays_after": calls,
        "pays_after_low": calls_to_pay_off(extra, baseline.seconds, one["high"]) if one["high"] else None,
        "pays_after_high": calls_to_pay_off(extra, baseline.seconds, one["low"]) if one["low"] else None,
        "pays_seconds": first + (calls - 1) * baseline.seconds / one["ratio"],
    }
