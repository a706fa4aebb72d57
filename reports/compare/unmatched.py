"""Lists the cases that only one of two runs measured, each with the reason, and groups them by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torchduet.bench.record.schema import Record
from torchduet.reports.compare.comparison import Change
from torchduet.reports.read.run_file import Run

NOT_SELECTED = "not selected in this run"


def unmatched(
    base: Run,
    new: Run,
    base_records: Mapping[str, Record],
    new_records: Mapping[str, Record],
    threshold: Callable[[str], float],
) -> list[Change]:
    """The cases that only one run measured: failed or missing in the new run, or new in it.

    Args:
        base_records, new_records: case → record.
        threshold: gives the threshold of a case by its id.
    """
    failed = {failure["case"]["id"]: failure for failure in new.about["failed"]}
    failed_before = {failure["case"]["id"] for failure in base.about["failed"]}
    reasons = {skip["case"]["id"]: skip["reason"] for skip in new.about["skipped"]}
    reasons |= dict.fromkeys(new.about.get("unreached", []), "the run ended before this case")
    changes = [
        Change(
            failure["case"],
            "failed",
            threshold(case),
            base=base_records.get(case),
            why=failure["reason"].removeprefix(f"{case}: ")
            + (f" (also in {base.name})" if case in failed_before else ""),
        )
        for case, failure in failed.items()
    ]
    for case, record in base_records.items():
        if case not in new_records and case not in failed:
            why = reasons.get(case, NOT_SELECTED)
            changes.append(Change(record["case"], "missing", threshold(case), base=record, why=why))
    reasons_before = _reasons(base)
    for case, record in new_records.items():
        if case not in base_records:
            why = reasons_before.get(case, f"not measured in {base.name}")
            changes.append(Change(record["case"], "new", threshold(case), new=record, why=why))
    return changes


def _reasons(run: Run) -> dict[str, str]:
    """Case → the run's reason for not measuring it."""
    reasons = {}
    for words, outcomes in (("skipped", run.about["skipped"]), ("failed", run.about["failed"])):
        for outcome in outcomes:
            case = outcome["case"]["id"]
            reasons[case] = f"{words} in {run.name}: {outcome['reason'].removeprefix(case + ': ')}"
    return reasons


def by_reason(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Reason → the changes that have it, the most frequent reason first."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.why, []).append(change)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))
