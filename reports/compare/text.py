"""A comparison in words: for the terminal, and as Markdown for a comment on a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reports import units
from reports.compare import quietness
from reports.compare.match import JUDGED, VERDICTS, Change, Comparison
from reports.compare.verdicts import CAUSES, FAMILY_WISE, Finding
from reports.harmless import cell, plain, short
from reports.plain_words import PLAIN_GUARD

HEAD = ("Case", "Base", "New", "Base / new", "Speed-up", "Noise")
LISTED = ("slower", "faster", "failed", "missing", "new")
TITLES = {"failed": "Failed in the new run", "missing": "Missing from the new run", "new": "New"}
LEGEND = "Base / new: how many times as fast (above 1× is faster), with its 99 % interval. Speed-up: what became of it."


def headline(one: Comparison) -> str:
    """The answer in one sentence: ``2 of 61 cases are slower, 1 faster``."""
    if not one.judged:
        return "No case was measured in both runs"
    slower, faster = len(one.of("slower")), len(one.of("faster"))
    if not slower and not faster:
        open_ones = len(one.of("unclear"))
        are = f"; {open_ones} {'is' if open_ones == 1 else 'are'} unclear" if open_ones else ""
        return f"None of {one.judged} cases is shown to be slower or faster{are}"
    if not slower:
        return f"No case is slower, {faster} of {one.judged} {'is' if faster == 1 else 'are'} faster"
    return f"{slower} of {one.judged} cases {'is' if slower == 1 else 'are'} slower, {faster or 'none'} faster"


def tally(one: Comparison) -> str:
    """How many of each verdict: ``2 slower, 1 faster, 30 same, 28 unclear; 1 missing``."""
    counted = Counter(change.verdict for change in one.changes)
    judged, others = (
        ", ".join(f"{counted[verdict]} {verdict}" for verdict in some if counted[verdict])
        for some in (JUDGED, VERDICTS[len(JUDGED) :])
    )
    return "; ".join(filter(None, (judged, others)))


def why_unclear(one: Comparison) -> list[str]:
    """How many verdicts each cause keeps open, the most frequent first."""
    counted = Counter(change.time.cause for change in one.of("unclear") if change.time)
    return [f"{number} because {CAUSES[cause]}" for cause, number in counted.most_common()]


def expectation(one: Comparison) -> str:
    """How many false alarms to expect."""
    return (
        f"{one.asked} times and speed-ups are judged together (Holm’s procedure): where nothing changed, the chance "
        f"that any of them is called faster or slower is held to {units.percent(FAMILY_WISE)}, so expect "
        f"{FAMILY_WISE:g} false alarms. Judged one by one at 99 % it would be {one.asked * 0.01:.1f}."
    )


def guard(one: Comparison) -> str:
    """What guards the absolute times."""
    if one.plain:
        return PLAIN_GUARD
    if one.guarded:
        return "How far the machine itself moved is taken from the pilots beside each family; no verdict rests on less."
    return (
        "Not both runs have pilots, so that nothing says how far the machine itself moved. Each case’s reference and "
        "the median over all families stand in for them: what a whole family has in common is taken for the machine’s, "
        "and no case alone in its family is judged."
    )


def speedups_moved(one: Comparison) -> list[Change]:
    """Cases whose speed-up is shown to have changed though their time is not."""
    return [
        change
        for change in one.changes
        if change.speedup
        and change.speedup.verdict in ("slower", "faster")
        and change.verdict != change.speedup.verdict
    ]


def terminal(comparisons: Sequence[Comparison]) -> str:
    """All comparisons as plain text, a section each."""
    return "\n".join("\n".join(_terminal(one)) for one in comparisons)


def _terminal(one: Comparison) -> Iterator[str]:
    yield plain(f"{one.new.name} against {one.base.name}: {headline(one)}")
    yield ""
    width = max((len(difference.name) for difference in one.differences), default=0)
    for difference in one.differences:
        yield plain(f"  {difference.name:{width}}  {difference.base} → {difference.new}")
    for caution in one.cautions:
        yield plain(f"  ! {caution}")
    if one.differences or one.cautions:
        yield ""
    for verdict in LISTED:
        if found := one.of(verdict):
            yield from _section(verdict, found)
    if moved := speedups_moved(one):
        yield from _section("speed-up alone", moved)
    yield plain(f"{tally(one)}.")
    for reason in why_unclear(one):
        yield f"  unclear: {reason}"
    for sentence in quietness.of_runs(one):
        yield plain(sentence)
    yield guard(one)
    yield expectation(one)


def _section(verdict: str, found: Sequence[Change]) -> Iterator[str]:
    yield f"{title_of(verdict)} ({len(found)})"
    if verdict in ("failed", "missing", "new"):
        for change in found:
            yield plain(f"  {short(change.case['id'])}: {change.why}")
    else:
        rows = [tuple(map(plain, row_of(change))) for change in found]
        widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=False)]
        for row in (HEAD, *rows):
            first, *rest, noise = row
            cells = [text.rjust(width) for text, width in zip(rest, widths[1:], strict=False)]
            yield "  ".join(["", first.ljust(widths[0]), *cells, noise]).rstrip()
    yield ""


def title_of(verdict: str) -> str:
    """The heading over cases of one verdict."""
    if verdict == "speed-up alone":
        return "Only the speed-up is shown to have changed, by the case or by its reference"
    return TITLES.get(verdict, verdict.capitalize())


def row_of(change: Change) -> tuple[str, str, str, str, str, str]:
    """A case's cells as in ``HEAD``; empty where there is nothing."""
    base, new = (units.seconds(one["timing"]["seconds"]) if one else "" for one in (change.base, change.new))
    return (
        short(change.case["id"]),
        base,
        new,
        ratio_of(change.time),
        speedup_of(change.speedup),
        quietness.of_case(change),
    )


