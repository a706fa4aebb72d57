"""Times of cases as a table of text, and what their compilations took: for the end of a run and the brief report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.bench.record.schema import Record
from torchduet.bench.record.units import seconds, seconds_interval
from torchduet.bench.record.words.counting import plural

MAX_BREAKING = 3  # cases with graph breaks that are named


def time_of(record: Record) -> tuple[str, str]:
    """A case's time per call, and its interval: empty without one."""
    timing = record["timing"]
    return seconds(timing["seconds"]), seconds_interval(timing["low"], timing["high"])


def compilation(records: Sequence[Record]) -> Iterator[str]:
    """How long compiling took, and which cases have graph breaks; nothing where nothing was compiled."""
    compiled = [record for record in records if record["compile"] is not None]
    taken = sorted(record["first_call"]["seconds"] for record in compiled if record["first_call"]["seconds"] > 0)
    if taken:
        span = seconds(taken[0]) if len(taken) == 1 else f"{seconds(taken[0])} to {seconds(taken[-1])}"
        yield f"compiling took {span} ({plural(len(taken), 'first call')})"
    breaking = [
        (record["case"]["id"], sum(found["count"] for found in breaks))
        for record in compiled
        if record["compile"] is not None and (breaks := record["compile"]["graph_breaks"])
    ]
    if breaking:
        named = "; ".join(f"{case}: {number}" for case, number in breaking[:MAX_BREAKING])
        more = len(breaking) - MAX_BREAKING
        yield f"graph breaks in {plural(len(breaking), 'case')}: {named}" + (f"; and {more} more" if more > 0 else "")
    elif compiled:
        yield "no graph breaks"
