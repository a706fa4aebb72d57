"""The answers: for each knob that was turned, whether it is worth it, by how much and how certainly.

Their sentences are written by ``advice_words``, their layout by the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from torchduet.bench.record.knobs import KNOBS as ENTRIES
from torchduet.bench.record.knobs import number_format, workers
from torchduet.bench.record.schema import VERDICTS, CeilingRecord
from torchduet.reports.findings import advice_words, kernels
from torchduet.reports.findings.loaders import Choice, brief, sentence
from torchduet.reports.findings.remedy import budget_of, to_settle
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import each, settled
from torchduet.reports.tables.withheld import disturbed
from torchduet.reports.text import units
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
NO_VERDICT = "No verdict"  # the standing in words where every verdict was withheld
NAMED_CHOICES = 6
Settle = Callable[[pd.DataFrame], str]  # comparisons → what would settle the unclear ones of them
# knob → the title of all of its settings, and their baseline in words
COLLECTED = {
    **{knob.name: knob.collected for knob in ENTRIES if knob.collected},
    TOGETHER: ("Several knobs at once", "the reference"),
}


@dataclass(frozen=True)
class Answer:
    """What the run says about one setting of one knob.

    Attributes:
        key: its id in the page.
        standing: a key of ``STANDINGS``.
        tally: verdict → number of comparisons, in the order of ``VERDICTS``.
        counts: the tally in words: ``faster in 3 of 7 cases, slower in 4``.
        ends: the best and the worst case with their times, or the number of workers for each workload.
        sentences: the effect first, then certainty, pay-off, accuracy, and what would settle the unclear cases.
        rows: the comparisons behind it.
        kernels: where its verdicts are not those of the kernels alone; empty where they are, or nothing is known. It
            is one of the sentences, too.
    """

    key: str
    knob: str
    value: str
    baseline: str
    title: str
    standing: str
    tally: dict[str, int]
    counts: str
    ends: str
    sentences: tuple[str, ...]
    rows: pd.DataFrame
    kernels: str = ""

    @property
    def words(self) -> str:
        """The standing in words."""
        return (
            NO_VERDICT if self.standing == "unclear" and self.withheld == len(self.rows) else STANDINGS[self.standing]
        )

    @property
    def withheld(self) -> int:
        """In how many comparisons the run withheld the verdict that the interval would give."""
        return int(settled(self.rows[self.rows["verdict"] == "unclear"]).sum())

    @property
    def why(self) -> tuple[str, ...]:
        """The sentences beyond ``ends``."""
        return tuple(sentence for sentence in self.sentences if sentence != self.ends)

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest ratio; above 1 means faster."""
        return float(self.rows["ratio"].min()), float(self.rows["ratio"].max())


def answers(
    comparisons: pd.DataFrame,
    choices: Sequence[Choice] = (),
    budget: float | None = None,
    threads: int | None = None,
    *,
    busy: bool = False,
) -> list[Answer]:
    """An answer per knob, setting and baseline: the single knobs first, then several together.

    Implementations and combinations differ from workload to workload; if there are several, one answer collects them.
    Another collects the numbers of DataLoader workers. A compiled case against an eager one that calls compiled code
    itself answers nothing; neither do cases that do different work, such as one without its communication.

    Args:
        comparisons: ``frames.COMPARISON_COLUMNS``.
        choices: the best numbers of workers.
        budget: the run's budget in seconds, if its file records one.
        threads: of the run, if its file says.
        busy: the machine was disturbed.
    """
    settle = partial(to_settle, budget=budget, threads=threads, busy=busy)
    order = [*KNOBS, TOGETHER]
    comparisons = comparisons[~(comparisons["both_compiled"] | comparisons["other_work"]).astype(bool)]
    given: list[Answer] = []
    knobs = sorted(comparisons["knob"].unique(), key=lambda knob: order.index(knob) if knob in order else len(KNOBS))
    for knob in knobs:
        rows = comparisons[comparisons["knob"] == knob]
        settings = list(rows.groupby(["value", "baseline"], sort=False))
        if knob == "workers" and choices:
            given.append(_workers(f"answer-{len(given) + 1}", rows, choices, settle))
            continue
        if knob in COLLECTED and len(settings) > 1:
            given.append(_collection(f"answer-{len(given) + 1}", knob, rows, settle))
            continue
        for (value, baseline), setting_rows in settings:
            key = f"answer-{len(given) + 1}"
            given.append(_answer(key, knob, str(value), str(baseline), setting_rows, settle))
    return given


def answers_of(run: Run, comparisons: pd.DataFrame, choices: Sequence[Choice]) -> list[Answer]:
    """``answers`` with the budget, the threads and the noise that the run's file records."""
    threads = run.about["options"].get("threads")
    known = threads if isinstance(threads, int) else None
    given = answers(comparisons, choices, budget_of(run.about["options"]), known, busy=disturbed(run))
    ceilings = run.about.get("ceilings", [])
    return [
        replace(answer, sentences=(*answer.sentences, *product_rates(ceilings, answer.value, answer.baseline)))
        if answer.knob == "precision"
        else answer
        for answer in given
    ]


