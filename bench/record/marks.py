"""Marks of a case: what a reader of any table must see beside its figures, such as that its result was not checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import PART
from torchduet.bench.record.schema import CheckRecord, Record, TimingRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS

FLOAT64 = "float64"
NOTE = "†"
NO_VERDICT = "no verdict: "  # begins the note of a case whose verdicts the run withheld, with the reason
# Notes that tables show in another way (≈ for noise, an empty cell for no speed-up), or that hold of most cases.
PLAIN_NOTES = (NO_VERDICT, "no speed-up: ", "compiled in one process after ", "its tolerance is ")


@dataclass(frozen=True)
class Mark:
    """A mark: ``short`` for a cell, ``words`` for its explanation."""

    short: str
    words: str


FEW_PLACES = Mark(
    "few places in memory",
    f"its inputs lay at fewer than {MIN_PLACEMENTS} different places in the device's memory, so its placements are "
    "fewer independent samples than they seem",
)

NO_COMMUNICATION = Mark(
    "without communication",
    "each of its ranks computes its own part only, without communication: other cases are held against it to show "
    "what communication costs",
)


def marks(record: Record) -> list[Mark]:
    """The marks of a case, the gravest first; empty for one that was checked against float64 and has no notes."""
    role = [NO_COMMUNICATION] if record["case"].get("role") == PART else []
    return [*role, *_of_check(record["check"]), *_of_addresses(record["timing"]), *_of_notes(record["notes"])]


def short_marks(record: Record) -> str:
    """``not checked, computes in bfloat16, †``; empty without a mark."""
    return ", ".join(dict.fromkeys(mark.short for mark in marks(record)))


def explained(records: Iterable[Record], shown: int = 3) -> list[str]:
    """A line for each explanation with the cases that it holds of: ``not checked: a, b and 3 more``."""
    cases: dict[str, list[str]] = {}
    for record in records:
        for mark in marks(record):
            words = f"{NOTE} {mark.words}" if mark.short == NOTE else mark.words
            cases.setdefault(words, []).append(record["case"]["id"])
    return [f"{words}: {_listed(ids, shown)}" for words, ids in cases.items()]


def _of_check(check: CheckRecord) -> list[Mark]:
    why = f" ({check['why']})" if check.get("why") else ""
    found = []
    if check["what"] == "nothing":
        found.append(Mark("not checked", f"its result was not checked{why}"))
    elif check["what"] == "shapes":
        found.append(Mark("shapes checked only", f"only the shapes of its result were checked{why}"))
    elif check["relative_error"] is not None and check["tolerance"] is None:
        found.append(Mark("any result passes", "its tolerance is infinite, so any result passes its check"))
    held_against = check.get("held_against", FLOAT64)
    if held_against != FLOAT64 and check["what"] != "nothing":
        found.append(Mark(f"checked against {held_against}", f"its result was held against {held_against}{why}"))
    if computes_in := check.get("computes_in"):
        found.append(Mark(f"computes in {computes_in}", f"its code computes in {computes_in}, not in its precision"))
    return found


def address_sets(timing: TimingRecord) -> tuple[int, int] | None:
    """How many placements had addresses of their own, and of how many; None where it is not known, as on the CPU.

    Each visit is counted for itself: it is another process, whose memory is another although its addresses may be the
    same.
    """
    visits = [visit for visit in timing.get("visits", []) if "address_sets" in visit]
    if not visits:
        return None
    return sum(visit["address_sets"] for visit in visits), sum(visit["placements"] for visit in visits)


def _of_addresses(timing: TimingRecord) -> list[Mark]:
    """Placements of one visit at the same addresses are no independent samples."""
    known = address_sets(timing)
    return [FEW_PLACES] if known and known[0] < MIN_PLACEMENTS <= known[1] else []


def _of_notes(notes: Sequence[str]) -> list[Mark]:
    return [Mark(NOTE, note) for note in notes if not note.startswith(PLAIN_NOTES)]


def of_comparison(record: Record, baseline: Record | None) -> str:
    """The marks of a case and of the one that it is held against, and how many times as much it processes."""
    own, other = short_marks(record), short_marks(baseline) if baseline else ""
    return "; ".join(filter(None, (own, f"baseline: {other}" if other else "", other_samples(record, baseline))))


def other_samples(record: Record, baseline: Record | None) -> str:
    """``2× the samples``: of a case that processes more or fewer in a call than its baseline, else empty.

    So it is where each process adds work of its own (weak scaling): the ratio of times is no speed-up then.
    """
    own, others = (of["cost"].get("samples") if of else None for of in (record, baseline))
    return f"{own / others:.3g}× the samples" if own and others and own != others else ""


def by_id(records: Iterable[Record]) -> Mapping[str, Record]:
    """Case id → its record."""
    return {record["case"]["id"]: record for record in records}


def _listed(ids: Sequence[str], shown: int) -> str:
    more = len(ids) - shown
    return ", ".join(ids[:shown]) + (f" and {more} more" if more > 0 else "")
