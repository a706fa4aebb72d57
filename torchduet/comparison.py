"""What ``compare`` and ``time`` return: the figures of each case, as numbers, as a table and as a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchduet.bench.record.moderation import estimate
from torchduet.bench.record.schema.words import Verdict
from torchduet.bench.record.statistics import side_of
from torchduet.bench.record.visits.intervals import priors_of
from torchduet.judging import judge_by, visits_of
from torchduet.percent import share_of
from torchduet.result import (
    KNOBS,
    ComparisonError,
    Ratio,
    Result,
    has_all,
    in_words_of_arguments,
    label_of,
    label_of_value,
)

if TYPE_CHECKING:
    import pandas

    from torchduet.bench.library.run import Finished

MAX_NAMED = 6  # cases in a message
__tracebackhide__ = True  # pytest shows the line of a test, not these


class Comparison:
    """The outcome of a comparison. It prints as a table, and a notebook shows it with a chart.

    ``comparison["mine"]`` is the only case of a function. Where a function has several, add what distinguishes them:
    ``comparison["mine", 4096, "bf16"]`` or ``comparison.find("mine", n=4096, precision="bf16")``.

    Attributes:
        names: of the functions, as they were given.
        baseline: name of the function that the others are compared with.
        threshold: a difference up to this is ``same``: 0.02 is 2 %.
        results: every case that was measured.
        failed, skipped: case → why it has no result.
        covers: what the intervals cover, in a sentence.
        unclear: what :meth:`assert_not_slower` does where that is not sure, unless it is told: ``pass`` or ``fail``.
    """

    unclear = "pass"

    def __init__(self, finished: Finished, names: Sequence[str], baseline: str, threshold: float) -> None:
        self._finished, self.names, self.baseline, self.threshold = finished, tuple(names), baseline, threshold
        for record in finished.records:
            judge_by(record, threshold)
        sizes = list(dict.fromkeys(record["case"]["size_label"] for record in finished.records))
        self.results = sorted(
            (Result(self, record) for record in finished.records),
            key=lambda result: (sizes.index(result.record["case"]["size_label"]), self.names.index(result.name)),
        )
        self.failed, self.skipped = dict(finished.failed), dict(finished.skipped)
        self.stopped = finished.stopped

    @property
    def covers(self) -> str:
        """What the intervals cover, in a sentence."""
        here, fresh = self._finished.visits
        visits = self._finished.run.get("visits")
        fewest, most = (visits["fewest"], visits["most"]) if visits else (here + fresh, here + fresh)
        number = f"{fewest} to {most} visits" if fewest < most else "one visit" if most == 1 else f"{most} visits"
        several = len({tuple(result.size.items()) for result in self.results}) > 1
        to = " to each size" if several else ""
        if fresh:
            own = "all but the first" if several or here == 1 else f"{fresh} of them"
            return f"99 % intervals over {number}{to}, {own} by fresh processes"
        return (
            f"99 % intervals over {number}{to} by this process: they do not cover what differs from process to "
            f"process, often 1 to 4 % ({self._finished.alone})"
        )

    @property
    def warnings(self) -> list[str]:
        """What may have disturbed the measurement."""
        return [in_words_of_arguments(warning) for warning in self._finished.run["warnings"]]

    @property
    def withheld(self) -> str:
        """Why noise leaves cases without a verdict, and what would help; empty if it does not."""
        return next((result.withheld for result in self.results if result.withheld), "")

    @property
    def noise(self) -> list[str]:
        """What disturbed the machine meanwhile, and what would help; empty if it was quiet."""
        from torchduet.bench.plugin.closing_table import noise_of

        return [in_words_of_arguments(line).strip() for line in noise_of(self._finished.run.get("noise"))]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, key: str | tuple[Any, ...]) -> Result:
        name, *settings = key if isinstance(key, tuple) else (key,)
        return self._one([result for result in self._of(name) if has_all(result, settings)], name, settings)

    def find(self, name: str, **settings: Any) -> Result:
        """The case of a function with these settings: axes by their names, ``device``, ``mode``, ``precision``.

        Raises:
            KeyError: there is none, or more than one.
            ComparisonError: it was not measured; the message says why.
        """
        found = [
            result
            for result in self._of(name)
            if all(str(result.settings.get(knob)) == label_of_value(value) for knob, value in settings.items())
        ]
        return self._one(found, name, [f"{knob}={value}" for knob, value in settings.items()])

    def _of(self, name: str) -> list[Result]:
        if name not in self.names:
            raise KeyError(f"no function is named {name!r}; there are {', '.join(map(repr, self.names))}")
        found = [result for result in self.results if result.name == name]
        if not found:
            reasons = self._reasons(name, {**self.failed, **self.skipped})
            raise ComparisonError(f"{name} was not measured: {reasons[0] if reasons else self.stopped or 'no reason'}")
        return found

    def _reasons(self, name: str, of: Mapping[str, str]) -> list[str]:
        """Why cases of a function have no result, among reasons by case id."""
        return [reason for case, reason in of.items() if self._finished.function_of[case] == name]

    def _one(self, found: Sequence[Result], name: str, settings: Sequence[Any]) -> Result:
        if len(found) == 1:
            return found[0]
        among = found or self._of(name)
        differing = [knob for knob in among[0].settings if len({str(r.settings[knob]) for r in among}) > 1]
        cases = ", ".join(f"({', '.join(repr(r.settings[knob]) for knob in differing)})" for r in among[:MAX_NAMED])
        cases += ", …" if len(among) > MAX_NAMED else ""
        what = f"{name!r} {' '.join(map(str, settings))}".strip()
        if not found:
            raise KeyError(f"no case of {what}; there are {', '.join(differing)}: {cases}")
        raise KeyError(f"{what} has {len(found)} cases; add {' or '.join(differing)}: {cases}")

    def baseline_of(self, result: Result) -> Result | None:
        """The baseline's case with the same settings, or with the nearest; None for the baseline's own first case."""
        same_size = [other for other in self.results if other.size == result.size]
        of_baseline = [other for other in same_size if other.name == self.baseline]
        if not of_baseline:
            return None
        if result.name == self.baseline:
            first = of_baseline[0]
            return None if first is result else first
        return _nearest(result, of_baseline)

    def between(self, result: Result, other: Result) -> Ratio:
        """The speed-up of one case against another, see :meth:`Result.against`."""
        if result.size != other.size:
            raise ComparisonError(
                f"{result.record['case']['id']} and {other.record['case']['id']} have different sizes, and were not "
                "timed in alternation"
            )
        visits = visits_of(other.record, result.record)
        found = estimate(visits, priors_of(self._finished.run.get("visits")).get("speedups"))
        if not math.isfinite(found.half_width):
            return Ratio(math.exp(found.point), math.nan, math.nan, "unclear")
        verdict: Verdict = side_of(found.low, found.high, self.threshold) if found.visits > 1 else "unclear"
        for speedup in result.record["speedups"]:
            if speedup["against"] == other.record["case"]["id"] and speedup["verdict"] == "unclear":
                verdict = "unclear"  # such as withheld for noise
        return Ratio(math.exp(found.point), math.exp(found.low), math.exp(found.high), verdict)

    def assert_not_slower(
        self,
        name: str | None = None,
        *,
        than: str | None = None,
        by: str | float = "5%",
        unclear: str | None = None,
    ) -> None:
        """Raise an ``AssertionError`` if a function is surely slower than another one by more than ``by``.

        It is not sure where the run withholds the verdict for noise, however narrow the interval.

        Args:
            name: of the function (default: every function but ``than``).
            than: what it is held against (default: the baseline).
            by: how many per cent longer a call may take: ``"5%"`` or 0.05.
            unclear: ``"fail"``: raise as well where it is not sure that a call takes no longer than allowed;
                ``"pass"``: do not (default).

        Raises:
            AssertionError: the message has the factor and its interval.
            ValueError: ``by`` or ``unclear`` cannot be used.
            ComparisonError: one of the cases was not measured.
        """
        allowed = share_of(by, "by")
        unclear = self.unclear if unclear is None else unclear
        if unclear not in ("pass", "fail"):
            raise ValueError(f"unclear={unclear!r}: use 'pass' or 'fail'")
        than = self.baseline if than is None else than
        names = [other for other in self.names if other != than] if name is None else [name]
        asked = [result for each in names for result in self._of(each)]
        baselines = self._of(than)
        if failed := [reason for each in dict.fromkeys((*names, than)) for reason in self._reasons(each, self.failed)]:
            raise ComparisonError(f"not every case was measured: {'; '.join(failed)}")
        problems = []
        for result in asked:
            others = [other for other in baselines if other.size == result.size]
            if not others:
                raise ComparisonError(f"{than} was not measured at the size of {label_of(result)}")
            other = _nearest(result, others)
            ratio = result.against(other).inverse
            why = result.withheld or other.withheld
            longer = ratio.low > 1 + allowed and not why
            unsure = unclear == "fail" and (bool(why) or not ratio.high <= 1 + allowed)
            if longer or unsure:
                interval = f"{ratio.low:.3g} to {ratio.high:.3g}, 99 %" if math.isfinite(ratio.low) else "no interval"
                verb = "takes" if longer else "may take"
                problems.append(
                    f"{label_of(result)} {verb} {ratio.speedup:.3g} times as long as {than} ({interval}); "
                    + (f"no verdict: {why}" if unsure and why else f"allowed are {1 + allowed:.4g}")
                )
        if problems:
            raise AssertionError("; ".join(problems))

    def to_pandas(self) -> pandas.DataFrame:
        """One row per case: its settings, seconds per call, speed-up with interval and verdict, first call, notes."""
        import pandas

        rows = []
        for result in self.results:
            ratio, interval = result.ratio, result.seconds_interval
            rows.append(
                {
                    "function": result.name,
                    **result.settings,
                    "seconds": result.seconds,
                    "seconds_low": interval[0],
                    "seconds_high": interval[1],
                    "baseline": "" if (other := result.baseline) is None else label_of(other),
                    "speedup": ratio.speedup,
                    "low": ratio.low,
                    "high": ratio.high,
                    "verdict": "" if other is None else ratio.verdict,
                    "first_call": result.first_call,
                    "notes": "; ".join(result.notes),
                }
            )
        return pandas.DataFrame(rows)

    def document(self) -> dict[str, Any]:
        """The run as a dictionary, as :meth:`save` writes it."""
        from torchduet.bench.library.run_file import document

        return document(self._finished.records, self._finished.run, self._finished.started)

    def save(self, path: str | Path) -> Path:
        """Write a run's file, which ``torchduet render``, ``compare``, ``history`` and pytest-benchmark read.

        Raises:
            OSError: it cannot be written; nothing half-written stays.
        """
        from torchduet.bench.library.run_file import write

        write(self.document(), Path(path))
        return Path(path)

    def __str__(self) -> str:
        from torchduet.table import lines

        return "\n".join(lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from torchduet.card import html

        return html(self)


def _nearest(result: Result, among: Sequence[Result]) -> Result:
    """The first of the cases that share most settings with this one."""
    return max(among, key=lambda other: sum(getattr(other, knob) == getattr(result, knob) for knob in KNOBS))
