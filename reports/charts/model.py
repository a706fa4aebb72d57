"""Types that charts and pages share: a drawn chart with its texts, and a row of a forest plot."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from torchduet.reports.text import units

MAX_ROWS = 60  # of a forest plot: more cannot be taken in at a glance


@dataclass(frozen=True)
class Dot:
    """A mark of a drawing, to be pointed at: a link that lies over it.

    Attributes:
        left, top: its centre in per cent of the drawing.
        anchor: of the case's details within the page.
        name: the case.
        words: its values.
    """

    left: float
    top: float
    anchor: str
    name: str
    words: str


@dataclass(frozen=True)
class Drawn:
    """A drawing, and where its marks lie in it: (left, top) in per cent, in the order of what was drawn."""

    svg: str
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """A drawn chart with its texts.

    Attributes:
        svg: the drawing, safe to put into the page.
        title: what it shows.
        alternative: its content in one or two sentences, for readers who cannot see it.
        note: what was left out, if anything.
        keys: for line charts, (drawn sample, name) of each line.
        narrow: the same drawn for a narrow window; None where there is no such drawing.
        dots: of its marks, the links that lie over them.
        points: the drawing's width, where there are any.
    """

    svg: Markup
    title: str
    alternative: str
    note: str = ""
    keys: tuple[tuple[Markup, str], ...] = ()
    narrow: Markup | None = None
    dots: tuple[Dot, ...] = ()
    points: float = 0.0


@dataclass(frozen=True)
class Bar:
    """One row of a forest plot: a speed-up with its interval (None: no interval)."""

    group: str
    label: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str

    @property
    def interval(self) -> str:
        """The interval in words."""
        return units.ratio_interval(self.low, self.high)
