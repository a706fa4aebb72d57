"""Paths of cumulative steps: what each step, on top of all before it, contributes to the time to a result.

The workloads that are paths are declared here. Their steps are their implementations in the order of the file, each
compared with the one before, seed by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record.knobs import code
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import MeterRecord, Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.pairs import PairRatio, pair_ratio
from torchduet.reports.tables.visits import prior_of
from torchduet.reports.text import units
from torchduet.reports.text.settings import SETTABLE, setting, setting_words

# (suite, workload) → implementations off the path, compared with its first step
PATHS: dict[tuple[str, str], tuple[str, ...]] = {("training", "to_accuracy"): ("in_memory",)}
PATH_KNOBS = ("device",)  # one path for each setting of these
STEP_KNOBS = tuple(knob for knob in SETTABLE if knob not in PATH_KNOBS)  # the steps of a path may differ in these


@dataclass(frozen=True)
class Step:
    """One step of a path.

    Attributes:
        over_previous: compared with the step before; None for the first step, or if the two cannot be paired.
        over_first: compared with the first step.
        off_path: whether it is listed beside the path instead of being one of its cumulative steps.
    """

    name: str
    anchor: str
    record: Record
    over_previous: PairRatio | None
    over_first: PairRatio | None
    off_path: bool

    @property
    def seconds(self) -> float:
        """The time of the step, in the median over seeds."""
        return self.record["timing"]["seconds"]

    def meter(self, name: str) -> MeterRecord | None:
        """A meter that the training records about itself, such as its epochs."""
        return self.record.get("meters", {}).get(name)


@dataclass(frozen=True)
class Path:
    """The steps of one workload at one size and setting, in order; those off the path come last."""

    key: str
    name: str
    steps: tuple[Step, ...]

    @property
    def on_path(self) -> list[Step]:
        """The cumulative steps."""
        return [step for step in self.steps if not step.off_path]

    @property
    def meters(self) -> list[str]:
        """The meters of the steps that are no phases: epochs, accuracy."""
        names = dict.fromkeys(name for step in self.steps for name in step.record.get("meters", {}))
        return [name for name in names if self._varies(name)]

    def _varies(self, name: str) -> bool:
        """Whether a meter is no phase, and not the same for every step."""
        meters = [meter for step in self.steps if (meter := step.meter(name))]
        return (
            meters[0]["unit"] != "s" and len({(meter["low"], meter["median"], meter["high"]) for meter in meters}) > 1
        )


def paths(run: Run) -> list[Path]:
    """A path per declared workload, size and setting of the knobs, where at least two steps were measured."""
    groups: dict[tuple[str, ...], list[tuple[str, Record]]] = {}
    varied: dict[str, dict[str, set[str]]] = {}
    for index, record in enumerate(run.records):
        case = record["case"]
        if (case["suite"], case["workload"]) in PATHS:
            groups.setdefault((case["family"], *(setting(record, knob) for knob in PATH_KNOBS)), []).append(
                (anchor(index), record)
            )
            values = varied.setdefault(case["family"], {knob: set() for knob in PATH_KNOBS})
            for knob in PATH_KNOBS:
                values[knob].add(setting(record, knob))
    declared: list[Path] = []
    prior = prior_of(run)
    for (family, *_), members in groups.items():
        suite, workload = members[0][1]["case"]["suite"], members[0][1]["case"]["workload"]
        on_path = [record for _, record in members if record["case"]["implementation"] not in PATHS[suite, workload]]
        if on_path and len(members) >= 2:
            named_knobs = [knob for knob in PATH_KNOBS if len(varied[family][knob]) > 1]
            declared.append(_path(f"path-{len(declared) + 1}", members, named_knobs, prior))
    return declared


def _path(key: str, members: list[tuple[str, Record]], named_knobs: list[str], prior: Prior | None) -> Path:
    case = members[0][1]["case"]
    others = PATHS[case["suite"], case["workload"]]
    on_path = [member for member in members if member[1]["case"]["implementation"] not in others]
    steps: list[Step] = []
    for case_anchor, record in on_path + [member for member in members if member not in on_path]:
        off_path = record["case"]["implementation"] in others
        steps.append(
            Step(
                name=_name(record, [member for _, member in members]),
                anchor=case_anchor,
                record=record,
                over_previous=pair_ratio(steps[-1].record, record, prior) if steps and not off_path else None,
                over_first=pair_ratio(steps[0].record, record, prior) if steps else None,
                off_path=off_path,
            )
        )
    parts = (case["size_label"].replace(",", ", "), *(setting_words(members[0][1], knob) for knob in named_knobs))
    name = " ".join((f"{case['suite']}.{case['workload']}", " · ".join(part for part in parts if part))).strip()
    return Path(key, name, tuple(steps))


def _name(record: Record, members: list[Record]) -> str:
    """The implementation, with those of its settings in which the steps of this implementation differ."""
    same = [member for member in members if member["case"]["implementation"] == record["case"]["implementation"]]
    named_knobs = [knob for knob in STEP_KNOBS if len({setting(member, knob) for member in same}) > 1]
    return " · ".join((record["case"]["implementation"], *(setting_words(record, knob) for knob in named_knobs)))


def sentences(path: Path) -> list[str]:
    """What the whole path gains, which steps are faster or slower, and the accuracy at the end."""
    first, last = path.on_path[0], path.on_path[-1]
    words = []
    if last.over_first is not None and last is not first:
        words.append(
            f"From {code(first.name)} to {code(last.name)}, {code(path.name)} becomes {_ratio(last.over_first)} as "
            f"fast: {units.seconds(first.seconds)} became {units.seconds(last.seconds)}."
        )
    judged = [step for step in path.on_path if step.over_previous is not None]
    for verdict, lead in (("faster", "What helps"), ("slower", "What costs"), ("same", "Makes no difference")):
        named = [
            f"{code(step.name)} {_ratio(step.over_previous)}"
            for step in sorted(judged, key=_change, reverse=True)
            if step.over_previous and step.over_previous.verdict == verdict
        ]
        if named:
            words.append(f"{lead}, each on top of the steps before: {', '.join(named)}.")
    unclear = [code(step.name) for step in judged if step.over_previous and step.over_previous.verdict == "unclear"]
    if unclear:
        words.append(f"Unclear in this run: {', '.join(unclear)}.")
    words += [
        f"{code(step.name)}, beside the path, is {_ratio(step.over_first)} as fast as {code(first.name)}."
        for step in path.steps
        if step.off_path and step.over_first
    ]
    missed = [code(step.name) for step in path.steps if (meter := step.meter("reached")) and meter["low"] < 1]
    if missed:
        words.append(
            f"Not every seed reached the target with {', '.join(missed)}: such a seed's time ends where it gave up."
        )
    accuracy = [(step, meter) for step in path.steps if (meter := step.meter("accuracy"))]
    if len(accuracy) > 1:
        least = min(accuracy, key=lambda pair: pair[1]["median"])
        most = max(accuracy, key=lambda pair: pair[1]["median"])
        words.append(
            f"Accuracy at the end, in the median over seeds: {least[1]['median']:.4f} ({code(least[0].name)}) "
            f"to {most[1]['median']:.4f} ({code(most[0].name)})."
        )
    return words


def _change(step: Step) -> float:
    """How much the step changes the time, in either direction, as a share of the time before."""
    return abs(step.over_previous.extra_time) if step.over_previous else 0.0


def _ratio(pair: PairRatio) -> str:
    interval = units.ratio_interval(pair.low, pair.high)
    return f"{units.ratio(pair.ratio)} ({interval or 'no interval'})"
