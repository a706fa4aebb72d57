"""Says what cannot be concluded from runs on several machines, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.bench.record.machines.facts import OTHER, SELECTION, SETTING, SOFTWARE
from torchduet.bench.record.schema import DISTURBED, GRADES, NOISY, QUIET, Grade
from torchduet.reports.compare.settings import Difference, differences
from torchduet.reports.machines.columns import Column
from torchduet.reports.machines.leaders import UNKNOWN
from torchduet.reports.machines.matrix import Row

MAX_NAMED = 4
TOO_LONG = ": the times may be too long."  # what follows from a disturbance
ABSENT = frozenset(("none", "not given"))  # in words: a fact that one machine does not have, such as a GPU's driver
NOT_IN_ALTERNATION = (
    "Two machines are compared as two runs, not in alternation: a lead says how these machines did, not which part of "
    "them is the cause."
)


def cautions(found: Sequence[Column], base: int = 0) -> list[str]:
    """What a reader must know before concluding, the gravest first; nothing for one machine.

    Args:
        base: the index of the machine that the others are held against.
    """
    if len(found) < 2:
        return []
    return [
        NOT_IN_ALTERNATION,
        *_differing(found, base),
        *filter(None, [disturbed(found)]),
        *_noisy(found),
        *_ended_early(found),
    ]


def between(found: Sequence[Column], base: int) -> list[tuple[Column, list[Difference]]]:
    """How the latest run of each other machine differs from that of the base, but for facts without any meaning."""
    return [
        (column, [one for one in differences(found[base].runs[-1], column.runs[-1]) if one.kind != OTHER])
        for at, column in enumerate(found)
        if at != base
    ]


def doubts(found: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
    """On which machines times are doubtful, as cases waited for a core."""
    if len(found) < 2:
        return
    for at, column in enumerate(found):
        number = sum(any(one.doubtful for one in row.cells[at][:1]) for row in rows)
        if number:
            cases = "1 case" if number == 1 else f"{number:,} cases"
            yield f"On {column.name} {cases} waited for a core: such a time may be off by a further {UNKNOWN}×."


def _differing(found: Sequence[Column], base: int) -> Iterator[str]:
    names: dict[str, dict[str, None]] = {SOFTWARE: {}, SETTING: {}, SELECTION: {}}
    for _, listed in between(found, base):
        for difference in listed:
            if difference.kind in names and not ABSENT.intersection((difference.base, difference.new)):
                names[difference.kind][difference.name] = None
    if software := _named(names[SOFTWARE]):
        yield f"Versions differ ({software}): a lead may come from them as well as from the machine."
    if settings := _named(names[SETTING]):
        yield f"Settings differ ({settings}): each machine is judged together with its settings."
    if selection := _named(names[SELECTION]):
        yield f"The runs selected different cases or times ({selection}): cases of one machine only are not compared."


def _named(names: dict[str, None]) -> str:
    listed = [*names]
    more = len(listed) - MAX_NAMED
    return ", ".join([*listed[:MAX_NAMED], *([f"{more} more"] if more > 0 else [])])


def disturbed(found: Sequence[Column]) -> str:
    """Which machines were disturbed while measuring, in a sentence; empty if none was."""
    names = _graded(found, DISTURBED)
    if not names:
        return ""
    return f"{named(names)} {'was' if len(names) == 1 else 'were'} disturbed while measuring{TOO_LONG}"


def _noisy(found: Sequence[Column]) -> Iterator[str]:
    """Which machines were noisy, but not disturbed: their knobs are as sure as ever, and their times are not."""
    names = _graded(found, NOISY)
    if names:
        yield (
            f"{named(names)} {'was' if len(names) == 1 else 'were'} noisy while measuring: another run may give other "
            "times. Speed-ups of knobs are not affected."
        )


def _graded(found: Sequence[Column], grade: Grade) -> list[str]:
    """The machines whose noisiest run has this grade."""
    grades = [
        (column.name, max((run.about.get("noise", {}).get("grade", QUIET) for run in column.runs), key=GRADES.index))
        for column in found
    ]
    return [name for name, worst in grades if worst == grade]


def named(names: Sequence[str]) -> str:
    """Names in a sentence: ``A, B and 3 more``."""
    more = len(names) - MAX_NAMED
    listed = [*names[:MAX_NAMED], *([f"{more} more"] if more > 0 else [])]
    return " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))


def _ended_early(found: Sequence[Column]) -> Iterator[str]:
    for column in found:
        reasons = [why for run in column.runs if (why := run.about.get("stopped"))]
        if reasons:
            yield f"The run on {column.name} ended early: {reasons[0]}."
