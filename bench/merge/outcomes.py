"""What several parts of one machine say of each case: measured, failed, skipped or not reached; which of these counts.

A wrong result in one part is wrong. Otherwise a case that was measured in any part is measured; one that failed in
any of the others has failed; then it is skipped, and last not reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torchduet.bench.merge.cases import placed, united
from torchduet.bench.merge.sources import Source
from torchduet.bench.record.machines.parts import label_of
from torchduet.bench.record.schema import NotMeasured, PartRecord, Record

WRONG = ("its result ", "it returned ")  # begin the reason, after the case's id, of a result that failed its check
FAILED_ELSEWHERE = "failed in another part: "  # begins the note of a case that was measured all the same
LEFT_OUT = "; what other parts measured of it is left out"


@dataclass(frozen=True)
class Outcomes:
    """What is known of each case of a machine.

    Attributes:
        records: case id → its record with the visits of all parts, not yet judged; in the order of the sources.
    """

    records: Mapping[str, Record]
    failed: Sequence[NotMeasured]
    skipped: Sequence[NotMeasured]
    unreached: Sequence[str]


@dataclass
class _Case:
    records: list[Record] = field(default_factory=list)
    failed: list[tuple[Source, NotMeasured]] = field(default_factory=list)
    skipped: list[NotMeasured] = field(default_factory=list)

    @property
    def wrong(self) -> list[tuple[Source, NotMeasured]]:
        return [(source, entry) for source, entry in self.failed if is_wrong(entry)]


def is_wrong(entry: NotMeasured) -> bool:
    """Whether a case failed as its result failed its check."""
    return entry["reason"].removeprefix(f"{entry['case']['id']}: ").startswith(WRONG)


def outcomes_of(sources: Sequence[Source], parts: Sequence[PartRecord]) -> Outcomes:
    """What the sources of one machine say together.

    Args:
        parts: of the merged run, in their order.
    """
    at = {part["digest"]: index for index, part in enumerate(parts)}
    order = dict.fromkeys(case for source in sources for case in source.benchmarks)
    sources = sorted(sources, key=lambda source: min(at[part["digest"]] for part in source.parts))
    cases: dict[str, _Case] = {}
    for source in sources:
        for case in source.benchmarks:
            record = placed(source.record(case), source.parts, parts, at)
            cases.setdefault(case, _Case()).records.append(record)
        for entry in source.about["failed"]:
            cases.setdefault(entry["case"]["id"], _Case()).failed.append((source, entry))
        for entry in source.about["skipped"]:
            cases.setdefault(entry["case"]["id"], _Case()).skipped.append(entry)
    several = len(parts) > 1
    wrong = {name: _failed(case, several=several) for name, case in cases.items() if case.wrong}
    records = {
        name: _measured(case, parts, wrong) for name, case in cases.items() if case.records and name not in wrong
    }
    failed = {
        name: wrong.get(name) or _failed(case, several=several)
        for name, case in cases.items()
        if case.failed and name not in records
    }
    known = {*records, *failed}
    return Outcomes(
        _families_together({name: records[name] for name in order if name in records}),
        list(failed.values()),
        [case.skipped[0] for name, case in cases.items() if case.skipped and name not in known],
        list(
            dict.fromkeys(name for source in sources for name in source.about.get("unreached", []) if name not in cases)
        ),
    )


def _measured(case: _Case, parts: Sequence[PartRecord], wrong: Mapping[str, NotMeasured]) -> Record:
    """The record of a case, without comparisons to cases whose results are wrong."""
    record = united(case.records, parts)
    notes = [f"{FAILED_ELSEWHERE}{_reason(source, entry, several=True)}" for source, entry in case.failed]
    against = dict.fromkeys(speedup["against"] for speedup in record["speedups"] if speedup["against"] in wrong)
    notes += [f"no speed-up: {wrong[name]['reason']}" for name in against]
    if not notes:
        return record
    return {
        **record,
        "speedups": [speedup for speedup in record["speedups"] if speedup["against"] not in wrong],
        "notes": list(dict.fromkeys([*record["notes"], *notes])),
    }


def _failed(case: _Case, *, several: bool) -> NotMeasured:
    """Why a case failed, in the words of all parts in which it did; a wrong result before other reasons."""
    entries = case.wrong or case.failed
    reasons = list(dict.fromkeys(_reason(source, entry, several=several) for source, entry in entries))
    left_out = LEFT_OUT if case.records and not any(reason.endswith(LEFT_OUT) for reason in reasons) else ""
    return NotMeasured(case=entries[0][1]["case"], reason="; ".join(reasons) + left_out)


def _reason(source: Source, entry: NotMeasured, *, several: bool) -> str:
    """The reason, and of which part it is, unless that is said already."""
    if not several or len(source.parts) > 1:
        return entry["reason"]
    return f"{entry['reason']} (in {label_of(source.parts[0])})"


def _families_together(records: Mapping[str, Record]) -> dict[str, Record]:
    """The records with those of a family one after the other, the families in the order of their first cases."""
    families: dict[str, list[str]] = {}
    for name, record in records.items():
        families.setdefault(record["case"]["family"], []).append(name)
    return {name: records[name] for names in families.values() for name in names}
