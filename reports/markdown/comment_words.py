"""The sentences of a comment: its answer, and what the controls show."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.bench.record.duets.gate import has_too_few_pairs, memory_of
from torchduet.bench.record.schema import AgainstRecord, Record
from torchduet.reports.markdown.comment_outcome import CHANGED, Outcome
from torchduet.reports.text import units
from torchduet.reports.text.escaping import code_span

TOO_FEW = "too few pairs; raise `--budget`"


def headline(outcome: Outcome, threshold: float, not_measured: Sequence[str] = ()) -> str:
    """``**`layers.net` takes 1.08 times as long (1.07 to 1.10)**; 11 same, 2 unclear (noise)``, without a full stop.

    Args:
        threshold: up to which a difference is none.
        not_measured: numbers in words, such as ``1 failed``.
    """
    if not outcome.judged:
        which = "No case that the change can reach" if outcome.controls else "No case"
        return f"**{which} was measured on both sides**, so nothing is known of this change"
    tail = ", ".join([*_rest(outcome), *not_measured])
    if outcome.no_verdict:
        return _no_verdict(outcome, not_measured)
    if not outcome.moved:
        return _nothing_moved(outcome, threshold, not_measured, tail)
    what = _one(outcome.moved[0]) if len(outcome.moved) == 1 else _several(outcome)
    return f"**{what}**{f'; {tail}' if tail else ''}"


def times(against: AgainstRecord) -> str:
    """How many times as long the new side takes: ``1.08``."""
    return units.ratio(1 / against["ratio"]).removesuffix("×")


def interval(against: AgainstRecord) -> str:
    """The interval of :func:`times`: ``1.07 to 1.10``; empty if there is none."""
    low, high = against["low"], against["high"]
    return units.ratio_interval(1 / high, 1 / low) if low and high else ""


def memory_words(against: AgainstRecord) -> str:
    """``10.0 MiB → 15.0 MiB``; one size if it has not changed, and a dash if it is not known."""
    base, new = against.get("base_peak_bytes"), against.get("peak_bytes")
    if base is None or new is None:
        return "–"
    return f"{units.size(base)} → {units.size(new)}" if memory_of(against) in CHANGED else units.size(new)


def control_words(outcome: Outcome) -> str:
    """What the controls show: whether the machine has changed while the sides were timed."""
    controls, moved = outcome.controls, outcome.moved_controls
    if moved:
        one = len(moved) == 1
        which = f"{len(moved)} of {len(controls)} controls" if len(controls) > 1 else "The control"
        what = f"{which} moved, although {'it imports' if one else 'they import'} none of the changed files"
        return f"{what}: {_one(moved[0])}; so the machine may have changed, too"
    one = len(controls) == 1
    which = f"{len(controls)} control{'' if one else 's'}, which import{'s' if one else ''} none of the changed files,"
    same = sum(record["against"]["verdict"] == "same" for record in controls)
    if same == len(controls):
        return f"{which} {'is' if one else 'are'} the same"
    return f"{which} did not move: {_join([(same, 'same'), (len(controls) - same, 'unclear')])}"


def _one(record: Record) -> str:
    """What happened to one case."""
    against, name = record["against"], code_span(record["case"]["id"])
    between = interval(against)
    parts = []
    if against["verdict"] in ("slower", "faster"):
        parts.append(f"takes {times(against)} times as long{f' ({between})' if between else ''}")
    if (change := memory_of(against)) in CHANGED:
        sizes = f"{units.size(against['peak_bytes'])} instead of {units.size(against['base_peak_bytes'])}"
        parts.append(f"needs {change} memory, {sizes}")
    return f"{name} {' and '.join(parts)}"


def _several(outcome: Outcome) -> str:
    """``2 of 14 cases are slower, 1 faster, 1 needs more memory``."""
    changes = [memory_of(record["against"]) for record in outcome.moved]
    numbers = [
        (len(outcome.slower), "is slower", "are slower", "slower"),
        (len(outcome.faster), "is faster", "are faster", "faster"),
        (changes.count("more"), "needs more memory", "need more memory", ""),
        (changes.count("less"), "needs less memory", "need less memory", ""),
    ]
    first, *others = [number for number in numbers if number[0]]
    of_all = "All" if first[0] == outcome.judged else f"{first[0]} of"
    parts = [f"{of_all} {outcome.judged} cases {first[1] if first[0] == 1 else first[2]}"]
    parts += [
        f"{number} {short or (singular if number == 1 else plural)}" for number, singular, plural, short in others
    ]
    return ", ".join(parts)


def _rest(outcome: Outcome) -> list[str]:
    """``11 same``, ``2 unclear (noise)``."""
    numbers = [
        (len(outcome.same), "same"),
        (len(outcome.unclear), "unclear (noise)"),
        (len(outcome.too_few), f"unclear ({TOO_FEW})"),
    ]
    return [f"{number} {words}" for number, words in numbers if number]


def _nothing_moved(outcome: Outcome, threshold: float, not_measured: Sequence[str], tail: str) -> str:
    within = f"±{units.percent(threshold)}"
    if len(outcome.same) < outcome.judged:
        if outcome.judged == 1:
            return f"**{code_span(outcome.rest[0]['case']['id'])} is not surely slower or faster** ({within}): {tail}"
        return f"**None of {outcome.judged} cases is surely slower or faster** ({within}): {tail}"
    only = outcome.same[0]
    what = f"{code_span(only['case']['id'])} is" if outcome.judged == 1 else f"{outcome.judged} cases are"
    return f"**No change**: {', '.join([f'{what} the same ({within})', *not_measured])}"


def _no_verdict(outcome: Outcome, not_measured: Sequence[str]) -> str:
    """That nothing is known, and what the change may be all the same."""
    cases = (*outcome.moved, *outcome.rest)
    one = len(cases) == 1
    which = code_span(cases[0]["case"]["id"]) if one else f"any of {len(cases)} cases"
    ends = [(record["against"]["low"], record["against"]["high"]) for record in cases]
    known = [(low, high) for low, high in ends if low and high]
    why = TOO_FEW if all(has_too_few_pairs(record["against"]) for record in cases) else "noise"
    parts = [f"**No verdict is possible on {which}** ({why})"]
    if known and len(known) == len(ends):
        between = units.ratio_interval(1 / max(high for _, high in known), 1 / min(low for low, _ in known))
        parts.append(f"{'it takes' if one else 'they take'} between {between.replace(' to ', ' and ')} times as long")
    moved = [memory_of(record["against"]) for record in outcome.moved]
    if changed := sum(change in CHANGED for change in moved):
        parts.append(f"the memory of {changed} has changed")
    return "; ".join(filter(None, (*parts, ", ".join(not_measured))))


def _join(numbers: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"{number} {word}" for number, word in numbers if number)
