"""Holds records to what their readers require: before they are written, and when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, cast, get_args, get_origin

from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import (
    KEY,
    CaseRecord,
    CeilingRecord,
    GpuRecord,
    NotMeasured,
    Record,
    RunRecord,
    SpeedupRecord,
    Verdict,
)
from torchduet.bench.record.schema_check import ContractError, check, hints, shown
from torchduet.bench.record.statistics import Speedup
from torchduet.bench.record.strict_json import strict

UNNAMED = "a case without a name"


def check_record(record: object, where: str) -> None:
    """Return if a reader accepts this record of a case.

    Raises:
        ContractError: it does not; the message begins with the path of the key at fault.
    """
    check(record, Record, where)
    check_meaning(cast(Record, record), where)


def check_run(record: object, where: str = KEY, *, types_checked: bool = False) -> None:
    """Return if a reader accepts this record of a run.

    Args:
        types_checked: the decoder has checked the schema's types already.

    Raises:
        ContractError: it does not; the message begins with the path of the key at fault.
    """
    if not types_checked:
        check(record, RunRecord, where)
    checked = cast(RunRecord, record)
    for index, ceiling in enumerate(checked.get("ceilings", [])):
        _check_ceiling(ceiling, f"{where}.ceilings[{index}]")
    for index, gpu in enumerate(checked.get("gpus", [])):
        _check_gpu(gpu, f"{where}.gpus[{index}]")


def readable_record(record: Mapping[str, Any]) -> tuple[Record, list[str]]:
    """A case's record as a reader accepts it: without the optional keys that it would refuse, and a line on each.

    Raises:
        ContractError: it would refuse a required key; the message begins with the path of the key.
    """
    kept, left_out = _without_refused(_plain_record(record), Record)
    try:
        check_record(kept, "")
    except ContractError as error:
        raise ContractError(str(error).removeprefix(".")) from None
    return cast(Record, kept), left_out


def readable_run(record: Mapping[str, Any], where: str = KEY) -> tuple[RunRecord, list[str]]:
    """A run's record as a reader accepts it, and a line on each thing that was left out.

    Optional keys that a reader would refuse are left out, as are such facts of the machine and the options. Cases
    without a result keep their reason.

    Raises:
        ContractError: it would refuse a required key; the message begins with the path of the key.
    """
    kept, left_out = _without_refused(_plain_record(record), RunRecord)
    for key in ("options", "machine"):
        if isinstance(kept.get(key), dict):
            hint = hints(RunRecord)[key]
            kept[key], lines = _items_kept(kept[key], hint, key)
            left_out += lines
    kept = with_readable_failures(kept)
    for key in ("ceilings", "gpus"):
        try:
            check_run({**kept, key: kept.get(key, [])}, where)
        except ContractError as error:
            if str(error).startswith(f"{where}.{key}") and kept.pop(key, None) is not None:
                left_out.append(f"{str(error).removeprefix(f'{where}.')}; left out")
    check_run(kept, where)
    return cast(RunRecord, kept), left_out


def with_readable_failures(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record whose cases without a result are named so that a reader accepts them, with their reasons."""
    named = {
        key: [_not_measured(entry) for entry in record[key]]
        for key in ("skipped", "failed")
        if isinstance(record.get(key), list)
    }
    return {**record, **named}


def readable_case(case: object, name: str = "") -> CaseRecord:
    """A case's record that a reader accepts, from whatever there is of one: for a case that is only named.

    Args:
        name: of the case, where its record has none.
    """
    given = strict(case) if isinstance(case, dict) else {}
    texts = {key: value if isinstance(value := given.get(key), str) else "" for key in _texts()}
    texts["id"] = texts["id"] or strict(name) or UNNAMED
    texts["family"] = texts["family"] or texts["id"]
    size = given.get("size")
    record = {
        **texts,
        "size": {str(key): as_size(value) for key, value in size.items()} if isinstance(size, dict) else {},
        "reference": given.get("reference") is True,
    }
    for key in ("workers", "ranks", "role", "settings"):
        if key in given and not _refusal(given[key], hints(CaseRecord)[key], key):
            record[key] = given[key]
    return cast(CaseRecord, record)


def as_size(value: Any) -> int | float | str | bool:
    """A value of an axis for the record: as it is if a reader accepts it there, else as text."""
    value = strict(value)
    hint = get_args(hints(CaseRecord)["size"])[1]
    return value if value is not None and not _refusal(value, hint, "size") else str(value)


