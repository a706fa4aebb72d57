"""The results of a duet in words, the same in the terminal and in the report. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torchduet.bench.record.duets import two_times
from torchduet.bench.record.duets.gate import is_blind, judged, memory_of
from torchduet.bench.record.duets.knob import knob_headline
from torchduet.bench.record.duets.sides import OPPOSITE, Sides, from_new, sides
from torchduet.bench.record.schema import VERDICTS, AgainstRecord, DuetRecord, Record, Verdict
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.bench.record.units import MARK, MAX_ROWS, digits, factor, ratio_interval, seconds, size
from torchduet.bench.record.units import WIDE as VERY_WIDE
from torchduet.bench.record.words.case_names import short_names
from torchduet.bench.record.words.counting import plural

WIDE = 100.0  # an interval whose upper end is so many times its lower one is not in a sentence
TOO_WIDE = 10.0  # one whose upper end is so many times its lower one decides nothing
MOVED: tuple[Verdict, ...] = ("slower", "faster")
LOOKED = "looked different, but "  # by earlier writers: begins the note of a case that was not confirmed


def headline(duet: DuetRecord, records: Sequence[Record]) -> str:
    """The answer in a sentence, with the case and its factor.

    ``Your change makes layers.net take 1.08 times as long (1.07 to 1.10); 4 are the same.``
    ``Your change makes 2 of 12 cases slower than main: layers.net takes 1.80 times as long; 10 are the same.``
    ``With torch 2.13.0, 3 of 61 cases are slower than with torch 2.12.0: …``
    ``With OMP_NUM_THREADS=1: 1.07× as fast in 1 of 5 cases; 4 are the same.``
    """
    return f"{title(duet, records)}{_rest(duet, records)}."


def title(duet: DuetRecord, records: Sequence[Record]) -> str:
    """The answer without the cases that did not move, and without a full stop."""
    of, counted = sides(duet), _counted(duet, records)
    total = len(counted)
    if not total:
        return "No case was measured on both sides"
    names = short_names([record["case"]["id"] for record in counted if "case" in record])
    moved = [record for record in ordered(counted) if record["against"]["verdict"] in OPPOSITE]
    if is_blind(counted):
        which = "the only case" if total == 1 else f"any of {total} cases"
        return f"This duet can give no verdict on {which}: the pairs differ too much, or are too few"
    if len(moved) == 1:
        name = names[moved[0]["case"]["id"]]
        return _of_one(of, name, moved[0]["against"])
    if of.knob:
        spans = knob_headline(of.knob, [record for record in records if "against" in record])
        return spans.partition(";")[0]
    subject, compared = _subject(of)
    if not moved and all(record["against"]["verdict"] == "unclear" for record in counted):
        which = next(iter(names.values()), "the only case") if total == 1 else f"any of {plural(total, 'case')}"
        if of.revision:
            return f"Not known yet whether your change makes {which} slower or faster than {of.base}"
        return f"{subject} it is not known yet whether {which} is slower or faster{compared}"
    if not moved:
        cases = plural(total, "case")
        if total == 1:
            name = next(iter(names.values()), "the only case")
            change = f"Your change makes {name}" if of.revision else f"{subject} {name} is"
            return f"{change} neither slower nor faster{f' than {of.base}' if of.revision else compared}"
        if of.revision:
            return f"Your change makes none of {cases} slower or faster than {of.base}"
        return f"{subject} none of {cases} is slower or faster{compared}"
    first = f"{names[moved[0]['case']['id']]} {times_words(moved[0]['against'])}"
    numbers = [(verdict, sum(record["against"]["verdict"] == verdict for record in moved)) for verdict in MOVED]
    (verdict, number), *others = [(verdict, number) for verdict, number in numbers if number]
    are = "" if of.revision else "is " if number == 1 else "are "
    what = " and ".join([f"{number} of {total} cases {are}{verdict}", *(f"{count} {word}" for word, count in others)])
    if of.revision:
        return f"Your change makes {what} than {of.base}: {first}"
    return f"{subject} {what}{compared}: {first}"


def heading(duet: DuetRecord) -> str:
    """What is compared: ``yours against main``, ``with and without tcmalloc``, ``the same interpreter twice``."""
    of = sides(duet)
    if of.knob:
        return f"with and without {of.knob}"
    return "the same interpreter twice" if of.base == "first" else f"{of.new} against {of.base}"


def times_words(against: AgainstRecord) -> str:
    """``takes 1.80 times as long``, ``is 1.25 times as fast``: of the new side, compared with the base."""
    ratio = against["ratio"]
    return f"takes {digits(1 / ratio)} times as long" if ratio < 1 else f"is {digits(ratio)} times as fast"


def _counted(duet: DuetRecord, records: Sequence[Record]) -> list[Record]:
    shown = from_new(duet, records)
    return judged(shown) or shown


def _subject(of: Sides) -> tuple[str, str]:
    """How a sentence on several cases begins, and what it compares with: ``With torch 2.13.0,``."""
    if of.base == "first":
        return "The same interpreter twice:", ""
    new = _with(of.new)
    return f"{new[0].upper()}{new[1:]},", f" than {_with(of.base)}"


def _with(label: str) -> str:
    """``with torch 2.13.0``; a side that is without a variable says so itself."""
    return label if label.startswith("without ") else f"with {label}"


def _of_one(of: Sides, name: str, against: AgainstRecord) -> str:
    """What happened to one case."""
    low, high, ratio = against["low"], against["high"], against["ratio"]
    slower = ratio < 1
    ends = ((1 / high, 1 / low) if slower else (low, high)) if low and high else (None, None)
    interval = f" ({ratio_interval(*ends)})" if is_narrow(against) else ""
    long, fast = f"{digits(1 / ratio)} times as long{interval}", f"{digits(ratio)} times as fast{interval}"
    if of.revision:
        return f"Your change makes {name} {f'take {long}' if slower else fast}"
    what = f"{name} {f'takes {long}' if slower else f'is {fast}'}"
    if of.knob:
        return f"With {of.knob}: {what}"
    return f"{_subject(of)[0]} {what}{'' if of.base == 'first' else f' as {_with(of.base)}'}"


def _rest(duet: DuetRecord, records: Sequence[Record]) -> str:
    """The cases that did not move: ``; 4 are the same, 1 is unclear``."""
    numbers = Counter(record["against"]["verdict"] for record in _counted(duet, records))
    rest = [_are(numbers["same"], "the same")] if numbers["same"] else []
    rest += [_are(numbers["unclear"], "unclear")] if numbers["unclear"] else []
    return f"; {', '.join(rest)}" if rest else ""


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


def factor_table(duet: DuetRecord, records: Sequence[Record], max_rows: int = MAX_ROWS) -> list[str]:
    """A line per case: both times, base time over new time, the slower cases first."""
    of, rows = sides(duet), ordered(from_new(duet, records))
    if not rows:
        return []
    shown = rows[:max_rows]
    width = max(len(record["case"]["id"]) for record in shown)
    base, new = max(len(of.base), 8), max(len(of.new), 8)
    head = f"{'case':<{width}}  {of.base:>{base}}  {of.new:>{new}}  {'base/new':>8}  {'interval':<17}  pairs  verdict"
    lines = [head]
    for record in shown:
        against = record["against"]
        interval = interval_words(against)
        lines.append(
            f"{record['case']['id']:<{width}}  {seconds(against['base_seconds']):>{base}}  "
            f"{seconds(against['seconds']):>{new}}  {factor(against['ratio']):>8}  {interval:<17}  "
            f"{against['pairs']:>5}  {MARK[against['verdict']]} {against['verdict']}{_stage(against)}"
            f"{f' {two_times.SIGN}' if two_times.differ(against) else ''}"
        )
    if len(shown) < len(rows):
        lines.append(f"… and {len(rows) - len(shown)} more; the report has all of them")
    if any(two_times.differ(record["against"]) for record in shown):
        lines.append(f"{two_times.SIGN} {two_times.WORDS}")
    notes = Counter(record["against"]["note"] for record in rows if "note" in record["against"])
    return lines + [f"{plural(number, 'case')}: {note}" for note, number in notes.items()]


def is_narrow(against: AgainstRecord) -> bool:
    """Whether there is an interval whose ends say anything."""
    low, high = against["low"], against["high"]
    return low is not None and high is not None and high < WIDE * low


def interval_words(against: AgainstRecord) -> str:
    """The interval of a case: ``1.07× to 1.10×``, ``0.020 to 3.9, too wide``, ``none``."""
    low, high = against["low"], against["high"]
    if low is None or high is None:
        return "none"
    return wide_words(low, high) or f"{factor(low)} to {factor(high)}"


def wide_words(low: float | None, high: float | None) -> str:
    """An interval that decides nothing, in short: ``0.020 to 3.9, too wide``; empty if it is none of these."""
    if low is None or high is None or high <= TOO_WIDE * low:
        return ""
    return (
        f"{ratio_interval(low, high) if high > VERY_WIDE * low else f'{digits(low, 2)} to {digits(high, 2)}'}, too wide"
    )


def _stage(against: AgainstRecord) -> str:
    if "pair_ratios" in against:
        return ", too few pairs" if against["stage"] == "screened" else ""
    return ", confirmed" if against["stage"] == "confirmed" else ""


def memory_lines(duet: DuetRecord, records: Sequence[Record]) -> list[str]:
    """A line per case whose peak memory differs between the sides: ``needs more memory, 2.40 MiB instead of …``."""
    lines = []
    for record in ordered(from_new(duet, records)):
        against = record["against"]
        if (change := memory_of(against)) in ("more", "less"):
            base, new = (size(against[key]) for key in ("base_peak_bytes", "peak_bytes"))
            lines.append(f"{record['case']['id']} needs {change} memory, {new} at its peak instead of {base}")
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
