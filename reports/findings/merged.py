"""The parts of a merged run: which runs on which nodes it was made of, and how alike these were."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.schema import PartRecord, Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

UNLIKE = 0.1  # by so much the times of two parts may differ in the median before that is said
IN_PART = re.compile(r"(.*) \((in (?:shard \S+|the run) on [^()]*)\)", re.DOTALL)  # how a reason names its part
MIN_COMMON = 3  # cases that a part shares with others


@dataclass(frozen=True)
class PartRow:
    """A part for the table; texts are empty where nothing is known."""

    node: str
    shard: str
    started: str
    seconds: float
    cases: int
    noise: str
    stopped: str


@dataclass(frozen=True)
class MergedRun:
    """The section's content.

    Attributes:
        title: ``Measured on 3 machines of one kind``.
        of: the same for the line under the page's title: ``merged from 8 shards``.
        sentences: what follows for its times, the parts whose times differ, and what is missing.
    """

    title: str
    of: str
    sentences: tuple[str, ...]
    parts: tuple[PartRow, ...]


def merged(run: Run) -> MergedRun | None:
    """The section; None for a run that is none of several."""
    parts = run.about.get("parts", [])
    if len(parts) < 2:
        return None
    sentences = [
        f"This run was merged of {len(parts)} runs, which together took "
        f"{units.duration(run.about['seconds']['total'])}. Each compared its cases in its own processes; visits of "
        "the same family count together.",
        *_unlike(run.records, parts),
        *_missing(run),
    ]
    return MergedRun(
        title(parts), _of(parts, run.about.get("missing_shards", [])), tuple(sentences), tuple(map(_row, parts))
    )


def title(parts: Sequence[PartRecord]) -> str:
    """How many machines there were: ``Measured on 3 machines of one kind``, ``Measured in 3 runs on one machine``."""
    nodes = {part["node"] for part in parts}
    if "" in nodes:
        return f"Measured in {len(parts)} runs on machines of one kind"
    if len(nodes) == 1:
        return f"Measured in {len(parts)} runs on one machine"
    return f"Measured on {len(nodes)} machines of one kind"


def _of(parts: Sequence[PartRecord], missing: Sequence[str]) -> str:
    """``merged from 8 shards``, ``merged from 7 of 8 shards``, ``merged from 3 runs``."""
    shards = {part.get("shard", "") for part in parts}
    totals = {shard.partition("/")[2] for shard in shards}
    if "" in shards or len(totals) > 1 or len(shards) < len(parts):
        return f"merged from {len(parts)} runs"
    return f"merged from {f'{len(shards)} of {totals.pop()}' if missing else len(shards)} shards"


def brief(run: Run) -> str:
    """The same in a few words, with the time that it took; empty for a run that is none of several."""
    parts = run.about.get("parts", [])
    if len(parts) < 2:
        return ""
    took = units.duration(run.about["seconds"]["total"])
    return f"{title(parts)} ({len(parts)} runs, {took} together)"


def in_parts(reason: str, case: str) -> str:
    """Why a case failed, without its name; what several parts gave in the same words is said once."""
    labels: dict[str, list[str]] = {}
    for piece in re.split(r"(?<=\)); ", reason):
        named = IN_PART.fullmatch(piece)
        words, label = named.group(1, 2) if named else (piece, "")
        labels.setdefault(words.removeprefix(f"{case}: "), []).append(label)
    return "; ".join(
        f"{words} (in {len(of)} parts)" if len(of) > 1 else f"{words} ({of[0]})" if of[0] else words
        for words, of in labels.items()
    )


def _row(part: PartRecord) -> PartRow:
    return PartRow(
        node=part["node"],
        shard=part.get("shard", ""),
        started=part["started"],
        seconds=part["seconds"],
        cases=part["cases"],
        noise=part["noise"]["grade"] if "noise" in part else "",
        stopped=part.get("stopped", ""),
    )


def _missing(run: Run) -> list[str]:
    missing = run.about.get("missing_shards", [])
    if not missing:
        return []
    shards = "Shard" if len(missing) == 1 else "Shards"
    return [f"{shards} {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, with all of their cases."]


def _unlike(records: Sequence[Record], parts: Sequence[PartRecord]) -> list[str]:
    """The slowest and the fastest part by the cases that they share, if they differ by more than alike machines do."""
    shifts: dict[int, list[float]] = {}
    for record in records:
        times = _log_times(record)
        if len(times) > 1:
            centre = median(times.values())
            for part, time in times.items():
                shifts.setdefault(part, []).append(time - centre)
    middles = {part: median(of_cases) for part, of_cases in shifts.items() if len(of_cases) >= MIN_COMMON}
    if not middles:
        return []
    slowest, fastest = max(middles, key=lambda part: middles[part]), min(middles, key=lambda part: middles[part])
    apart = middles[slowest] - middles[fastest]
    if apart <= math.log1p(UNLIKE):
        return []
    return [
        f"The same cases took {units.ratio(math.exp(apart))} as long on {_name(parts[slowest])} as on "
        f"{_name(parts[fastest])}, in the median: these two are less alike than their facts say. Speed-ups are "
        "compared within each."
    ]


def _name(part: PartRecord) -> str:
    return " ".join(filter(None, (part["node"] or "a machine without a name", part.get("shard", ""))))


def _log_times(record: Record) -> dict[int, float]:
    """Part → logarithm of the seconds per call, the median of its placements."""
    found: dict[int, list[float]] = {}
    start = 0
    for visit in record["timing"].get("visits", []):
        blocks = record["timing"]["blocks"][start : start + visit["placements"]]
        found.setdefault(visit.get("part", 0), []).extend(median(rounds) for rounds in blocks)
        start += visit["placements"]
    return {part: math.log(median(values)) for part, values in found.items() if values}
