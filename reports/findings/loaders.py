"""How many DataLoader workers to use: for each workload and size, the best number and what other numbers cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import NAMES, code, workers
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.pairs import PairRatio, pair_ratio
from torchduet.reports.tables.visits import prior_of
from torchduet.reports.text import units
from torchduet.reports.text.settings import setting, setting_words

OTHER_KNOBS = tuple(name for name in NAMES if name != "workers")  # one choice for each setting of these
MAX_BRIEF = 2  # workloads that the brief answer names
FIRST = ("first batch", "first step")  # the meters of the time until the first batch was loaded, or used


@dataclass(frozen=True)
class Count:
    """One number of workers: its record, and how it compares with the fewest and with the recommended number."""

    workers: int
    record: Record
    over_fewest: PairRatio | None
    over_recommended: PairRatio | None

    @property
    def first_batch(self) -> float | None:
        """Seconds until the first batch, if the workload records them."""
        meters = self.record.get("meters", {})
        return next((meters[name]["median"] for name in FIRST if name in meters and meters[name]["unit"] == "s"), None)


@dataclass(frozen=True)
class Choice:
    """The number of workers to use for one workload at one size and setting.

    Attributes:
        name: workload, size and the settings that differ.
        counts: every number that was measured, ascending.
        recommended: the smallest number that is as fast as the fastest.
    """

    name: str
    counts: tuple[Count, ...]
    recommended: Count

    @property
    def fewest(self) -> Count:
        """The smallest number, which all others are compared with."""
        return self.counts[0]

    @property
    def sure(self) -> bool:
        """Whether the recommended number is shown to be faster than the fewest (or is the fewest)."""
        return self.recommended is self.fewest or (
            self.recommended.over_fewest is not None and self.recommended.over_fewest.verdict == "faster"
        )


def choices(run: Run) -> list[Choice]:
    """A choice per family and setting of the other knobs that was measured with at least two numbers."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    varied: dict[str, dict[str, set[str]]] = {}
    for record in run.records:
        case = record["case"]
        if "workers" not in case:
            continue
        groups.setdefault((case["family"], *(setting(record, knob) for knob in OTHER_KNOBS)), []).append(record)
        values = varied.setdefault(case["family"], {knob: set() for knob in OTHER_KNOBS})
        for knob in OTHER_KNOBS:
            values[knob].add(setting(record, knob))
    listed = []
    prior = prior_of(run)
    for (family, *_), records in groups.items():
        choice = _choice(records, [knob for knob in OTHER_KNOBS if len(varied[family][knob]) > 1], prior)
        if choice:
            listed.append(choice)
    return listed


def _choice(records: Sequence[Record], named_knobs: Sequence[str], prior: Prior | None) -> Choice | None:
    ordered = sorted(records, key=lambda record: record["case"].get("workers", 0))
    fewest = ordered[0]
    over_fewest = {record["case"]["id"]: pair_ratio(fewest, record, prior) for record in ordered}
    comparable = [record for record in ordered if over_fewest[record["case"]["id"]] is not None]
    if len(comparable) < 2:
        return None
    fastest = max(comparable, key=lambda record: _ratio(over_fewest[record["case"]["id"]]))
    recommended = next(
        record for record in comparable if record is fastest or _verdict(pair_ratio(fastest, record, prior)) == "same"
    )
    counts = tuple(
        Count(
            record["case"].get("workers", 0),
            record,
            over_fewest[record["case"]["id"]],
            pair_ratio(recommended, record, prior),
        )
        for record in comparable
    )
    case = fewest["case"]
    parts = (case["size_label"].replace(",", ", "), *(setting_words(fewest, knob) for knob in named_knobs))
    name = " ".join((f"{case['suite']}.{case['workload']}", " · ".join(part for part in parts if part))).strip()
    return Choice(name, counts, next(count for count in counts if count.record is recommended))


def _ratio(pair: PairRatio | None) -> float:
    return pair.ratio if pair else 0.0


def _verdict(pair: PairRatio | None) -> str:
    return pair.verdict if pair else "unclear"


def sentence(choice: Choice) -> str:
    """Which number to use, what it gains over the fewest, and what the others cost."""
    fewest = none(choice.fewest.workers)
    recommended = choice.recommended
    if recommended is choice.fewest:
        costs = _costs(choice) or "no other number is clearly faster or slower."
        return f"For {code(choice.name)} stay with {recommended.workers}: {costs}"
    over = recommended.over_fewest
    gain = "" if over is None else f"{units.ratio(over.ratio)}{_interval(over)} as fast as {fewest}"
    sure = "" if choice.sure else ", which is not settled"
    costs = _costs(choice)
    return (
        f"For {code(choice.name)} use {workers(str(recommended.workers))}: {gain}{sure}{'; ' + costs if costs else '.'}"
    )


def brief(choices: Sequence[Choice]) -> str:
    """The number for each of the first workloads: ``Workers to use: 2 for `a` (1.50×), 0 for `b`.``"""
    parts = []
    for choice in choices[:MAX_BRIEF]:
        over = choice.recommended.over_fewest
        gain = "" if choice.recommended is choice.fewest or over is None else f" ({units.ratio(over.ratio)})"
        parts.append(f"{choice.recommended.workers} for {code(choice.name)}{gain}")
    if (more := len(choices) - MAX_BRIEF) > 0:
        parts.append(f"and {units.plural(more, 'more workload')} below")
    return f"Workers to use: {', '.join(parts)}."


def none(number: int) -> str:
    """The fewest workers in a sentence: ``none`` for 0."""
    return "none" if number == 0 else workers(str(number))


def _costs(choice: Choice) -> str:
    """``8 workers cost 12 % (10 % to 14 %) more than 2; 1 worker takes 3.1 times as long.``"""
    parts = []
    for count in choice.counts:
        pair = count.over_recommended
        if count is choice.recommended or pair is None or pair.verdict != "slower":
            continue
        if count is choice.fewest and choice.recommended.over_fewest is not None:
            continue  # the sentence states the gain over it already
        subject = workers(str(count.workers))
        singular = count.workers == 1
        if pair.extra_time < 1:
            parts.append(
                f"{subject} cost{'s' if singular else ''} {units.percent(pair.extra_time)}{_extra_interval(pair)} more"
            )
        else:
            parts.append(f"{subject} take{'s' if singular else ''} {units.digits(1 / pair.ratio, 2)} times as long")
    return "; ".join(parts) + "." if parts else ""


def _interval(pair: PairRatio) -> str:
    shown = units.ratio_interval(pair.low, pair.high)
    return f" ({shown})" if shown else " (no interval)"


def _extra_interval(pair: PairRatio) -> str:
    if pair.low is None or pair.high is None:
        return ""
    return f" ({units.percent(1 / pair.high - 1)} to {units.percent(1 / pair.low - 1)})"
