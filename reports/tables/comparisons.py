"""Selects the comparisons that an answer can rest on: they change a single knob, or several that are named together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torchduet.bench.record.knobs import RANKS
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.baselines import Baseline, baseline_of
from torchduet.reports.text.settings import KNOBS, SETTABLE, TOGETHER, settings, value_words

TIED = tuple(name for name in SETTABLE if name not in ("device", RANKS))


def tied_families(run: Run, by_id: Mapping[str, Record]) -> set[str]:
    """The families in which each implementation has one mode, precision and so on, as in a path of steps."""
    seen: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for record in run.records:
        family = seen.setdefault(record["case"]["family"], {})
        for knobs in _settings_in(record, by_id):
            family.setdefault(knobs["implementation"], set()).add(tuple(knobs[name] for name in TIED))
    return {
        family
        for family, by_implementation in seen.items()
        if all(len(combinations) == 1 for combinations in by_implementation.values())
        and len(set().union(*by_implementation.values())) > 1
    }


def _settings_in(record: Record, by_id: Mapping[str, Record]) -> Iterator[dict[str, str]]:
    """The settings of a record, and of those of its baselines that have no record."""
    yield settings(record)
    for speedup in record["speedups"]:
        if speedup["against"] not in by_id and (other := baseline_of(record, speedup, by_id).settings):
            yield other


def answerable(record: Record, by_id: Mapping[str, Record], tied: bool) -> Iterator[tuple[SpeedupRecord, Baseline]]:
    """A record's comparisons that an answer can rest on, each with its baseline.

    Comparisons of one knob are yielded as they are. The comparison with the reference is yielded where several knobs
    differ: as one of all of these knobs together, or, in a ``tied`` family, as one of the implementation.
    """
    for speedup in record["speedups"]:
        baseline = baseline_of(record, speedup, by_id)
        if speedup["knob"] != "reference":
            yield speedup, baseline
        elif (renamed := _of_reference(record, speedup, baseline.settings, tied)) is not None:
            yield renamed, baseline


def _of_reference(
    record: Record, speedup: SpeedupRecord, other: Mapping[str, str] | None, tied: bool
) -> SpeedupRecord | None:
    """The comparison with the reference as one of the knobs that differ; None where it adds nothing."""
    if other is None:
        return None
    own = settings(record)
    differing = [knob for knob in KNOBS if own[knob] != other[knob]]
    if len(differing) == 1 and all(recorded["knob"] == "reference" for recorded in record["speedups"]):
        (knob,) = differing
        return {**speedup, "knob": knob, "value": own[knob], "baseline": other[knob]}
    if len(differing) < 2:
        return None
    if tied and "implementation" in differing:
        return {
            **speedup,
            "knob": "implementation",
            "value": own["implementation"],
            "baseline": other["implementation"],
        }
    value, baseline = (" + ".join(value_words(knob, side[knob]) for knob in differing) for side in (own, other))
    return {**speedup, "knob": TOGETHER, "value": value, "baseline": baseline}
