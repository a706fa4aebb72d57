"""Judges what tutorials claim by what a run measured, each comparison estimated from its alternated blocks.

``claim_words`` puts a judgement into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torchduet.bench.record.devices import device_kind
from torchduet.bench.record.knobs import KNOBS, PLAIN
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.pairs import (
    PairRatio,
    pair_ratio,
    ratio_of_first_calls,
    ratio_of_meters,
    ratio_of_peaks,
)
from torchduet.reports.tables.visits import prior_of
from torchduet.suites.claim import FIRST_CALL, MEMORY, TIME, Claim, Comparison, Variant
from torchduet.suites.claims import CLAIMS
from torchduet.suites.cpus import within_quota

ASKING = "`-m claims`"  # selects the cases that decide claims


@dataclass(frozen=True)
class Finding:
    """One comparison that decides a claim, as it was measured.

    Attributes:
        case: the id of the case; ``anchor`` is its id in the page.
        against: the baseline's settings; it is of the same family.
        pair: the ratio of the two.
        outcome: whether it agrees with the claim: "holds", "fails" or "unclear".
        device: the kind of device of the case.
        naive: the ratio that one call of each, unsynchronised and first call included, would have shown; None if the
            file does not say, or if the claim is not about time.
    """

    case: str
    against: str
    anchor: str
    pair: PairRatio
    outcome: str
    device: str
    naive: float | None

    @property
    def opposite(self) -> bool:
        """Whether the naive ratio would have led to another verdict than the measured one."""
        if self.naive is None or self.pair.verdict == "unclear":
            return False
        verdict = "faster" if self.naive > 1 + THRESHOLD else "slower" if self.naive < 1 / (1 + THRESHOLD) else "same"
        return verdict != self.pair.verdict


@dataclass(frozen=True)
class _Sources:
    """What claims are judged by.

    Attributes:
        variants: of the run's records, in their order.
        cores: that a process may use.
        prior: of the run's speed-ups.
    """

    run: Run
    variants: Sequence[Variant]
    cores: int
    prior: Prior | None


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict on this machine.

    Attributes:
        verdict: "holds", "fails", "unclear" or "unmeasured".
        missing: why comparisons were not measured: what they need, or the reason in the file; empty if all were.
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
    sources = _Sources(run, variants, number, prior_of(run))
    return [_judgement(claim, sources) for claim in claims]


def _judgement(claim: Claim, of: _Sources) -> Judgement:
    findings: dict[tuple[str, str], Finding] = {}
    unmeasured: list[Comparison] = []
    for comparison in claim.comparisons:
        measured = _findings(claim, comparison, of)
        findings.update({(finding.case, finding.against): finding for finding in measured})
        if not measured:
            unmeasured.append(comparison)
    on_device = tuple(finding for finding in findings.values() if finding.device == claim.judged_on)
    decisive = on_device or tuple(findings.values())
    return Judgement(
        claim=claim,
        verdict=_verdict([finding.outcome for finding in decisive], claim.any_of),
        findings=decisive,
        missing=_missing(unmeasured, of.run, of.cores),
        unmeasured=len(unmeasured),
    )


def _verdict(outcomes: Sequence[str], any_of: bool) -> str:
    """The verdict: one contradiction is enough for "fails"; with ``any_of``, one agreement is enough for "holds"."""
    if not outcomes:
        return "unmeasured"
    decisive, other = ("holds", "fails") if any_of else ("fails", "holds")
    if decisive in outcomes:
        return decisive
    return other if set(outcomes) == {other} else "unclear"


def _findings(claim: Claim, comparison: Comparison, of: _Sources) -> list[Finding]:
    families: dict[str, dict[str, list[tuple[int, Record, Variant]]]] = {}
    for index, (record, variant) in enumerate(zip(of.run.records, of.variants, strict=True)):
        side = comparison.side(variant, of.cores)
        if side:
            family = families.setdefault(record["case"]["family"], {"case": [], "baseline": []})
            family[side].append((index, record, variant))
    findings = []
    for family in families.values():
        for index, record, variant in family["case"]:
            for _, baseline, baseline_variant in family["baseline"]:
                if not comparison.pairs(variant, baseline_variant):
                    continue
                if (pair := _pair(claim, baseline, record, of.prior)) is not None:
                    findings.append(_finding(claim, index, record, baseline, pair))
    return findings


def _finding(claim: Claim, index: int, record: Record, baseline: Record, pair: PairRatio) -> Finding:
    return Finding(
        case=record["case"]["id"],
        against=baseline["case"]["id"].removeprefix(record["case"]["family"]).strip(),
        anchor=anchor(index),
        pair=pair,
        outcome=outcome(claim, pair),
        device=device_kind(record["case"]["device"]),
        naive=_one_call(baseline, record) if claim.measure == TIME else None,
    )


def _one_call(baseline: Record, case: Record) -> float | None:
    """The ratio of the first calls' times until they returned; None for files without these times."""
    first, second = (record["first_call"].get("returned", 0.0) for record in (baseline, case))
    return first / second if first > 0 and second > 0 else None


def _pair(claim: Claim, baseline: Record, case: Record, prior: Prior | None) -> PairRatio | None:
    if claim.measure == TIME:
        return pair_ratio(baseline, case, prior)
    if claim.measure == MEMORY:
        return ratio_of_peaks(baseline, case)
    if claim.measure == FIRST_CALL:
        return ratio_of_first_calls(baseline, case)
    return ratio_of_meters(baseline, case, claim.measure, prior)


def outcome(claim: Claim, pair: PairRatio) -> str:
    """Whether a ratio agrees with the claim: its whole interval must lie on one side of the claim's threshold."""
    if pair.withheld:
        return "unclear"
    exact = claim.measure in (MEMORY, FIRST_CALL) and pair.low is None  # measured once
    low, high = (pair.ratio, pair.ratio) if exact else (pair.low, pair.high)
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
    """A recorded case in the form that claims are declared in."""
    return Variant(
        suite=case["suite"],
        workload=case["workload"],
        size=cast(Mapping[str, int | str], case["size"]),
        settings={
            knob.name: None if not (text := knob.of(case)) else int(text) if knob.numeric else text for knob in KNOBS
        },
        plain=PLAIN,
    )


def _missing(unmeasured: Sequence[Comparison], run: Run, cores: int) -> tuple[str, ...]:
    """Why comparisons were not measured: they need a GPU, an option or a larger tier, or were skipped or failed."""
    reasons: dict[str, None] = {}
    here = {device_kind(record["case"]["device"]) for record in run.records}
    for comparison in unmeasured:
        tier = "full" if any(isinstance(value, int) for value in comparison.size.values()) else "default"
        recorded = [
            entry["reason"]
            for entry in (*run.about["failed"], *run.about["skipped"])
            if comparison.side(variant_of(entry["case"]), cores)
        ]
        if lacking := [kind for kind in comparison.accelerators() if kind not in here]:
            reasons[f"needs a {lacking[0].upper()} GPU"] = None
            if tier == "full":
                reasons[f"needs {ASKING} or `--tier full`"] = None
        elif comparison.several_ranks and cores == 1 and not recorded:
            reasons["needs two cores or two GPUs, for two ranks"] = None
        else:
            reasons[recorded[0] if recorded else _selecting(run, tier)] = None
    return tuple(reasons)


def _selecting(run: Run, tier: str) -> str:
    """What would have selected a case of this tier that the run has not measured."""
    if run.about["options"].get("tier") in (tier, "full"):
        return f"not among the cases of this run: {ASKING} without other options selects it"
    return f"needs {ASKING} or `--tier {tier}`"
