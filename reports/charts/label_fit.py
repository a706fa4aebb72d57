"""Fits names into the room that a chart has for them: measured, wrapped, or shortened in the middle."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

from torchduet.reports.text.escaping import visible

FONT_POINTS = 11.0
FONT = "DejaVu Sans"  # comes with matplotlib, and is wider than what browsers usually have


def one_line(text: str) -> str:
    """The text without line breaks, its control characters as escapes."""
    return visible(re.sub(r"\s+", " ", text).strip())


@lru_cache(maxsize=8192)
def text_width(text: str, *, bold: bool = False) -> float:
    """The drawn width of a line, in points.

    It is the sum of the letters' advances. Kerning is left out: it is small and only makes a line narrower.
    Full-width letters, which the font lacks, count as an em.
    """
    return sum(_advance(letter, bold) for letter in one_line(text))


@lru_cache(maxsize=8192)
def _advance(letter: str, bold: bool) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return FONT_POINTS
    font = _font(bold)
    glyph = font.load_glyph(font.get_char_index(ord(letter)))  # index 0, drawn as a box, for a letter it lacks
    return float(glyph.linearHoriAdvance) / 65536  # without hinting, in 16.16 bits


@cache
def _font(bold: bool) -> FT2Font:
    # A font object of our own: matplotlib changes the size of those that it shares.
    font = FT2Font(findfont(FontProperties(family=FONT, weight="bold" if bold else "normal")))
    font.set_size(FONT_POINTS, 72)  # points are pixels
    return font


def fitted(text: str, points: float, *, bold: bool = False) -> str:
    """One line of at most that width, shortened in the middle: names differ most at their ends."""
    text = one_line(text)
    if text_width(text, bold=bold) <= points:
        return text
    kept = min(len(text) - 1, round(points / 4))  # no letter but i, j and l is narrower than 4 points
    while kept > 1:
        short = text[: kept // 3] + "…" + text[len(text) - (kept - kept // 3) :]
        if text_width(short, bold=bold) <= points:
            return short
        kept -= 1
    return "…"


def wrapped(text: str, points: float) -> list[str]:
    """At most two lines of that width, broken at the last blank that fits; a second line too long is shortened."""
    text = one_line(text)
    if text_width(text) <= points:
        return [text]
    blanks = [index for index, letter in enumerate(text) if letter == " " and text_width(text[:index]) <= points]
    if not blanks:
        return [fitted(text, points)]
    return [text[: blanks[-1]], fitted(text[blanks[-1] :], points)]
