"""Everything that is known of several machines: their matrix, tallies, knobs and prices, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from torchduet.reports.machines import knobs, matrix, ratios
from torchduet.reports.machines.cautions import cautions, disturbed, doubts, named
from torchduet.reports.machines.columns import Column, base_of, columns
from torchduet.reports.machines.heat import HeatMap, heat_map
from torchduet.reports.machines.knobs import Line, Setting
from torchduet.reports.machines.leaders import Tally
from torchduet.reports.machines.matrix import Row
from torchduet.reports.machines.prices import Prices
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units


@dataclass(frozen=True)
class Comparison:
    """Several machines.

    Attributes:
        base: the index of the machine that ratios are held against.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    lines: tuple[Line, ...]
    base: int
    prices: Prices

    @cached_property
    def per_hour(self) -> tuple[float | None, ...]:
        """The price of each machine; None where it is not known."""
        return tuple(map(self.prices.of, self.columns))

    @cached_property
    def time(self) -> Tally:
        """How often each machine is the fastest."""
        return matrix.by_time(self.rows, len(self.columns))

    @cached_property
    def cost(self) -> Tally | None:
        """How often each machine costs least; None where no machine has a price."""
        return matrix.by_cost(self.rows, self.per_hour) if any(self.per_hour) else None

    @cached_property
    def energy(self) -> Tally:
        """How often each machine needs the least energy."""
        return matrix.by_energy(self.rows, len(self.columns))

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The standing of each knob's settings on each machine."""
        return tuple(knobs.settings(self.lines, len(self.columns)))

    @cached_property
    def heat(self) -> HeatMap | None:
        """The matrix summed up; None where no two machines measured the same case."""
        return heat_map(self.rows)

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """What cannot be concluded."""
        return (*cautions(self.columns, self.base), *doubts(self.columns, self.rows))

    @cached_property
    def disturbed(self) -> str:
        """Which machines were disturbed while measuring, in a sentence; empty if none was."""
        return disturbed(self.columns)

    def shared(self, at: int) -> int:
        """How many cases both a machine and the base measured."""
        return sum(row.ratio(at, self.base) is not None for row in self.rows)

    def median_ratio(self, at: int) -> float | None:
        """How many times as fast as the base a machine is, in the median of the cases that both measured."""
        ratios = [ratio for row in self.rows if (ratio := row.ratio(at, self.base)) is not None]
        return median(ratios) if ratios else None

    def speed(self, at: int) -> str:
        """A machine's median in words: ``2.52×``, ``takes 59.4 times as long``; empty without one.

        ``53.0× in 3 cases`` if it shares only 3 of the base's cases.
        """
        return self._in_words(at, self.median_ratio(at), ratios.as_fast)

    def money(self, at: int) -> str:
        """How much work a machine does for the same money, in words as those of ``speed``; empty without a price."""
        return self._in_words(at, self.work_per_price(at), ratios.work_for_money)

    def _in_words(self, at: int, ratio: float | None, words: Callable[[float], str]) -> str:
        if ratio is None:
            return ""
        shared = self.shared(at)
        return words(ratio) + (f" in {units.plural(shared, 'case')}" if shared < self.shared(self.base) else "")

    def work_per_price(self, at: int) -> float | None:
        """How many times as much work as the base a machine does for the same money, in the median of the cases."""
        ratio, price, base = self.median_ratio(at), self.per_hour[at], self.per_hour[self.base]
        return ratio * base / price if ratio is not None and price and base else None

    def notes(self) -> list[str]:
        """What is to be told of the prices: those of no machine, and machines without any."""
        unused = self.prices.unused(self.columns)
        found = [f"{Path(self.prices.file).name}: no machine matches {named(unused)}"] if unused else []
        without = [column.name for column, price in zip(self.columns, self.per_hour, strict=True) if not price]
        if any(self.per_hour) and without:
            found.append(f"no price is known of {', '.join(without)}")
        return found


def comparison(runs: Sequence[Run], prices: Prices | None = None, base: str | None = None) -> Comparison:
    """Put runs of several machines side by side.

    Args:
        base: the key of the machine that ratios are held against, or a part of its name (default: that of the first
            run).

    Raises:
        ValueError: there is no run.
        NoSuchMachine: ``base`` is no machine of these runs, or several.
    """
    if not runs:
        raise ValueError("no run is given")
    found = columns(runs)
    return Comparison(
        tuple(found),
        tuple(matrix.matrix(found)),
        tuple(knobs.lines(found)),
        base_of(found, base),
        prices or Prices(),
    )
