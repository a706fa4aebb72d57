"""Reads what an hour of each machine costs from ``[tool.torchduet.prices]`` of a ``pyproject.toml``.

A key is a machine's key, the name of a GPU or another accelerator, or the model of a CPU, or whole words of one. The
key ``currency`` is its text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchduet.bench.record.schema_check import shown
from torchduet.reports.machines.columns import Column
from torchduet.reports.read.pyproject import PyprojectError, table_of

TABLE = "tool.torchduet.prices"
CURRENCY = "currency"
MAX_LETTERS = 20  # of a currency
LEAST, MOST = 1e-9, 1e9  # of a price: costs of a million calls stay numbers


class PriceError(PyprojectError):
    """A price that cannot be used; the message is one line: the file and the key, what was expected."""


@dataclass(frozen=True)
class Prices:
    """What an hour costs.

    Attributes:
        per_hour: the name of a machine as the file has it → its price.
        currency: its text; empty where the file does not say.
        file: that they are from.
    """

    per_hour: Mapping[str, float] = field(default_factory=dict)
    currency: str = ""
    file: str = ""

    def of(self, column: Column) -> float | None:
        """The price of a machine; None where the file has none."""
        name = self.name_for(column)
        return None if name is None else self.per_hour[name]

    def name_for(self, column: Column) -> str | None:
        """The key of a machine's price: its machine key, else the longest that its name has all words of, in a row.

        A machine with an accelerator has the price of the accelerator, never that of its CPU.
        """
        by_key = next((name for name in self.per_hour if name.lower() == column.machine.key), None)
        if by_key is not None:
            return by_key
        matching = [name for name in self.per_hour if any(_is_part(name, hardware) for hardware in column.hardware)]
        return max(matching, key=len, default=None)

    def unused(self, found: Sequence[Column]) -> list[str]:
        """The keys that are the price of no machine."""
        used = {self.name_for(column) for column in found}
        return [name for name in self.per_hour if name not in used]

    def price(self, value: float) -> str:
        """A price as the file has it: ``3.50 EUR``, ``0.125 EUR``."""
        shown = f"{value:,.2f}" if value == round(value, 2) else f"{value:g}"
        return f"{shown} {self.currency}".strip()

    def amount(self, value: float) -> str:
        """A cost: ``0.0123 EUR``; the number alone where the currency is not known."""
        return f"{_digits(value)} {self.currency}".strip()


def prices_of(path: Path) -> Prices:
    """The prices in a ``pyproject.toml``; none where it has no such table.

    Raises:
        PyprojectError: the file is no TOML, or a key or value in the table is wrong.
    """
    content = table_of(path, TABLE)
    currency = content.pop(CURRENCY, "")
    if not isinstance(currency, str) or len(currency) > MAX_LETTERS or not currency.isprintable():
        raise PriceError(f'{path}: {TABLE}.{CURRENCY}: expected a short text such as "EUR", got {_got(currency)}')
    per_hour = {}
    for name, value in content.items():
        where = f'{path}: {TABLE}."{name}"'
        if not name.strip():
            raise PriceError(f'{where}: is empty; write the name of a GPU or a CPU, such as "NVIDIA H200"')
        if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST <= value <= MOST:
            raise PriceError(
                f"{where}: expected the price of an hour above 0 and up to a billion, such as 3.5, got {_got(value)}"
            )
        per_hour[name] = float(value)
    return Prices(per_hour, currency.strip(), str(path))


def per_million(price: float, seconds: float) -> float:
    """The cost of a million calls, one after the other: seconds per call, price per hour."""
    return price / 3600 * seconds * 1e6


def _got(value: object) -> str:
    return "a table" if isinstance(value, Mapping) else shown(value)


def _is_part(name: str, hardware: str) -> bool:
    """Whether all words of ``name`` stand in a row in the hardware's name: ``A100`` in ``NVIDIA A100-SXM4-80GB``."""
    return re.search(rf"(?<!\w){re.escape(name.strip())}(?!\w)", hardware, re.IGNORECASE) is not None


def _digits(value: float) -> str:
    """Three significant digits, from a thousand on all before the point: ``3.50``, ``0.0123``, ``1,234``."""
    if not math.isfinite(value) or value <= 0:
        return f"{value:g}"
    magnitude = math.floor(math.log10(value))
    if magnitude < -6:
        return f"{value:.2e}"
    return f"{value:,.{max(2 - magnitude, 0) if magnitude < 3 else 0}f}"
