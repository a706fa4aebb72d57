"""One case of a comparison: its figures as numbers, and its speed-up against any other case of its size."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import Record
from torchduet.bench.record.schema.words import Verdict

__tracebackhide__ = True  # pytest shows the line of a test, not these
MIN_VISITS = 2  # one shows nothing of what differs between visits
KNOBS = ("device", "mode", "precision")


class ComparisonError(ValueError):
    """Nothing can be compared, or a case that was asked for was not measured; the message says why, in one line.

    Attributes:
        comparison: the :class:`torchduet.Comparison` of what was measured nevertheless; None without one.
    """

    comparison: Any = None


ComparisonError.__module__ = "torchduet"  # where programs find it, and what tracebacks show


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one case is as another, over visits, with its 99 % interval.

    Attributes:
        speedup: the other's time / this case's time: 1.31 reads as 1.31 times as fast.
        low, high: the interval; NaN where there are too few visits for one.
        verdict: ``faster``, ``slower`` or ``same`` beyond or within the threshold, or ``unclear``.
    """

    speedup: float
    low: float
    high: float
    verdict: Verdict

    @property
    def inverse(self) -> Ratio:
        """The same comparison, seen from the other case."""
        words: Mapping[Verdict, Verdict] = {"faster": "slower", "slower": "faster"}
        return Ratio(1 / self.speedup, 1 / self.high, 1 / self.low, words.get(self.verdict, self.verdict))


class Compared(Protocol):
    """What a case, and a table of cases, ask of their comparison: a :class:`torchduet.Comparison`."""

    baseline: str
    threshold: float
    results: list[Result]
    failed: dict[str, str]
    skipped: dict[str, str]
    stopped: str

    @property
    def covers(self) -> str:
        """What the intervals cover, in a sentence."""

    @property
    def warnings(self) -> list[str]:
        """What may have disturbed the measurement."""

    @property
    def noise(self) -> list[str]:
        """What disturbed the machine meanwhile, and what would help."""

    def find(self, name: str, **settings: Any) -> Result:
        """The case of a function with these settings."""

    def baseline_of(self, result: Result) -> Result | None:
        """The case that a case's speed-up is against."""

    def between(self, result: Result, other: Result) -> Ratio:
        """The speed-up of one case against another."""


class Result:
    """One case: a function at one size, on one device, in one mode and precision.

    Attributes:
        name: of the function.
        size: axis → value.
        record: all figures, as in the file of a run.
    """

    def __init__(self, comparison: Compared, record: Record) -> None:
        self._comparison, self.record = comparison, record
        case = record["case"]
        self.name, self.size = case["implementation"], dict(case["size"])
        self.device, self.mode, self.precision = case["device"], case["mode"], case["precision"]

    @property
    def threshold(self) -> float:
        """A difference up to this is ``same``."""
        return self._comparison.threshold

    @property
    def settings(self) -> dict[str, Any]:
        """Its size and settings by name."""
        return {**self.size, **{knob: getattr(self, knob) for knob in KNOBS}}

    @property
    def seconds(self) -> float:
        """Seconds per call, over visits."""
        return self.record["timing"]["seconds"]

    @property
    def seconds_interval(self) -> tuple[float, float]:
        """The 99 % interval of the seconds per call; NaN where there is none."""
        timing = self.record["timing"]
        return _number(timing["low"]), _number(timing["high"])

    @property
    def first_call(self) -> float:
        """Seconds of the first call, compilation included."""
        return self.record["first_call"]["seconds"]

    @property
    def notes(self) -> list[str]:
        """What a reader should know of it, such as that its calls change their inputs."""
        return self.record["notes"]

    @property
    def withheld(self) -> str:
        """Why it has no verdict whatever its interval, and what would help; empty if it may have one."""
        for note in self.notes:
            if note.startswith(NO_VERDICT):
                return in_words_of_arguments(note.removeprefix(NO_VERDICT))
        if len(self.record["timing"].get("visits", [])) < MIN_VISITS:
            return "there was time for one visit only; give a longer budget"
        return ""

    @property
    def baseline(self) -> Result | None:
        """The case that its speed-up is against; None for the baseline itself."""
        return self._comparison.baseline_of(self)

    @property
    def speedup(self) -> float:
        """How many times as fast it is as the baseline; 1 for the baseline itself."""
        return self.ratio.speedup

    @property
    def low(self) -> float:
        """The lower end of the speed-up's 99 % interval; NaN where there is none."""
        return self.ratio.low

    @property
    def high(self) -> float:
        """The upper end of the speed-up's 99 % interval; NaN where there is none."""
        return self.ratio.high

    @property
    def verdict(self) -> Verdict:
        """``faster``, ``slower``, ``same`` or ``unclear``, against the baseline."""
        return self.ratio.verdict

    @property
    def ratio(self) -> Ratio:
        """Its speed-up against the baseline, with interval and verdict."""
        other = self.baseline
        return Ratio(1.0, 1.0, 1.0, "same") if other is None else self.against(other)

    def against(self, other: Result | str) -> Ratio:
        """Its speed-up against any other case of the same size, from blocks taken in alternation.

        Args:
            other: the case, or the name of a function, which means its case with the same settings.

        Raises:
            KeyError: there is no such case.
            ComparisonError: they were not timed in alternation, as their sizes differ.
        """
        if isinstance(other, str):
            other = self._comparison.find(other, **self.settings)
        return self._comparison.between(self, other)

    def __repr__(self) -> str:
        return f"<{self.record['case']['id']}: {self.seconds:.3g} s per call>"


def label_of(result: Result) -> str:
    parts = [result.name, *(f"{axis}={value}" for axis, value in result.size.items())]
    return " ".join([*parts, *(value for value in (result.mode, result.precision) if value not in ("eager", "fp32"))])


def in_words_of_arguments(text: str) -> str:
    """A text about options of the command line, for somebody who gives arguments."""
    text = re.sub(r"--(\w+) (\S+): ", r"\1='\2': ", text.replace(" (--when-busy go)", ""))
    return re.sub(r"--(\w+)[ =](\d+)", r"\1=\2", text).replace("a longer --", "a longer ")


def has_all(result: Result, settings: Sequence[Any]) -> bool:
    values = [str(value) for value in result.settings.values()]
    labels = [f"{name}={value}" for name, value in result.settings.items()]
    wanted = [label_of_value(setting) for setting in settings]
    return all(setting in values or setting in labels for setting in wanted)


def label_of_value(value: Any) -> str:
    """A size as it was given, as tables show it: ``64x4096`` of (64, 4096), ``float32`` of a type of PyTorch."""
    if isinstance(value, tuple | list):
        return "x".join(map(label_of_value, value))
    return str(value).removeprefix("torch.")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
