"""Puts judgements of claims into words: verdict, effect, and what the tutorial's way of timing would have shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from torchduet.reports.findings.claims import Finding, Judgement
from torchduet.reports.tables.pairs import PairRatio
from torchduet.reports.text import units
from torchduet.suites.claim import FIRST_CALL, MEMORY, TIME, Claim

VERDICTS = {
    "holds": "holds here",
    "fails": "does not hold here",
    "unclear": "unclear",
    "unmeasured": "cannot be measured here",
}
OUTCOMES = {"holds": "agrees", "fails": "contradicts", "unclear": "unclear"}
# verdict of a ratio → its word where the claim is not about a time
LESS = {"faster": "less", "slower": "more", "same": "same", "unclear": "unclear"}
DISAGREE = 1.5  # two ratios that differ by more than this factor disagree


def word(finding: Finding, claim: Claim) -> str:
    """A comparison's own verdict in a word: on a time, or on another quantity."""
    return finding.pair.verdict if claim.measure == TIME else LESS[finding.pair.verdict]


def effect(judgement: Judgement) -> str:
    """``1.31× (1.28 to 1.33) as fast``; over several comparisons their median, extremes and tally."""
    findings, claim = judgement.findings, judgement.claim
    if not findings:
        return ""
    pairs = [_oriented(finding.pair, claim) for finding in findings]
    if len(pairs) == 1:
        interval = units.ratio_interval(pairs[0].low, pairs[0].high)
        shown = f" ({interval})" if interval else "" if claim.measure in (MEMORY, FIRST_CALL) else " (no interval)"
        return _as_claimed(claim, units.ratio(pairs[0].ratio) + shown)
    ratios = [pair.ratio for pair in pairs]
    return f"{_as_claimed(claim, units.ratio(median(ratios)))} in the median{_span(ratios)}; {_tally(findings)}"


def _oriented(pair: PairRatio, claim: Claim) -> PairRatio:
    """Baseline / case, or case / baseline if the claim is that something is more."""
    if claim.expects != "more":
        return pair
    low, high = (1 / pair.high if pair.high else None), (1 / pair.low if pair.low else None)
    return replace(pair, ratio=1 / pair.ratio, low=low, high=high)


def _span(ratios: Sequence[float]) -> str:
    """``, 0.83× to 1.31×``; empty if the two read the same."""
    low, high = units.ratio(min(ratios)), units.ratio(max(ratios))
    return f", {low} to {high}" if low != high else ""


def _tally(findings: Sequence[Finding]) -> str:
    """``all 3 comparisons agree``, ``of 7 comparisons 1 agrees, 6 contradict``."""
    counted = {
        verb: sum(finding.outcome == outcome for finding in findings)
        for outcome, verb in (("holds", "agree"), ("fails", "contradict"), ("unclear", "are unclear"))
    }
    for verb, number in counted.items():
        if number == len(findings):
            return f"all {number} comparisons {verb}"
    singular = {"agree": "agrees", "contradict": "contradicts", "are unclear": "is unclear"}
    parts = [f"{number} {singular[verb] if number == 1 else verb}" for verb, number in counted.items() if number]
    return f"of {len(findings)} comparisons {', '.join(parts)}"


def _as_claimed(claim: Claim, ratio: str) -> str:
    if claim.measure == TIME:
        return f"{ratio} as fast"
    if claim.expects == "more":
        return f"{ratio} as many {claim.measure} as the baseline"
    if claim.measure == FIRST_CALL:
        return f"the baseline’s first call takes {ratio} as long"
    what = "peak of memory" if claim.measure == MEMORY else claim.measure
    return f"the baseline’s {what} is {ratio} as high"


def naive(findings: Sequence[Finding]) -> str:
    """What one unsynchronised call of each case, first call included, would have shown."""
    known = [(finding, finding.naive) for finding in findings if finding.naive is not None]
    if not known:
        return ""
    ratios = [ratio for _, ratio in known]
    shown = units.ratio(ratios[0]) if len(known) == 1 else f"{units.ratio(min(ratios))} to {units.ratio(max(ratios))}"
    if all(finding.pair.verdict == "unclear" for finding, _ in known):
        return f"{shown}, where this run settles nothing"
    opposite = sum(finding.opposite for finding, _ in known)
    if opposite:
        return f"{shown}: another verdict" + (f" in {opposite} of {len(known)}" if len(known) > 1 else "")
    factor = max(max(ratio / finding.pair.ratio, finding.pair.ratio / ratio) for finding, ratio in known)
    if factor > DISAGREE:
        return f"{shown}: no other verdict, but up to {units.digits(factor, 2)} times off"
    return f"{shown}: much the same"
