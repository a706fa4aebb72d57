"""How many DataLoader workers to use: for each workload and size, the best number and what others cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import NAMES, code, workers
from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.pairs import Held, held
from torchduet.reports.text import units
from torchduet.reports.text.settings import setting, spoken

KNOBS = tuple(name for name in NAMES if name != "workers")  # by which choices are told apart
FIRST = ("first batch", "first step")  # the meters that say how long until the first batch was there, or used


@dataclass(frozen=True)
class Count:
    """One number of workers: its record, and how it compares with none (or the least) and with the chosen one."""

    workers: int
    record: Record
    over_least: Held | None
    over_use: Held | None

    @property
    def first_batch(self) -> float | None:
        """Seconds until the first batch, where the workload notes them."""
        meters = self.record.get("meters", {})
        return next((meters[name]["median"] for name in FIRST if name in meters and meters[name]["unit"] == "s"), None)


@dataclass(frozen=True)
class Choice:
    """The number of workers to use for one workload at one size and setting.

    Attributes:
        name: workload, size and what else sets it apart.
        counts: every number that was measured, ascending.
        use: the fewest that are as fast as the fastest.
    """

    name: str
    counts: tuple[Count, ...]
    use: Count

    @property
    def least(self) -> Count:
        """What all others are held against."""
        return self.counts[0]

    @property
    def sure(self) -> bool:
        """Whether the chosen number is shown to be faster than the least (or is the least)."""
        return self.use is self.least or (self.use.over_least is not None and self.use.over_least.verdict == "faster")


def choices(run: Run) -> list[Choice]:
    """A choice per family and setting of the other knobs that was measured with at least two numbers."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    varied: dict[str, dict[str, set[str]]] = {}
    for record in run.records:
        case = record["case"]
        if "workers" not in case:
            continue
        groups.setdefault((case["family"], *(setting(record, knob) for knob in KNOBS)), []).append(record)
        seen = varied.setdefault(case["family"], {knob: set() for knob in KNOBS})
        for knob in KNOBS:
            seen[knob].add(setting(record, knob))
    found = []
    for (family, *_), records in groups.items():
        telling = [knob for knob in KNOBS if len(varied[family][knob]) > 1]
        choice = _choice(records, telling)
        if choice:
            found.append(choice)
    return found


def _choice(records: Sequence[Record], telling: Sequence[str]) -> Choice | None:
    ordered = sorted(records, key=lambda record: record["case"].get("workers", 0))
    least = ordered[0]
    over_least = {record["case"]["id"]: held(least, record) for record in ordered}
    comparable = [record for record in ordered if over_least[record["case"]["id"]] is not None]
    if len(comparable) < 2:
        return None
    fastest = max(comparable, key=lambda record: _ratio(over_least[record["case"]["id"]]))
    use = next(record for record in comparable if record is fastest or _verdict(held(fastest, record)) == "same")
    counts = tuple(
        Count(record["case"].get("workers", 0), record, over_least[record["case"]["id"]], held(use, record))
        for record in comparable
    )
    case = least["case"]
    said = (case["size_label"].replace(",", ", "), *(spoken(least, knob) for knob in telling))
    name = " ".join((f"{case['suite']}.{case['workload']}", " · ".join(part for part in said if part))).strip()
    return Choice(name, counts, next(count for count in counts if count.record is use))


def _ratio(one: Held | None) -> float:
    return one.ratio if one else 0.0


def _verdict(one: Held | None) -> str:
    return one.verdict if one else "unclear"


def sentence(choice: Choice) -> str:
    """Which number to use, what it gains over the least, and what the others cost."""
    least = none(choice.least.workers)
    use = choice.use
    if use is choice.least:
        costs = _costs(choice) or "no other number is clearly faster or slower."
        return f"For {code(choice.name)} stay with {use.workers}: {costs}"
    over = use.over_least
    gain = "" if over is None else f"{units.ratio(over.ratio)}{_interval(over)} as fast as {least}"
    sure = "" if choice.sure else ", which is not settled"
    costs = _costs(choice)
    return f"For {code(choice.name)} use {workers(str(use.workers))}: {gain}{sure}{'; ' + costs if costs else '.'}"


def none(number: int) -> str:
    """What the least number is called in a sentence."""
    return "none" if number == 0 else workers(str(number))


def _costs(choice: Choice) -> str:
    """``8 workers cost 12 % (10 % to 14 %) more than 2; 1 worker takes 3.1 times as long.``"""
    parts = []
    for count in choice.counts:
        one = count.over_use
        if count is choice.use or one is None or one.verdict != "slower":
            continue
        if count is choice.least and choice.use.over_least is not None:
            continue  # said already, as the gain over it
        subject = workers(str(count.workers))
        singular = count.workers == 1
        if one.extra < 1:
            parts.append(f"{subject} cost{'s' if singular else ''} {units.percent(one.extra)}{_extra(one)} more")
        else:
            parts.append(f"{subject} take{'s' if singular else ''} {units.digits(1 / one.ratio, 2)} times as long")
    return "; ".join(parts) + "." if parts else ""


def _interval(one: Held) -> str:
    shown = units.ratio_interval(one.low, one.high)
    return f" ({shown})" if shown else " (no interval)"


def _extra(one: Held) -> str:
    if one.low is None or one.high is None:
        return ""
    return f" ({units.percent(1 / one.high - 1)} to {units.percent(1 / one.low - 1)})"
