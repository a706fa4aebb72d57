"""What a notebook shows of a comparison: its figures and sentences, gathered for the card."""

from __future__ import annotations

from torchduet.bench.record.marks import short_marks
from torchduet.reports.html.comparison_card import Card, CardRow, render
from torchduet.reports.text import units
from torchduet.result import Compared, Result
from torchduet.table import answer, differing, gaps, labelled, notes


def html(comparison: Compared) -> str:
    """The comparison as HTML for a notebook."""
    return render(card(comparison))


def card(comparison: Compared) -> Card:
    """The comparison's figures and sentences."""
    results = comparison.results
    settings = differing(results)
    compared = [result for result in results if result.baseline is not None]
    names = ", ".join(dict.fromkeys(result.name for result in results))
    sentence = " ".join(answer(comparison)) or (f"{names}: {len(results)} cases" if results else "nothing was measured")
    return Card(
        answer=sentence,
        emphasis=_emphasis(sentence, compared, results),
        verdict=compared[0].verdict if len(compared) == 1 else "",
        settings=settings,
        rows=[_row(result, settings) for result in results],
        threshold=comparison.threshold,
        covers=comparison.covers,
        gaps=gaps(comparison),
        notes=notes(results),
        warnings=comparison.warnings,
    )


def _row(result: Result, settings: list[str]) -> CardRow:
    other, interval = result.baseline, result.seconds_interval
    apart = [knob for knob in settings if other and str(other.settings[knob]) != str(result.settings[knob])]
    return CardRow(
        name=result.name,
        settings=[labelled(result, knob) for knob in settings],
        values=[str(result.settings[knob]) for knob in settings],
        seconds=result.seconds,
        seconds_low=interval[0],
        seconds_high=interval[1],
        first_call=result.first_call,
        against="" if other is None else " ".join([other.name, *(labelled(other, knob) for knob in apart)]),
        speedup=result.speedup,
        low=result.low,
        high=result.high,
        verdict="" if other is None else result.verdict,
        size=" ".join(labelled(result, axis) for axis in result.size if axis in settings),
        marks=short_marks(result.record),
    )


def _emphasis(sentence: str, compared: list[Result], results: list[Result]) -> tuple[int, int]:
    """Where the sentence's figure stands; it follows the function's name."""
    if len(compared) > 1 or not results or (compared and compared[0].verdict == "same"):
        return 0, 0
    result = compared[0] if compared else results[0]
    figure = units.ratio(result.speedup) if compared else units.seconds(result.seconds)
    unclear = compared and result.verdict == "unclear"  # the figure follows both names then
    start = sentence.rfind(figure) if unclear else sentence.find(figure, len(result.name))
    return (start, start + len(figure)) if start >= 0 else (0, 0)
