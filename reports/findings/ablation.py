"""Paths of cumulative steps: what each step, on top of all before it, contributes to the time to a result.

Which workloads are such paths is declared here; their steps are their implementations in the order of
the file, each held against the one before, seed by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record.knobs import code
from torchduet.bench.record.schema import MeterRecord, Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.pairs import Held, held
from torchduet.reports.text import units
from torchduet.reports.text.settings import SET, setting, spoken

# (suite, workload) → implementations that stand beside the path, held against its first step
PATHS: dict[tuple[str, str], tuple[str, ...]] = {("training", "to_accuracy"): ("in_memory",)}
APART, WITHIN = (
    ("device",),
    tuple(knob for knob in SET if knob != "device"),
)  # paths differ in these, and steps in those


@dataclass(frozen=True)
class Step:
    """One step of a path.

    Attributes:
        before: against the step before; None for the first, and for one that cannot be paired with it.
        first: against the first step.
        beside: whether it stands beside the path instead of on it.
    """

    name: str
    anchor: str
    record: Record
    before: Held | None
    first: Held | None
    beside: bool

    @property
    def seconds(self) -> float:
        """The time that it took, in the median over seeds."""
        return self.record["timing"]["seconds"]

    def meter(self, name: str) -> MeterRecord | None:
        """Something that the training notes about itself, such as its epochs."""
        return self.record.get("meters", {}).get(name)


@dataclass(frozen=True)
class Path:
    """The steps of one workload at one size and setting, in order; those beside the path last."""

    key: str
    name: str
    steps: tuple[Step, ...]

    @property
    def on_it(self) -> list[Step]:
        """The cumulative steps."""
        return [step for step in self.steps if not step.beside]

    @property
    def meters(self) -> list[str]:
        """Everything that a step notes beside its phases: epochs, accuracy."""
        names = dict.fromkeys(name for step in self.steps for name in step.record.get("meters", {}))
        return [name for name in names if self._tells(name)]

    def _tells(self, name: str) -> bool:
        """Whether a meter is no phase, and not the same for every step."""
        noted = [meter for step in self.steps if (meter := step.meter(name))]
        return noted[0]["unit"] != "s" and len({(one["low"], one["median"], one["high"]) for one in noted}) > 1


def paths(run: Run) -> list[Path]:
    """A path per declared workload, size and setting of the knobs, where at least two steps were measured."""
    groups: dict[tuple[str, ...], list[tuple[str, Record]]] = {}
    varied: dict[str, dict[str, set[str]]] = {}
    for index, record in enumerate(run.records):
        case = record["case"]
        if (case["suite"], case["workload"]) in PATHS:
            groups.setdefault((case["family"], *(setting(record, knob) for knob in APART)), []).append(
                (anchor(index), record)
            )
            seen = varied.setdefault(case["family"], {knob: set() for knob in APART})
            for knob in APART:
                seen[knob].add(setting(record, knob))
    found: list[Path] = []
    for (family, *_), members in groups.items():
        suite, workload = members[0][1]["case"]["suite"], members[0][1]["case"]["workload"]
        on_it = [one for _, one in members if one["case"]["implementation"] not in PATHS[suite, workload]]
        if on_it and len(members) >= 2:
            telling = [knob for knob in APART if len(varied[family][knob]) > 1]
            found.append(_path(f"path-{len(found) + 1}", members, telling))
    return found


def _path(key: str, members: list[tuple[str, Record]], telling: list[str]) -> Path:
    case = members[0][1]["case"]
    beside = PATHS[case["suite"], case["workload"]]
    on_it = [one for one in members if one[1]["case"]["implementation"] not in beside]
    steps: list[Step] = []
    for place, record in on_it + [one for one in members if one not in on_it]:
        aside = record["case"]["implementation"] in beside
        steps.append(
            Step(
                name=_name(record, [one for _, one in members]),
                anchor=place,
                record=record,
                before=held(steps[-1].record, record) if steps and not aside else None,
                first=held(steps[0].record, record) if steps else None,
                beside=aside,
            )
        )
    said = (case["size_label"].replace(",", ", "), *(spoken(members[0][1], knob) for knob in telling))
    name = " ".join((f"{case['suite']}.{case['workload']}", " · ".join(part for part in said if part))).strip()
    return Path(key, name, tuple(steps))


def _name(record: Record, members: list[Record]) -> str:
    """The implementation, with its other settings where it has several of them here."""
    alike = [one for one in members if one["case"]["implementation"] == record["case"]["implementation"]]
    telling = [knob for knob in WITHIN if len({setting(one, knob) for one in alike}) > 1]
    return " · ".join((record["case"]["implementation"], *(spoken(record, knob) for knob in telling)))


def sentences(path: Path) -> list[str]:
    """What the whole path gains, which steps bring it, which cost, and at what accuracy."""
    first, last = path.on_it[0], path.on_it[-1]
    said = []
    if last.first is not None and last is not first:
        said.append(
            f"From {code(first.name)} to {code(last.name)} {code(path.name)} becomes {_ratio(last.first)} as fast: "
            f"{units.seconds(first.seconds)} became {units.seconds(last.seconds)}."
        )
    judged = [step for step in path.on_it if step.before is not None]
    for verdict, words in (("faster", "What helps"), ("slower", "What costs"), ("same", "Makes no difference")):
        named = [
            f"{code(step.name)} {_ratio(step.before)}"
            for step in sorted(judged, key=lambda one: abs(one.before.extra) if one.before else 0.0, reverse=True)
            if step.before and step.before.verdict == verdict
        ]
        if named:
            said.append(f"{words}, each on top of the steps before: {', '.join(named)}.")
    unclear = [code(step.name) for step in judged if step.before and step.before.verdict == "unclear"]
    if unclear:
        said.append(f"Not settled by this run: {', '.join(unclear)}.")
    said += [
        f"{code(step.name)}, beside the path, is {_ratio(step.first)} as fast as {code(first.name)}."
        for step in path.steps
        if step.beside and step.first
    ]
    missed = [code(step.name) for step in path.steps if (one := step.meter("reached")) and one["low"] < 1]
    if missed:
        said.append(f"Not every seed reached the target with {', '.join(missed)}: its time is that until it gave up.")
    accuracy = [(step, meter) for step in path.steps if (meter := step.meter("accuracy"))]
    if len(accuracy) > 1:
        least = min(accuracy, key=lambda one: one[1]["median"])
        most = max(accuracy, key=lambda one: one[1]["median"])
        said.append(
            f"Accuracy at the end, in the median over seeds: {least[1]['median']:.4f} ({code(least[0].name)}) "
            f"to {most[1]['median']:.4f} ({code(most[0].name)})."
        )
    return said


def _ratio(one: Held) -> str:
    interval = units.ratio_interval(one.low, one.high)
    return f"{units.ratio(one.ratio)} ({interval or 'no interval'})"
