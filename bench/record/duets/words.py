"""The results of a duet in words, the same in the terminal and in the report. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torchduet.bench.record.duets.gate import judged, memory_of
from torchduet.bench.record.duets.knob import knob, knob_headline
from torchduet.bench.record.schema import VERDICTS, AgainstRecord, DuetRecord, Record, Verdict
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.bench.record.units import MARK, MAX_ROWS, factor, size
from torchduet.bench.record.words.counting import plural

WIDE = 100.0  # an interval whose upper end is so many times its lower one is not shown
LOOKED = "looked different, but "  # by earlier writers: begins the note of a case that was not confirmed


def headline(duet: DuetRecord, records: Sequence[Record]) -> str:
    """The answer in a sentence.

    ``Of 61 cases, 3 are slower in B (torch 2.13.0) than in A (torch 2.12.0); 58 are the same.``
    ``Your change makes 1 of 12 cases slower than main, 1a2b3c4; 11 are the same.``
    ``With OMP_NUM_THREADS=1: 1.07× as fast in 1 of 5 cases; 4 are the same.``
    """
    measured = [record for record in records if "against" in record]
    numbers = Counter(record["against"]["verdict"] for record in judged(measured) or measured)
    total = sum(numbers.values())
    if not total:
        return "No case was measured on both sides."
    if name := knob(duet):
        return f"{knob_headline(name, measured)}."
    rest = [_are(numbers["same"], "the same")] if numbers["same"] else []
    rest += [_are(numbers["unclear"], "unclear")] if numbers["unclear"] else []
    tail = f"; {', '.join(rest)}" if rest else ""
    cases = f"{plural(total, 'case')}"
    moved_to: tuple[Verdict, ...] = ("slower", "faster")
    different = [verdict for verdict in moved_to if numbers[verdict]]
    if duet["base"].get("rev") is not None and duet["against"].get("rev") is None:
        moved = " and ".join(f"{numbers[verdict]} of {cases} {verdict}" for verdict in different)
        moved = moved or f"none of {cases} slower or faster"
        base = duet["base"]
        commit = f", {base['commit'][:7]}" if "commit" in base else ""
        return f"Your change makes {moved} than {base['rev']}{commit}{tail}."
    a, b = duet["base"]["label"], duet["against"]["label"]
    sides = "in B than in A, the same interpreter twice" if a == b else f"in B ({b}) than in A ({a})"
    what = " and ".join(_are(numbers[verdict], verdict) for verdict in different) or "none is slower or faster"
    return f"Of {cases}, {what} {sides}{tail}."


def _are(number: int, what: str) -> str:
    return f"{number} {'is' if number == 1 else 'are'} {what}"


def ordered(records: Sequence[Record]) -> list[Record]:
    """The records of a duet by verdict: slower, faster, unclear, same; within a verdict the largest effect first."""
    ranks = {verdict: rank for rank, verdict in enumerate(("slower", "faster", "unclear", "same"))}
    assert set(ranks) == set(VERDICTS)
    return sorted(
        (record for record in records if "against" in record),
        key=lambda record: (
            ranks[record["against"]["verdict"]],
            -max(record["against"]["ratio"], 1 / record["against"]["ratio"]),
        ),
    )


def factor_table(records: Sequence[Record], max_rows: int = MAX_ROWS) -> list[str]:
    """A line per case: B's speed-up over A, the slower cases first."""
    rows = ordered(records)
    if not rows:
        return []
    shown = rows[:max_rows]
    width = max(len(record["case"]["id"]) for record in shown)
    lines = [f"{'case':<{width}}  {'A / B':>8}  {'interval':<17}  pairs  verdict"]
    for record in shown:
        against = record["against"]
        interval = f"{factor(against['low'])} to {factor(against['high'])}" if is_narrow(against) else "too wide"
        lines.append(
            f"{record['case']['id']:<{width}}  {factor(against['ratio']):>8}  {interval:<17}  {against['pairs']:>5}  "
            f"{MARK[against['verdict']]} {against['verdict']}{_stage(against)}"
        )
    if len(shown) < len(rows):
        lines.append(f"… and {len(rows) - len(shown)} more; the report has all of them")
    notes = Counter(record["against"]["note"] for record in rows if "note" in record["against"])
    return lines + [f"{plural(number, 'case')}: {note}" for note, number in notes.items()]