def product_rates(ceilings: Sequence[CeilingRecord], value: str, baseline: str) -> list[str]:
    """How fast each device multiplies matrices in two precisions, in a sentence: often why one of them pays off."""
    new, base = number_format(value), number_format(baseline)
    reached = [(ceiling["device"], ceiling["flops_per_second"]) for ceiling in ceilings]
    return [
        f"Matrix products reach {units.rate(rates[new], 'FLOP/s')} in {new} and "
        f"{units.rate(rates[base], 'FLOP/s')} in {base} on {device}."
        for device, rates in reached
        if new != base and {new, base} <= set(rates)
    ]


def _collection(key: str, knob: str, rows: pd.DataFrame, settle: Settle) -> Answer:
    title, baseline = COLLECTED[knob]
    tally = _tally(rows)
    of_kernels = kernels.sentences(rows)
    sentences = [
        advice_words.overall(rows, tally, baseline),
        advice_words.certainty(rows, tally),
        of_kernels,
        advice_words.alternatives(rows, "faster"),
        advice_words.alternatives(rows, "slower"),
        advice_words.pay_off(rows) if tally["faster"] else "",
        settle(rows),
    ]
    labels = [row.value if knob == TOGETHER else f"{row.value} instead of {row.baseline}" for row in each(rows)]
    labelled = _labelled(rows, labels)
    return Answer(
        key=key,
        knob=knob,
        value="",
        baseline=baseline,
        title=title,
        standing=_standing(tally, rows),
        tally=tally,
        counts=advice_words.counts(tally, rows),
        ends=advice_words.ends(labelled),
        sentences=tuple(filter(None, sentences)),
        rows=labelled,
        kernels=of_kernels,
    )


def _workers(key: str, rows: pd.DataFrame, choices: Sequence[Choice], settle: Settle) -> Answer:
    """Which number of workers to use for what: the answer is a number, not a yes or a no."""
    title, baseline = COLLECTED["workers"]
    tally = _tally(rows)
    sentences = [sentence(choice) for choice in choices[:NAMED_CHOICES]]
    if left := max(0, len(choices) - NAMED_CHOICES):
        sentences.append(f"{units.plural(left, 'more is', 'more are')} in the table of numbers of workers below.")
    more = [choice for choice in choices if choice.recommended is not choice.fewest]
    if not more:
        standing = "no" if tally["slower"] else _standing(tally, rows)
    elif any(not choice.sure for choice in more) or len(more) < len(choices):
        standing = "depends" if any(choice.sure for choice in more) else "unclear"
    else:
        standing = "yes"
    labels = [workers(row.value) for row in each(rows)]
    return Answer(
        key=key,
        knob="workers",
        value="",
        baseline=baseline,
        title=title,
        standing=standing,
        tally=tally,
        counts=advice_words.counts(tally, rows),
        ends=brief(choices),
        sentences=(*sentences, advice_words.certainty(rows, tally), *filter(None, [settle(rows)])),
        rows=_labelled(rows, labels),
    )


def _labelled(rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The rows with their own setting of the knob before their other settings."""
    setting = [" · ".join(filter(None, pair)) for pair in zip(labels, rows["setting"], strict=True)]
    return rows.assign(setting=setting, name=rows["workload"] + " " + pd.Series(setting, index=rows.index))


def _tally(rows: pd.DataFrame) -> dict[str, int]:
    return {verdict: int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}


def _answer(key: str, knob: str, value: str, baseline: str, rows: pd.DataFrame, settle: Settle) -> Answer:
    tally = _tally(rows)
    title = advice_words.title_of(knob, value, baseline)
    of_kernels = kernels.sentences(rows)
    sentences = [advice_words.effect(title, rows), advice_words.certainty(rows, tally), of_kernels]
    sentences += [
        advice_words.where(rows, verdict) for verdict in ("faster", "slower") if _mixed(tally) and tally[verdict]
    ]
    sentences += [
        advice_words.pay_off(rows),
        advice_words.accuracy(rows) if knob == "precision" else "",
        settle(rows),
    ]
    return Answer(
        key=key,
        knob=knob,
        value=value,
        baseline=baseline,
        title=title,
        standing=_standing(tally, rows),
        tally=tally,
        counts=advice_words.counts(tally, rows),
        ends=advice_words.ends(rows),
        sentences=tuple(filter(None, sentences)),
        rows=rows,
        kernels=of_kernels,
    )


def _mixed(tally: dict[str, int]) -> bool:
    return sum(1 for number in tally.values() if number) > 1


def _standing(tally: dict[str, int], rows: pd.DataFrame) -> str:
    waits = rows.loc[rows["pays_seconds"].notna(), "pays_seconds"]
    return standing_of(tally, float(waits.min()) if len(waits) else None)


def standing_of(tally: Mapping[str, int], soonest: float | None) -> str:
    """The key of ``STANDINGS`` that verdicts amount to.

    Args:
        tally: verdict → number of comparisons.
        soonest: the least seconds after which a compilation pays off; None where nothing is compiled.
    """
    number = sum(tally.values())
    if number == tally["unclear"]:
        return "unclear"
    if tally["faster"] and tally["slower"]:
        return "depends"
    if tally["faster"]:
        if soonest is not None and soonest > advice_words.LONG_SECONDS:
            return "long"
        if tally["faster"] == number:
            return "yes"
        return "mostly" if tally["faster"] > number / 2 else "depends"
    return "no" if tally["slower"] else "same"
