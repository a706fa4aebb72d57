"""The answers in sentences: which machine is the fastest, costs least and needs least energy, and where a knob pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.reports.machines.cautions import named
from torchduet.reports.machines.comparison import Comparison
from torchduet.reports.machines.knobs import PAYS, PAYS_NOT, Setting
from torchduet.reports.machines.leaders import Tally
from torchduet.reports.text import units

MAX_NAMED = 4  # machines that a sentence names
MAX_SETTINGS = 3  # knobs that differ
CLOSE = "too close to call"


@dataclass(frozen=True)
class Answer:
    """One answer: what it is about, and its sentences. ``tone`` is its colour in the page."""

    title: str
    sentences: tuple[str, ...]
    tone: str = ""


def headline(of: Comparison) -> str:
    """The answer in one sentence: ``NVIDIA H200 is the fastest in 31 of 40 cases``."""
    if len(of.columns) == 1:
        return f"One machine, {of.columns[0].name}: nothing to choose between"
    if not of.rows:
        return f"Nothing was measured on {'any' if len(of.columns) > 2 else 'either'} machine"
    if not of.time.compared:
        return "No case was measured on two machines"
    first = of.time.order[0]
    if not of.time.wins[first]:
        return f"{CLOSE.capitalize()} in {_cases(of.time.compared)}: no machine is surely the fastest"
    if of.time.mostly_close:
        lead = f"{of.columns[first].name} is the fastest in {of.time.wins[first]:,}"
        return f"{_of(of.time.close, of.time.compared)} are {CLOSE}; {lead}"
    return f"{of.columns[first].name} is the fastest in {_of(of.time.wins[first], of.time.compared)}"


def answers(of: Comparison) -> list[Answer]:
    """All answers, the fastest machine first; those on which nothing is known are left out."""
    given = [
        Answer("Fastest", tuple(filter(None, (_lead(of), _others(of, of.time, "is the fastest")))), "yes"),
        Answer("Costs least", (_counted(of, of.cost, "costs least"),) if of.cost else (), "same"),
        Answer("Least energy", (_counted(of, of.energy, "needs least energy"),) if of.energy.compared else (), "same"),
        Answer("Knobs", tuple(_knobs(of)), "depends"),
        Answer("Missing", tuple(_gaps(of)), "unclear"),
    ]
    return [answer for answer in given if answer.sentences]


def _lead(of: Comparison) -> str:
    """By how much the first machine leads: over the base, else over the one that shares most of the cases."""
    first = of.time.order[0]
    if not of.time.wins[first]:
        return ""
    won = [row for row in of.rows if row.fastest == (first,)]
    shared = {at: sum(bool(row.cells[at]) for row in won) for at in of.time.order if at != first}
    other = of.base if shared.get(of.base) else max(shared, key=lambda at: shared[at])
    ratios = sorted(ratio for row in won if (ratio := row.ratio(first, other)) is not None)
    if not ratios:
        return ""
    lead, name = of.columns[first].name, of.columns[other].name
    least, most = units.ratio(ratios[0]), units.ratio(ratios[-1])
    subject = "In this case" if len(won) == 1 else "In these cases"
    if least == most:
        return f"{subject} {lead} is {least} as fast as {name}."
    return f"{subject} {lead} is {least} to {most} as fast as {name}, {units.ratio(median(ratios))} in the median."


def _others(of: Comparison, counted: Tally, verb: str) -> str:
    """The other machines that win anything, and how many cases nobody wins."""
    if not counted.compared:
        return ""
    winners = [at for at in counted.order[1:] if counted.wins[at]]
    parts = [", ".join(others)] if (others := _winners(of, counted, winners, f"{verb} ")) else []
    if counted.close and counted.wins[counted.order[0]] and not counted.mostly_close:
        parts.append(f"{counted.close} {'is' if counted.close == 1 else 'are'} {CLOSE}")
    return f"{'; '.join(parts)}." if parts else ""


def _winners(of: Comparison, counted: Tally, winners: Sequence[int], verb: str = "") -> list[str]:
    """``NVIDIA H200 is the fastest in 31``, ``AMD EPYC in 9``, ``2 more machines in 3``: the verb is said once."""
    listed = [
        f"{of.columns[at].name} {verb if place == 0 else ''}in {counted.wins[at]:,}"
        for place, at in enumerate(winners[:MAX_NAMED])
    ]
    if rest := winners[MAX_NAMED:]:
        won = sum(counted.wins[at] for at in rest)
        listed.append(f"{len(rest)} more machine{'s' * (len(rest) > 1)} in {won:,}")
    return listed


def _counted(of: Comparison, counted: Tally | None, verb: str) -> str:
    """``AMD EPYC costs least in 9 of 40 cases, NVIDIA H200 in 31; 2 are too close to call.``"""
    if counted is None or not counted.compared:
        return "No case can be compared: fewer than two machines that measured the same case have a price."
    winners = [at for at in counted.order if counted.wins[at]]
    if not winners:
        return f"No machine {verb}: {CLOSE} in {_cases(counted.compared)}."
    first, *others = winners
    text = f"{of.columns[first].name} {verb} in {_of(counted.wins[first], counted.compared)}"
    parts = [", ".join([text, *_winners(of, counted, others)])]
    if counted.close:
        parts.append(f"{counted.close} {'is' if counted.close == 1 else 'are'} {CLOSE}")
    return f"{'; '.join(parts)}."


def _knobs(of: Comparison) -> list[str]:
    """The knobs that are worth turning on one machine and not on another, and how many comparisons disagree."""
    if len(of.columns) < 2:
        return []
    differing = [setting for setting in of.settings if setting.differs]
    sentences = [_setting(of, setting) for setting in differing[:MAX_SETTINGS]]
    if more := differing[MAX_SETTINGS:]:
        sentences.append(f"{len(more)} more knob{'s differ' if len(more) > 1 else ' differs'} by machine.")
    settled = [line for line in of.lines if line.settled]
    opposite = sum(line.disagreement == 2 for line in settled)
    where = f"{units.plural(len(settled), 'comparison')} settled on {'both' if len(of.columns) == 2 else 'two or more'}"
    if opposite:
        sentences.append(f"In {opposite:,} of {where}, a setting is faster on one machine and slower on another.")
    elif settled and not sentences:
        sentences.append(f"No setting is faster on one machine and slower on another, in {where}.")
    elif any(sum(map(bool, line.cells)) > 1 for line in of.lines) and not sentences:
        sentences.append("It cannot be told whether machines differ: no comparison is settled on two of them.")
    return sentences


def _setting(of: Comparison, setting: Setting) -> str:
    """```torch.compile` is worth it on NVIDIA A100 and not on AMD EPYC.``"""
    pays, pays_not = (
        [of.columns[at].name for at, cell in enumerate(setting.cells) if cell and cell.key in keys]
        for keys in (PAYS, PAYS_NOT)
    )
    return f"{setting.title} is worth it on {named(pays)}, and not on {named(pays_not)}."


def _gaps(of: Comparison) -> list[str]:
    """How many cases some machine lacks."""
    if len(of.columns) < 2:
        return []
    alone = sum(row.number == 1 for row in of.rows)
    some = sum(1 < row.number < len(of.columns) for row in of.rows)
    sentences = []
    if some:
        sentences.append(f"{_cases(some)} {'is' if some == 1 else 'are'} missing on some machines.")
    if alone:
        sentences.append(f"{_cases(alone)} {'was' if alone == 1 else 'were'} measured on one machine only.")
    return sentences


def _cases(number: int) -> str:
    return f"{number:,} case{'s' if number != 1 else ''}"


def _of(number: int, total: int) -> str:
    return f"{number:,} of {_cases(total)}"
