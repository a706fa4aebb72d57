"""Writes a comparison in sentences, and as text for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from torchduet.bench.record.marks import short_marks
from torchduet.bench.record.words.case_names import short_names
from torchduet.bench.record.words.counting import plural
from torchduet.reports.compare import common_words, memory, quietness
from torchduet.reports.compare.comparison import BLIND, JUDGED, VERDICTS, Change, Comparison
from torchduet.reports.compare.listed import moved, still, title_of
from torchduet.reports.compare.matrix import cell_of, matrix, moved_anywhere, what_differs
from torchduet.reports.compare.reasons import in_words, ratio_of, speedup_of, times_words
from torchduet.reports.compare.unmatched import by_reason
from torchduet.reports.compare.verdicts import CAUSES, FAMILY_WISE
from torchduet.reports.read.pytest_benchmark_cautions import PYTEST_BENCHMARK_GUARD
from torchduet.reports.text import units
from torchduet.reports.text.aligned import aligned
from torchduet.reports.text.escaping import plain, short

ALONE = 0.01  # the chance of a false verdict by an interval at 99 %
HEAD = ("Case", "Base", "New", "Base / new", "Speed-up", "Noise")
MEMORY = "Memory"  # the column before the last, in tables of which a case has changed its peak memory
STILL_HEAD = ("Case", "Base", "New", "Base / new", "In words")
MAX_REASONS = 5
MAX_STILL = 12  # cases that are not shown to have changed, of either verdict


def headline(comparison: Comparison) -> str:
    """The answer in one sentence, with the case and its factor; a factor common to all cases comes first.

    ``layers.net takes 1.80 times as long, 4 cases unchanged``;
    ``2 of 61 cases are slower, 1 faster: layers.net takes 1.80 times as long``. Cases that need more memory come last.
    """
    if not comparison.judged:
        return "No case was measured in both runs"
    parts = [common_words.short_words(comparison.common)] if comparison.common else []
    words = "; ".join(filter(None, (*parts, _cases_moved(comparison), memory.need_more(comparison))))
    return f"{words[0].upper()}{words[1:]}" if parts else words


def _cases_moved(comparison: Comparison) -> str:
    total = comparison.judged
    slower, faster, same, unclear = (len(comparison.of(verdict)) for verdict in ("slower", "faster", "same", "unclear"))
    if comparison.blind:
        return "this pair of runs can give no verdict" if comparison.common else "This pair of runs can give no verdict"
    first = next(iter((*comparison.of("slower"), *comparison.of("faster"))), None)
    if first is None:
        if same == total:
            return "The only case is unchanged" if total == 1 else f"All {plural(total, 'case')} are unchanged"
        if unclear == total:
            return f"No change is shown, {'the only case is' if total == 1 else f'all {total:,} cases are'} unclear"
        return f"No change is shown in {plural(total, 'case')}: {same:,} unchanged, {unclear:,} unclear"
    assert first.time is not None
    names = short_names([change.case["id"] for change in comparison.changes if change.time])
    what = f"{names[first.case['id']]} {times_words(first.time)}"
    if slower + faster > 1:
        counts = f"{slower:,} of {plural(total, 'case')} {_are(slower)} slower" if slower else ""
        others = f"{faster:,} faster" if slower else f"{faster:,} of {plural(total, 'case')} are faster, none slower"
        return f"{', '.join(filter(None, (counts, others if faster or not slower else 'none faster')))}: {what}"
    rest = [f"{plural(same, 'case')} unchanged" if same else "", f"{unclear:,} unclear" if unclear else ""]
    return ", ".join(filter(None, (what, *rest)))


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def tally(comparison: Comparison) -> str:
    """How many of each verdict: ``2 slower, 1 faster, 30 same, 28 unclear; 1 missing``."""
    counts = Counter(change.verdict for change in comparison.changes)
    judged, unmatched = (
        ", ".join(f"{counts[verdict]} {verdict}" for verdict in verdicts if counts[verdict])
        for verdicts in (JUDGED, VERDICTS[len(JUDGED) :])
    )
    return "; ".join(filter(None, (judged, unmatched)))


def why_unclear(comparison: Comparison) -> list[str]:
    """How many verdicts are unclear for each cause, the most frequent first."""
    findings = [change.time for change in comparison.of("unclear") if change.time]
    counts = Counter(finding.cause for finding in findings)
    first = {finding.cause: finding.why for finding in reversed(findings)}
    examples = {cause: f" ({first[cause]})" for cause in ("withheld",) if cause in first}
    return [f"{number} because {CAUSES[cause]}{examples.get(cause, '')}" for cause, number in counts.most_common()]


def no_verdict(comparison: Comparison) -> str:
    """Why no case can have a verdict, and what may give some; empty where any can."""
    if not comparison.blind:
        return ""
    reasons = f"This pair of runs can give no verdict: {'; '.join(why_unclear(comparison))}."
    if comparison.common:
        return reasons
    return (
        f"{reasons} No case would be called slower if it took {BLIND} times as long. Use a duet (torchduet against), "
        "which compares in alternation, or a quieter machine and a longer --budget for both runs."
    )


def sensitivity(comparison: Comparison) -> str:
    """From which slow-down on half of the cases would be called slower; empty where that is infinite, or too much."""
    if comparison.shown_from is None or comparison.blind:
        return ""
    return f"Half of the cases would be called slower if they took {units.digits(comparison.shown_from)} times as long."


def expectation(comparison: Comparison) -> str:
    """The expected number of false alarms."""
    together = f"{comparison.asked} times and speed-ups are" if comparison.asked != 1 else "1 time or speed-up is"
    words = (
        f"{together} judged together (Holm’s procedure). If nothing changed, the chance of any verdict "
        f"“faster” or “slower” is at most {units.percent(FAMILY_WISE)}: expect {FAMILY_WISE:g} false alarms."
    )
    alone = comparison.asked * ALONE
    if alone <= FAMILY_WISE:  # of so few, judging together gives no fewer
        return words
    figure = units.digits(alone, 1 if alone < 0.1 else 2)
    return f"{words} If each were judged alone at {units.percent(1 - ALONE)}, it would be {figure}."


def guard(comparison: Comparison) -> str:
    """How changes of the machine itself are kept out of the verdicts on times."""
    if comparison.of_pytest_benchmark:
        return PYTEST_BENCHMARK_GUARD
    if comparison.guarded and comparison.visits:
        return (
            "The pilots around each visit measure how much the machine itself changed between the runs; every verdict "
            "allows for it."
        )
    if comparison.guarded:
        return "The pilots beside each family measure how much the machine itself changed; every verdict allows for it."
    return (
        "Not both runs have pilots, so nothing measures how much the machine itself changed. Each case’s reference "
        "and the median over all families stand in for them: a change that a whole family shares counts as the "
        "machine’s. A case alone in its family is not judged."
    )


def visits(comparison: Comparison) -> str:
    """How often either run visited its families: what their intervals rest on; empty for runs without visits."""
    if comparison.visits is None:
        return ""
    words = [
        f"{run.name} visited each case {fewest}{f' to {most}' if most > fewest else ''} time{'s' * (most > 1)}"
        for run, (fewest, most) in zip((comparison.base, comparison.new), comparison.visits, strict=True)
    ]
    return f"{' and '.join(words)}: intervals cover what differs from process to process and from minute to minute."


def terminal(comparisons: Sequence[Comparison], *, verbose: bool = False) -> str:
    """All comparisons as plain text, a section each; for several, first the cases that changed in any of them.

    Args:
        verbose: list each case that only one run has; else one line for each reason.
    """
    sections = ["\n".join(_terminal(comparison, verbose=verbose)) for comparison in comparisons]
    if len(comparisons) > 1:
        sections.insert(0, "\n".join(_side_by_side(comparisons)))
    return "\n".join(sections)


def _side_by_side(comparisons: Sequence[Comparison]) -> Iterator[str]:
    lines = matrix(comparisons)
    shown = [line for line in lines if line.moved]
    yield plain(f"{len(comparisons)} runs against {comparisons[0].base.name}: {moved_anywhere(shown, lines)}")
    yield ""
    for comparison in comparisons:
        first = f"{common_words.short_words(comparison.common)}; " if comparison.common else ""
        yield plain(f"  {comparison.new.name}: {first}{', '.join(what_differs(comparison))}")
    yield ""
    if shown:
        head = ("Case", *(comparison.new.name for comparison in comparisons))
        rows = [tuple(map(plain, (line.case["id"], *map(cell_of, line.changes)))) for line in shown]
        yield from aligned(tuple(map(plain, head)), rows)
        yield ""


def _terminal(comparison: Comparison, *, verbose: bool) -> Iterator[str]:
    yield plain(f"{comparison.new.name} against {comparison.base.name}: {headline(comparison)}")
    yield ""
    if comparison.common:
        yield from (plain(common_words.sentence(comparison)), "")
    if sentence := no_verdict(comparison):
        yield from (plain(sentence), "")
    width = max((len(difference.name) for difference in comparison.differences), default=0)
    for difference in comparison.differences:
        yield plain(f"  {difference.name:{width}}  {difference.base} → {difference.new}")
    for caution in comparison.cautions:
        yield plain(f"  ! {caution}")
    if comparison.differences or comparison.cautions:
        yield ""
    groups = moved(comparison)
    for group in ("slower", "faster"):
        if changes := groups.pop(group, []):
            yield from _section(group, changes)
    if failed := comparison.of("failed"):
        yield from _section("failed", failed)
    for group, changes in groups.items():
        yield from _section(group, changes)
    for verdict, changes in still(comparison).items():
        yield from _still(verdict, changes, len(changes) if verbose else MAX_STILL)
    for verdict in ("missing", "new"):
        if changes := comparison.of(verdict):
            yield from _section(verdict, changes) if verbose else _by_reason(verdict, changes)
    yield plain(f"{tally(comparison)}.")
    for reason in () if comparison.blind else why_unclear(comparison):
        yield plain(f"  unclear: {reason}")
    if sentence := memory.sentence(comparison):
        yield sentence
    if sentence := sensitivity(comparison):
        yield sentence
    for sentence in quietness.of_runs(comparison):
        yield plain(sentence)
    if sentence := visits(comparison):
        yield plain(sentence)
    yield guard(comparison)
    yield expectation(comparison)


def _section(verdict: str, changes: Sequence[Change]) -> Iterator[str]:
    yield f"{title_of(verdict)} ({len(changes)})"
    if verdict in ("failed", "missing", "new"):
        for change in changes:
            yield plain(f"  {short(change.case['id'])}: {change.why}")
    else:
        head, rows = table_of(changes)
        yield from aligned(head, [tuple(map(plain, row)) for row in rows], (0, len(head) - 1))
    yield ""


def _still(verdict: str, changes: Sequence[Change], most: int) -> Iterator[str]:
    """The cases that are not shown to have changed: times, ratio, and of the unclear ones why and what to do."""
    yield f"{title_of(verdict)} ({len(changes)})"
    yield from aligned(STILL_HEAD, [tuple(map(plain, still_row(change))) for change in changes[:most]], (0, 4))
    if len(changes) > most:
        yield f"  and {len(changes) - most:,} more (--verbose lists them)"
    yield ""


def still_row(change: Change) -> tuple[str, ...]:
    """The cells of a case that is not shown to have changed, in the order of ``STILL_HEAD``."""
    case, base, new, ratio, *_ = _row_of(change)
    return case, base, new, ratio, in_words(change)


def _by_reason(verdict: str, changes: Sequence[Change]) -> Iterator[str]:
    """A line for each reason why cases are in one run only, and how to see them all."""
    groups = by_reason(changes)
    for why, group in list(groups.items())[:MAX_REASONS]:
        cases = f"{len(group)} cases" if len(group) > 1 else short(group[0].case["id"])
        hint = " (--verbose lists them)" if len(group) > 1 else ""
        yield plain(f"{title_of(verdict)}: {cases}: {why}{hint}")
    if left := sum(map(len, list(groups.values())[MAX_REASONS:])):
        yield f"{title_of(verdict)}: {left} more for other reasons (--verbose lists them)"
    yield ""


def table_of(changes: Sequence[Change]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The head and the rows of a table of cases; with a column of peak memory only if that of any has changed."""
    rows = [_row_of(change) for change in changes]
    peaks = list(map(memory.words, changes))
    if not any(peaks):
        return HEAD, rows
    return (*HEAD[:-1], MEMORY, HEAD[-1]), [(*row[:-1], peak, row[-1]) for row, peak in zip(rows, peaks, strict=True)]


def _row_of(change: Change) -> tuple[str, ...]:
    """A case's cells in the order of ``HEAD``; empty where there is no figure."""
    base, new = (units.seconds(record["timing"]["seconds"]) if record else "" for record in (change.base, change.new))
    return (
        short(change.case["id"]),
        base,
        new,
        ratio_of(change.time),
        speedup_of(change.speedup),
        noise_and_marks(change),
    )


def noise_and_marks(change: Change) -> str:
    """The noise of both runs, and the marks of the case."""
    return "; ".join(filter(None, (quietness.of_case(change), marks_of(change))))


def marks_of(change: Change) -> str:
    """What a case's figures depend on in either run: ``not checked``; empty where nothing is marked."""
    if not change.case["device"]:
        return ""  # of plain pytest-benchmark, which checks nothing
    base, new = (short_marks(record) if record else "" for record in (change.base, change.new))
    if base == new or not change.base or not change.new:
        return new or base
    return f"base {base or 'unmarked'}, new {new or 'unmarked'}"