def _plain_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with text that can be encoded and Python's numbers; NaN and infinity stay, so that they are named."""
    return {key: _plain(value) for key, value in record.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {strict(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return value if set(map(type, value)) <= {float} else [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value)
    plain = strict(value)
    return value if plain is None else plain


def _without_refused(record: dict[str, Any], schema: Any) -> tuple[dict[str, Any], list[str]]:
    """The record without optional keys that do not match their type; of objects of many items, without these items."""
    kept, left_out = dict(record), list[str]()
    for key, hint in hints(schema).items():
        if get_origin(hint) is not NotRequired or key not in kept:
            continue
        (inner,) = get_args(hint)
        if not (refusal := _refusal(kept[key], inner, key)):
            continue
        if get_origin(inner) is dict and isinstance(kept[key], dict):
            kept[key], lines = _items_kept(kept[key], inner, key)
            left_out += lines
            if kept[key]:
                continue
        else:
            left_out.append(f"{refusal}; left out")
        del kept[key]
    return kept, left_out


def _items_kept(items: Mapping[Any, Any], expected: Any, path: str) -> tuple[dict[Any, Any], list[str]]:
    """The items of an object that match its type, and a line on each other."""
    kept, left_out = {}, []
    for key, item in items.items():
        if refusal := _refusal({key: item}, expected, path):
            left_out.append(f"{refusal}; left out")
        else:
            kept[key] = item
    return kept, left_out


def _refusal(value: object, expected: Any, path: str) -> str:
    """Why a reader refuses a value; empty if it accepts it."""
    try:
        check(value, get_args(expected)[0] if get_origin(expected) is NotRequired else expected, path)
    except ContractError as error:
        return str(error)
    return ""


def _texts() -> list[str]:
    return [key for key, hint in hints(CaseRecord).items() if hint is str]


def _not_measured(entry: object) -> NotMeasured:
    given = entry if isinstance(entry, dict) else {}
    reason = given.get("reason")
    case = given.get("case")
    if not _refusal(case, CaseRecord, "case"):
        return NotMeasured(case=cast(CaseRecord, case), reason=reason if isinstance(reason, str) else shown(reason))
    return NotMeasured(case=readable_case(case), reason=reason if isinstance(reason, str) else shown(reason))


def check_meaning(record: Record, where: str) -> None:
    """Return if intervals contain their estimate and verdicts follow from their intervals, which no type expresses.

    Raises:
        ContractError: they do not.
    """
    timing = record["timing"]
    if any(number < 0 for number in timing.get("disturbed", [])):
        raise ContractError(f"{where}.timing.disturbed: expected numbers of blocks, from 0")
    _interval(timing["low"], timing["seconds"], timing["high"], where, ".timing")
    for index, speedup in enumerate(record["speedups"]):
        _check_speedup(speedup, f"{where}.speedups[{index}]")
    if "against" in record:
        side = record["against"]
        _interval(side["low"], side["ratio"], side["high"], where, ".against")
    for knob in KNOBS:
        if knob.numeric and (number := int(knob.of(record["case"]) or 0)) < 0:
            raise ContractError(f"{where}: expected {knob.name} from 0, got {number}")


def verdict_of(speedup: SpeedupRecord) -> Verdict:
    """The verdict that follows from a recorded interval."""
    low, high = speedup["low"], speedup["high"]
    if low is None or high is None:
        return "unclear"
    estimate = Speedup(speedup["ratio"], low, high, speedup["placements"], speedup["confidence"])
    return (estimate.side if "interval" in speedup else estimate.verdict)(speedup["threshold"])


def _check_speedup(speedup: SpeedupRecord, where: str) -> None:
    _interval(speedup["low"], speedup["ratio"], speedup["high"], where)
    follows = verdict_of(speedup)
    if speedup["verdict"] not in (follows, "unclear"):
        raise ContractError(f"{where}.verdict: is {speedup['verdict']!r}, but its interval says {follows!r}")


def _check_ceiling(ceiling: CeilingRecord, where: str) -> None:
    for working_set in ceiling["bytes_per_second"]:
        if not working_set.isascii() or not working_set.isdigit():
            raise ContractError(f"{where}.bytes_per_second: expected whole bytes as keys, got {shown(working_set)}")


def _check_gpu(gpu: GpuRecord, where: str) -> None:
    for name, column in gpu["samples"].items():
        if len(column) != len(gpu["at"]):
            raise ContractError(f"{where}.samples.{name}: expected {len(gpu['at'])} samples, got {len(column)}")


def _interval(low: float | None, point: float, high: float | None, where: str, key: str = "") -> None:
    if (low is None) != (high is None):
        raise ContractError(f"{where}{key}: expected low and high to be numbers or null together")
    if low is not None and high is not None:
        slack = 1e-9 * point
        if not low - slack <= point <= high + slack:
            raise ContractError(f"{where}{key}: expected low <= {point} <= high, got {low} and {high}")
