"""The answers: for each knob that was turned, whether it is worth it, by how much and how surely.

What they are put into words with is left to ``sentences``, how they look to the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from torchduet.bench.record.knobs import KNOBS as ENTRIES
from torchduet.bench.record.knobs import workers
from torchduet.bench.record.schema import VERDICTS
from torchduet.reports.findings import advice_words
from torchduet.reports.findings.loaders import Choice, sentence
from torchduet.reports.findings.remedy import to_be_clear
from torchduet.reports.tables.frames import each
from torchduet.reports.text.settings import KNOBS, TOGETHER

STANDINGS = {
    "yes": "Worth it",
    "mostly": "Worth it for most",
    "depends": "It depends",
    "long": "Only for long runs",
    "same": "Makes no difference",
    "no": "Not worth it",
    "unclear": "Not known yet",
}
NAMED_CHOICES = 6
# knob → what all of its settings are called, and what they are held against
COLLECTED = {
    **{knob.name: knob.collected for knob in ENTRIES if knob.collected},
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
        under: what the ratio is over, in words.
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
    under: str
    sentences: tuple[str, ...]
    rows: pd.DataFrame

    @property
    def words(self) -> str:
        """The standing in words."""
        return STANDINGS[self.standing]


def answers(comparisons: pd.DataFrame, choices: Sequence[Choice] = (), budget: float | None = None) -> list[Answer]:
    """An answer per knob, setting and baseline: the single knobs first, then several together.

    Implementations and combinations differ from workload to workload; where there are several, one
    answer collects them. So it is with DataLoader workers, of which ``choices`` are the best numbers.
    ``budget`` is how many seconds the run was given.
    """
    order = [*KNOBS, TOGETHER]
    found: list[Answer] = []
    knobs = sorted(comparisons["knob"].unique(), key=lambda knob: order.index(knob) if knob in order else len(KNOBS))
    for knob in knobs:
        rows = comparisons[comparisons["knob"] == knob]
        settings = list(rows.groupby(["value", "baseline"], sort=False))
        if knob == "workers" and choices:
            found.append(_workers(f"answer-{len(found) + 1}", rows, choices, budget))
            continue
        if knob in COLLECTED and len(settings) > 1:
            found.append(_collection(f"answer-{len(found) + 1}", knob, rows, budget))
            continue
        for (value, baseline), its_rows in settings:
            found.append(_answer(f"answer-{len(found) + 1}", knob, str(value), str(baseline), its_rows, budget))
    return found


def _collection(key: str, knob: str, rows: pd.DataFrame, budget: float | None) -> Answer:
    title, baseline = COLLECTED[knob]
    tally = _tally(rows)
    said = [
        advice_words.overall(rows, tally, baseline),
        advice_words.certainty(rows, tally),
        advice_words.alternatives(rows, "faster"),
        advice_words.alternatives(rows, "slower"),
        advice_words.pay_off(rows) if tally["faster"] else "",
        to_be_clear(rows, budget),
    ]
    spelled = [f"{one.value} instead of {one.baseline}" if knob != TOGETHER else one.value for one in each(rows)]
    ratio = float(rows["ratio"].median())
    return Answer(
        key=key,
        knob=knob,
        value="",
        baseline=baseline,
        title=title,
        standing=_standing(tally, rows),
        ratio=ratio,
        tally=tally,
        under=_under(baseline, len(rows)),
        sentences=tuple(sentence for sentence in said if sentence),
        rows=_spelled(rows, spelled),
    )


def _workers(key: str, rows: pd.DataFrame, choices: Sequence[Choice], budget: float | None) -> Answer:
    """Which number of workers to use for what: the answer is a number, not a yes or a no."""
    title, baseline = COLLECTED["workers"]
    tally = _tally(rows)
    gains = [choice.use.over_least.ratio for choice in choices if choice.use.over_least]
    said = [sentence(choice) for choice in choices[:NAMED_CHOICES]]
    if len(choices) > NAMED_CHOICES:
        said.append(f"{len(choices) - NAMED_CHOICES} more are in the table of numbers of workers below.")
    more = [choice for choice in choices if choice.use is not choice.least]
    if not more:
        standing = "no" if tally["slower"] else _standing(tally, rows)
    elif any(not choice.sure for choice in more) or len(more) < len(choices):
        standing = "depends" if any(choice.sure for choice in more) else "unclear"
    else:
        standing = "yes"
    spelled = [workers(one.value) for one in each(rows)]
    return Answer(
        key=key,
        knob="workers",
        value="",
        baseline=baseline,
        title=title,
        standing=standing,
        ratio=median(gains) if gains else 1.0,
        tally=tally,
        under=f"with the number to use, as fast as with {baseline}"
        + (f", median of {len(choices)} settings" if len(choices) > 1 else ""),
        sentences=(*said, advice_words.certainty(rows, tally), *filter(None, [to_be_clear(rows, budget)])),
        rows=_spelled(rows, spelled),
    )


def _spelled(rows: pd.DataFrame, spelled: Sequence[str]) -> pd.DataFrame:
    """The rows with their own setting of the knob said beside the others."""
    setting = [" · ".join(filter(None, pair)) for pair in zip(spelled, rows["setting"], strict=True)]
    return rows.assign(setting=setting, name=rows["workload"] + " " + pd.Series(setting, index=rows.index))


def _under(baseline: str, number: int) -> str:
    return f"as fast as {baseline}" + (f", median of {number} cases" if number > 1 else "")


def _tally(rows: pd.DataFrame) -> dict[str, int]:
    return {verdict: int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}


def _answer(key: str, knob: str, value: str, baseline: str, rows: pd.DataFrame, budget: float | None) -> Answer:
    tally = _tally(rows)
    title = advice_words.title_of(knob, value, baseline)
    said = [advice_words.effect(title, rows), advice_words.certainty(rows, tally)]
    said += [advice_words.where(rows, verdict) for verdict in ("faster", "slower") if _mixed(tally) and tally[verdict]]
    said += [
        advice_words.pay_off(rows),
        advice_words.accuracy(rows) if knob == "precision" else "",
        to_be_clear(rows, budget),
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
        under=_under(baseline, len(rows)),
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
        if len(waits) and waits.min() > advice_words.LONG_SECONDS:
            return "long"
        if tally["faster"] == len(rows):
            return "yes"
        return "mostly" if tally["faster"] > len(rows) / 2 else "depends"
    return "no" if tally["slower"] else "same"
