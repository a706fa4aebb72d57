"""Chooses, of all comparisons in a file, those that an answer can rest on: they change a single knob, or are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.baselines import Baseline, baseline_of
from torchduet.reports.text.settings import KNOBS, SET, TOGETHER, said, settings

TIED = tuple(name for name in SET if name != "device")


def tied_families(run: Run, by_id: Mapping[str, Record]) -> set[str]:
    """The families in which mode, precision and the like come with the implementation, as in a path of steps."""
    seen: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for record in run.records:
        family = seen.setdefault(record["case"]["family"], {})
        for one in _settings_in(record, by_id):
            family.setdefault(one["implementation"], set()).add(tuple(one[knob] for knob in TIED))
    return {
        family
        for family, found in seen.items()
        if all(len(own) == 1 for own in found.values()) and len(set().union(*found.values())) > 1
    }


def _settings_in(record: Record, by_id: Mapping[str, Record]) -> Iterator[dict[str, str]]:
    """The settings of a record, and of what it is held against without that having a record."""
    yield settings(record)
    for one in record["speedups"]:
        if one["against"] not in by_id and (other := baseline_of(record, one, by_id).settings):
            yield other


def telling(record: Record, by_id: Mapping[str, Record], tied: bool) -> Iterator[tuple[SpeedupRecord, Baseline]]:
    """A record's comparisons that an answer can rest on, each with its baseline.

    Those of one knob as they stand; and the one against the reference where several knobs differ,
    as the answer to "all of them together", or to the implementation that they are ``tied`` to.
    """
    for one in record["speedups"]:
        baseline = baseline_of(record, one, by_id)
        if one["knob"] != "reference":
            yield one, baseline
        elif (renamed := _of_reference(record, one, baseline.settings, tied)) is not None:
            yield renamed, baseline


def _of_reference(
    record: Record, one: SpeedupRecord, other: Mapping[str, str] | None, tied: bool
) -> SpeedupRecord | None:
    """The comparison with the reference under the knobs that differ; None where it says nothing new."""
    if other is None:
        return None
    own = settings(record)
    differing = [knob for knob in KNOBS if own[knob] != other[knob]]
    if len(differing) == 1 and all(held["knob"] == "reference" for held in record["speedups"]):
        (knob,) = differing
        return {**one, "knob": knob, "value": own[knob], "baseline": other[knob]}
    if len(differing) < 2:
        return None
    if tied and "implementation" in differing:
        return {**one, "knob": "implementation", "value": own["implementation"], "baseline": other["implementation"]}
    value, baseline = (" + ".join(said(knob, side[knob]) for knob in differing) for side in (own, other))
    return {**one, "knob": TOGETHER, "value": value, "baseline": baseline}
