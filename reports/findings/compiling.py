"""What compilation costs beside its speed-up: after a warm start, block by block, and at several sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from torchduet.bench.record.knobs import NAMES, code
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import Record, SizesRecord, SpeedupRecord, WarmStartRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import Frames, anchor, each
from torchduet.reports.tables.pairs import PairRatio, pair_ratio
from torchduet.reports.tables.visits import prior_of
from torchduet.reports.text import units
from torchduet.reports.text.settings import setting

REGIONS, WHOLE = "compile-regions", ("compile-model", "compile")


@dataclass(frozen=True)
class WarmStart:
    """A case that was started again; ``pays_after`` and ``warm_pays_after`` are calls, None where it never pays."""

    name: str
    anchor: str
    record: WarmStartRecord
    pays_after: float | None
    warm_pays_after: float | None

    @property
    def saved(self) -> float | None:
        """The share of the cold start that the cache saves; None where it did not serve."""
        return 1 - self.record["seconds"] / self.record["cold"] if "seconds" in self.record else None


@dataclass(frozen=True)
class Regions:
    """A model with compiled blocks beside the same compiled as a whole; ``pair`` is of the times in steady state."""

    name: str
    anchor: str
    whole: float  # seconds of the first call
    regions: float
    mode: str
    pair: PairRatio | None


@dataclass(frozen=True)
class Sizes:
    """A compiled case that visits several sizes; ``speedup`` is over the eager one, where the file has it."""

    name: str
    anchor: str
    record: SizesRecord
    first_call: float
    speedup: SpeedupRecord | None

    @property
    def eager(self) -> list[str]:
        """The sizes at which it runs without compiled code."""
        return [size["size"] for size in self.record["sizes"] if size.get("eager")]

    @property
    def compiled(self) -> int:
        """The number of sizes whose first call compiled something."""
        return sum(size.get("compilations", 0) > 0 for size in self.record["sizes"])


@dataclass(frozen=True)
class Compiling:
    """The rows of the three tables, and a sentence for each that has rows."""

    warm: list[WarmStart]
    regions: list[Regions]
    sizes: list[Sizes]

    @property
    def sentences(self) -> list[str]:
        """The answers in words; code is between backticks."""
        return [*_of_warm(self.warm), *_of_regions(self.regions), *_of_sizes(self.sizes)]


def compiling(run: Run, tables: Frames) -> Compiling | None:
    """What a run shows about its compilations; None where it has nothing beside first calls."""
    by_case = _paying(tables.comparisons)
    warm, sizes = [], []
    for index, record in enumerate(run.records):
        compiled, name = record["compile"], record["case"]["id"]
        if compiled is not None and "warm_start" in compiled:
            warm.append(WarmStart(name, anchor(index), compiled["warm_start"], *by_case.get(name, (None, None))))
        if compiled is not None and "sizes" in compiled:
            over = next((found for found in record["speedups"] if found["knob"] in ("mode", "reference")), None)
            sizes.append(Sizes(name, anchor(index), compiled["sizes"], record["first_call"]["seconds"], over))
    regions = list(_regions(run, prior_of(run)))
    return Compiling(warm, regions, sizes) if warm or sizes or regions else None


def _paying(comparisons: pd.DataFrame) -> dict[str, tuple[float | None, float | None]]:
    """Case → after how many calls its compilation pays off, and after a warm start."""
    rows = comparisons[comparisons["knob"].isin(["mode", "reference"]) & comparisons["pays_after"].notna()]
    return {
        row.id: (float(row.pays_after), None if pd.isna(row.warm_pays_after) else float(row.warm_pays_after))
        for row in each(rows)
    }


def _regions(run: Run, prior: Prior | None) -> Iterator[Regions]:
    groups: dict[tuple[str, ...], dict[str, tuple[int, Record]]] = {}
    for index, record in enumerate(run.records):
        others = tuple(setting(record, knob) for knob in NAMES if knob != "mode")
        groups.setdefault((record["case"]["family"], *others), {})[setting(record, "mode")] = index, record
    for modes in groups.values():
        whole = next((mode for mode in WHOLE if mode in modes), None)
        if REGIONS not in modes or whole is None:
            continue
        (index, record), (_, baseline) = modes[REGIONS], modes[whole]
        first_calls = (baseline["first_call"]["seconds"], record["first_call"]["seconds"])
        yield Regions(record["case"]["id"], anchor(index), *first_calls, whole, pair_ratio(baseline, record, prior))


def _of_warm(starts: list[WarmStart]) -> Iterator[str]:
    served = [(start, start.record["seconds"]) for start in starts if "seconds" in start.record]
    if served:
        start, seconds = max(served, key=lambda pair: pair[0].record["cold"])
        text = f"{code(start.name)} takes {units.seconds(seconds)} instead of {units.seconds(start.record['cold'])}"
        yield f"In a new process with a filled cache the first call of {text}{_payments(start)}."
    if lost := len(starts) - len(served):
        yield f"{lost} of {len(starts)} starts with a filled cache {'were' if lost > 1 else 'was'} not warm."


def _payments(start: WarmStart) -> str:
    if start.pays_after is None or start.warm_pays_after is None:
        return ""
    warm = units.count(start.warm_pays_after)
    return f"; it pays off after {units.count(start.pays_after)} calls, after a warm start after {warm}"


def _of_regions(found: list[Regions]) -> Iterator[str]:
    if not found:
        return
    best = max(found, key=lambda one: one.whole / one.regions if one.regions > 0 else 0.0)
    steady = f", and makes a call {units.ratio(best.pair.ratio)} as fast ({best.pair.verdict})" if best.pair else ""
    yield (
        f"Compiling repeated blocks alone takes {units.seconds(best.regions)} instead of {units.seconds(best.whole)} "
        f"in {code(best.name)}{steady}."
    )


def _of_sizes(found: list[Sizes]) -> Iterator[str]:
    for one in found:
        number, times = len(one.record["sizes"]), one.record["recompilations"]
        over = f"; over all sizes {units.ratio(one.speedup['ratio'])} as fast as eager" if one.speedup else ""
        again = f"{units.plural(times, 'recompilation')}"
        yield f"{code(one.name)}: {number} sizes, {again}, {units.seconds(one.first_call)} of first calls{over}."
        if one.eager and "limit" in one.record:
            yield (
                f"{code(one.name)} runs {len(one.eager)} of {number} sizes eagerly: torch.compile gives up after "
                f"{one.record['limit']} compilations of a function."
            )
        elif one.eager:
            yield f"{code(one.name)} runs {len(one.eager)} of {number} sizes eagerly, without compiled code."
