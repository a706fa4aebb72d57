"""Packs the tables that are too large to be written out as data for the page's script; recurring texts are numbered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from torchduet.reports.machines.tables import FASTEST, SHOWN_FILTERS, Entry, Table
from torchduet.reports.text.escaping import visible

MAX_CELLS = 3000  # of a table that is written out; of a larger one, only its first rows are
MIN_ROWS, MAX_ROWS = 10, 100  # of these


def window(table: Table) -> int:
    """How many rows are written; 0 if all are."""
    columns = len(table.entries[0].cells)
    if len(table.entries) * columns <= MAX_CELLS or len(table.entries) <= MIN_ROWS:
        return 0
    return max(MIN_ROWS, min(MAX_ROWS, MAX_CELLS // columns))


def packed(tables: Sequence[Table]) -> Markup:
    """The rows of the tables that are not written out, as JSON that is safe in a ``script`` element."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    def row(entry: Entry) -> list[Any]:
        filters = [number(value) for value in entry.filters.values()]
        cells = [
            [number(cell.kind), number(cell.text), number(cell.below), _short(cell.value)]
            if cell.value is not None
            else [number(cell.kind), number(cell.text)]
            for cell in entry.cells
        ]
        return [visible(entry.name, spaces=False), number(entry.note), filters, cells]

    data = {
        "filters": [*SHOWN_FILTERS, FASTEST],
        "tables": {
            table.key: {"best": table.best, "rows": list(map(row, table.entries))} for table in tables if window(table)
        },
    }
    text = msgspec.json.encode({**data, "texts": list(map(visible, texts))}).decode()
    return Markup(text.replace("<", "\\u003c"))  # less-than signs occur only within texts


def _short(value: float) -> float:
    return float(f"{value:.5g}")
