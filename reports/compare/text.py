"""A comparison in words, and for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from torchduet.reports.compare import quietness
from torchduet.reports.compare.match import JUDGED, VERDICTS, Change, Comparison
from torchduet.reports.compare.matrix import Line, cell_of, matrix, what_differs
from torchduet.reports.compare.verdicts import CAUSES, FAMILY_WISE, Finding
from torchduet.reports.read.pytest_benchmark_cautions import PYTEST_BENCHMARK_GUARD
from torchduet.reports.text import units
from torchduet.reports.text.escaping import plain, short

HEAD = ("Case", "Base", "New", "Base / new", "Speed-up", "Noise")
LISTED = ("slower", "faster", "failed", "missing", "new")
TITLES = {"failed": "Failed in the new run", "missing": "Missing from the new run", "new": "New"}


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
        return PYTEST_BENCHMARK_GUARD
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
    """All comparisons as plain text, a section each; of several, first what moved in any of them."""
    sections = ["\n".join(_terminal(one)) for one in comparisons]
    if len(comparisons) > 1:
        sections.insert(0, "\n".join(_side_by_side(comparisons)))
    return "\n".join(sections)


def _side_by_side(comparisons: Sequence[Comparison]) -> Iterator[str]:
    lines = matrix(comparisons)
    moved = [line for line in lines if line.moved]
    yield plain(f"{len(comparisons)} runs against {comparisons[0].base.name}: {moved_anywhere(moved, lines)}")
    yield ""
    for one in comparisons:
        yield plain(f"  {one.new.name}: {', '.join(what_differs(one))}")
    yield ""
    if moved:
        head = ("Case", *(one.new.name for one in comparisons))
        rows = [tuple(map(plain, (line.case["id"], *map(cell_of, line.changes)))) for line in moved]
        yield from _aligned(tuple(map(plain, head)), rows)
        yield ""


def moved_anywhere(moved: Sequence[Line], lines: Sequence[Line]) -> str:
    """``3 of 61 cases moved in any of them``."""
    are = "case" if len(lines) == 1 else "cases"
    return f"{len(moved) or 'none'} of {len(lines)} {are} moved in any of them"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> Iterator[str]:
    """Rows under their head, numbers to the right; the columns named to the left."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            text.ljust(width) if place in left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(["", *cells]).rstrip()


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
        yield from _aligned(HEAD, [tuple(map(plain, row_of(change))) for change in found], (0, len(HEAD) - 1))
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
