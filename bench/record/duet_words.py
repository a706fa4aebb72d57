"""What a duet found, in words: the same in the terminal and in the report. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torchduet.bench.record.schema import VERDICTS, DuetRecord, Record
from torchduet.bench.record.units import MARK, MAX_ROWS, factor

LOOKED = "looked different, but "  # how the note of a case begins that was to be confirmed and was not


def headline(duet: DuetRecord, records: Sequence[Record]) -> str:
    """``Of 61 cases, 3 are slower in B (torch 2.13.0) than in A (torch 2.12.0); 55 are the same, 3 unclear.``"""
    found = Counter(record["against"]["verdict"] for record in records if "against" in record)
    total = sum(found.values())
    if not total:
        return "No case was measured on both sides."
    a, b = duet["base"]["label"], duet["against"]["label"]
    sides = "in B than in A, the same interpreter twice" if a == b else f"in B ({b}) than in A ({a})"
    moved = [_are(found[verdict], verdict) for verdict in ("slower", "faster") if found[verdict]]
    rest = [_are(found["same"], "the same")] if found["same"] else []
    rest += [_are(found["unclear"], "unclear")] if found["unclear"] else []
    tail = f"; {', '.join(rest)}" if rest else ""
    return (
        f"Of {total} case{'s' if total > 1 else ''}, {' and '.join(moved) or 'none is slower or faster'} {sides}{tail}."
    )


def _are(number: int, what: str) -> str:
    return f"{number} {'is' if number == 1 else 'are'} {what}"


def ordered(records: Sequence[Record]) -> list[Record]:
    """The records of a duet: what got slower first, the strongest first, then faster, unclear, same."""
    places = {verdict: place for place, verdict in enumerate(("slower", "faster", "unclear", "same"))}
    assert set(places) == set(VERDICTS)
    return sorted(
        (record for record in records if "against" in record),
        key=lambda record: (
            places[record["against"]["verdict"]],
            -max(record["against"]["ratio"], 1 / record["against"]["ratio"]),
        ),
    )


def factor_table(records: Sequence[Record], most: int = MAX_ROWS) -> list[str]:
    """A line per case: B's speed-up over A; what got slower first."""
    rows = ordered(records)
    if not rows:
        return []
    shown = rows[:most]
    width = max(len(record["case"]["id"]) for record in shown)
    lines = [f"{'case':<{width}}  {'A / B':>8}  {'interval':<17}  pairs  verdict"]
    for record in shown:
        one = record["against"]
        interval = f"{factor(one['low'])} to {factor(one['high'])}"
        lines.append(
            f"{record['case']['id']:<{width}}  {factor(one['ratio']):>8}  {interval:<17}  {one['pairs']:>5}  "
            f"{MARK[one['verdict']]} {one['verdict']}{', confirmed' if one['stage'] == 'confirmed' else ''}"
        )
    if len(shown) < len(rows):
        lines.append(f"… and {len(rows) - len(shown)} more; the report has them all")
    notes = Counter(record["against"]["note"] for record in rows if "note" in record["against"])
    return lines + [f"{number} case{'s' if number > 1 else ''}: {note}" for note, number in notes.items()]


def stages(duet: DuetRecord, records: Sequence[Record] = ()) -> str:
    """How the verdicts came about, and of how many of these records it did not come to one."""
    confirmed, screened = duet["confirmed"], duet["screened"]
    second = (
        "none was measured a second time"
        if not confirmed
        else f"{confirmed} that looked different {'was' if confirmed == 1 else 'were'} measured again in fresh "
        f"processes and judged by that alone, at {duet['confidence'] * 100:.0f} % for all together"
    )
    notes = (record["against"].get("note", "") for record in records if "against" in record)
    open_for = Counter(note.removeprefix(LOOKED) for note in notes if note.startswith(LOOKED))
    said = [f"{screened} case{'s were' if screened != 1 else ' was'} screened; {second}."]
    said += [
        f"{number}{' more' if confirmed else ''} looked different, but {why}."
        for why, number in open_for.most_common(3)
    ]
    return " ".join(said)