def is_narrow(against: AgainstRecord) -> bool:
    """Whether there is an interval whose ends say anything."""
    low, high = against["low"], against["high"]
    return low is not None and high is not None and high < WIDE * low


def _stage(against: AgainstRecord) -> str:
    if "pair_ratios" in against:
        return ", too few pairs" if against["stage"] == "screened" else ""
    return ", confirmed" if against["stage"] == "confirmed" else ""


def memory_lines(records: Sequence[Record]) -> list[str]:
    """A line per case whose peak memory differs between the sides: ``1.2 MB in A, 2.4 MB in B``."""
    lines = []
    for record in ordered(records):
        against = record["against"]
        if (change := memory_of(against)) in ("more", "less"):
            base, new = (size(against[key]) for key in ("base_peak_bytes", "peak_bytes"))
            lines.append(f"{record['case']['id']}: B needs {change} memory, {new} at its peak instead of {base} in A")
    more = len(lines) - MAX_ROWS
    return lines[:MAX_ROWS] + ([f"… and {more} more; the report has all of them"] if more > 0 else [])


def controls(records: Sequence[Record]) -> list[str]:
    """What the cases say that a change cannot reach; nothing where there are none."""
    verdicts = Counter(record["against"]["verdict"] for record in records if record.get("against", {}).get("control"))
    if not verdicts:
        return []
    number = sum(verdicts.values())
    what = f"{plural(number, 'control')}, which the change cannot reach"
    if moved := verdicts["slower"] + verdicts["faster"]:
        return [f"{moved} of {what}: different all the same, so the machine or the build may differ between the sides"]
    return [f"{what}: {', '.join(f'{count} {verdict}' for verdict, count in verdicts.items())}"]


def stages(duet: DuetRecord, records: Sequence[Record] = ()) -> str:
    """How the verdicts came about: how many pairs of processes measured the cases of these records.

    Of a duet by an earlier writer, which confirmed some cases by further pairs alone: how many of them.
    """
    if any("pair_ratios" in record["against"] for record in records if "against" in record):
        return _pairs(duet, records)
    confirmed, screened = duet["confirmed"], duet["screened"]
    second = (
        "none was measured a second time"
        if not confirmed
        else f"{confirmed} that looked different {'was' if confirmed == 1 else 'were'} measured again in fresh "
        f"processes and judged by that alone, at {duet['confidence'] * 100:.0f} % for all together"
    )
    notes = (record["against"].get("note", "") for record in records if "against" in record)
    reasons = Counter(note.removeprefix(LOOKED) for note in notes if note.startswith(LOOKED))
    sentences = [f"{screened} case{'s were' if screened != 1 else ' was'} screened; {second}."]
    sentences += [
        f"{number}{' more' if confirmed else ''} looked different, but {why}." for why, number in reasons.most_common(3)
    ]
    return " ".join(sentences)


def _pairs(duet: DuetRecord, records: Sequence[Record]) -> str:
    pairs = [record["against"]["pairs"] for record in records if "against" in record]
    few, many = min(pairs), max(pairs)
    number = f"{few}" if few == many else f"{few} to {many}"
    sentences = [
        f"Each case was measured in {number} pair{'s' if many > 1 else ''} of fresh processes; slower and faster, by "
        f"more than {duet.get('threshold', THRESHOLD) * 100:g} %, hold at {duet['confidence'] * 100:.0f} % for all "
        f"{len(pairs)} together."
    ]
    if too_few := sum(record["against"]["stage"] == "screened" for record in records if "against" in record):
        cases = "1 case has" if too_few == 1 else f"{too_few} cases have"
        sentences.append(f"{cases} too few pairs for a verdict; raise --budget.")
    return " ".join(sentences)
