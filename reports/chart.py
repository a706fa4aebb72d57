"""A drawn chart with its words, as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Chart:
    """A drawn chart with what it says to those who cannot see it.

    Attributes:
        svg: the drawing, safe to put into the page.
        title: what it shows.
        alternative: the same in one or two sentences.
        note: what was left out, if anything.
        keys: for line charts, (drawn sample, name) of each line.
        narrow: the same drawn for a narrow window; None where there is no such drawing.
    """

    svg: Markup
    title: str
    alternative: str
    note: str = ""
    keys: tuple[tuple[Markup, str], ...] = ()
    narrow: Markup | None = None
