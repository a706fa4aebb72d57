"""The tables of a report as CSV within its page: compressed, and written out by the page's script on demand."""

from __future__ import annotations

import base64
import gzip

from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.csv import as_csv
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.frames import Frames

TABLES = ("cases", "comparisons")


def downloads(run: Run, tables: Frames) -> list[tuple[str, str, int, str]]:
    """(file name, what it holds, rows, its gzipped CSV in base64) of each table that has rows.

    They are the tables of ``torchduet export``.
    """
    found = [(name, table_of(run, name, tables)) for name in TABLES]
    return [(f"{name}.csv", name, len(table), packed(as_csv(table))) for name, table in found if len(table)]


def packed(text: str) -> str:
    """Text as base64 of its gzip, always the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode()
