"""The answers: for each knob that was turned, whether it is worth it, by how much and how surely.

What they are put into words with is left to ``sentences``, how they look to the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.engine.estimate import VERDICTS
from reports import sentences
from reports.frames import KNOBS, TOGETHER, each

STANDINGS = {
    "yes": "Worth it",
    "mostly": "Worth it for most",
    "depends": "It depends",
    "long": "Only for long runs",
    "same": "Makes no difference",
    "no": "Not worth it",
    "unclear": "Not known yet",
}
# knob → what all of its settings are called, and what they are held against
COLLECTED = {
    "implementation": ("Another implementation", "the workload's first implementation"),
    TOGETHER: ("Several knobs at once", "the reference"),
}


@dataclass(frozen=True)
class Answer:
    """What the run says about one setting of one knob.

    Attributes:
        key: its place in the page, made of letters and digits only.
        standing: a key of ``STANDINGS``.
        ratio: the median of the ratios, above 1 means faster.
        tally: verdict → number of comparisons, in the order of ``VERDICTS``.
        sentences: effect first, then certainty, pay-off, accuracy and what would make it clear.
        rows: the comparisons behind it.
    """

    key: str
    knob: str
    value: str
    baseline: str
    title: str
    standing: str
    ratio: float
    tally: dict[str, int]
    sentences: tuple[str, ...]
    rows: pd.DataFrame

    @property
    def words(self) -> str:
        """The standing in words."""
        return STANDINGS[self.standing]


def answers(comparisons: pd.DataFrame) -> list[Answer]:
    """An answer per knob, setting and baseline: the single knobs first, then several together.

    Implementations and combinations differ from workload to workload; where there are several, one
    answer collects them.
    """
    order = [*KNOBS, TOGETHER]
    found: list[Answer] = []
    knobs = sorted(comparisons["knob"].unique(), key=lambda knob: order.index(knob) if knob in order else len(KNOBS))
    for knob in knobs:
        rows = comparisons[comparisons["knob"] == knob]
        settings = list(rows.groupby(["value", "baseline"], sort=False))
        if knob in COLLECTED and len(settings) > 1:
            found.append(_collection(f"answer-{len(found) + 1}", knob, rows))
            continue
        for (value, baseline), its_rows in settings:
            found.append(_answer(f"answer-{len(found) + 1}", knob, str(value), str(baseline), its_rows))
    return found


def _collection(key: str, knob: str, rows: pd.DataFrame) -> Answer:
    title, baseline = COLLECTED[knob]
    tally = _tally(rows)
    said = [
        sentences.overall(rows, tally, baseline),
        sentences.certainty(rows, tally),
        sentences.alternatives(rows, "faster"),
        sentences.alternatives(rows, "slower"),
        sentences.pay_off(rows) if tally["faster"] else "",
        sentences.to_be_clear(rows),
    ]
    spelled = [f"{one.value} instead of {one.baseline}" if knob != TOGETHER else one.value for one in each(rows)]
    setting = [" · ".join(filter(None, pair)) for pair in zip(spelled, rows["setting"], strict=True)]
    return Answer(
        key=key,
        knob=knob,
        value="",
        baseline=baseline,
        title=title,
        standing=_standing(tally, rows),
        ratio=float(rows["ratio"].median()),
        tally=tally,
        sentences=tuple(sentence for sentence in said if sentence),
        rows=rows.assign(setting=setting, name=rows["workload"] + " " + pd.Series(setting, index=rows.index)),
    )


def _tally(rows: pd.DataFrame) -> dict[str, int]:
    return {verdict: int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}


def _answer(key: str, knob: str, value: str, baseline: str, rows: pd.DataFrame) -> Answer:
    tally = _tally(rows)
    title = sentences.title_of(knob, value, baseline)
    said = [sentences.effect(title, rows), sentences.certainty(rows, tally)]
    said += [sentences.where(rows, verdict) for verdict in ("faster", "slower") if _mixed(tally) and tally[verdict]]
    said += [
        sentences.pay_off(rows),
        sentences.accuracy(rows) if knob == "precision" else "",
        sentences.to_be_clear(rows),
    ]
    return Answer(
        key=key,
        knob=knob,
        value=value,
        baseline=baseline,
        title=title,
        standing=_standing(tally, rows),
        ratio=float(rows["ratio"].median()),
        tally=tally,
        sentences=tuple(sentence for sentence in said if sentence),
        rows=rows,
    )


def _mixed(tally: dict[str, int]) -> bool:
    return sum(1 for number in tally.values() if number) > 1


def _standing(tally: dict[str, int], rows: pd.DataFrame) -> str:
    clear = sum(tally.values()) - tally["unclear"]
    if not clear:
        return "unclear"
    if tally["faster"] and tally["slower"]:
        return "depends"
    if tally["faster"]:
        waits = rows.loc[rows["pays_seconds"].notna(), "pays_seconds"]
        if len(waits) and waits.min() > sentences.LONG_SECONDS:
            return "long"
        if tally["faster"] == len(rows):
            return "yes"
        return "mostly" if tally["faster"] > len(rows) / 2 else "depends"
    return "no" if tally["slower"] else "same"