def ratio_of(finding: Finding | None) -> str:
    """``0.88× (0.84 to 0.91)``."""
    if finding is None:
        return ""
    interval = units.ratio_interval(finding.low, finding.high)
    return f"{units.ratio(finding.ratio)} ({interval})" if interval else units.ratio(finding.ratio)


def speedup_of(finding: Finding | None) -> str:
    """``0.89× slower``."""
    return f"{units.ratio(finding.ratio)} {finding.verdict}" if finding else ""


def markdown(comparisons: Sequence[Comparison]) -> str:
    """All comparisons as Markdown: the answer, what changed, and folded what else there is to know."""
    return "\n".join("\n".join(_markdown(one)) for one in comparisons)


def _markdown(one: Comparison) -> Iterator[str]:
    yield f"### {cell(headline(one))}"
    yield ""
    yield f"{cell(one.new.name)} against {cell(one.base.name)}: {tally(one)}."
    yield ""
    for caution in one.cautions:
        yield f"> **Note:** {cell(caution)}"
        yield ""
    if one.differences:
        yield from _table(("Differs", "Base", "New"), [(two.name, two.base, two.new) for two in one.differences])
    if moved := [*one.of("slower"), *one.of("faster"), *speedups_moved(one)]:
        rows = [(change.verdict, *row_of(change)) for change in moved]
        yield from _table(("Verdict", *HEAD), rows)
    if others := [change for verdict in ("failed", "missing", "new") for change in one.of(verdict)]:
        yield from _table(
            ("Verdict", "Case", "Why"), [(change.verdict, short(change.case["id"]), change.why) for change in others]
        )
    yield "<details><summary>How this was judged</summary>"
    yield ""
    unclear = [f"Unclear: {reason}." for reason in why_unclear(one)]
    for line in (*unclear, LEGEND, *quietness.of_runs(one), guard(one), expectation(one)):
        yield f"- {cell(line)}"
    yield ""
    yield "</details>"
    yield ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell(text) for text in row) + " |"
    yield ""
