"""What ``--fail-on`` makes of a duet: the exit code of a gate in CI, and the reason in one line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torchduet.bench.record.duets import peak_memory
from torchduet.bench.record.schema import AgainstRecord, Record
from torchduet.bench.record.words.counting import plural

Ground = Literal["slower", "unclear", "memory"]
GROUNDS: tuple[Ground, ...] = get_args(Ground)
FAILS, NO_VERDICT = 1, 3  # exit codes; 2 is for input that cannot be used
BLIND = 1.5  # a duet that would not show a case that takes so many times as long is of no use


@dataclass(frozen=True)
class Gate:
    """The exit code that ``--fail-on`` asks for, and why; the reason is empty with 0."""

    code: int
    reason: str = ""


def grounds(text: str, known: Sequence[str] = GROUNDS) -> tuple[str, ...]:
    """The words of ``--fail-on slower,memory``.

    Raises:
        ValueError: one that is not known; the message names it and those that are.
    """
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise ValueError(f"--fail-on {text}: {word!r} is none of {', '.join(known)}")
    return tuple(dict.fromkeys(words))


def memory_of(against: AgainstRecord) -> peak_memory.Change | None:
    """How the new side's peak memory compares with the base's; None where one is not known."""
    return peak_memory.change(against.get("base_peak_bytes"), against.get("peak_bytes"))


def judged(records: Sequence[Record]) -> list[Record]:
    """The records of a duet that a gate counts: those that both sides measured, without controls."""
    return [record for record in records if "against" in record and not record["against"].get("control")]


def gate(records: Sequence[Record], fail_on: Collection[str]) -> Gate:
    """The exit code for a duet: 1 if a ground of ``fail_on`` is given in any case, 3 if none could be seen.

    The records are those of ``sides.from_new``: the new side against its base, so of a knob the side that has it.

    ``slower`` counts cases that are slower, ``unclear`` also those without a verdict, ``memory`` those whose peak
    memory has grown. Nothing could be seen where no case has a verdict, and none would be called slower if it took 1.5
    times as long, where no case was measured on both sides, or where a control is slower.
    """
    if not fail_on:
        return Gate(0)
    counted = judged(records)
    found = {
        "slower": [record for record in counted if record["against"]["verdict"] == "slower"],
        "unclear": [record for record in counted if record["against"]["verdict"] == "unclear"],
        "memory": [record for record in counted if memory_of(record["against"]) == "more"],
    }
    asked = {*fail_on, "slower"} if "unclear" in fail_on else {*fail_on}
    words = {"slower": ("is", "are", "slower"), "unclear": ("is", "are", "unclear")}
    words["memory"] = ("needs", "need", "more memory")
    reasons = [
        f"{len(found[ground])} {words[ground][len(found[ground]) > 1]} {words[ground][2]}"
        for ground in GROUNDS
        if ground in asked and found[ground]
    ]
    if reasons:
        return Gate(FAILS, f"of {_cases(len(counted))}, {' and '.join(reasons)}")
    if asked & {"slower"} and (moved := [record for record in records if _is_slower_control(record)]):
        which = _cases(len(moved)).replace("case", "control")
        return Gate(NO_VERDICT, f"{which}, which the change cannot reach, took longer: the two sides differ otherwise")
    if not counted and any("against" in record for record in records):
        return Gate(0)  # controls alone: the change reaches nothing
    if not counted:
        return Gate(NO_VERDICT, "no case was measured on both sides, so nothing is known of slow-downs")
    if "slower" in asked and is_blind(counted):
        return Gate(NO_VERDICT, "no verdict is possible on any case, so nothing is known of slow-downs")
    if "memory" in asked and all(memory_of(record["against"]) is None for record in counted):
        return Gate(NO_VERDICT, "the peak memory of no case is known, so nothing is known of its growth")
    return Gate(0)


def _cases(number: int) -> str:
    return f"{plural(number, 'case')}"


def is_blind(records: Sequence[Record]) -> bool:
    """Whether no case has a verdict, nor would have one if it took 1.5 times as long."""
    unclear = [record for record in records if record["against"]["verdict"] == "unclear"]
    return bool(records) and len(unclear) == len(records) and all(map(_blind, records))


def has_too_few_pairs(against: AgainstRecord) -> bool:
    """Whether a case was timed in too few pairs for a verdict."""
    return against["low"] is None or against["stage"] == "screened"


def _is_slower_control(record: Record) -> bool:
    against = record.get("against")
    return against is not None and bool(against.get("control")) and against["verdict"] == "slower"


def _blind(record: Record) -> bool:
    against = record["against"]
    if "pair_ratios" in against and against["stage"] == "screened":
        return True  # too few pairs for any verdict
    return against["low"] is None or against["ratio"] / against["low"] * (1 + against["threshold"]) > BLIND
