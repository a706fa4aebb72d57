"""Puts judgements of claims into words: verdict, effect, and what the tutorial's way of timing would have said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from torchduet.reports.findings.claims import Finding, Judgement
from torchduet.reports.tables.pairs import Held
from torchduet.reports.text import units
from torchduet.suites.claim import MEMORY, TIME, Claim

VERDICTS = {
    "holds": "holds here",
    "fails": "does not hold here",
    "unclear": "unclear",
    "unmeasured": "cannot be measured here",
}
OUTCOMES = {"holds": "agrees", "fails": "contradicts", "unclear": "unclear"}
# verdict of a ratio → what it says of anything but a time
LESS = {"faster": "less", "slower": "more", "same": "same", "unclear": "unclear"}
DISAGREE = 1.5  # by so many times two ratios must differ to be called apart


def word(one: Finding, claim: Claim) -> str:
    """A comparison's own verdict: of a time, or of anything else."""
    return one.held.verdict if claim.measure == TIME else LESS[one.held.verdict]


def effect(judgement: Judgement) -> str:
    """``1.31× (1.28 to 1.33) as fast``; over several comparisons their median, extremes and tally."""
    findings, claim = judgement.findings, judgement.claim
    if not findings:
        return ""
    held = [_turned(one.held, claim) for one in findings]
    if len(held) == 1:
        interval = units.ratio_interval(held[0].low, held[0].high)
        shown = f" ({interval})" if interval else "" if claim.measure == MEMORY else " (no interval)"
        return _said(claim, units.ratio(held[0].ratio) + shown)
    ratios = [one.ratio for one in held]
    return f"{_said(claim, units.ratio(median(ratios)))} in the median{_span(ratios)}; {_tally(findings)}"


def _turned(one: Held, claim: Claim) -> Held:
    """Baseline / case, or case / baseline where the claim is that something is more."""
    if claim.expects != "more":
        return one
    low, high = (1 / one.high if one.high else None), (1 / one.low if one.low else None)
    return replace(one, ratio=1 / one.ratio, low=low, high=high)


def _span(ratios: Sequence[float]) -> str:
    """``, 0.83× to 1.31×``; nothing where they read the same."""
    low, high = units.ratio(min(ratios)), units.ratio(max(ratios))
    return f", {low} to {high}" if low != high else ""


def _tally(findings: Sequence[Finding]) -> str:
    """``all 3 comparisons agree``, ``of 7 comparisons 1 agrees, 6 contradict``."""
    counted = {
        verb: sum(one.outcome == outcome for one in findings)
        for outcome, verb in (("holds", "agree"), ("fails", "contradict"), ("unclear", "are unclear"))
    }
    for verb, number in counted.items():
        if number == len(findings):
            return f"all {number} comparisons {verb}"
    singular = {"agree": "agrees", "contradict": "contradicts", "are unclear": "is unclear"}
    said = [f"{number} {singular[verb] if number == 1 else verb}" for verb, number in counted.items() if number]
    return f"of {len(findings)} comparisons {', '.join(said)}"


def _said(claim: Claim, ratio: str) -> str:
    if claim.measure == TIME:
        return f"{ratio} as fast"
    if claim.expects == "more":
        return f"{ratio} as many {claim.measure} as the baseline"
    what = "peak of memory" if claim.measure == MEMORY else claim.measure
    return f"the baseline’s {what} is {ratio} as high"


def naive(findings: Sequence[Finding]) -> str:
    """What one unsynchronised call of each, first call included, would have said of the same cases."""
    known = [(one, one.naive) for one in findings if one.naive is not None]
    if not known:
        return ""
    ratios = [ratio for _, ratio in known]
    said = units.ratio(ratios[0]) if len(known) == 1 else f"{units.ratio(min(ratios))} to {units.ratio(max(ratios))}"
    if all(one.held.verdict == "unclear" for one, _ in known):
        return f"{said}, where this run settles nothing"
    opposite = sum(one.opposite for one, _ in known)
    if opposite:
        return f"{said}: another verdict" + (f" in {opposite} of {len(known)}" if len(known) > 1 else "")
    apart = max(max(ratio / one.held.ratio, one.held.ratio / ratio) for one, ratio in known)
    if apart > DISAGREE:
        return f"{said}: no other verdict, but up to {units.digits(apart, 2)} times off"
    return f"{said}: much the same"
