"""Judges what tutorials claim by what a run measured, each comparison estimated from its alternated blocks.

How a judgement is put into words is left to ``claim_words``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torchduet.bench.record.devices import device_kind
from torchduet.bench.record.knobs import KNOBS, PLAIN
from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.pairs import Held, held, of_meters, of_peaks
from torchduet.suites.claim import MEMORY, TIME, Claim, Comparison, Variant
from torchduet.suites.claims import CLAIMS
from torchduet.suites.cpus import within_quota

ASKING = "`-m claims`"  # how to ask for the cases that decide claims


@dataclass(frozen=True)
class Finding:
    """One comparison that decides a claim, as it was measured.

    Attributes:
        case: its id; ``anchor`` is its place in the page.
        against: the baseline's settings, within the same family.
        outcome: whether it agrees with the claim: "holds", "fails" or "unclear".
        naive: what one call of each, unsynchronised and first call included, would have shown; None
            where the file does not say, or where the claim is not about time.
    """

    case: str
    against: str
    anchor: str
    held: Held
    outcome: str
    naive: float | None

    @property
    def opposite(self) -> bool:
        """Whether the naive ratio would have led to another verdict than the one that is settled here."""
        if self.naive is None or self.held.verdict == "unclear":
            return False
        says = "faster" if self.naive > 1 + THRESHOLD else "slower" if self.naive < 1 / (1 + THRESHOLD) else "same"
        return says != self.held.verdict


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict on this machine.

    Attributes:
        verdict: "holds", "fails", "unclear" or "unmeasured".
        missing: what it would take to measure what was not measured; empty if all was.
        unmeasured: how many of the claim's comparisons found no pair of cases.
    """

    claim: Claim
    verdict: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    unmeasured: int


def judge(run: Run, claims: Iterable[Claim] = CLAIMS) -> list[Judgement]:
    """A judgement of each claim, in the order given."""
    machine = run.about["machine"]
    cores, quota = machine.get("cores"), machine.get("cpu_quota")
    number = cores if isinstance(cores, int) and not isinstance(cores, bool) else 0
    if isinstance(quota, int | float) and 0 < quota < number:
        number = within_quota(number, quota)
    variants = [variant_of(record["case"]) for record in run.records]
    return [_judgement(claim, run, variants, number) for claim in claims]


def _judgement(claim: Claim, run: Run, variants: Sequence[Variant], cores: int) -> Judgement:
    findings: dict[tuple[str, str], Finding] = {}
    unmeasured: list[Comparison] = []
    for comparison in claim.comparisons:
        found = _findings(claim, comparison, run, variants, cores)
        findings.update({(one.case, one.against): one for one in found})
        if not found:
            unmeasured.append(comparison)
    return Judgement(
        claim=claim,
        verdict=_verdict([one.outcome for one in findings.values()], claim.any_of),
        findings=tuple(findings.values()),
        missing=_missing(unmeasured, run, cores),
        unmeasured=len(unmeasured),
    )


def _verdict(outcomes: Sequence[str], any_of: bool) -> str:
    """One comparison that contradicts is enough for "fails"; where one that agrees is enough, for "holds"."""
    if not outcomes:
        return "unmeasured"
    decisive, other = ("holds", "fails") if any_of else ("fails", "holds")
    if decisive in outcomes:
        return decisive
    return other if set(outcomes) == {other} else "unclear"


def _findings(claim: Claim, comparison: Comparison, run: Run, variants: Sequence[Variant], cores: int) -> list[Finding]:
    families: dict[str, dict[str, list[tuple[int, Record, Variant]]]] = {}
    for index, (record, variant) in enumerate(zip(run.records, variants, strict=True)):
        side = comparison.side(variant, cores)
        if side:
            family = families.setdefault(record["case"]["family"], {"case": [], "baseline": []})
            family[side].append((index, record, variant))
    found = []
    for family in families.values():
        for index, record, variant in family["case"]:
            for _, other, its_variant in family["baseline"]:
                one = _held(claim, other, record) if comparison.pairs(variant, its_variant) else None
                if one:
                    found.append(_finding(claim, index, record, other, one))
    return found


def _finding(claim: Claim, index: int, record: Record, other: Record, one: Held) -> Finding:
    return Finding(
        case=record["case"]["id"],
        against=other["case"]["id"].removeprefix(record["case"]["family"]).strip(),
        anchor=anchor(index),
        held=one,
        outcome=outcome(claim, one),
        naive=_one_call(other, record) if claim.measure == TIME else None,
    )


def _one_call(baseline: Record, case: Record) -> float | None:
    """The ratio of the very first calls until they returned; None for files that do not have them."""
    first, second = (record["first_call"].get("returned", 0.0) for record in (baseline, case))
    return first / second if first > 0 and second > 0 else None


def _held(claim: Claim, baseline: Record, case: Record) -> Held | None:
    if claim.measure == TIME:
        return held(baseline, case)
    return of_peaks(baseline, case) if claim.measure == MEMORY else of_meters(baseline, case, claim.measure)


def outcome(claim: Claim, one: Held) -> str:
    """Whether a ratio agrees with the claim: its whole interval must lie on one side of what the claim asks."""
    if one.left_open:
        return "unclear"
    low, high = (one.ratio, one.ratio) if claim.measure == MEMORY else (one.low, one.high)
    if low is None or high is None:
        return "unclear"
    least = max(claim.threshold, 1 + THRESHOLD)
    if claim.expects in ("slower", "more"):
        agrees, contradicts = high < 1 / least, low >= 1 / least
    elif claim.expects == "not slower":
        agrees, contradicts = low >= 1 / least, high < 1 / least
    else:
        agrees, contradicts = low > least, high <= least
    return "holds" if agrees else "fails" if contradicts else "unclear"


def variant_of(case: CaseRecord) -> Variant:
    """A recorded case as claims know it."""
    return Variant(
        suite=case["suite"],
        workload=case["workload"],
        size=case["size"],
        settings={
            knob.name: None if not (text := knob.of(case)) else int(text) if knob.numeric else text for knob in KNOBS
        },
        plain=PLAIN,
    )


def _missing(unmeasured: Sequence[Comparison], run: Run, cores: int) -> tuple[str, ...]:
    """What it would take: a GPU, what was skipped or failed for a reason, a larger tier, or asking for it."""
    needed: dict[str, None] = {}
    here = {device_kind(record["case"]["device"]) for record in run.records}
    for comparison in unmeasured:
        tier = "full" if any(isinstance(value, int) for value in comparison.size.values()) else "default"
        given = [
            one["reason"]
            for one in (*run.about["failed"], *run.about["skipped"])
            if comparison.side(variant_of(one["case"]), cores)
        ]
        if lacking := [kind for kind in comparison.accelerators() if kind not in here]:
            needed[f"a {lacking[0].upper()} GPU"] = None
            if tier == "full":
                needed[f"{ASKING} or `--tier full`"] = None
        else:
            needed[given[0] if given else f"{ASKING} or `--tier {tier}`"] = None
    return tuple(needed)
