"""Packs the tables of a report as compressed CSV into its page; the page's script unpacks them on demand."""

from __future__ import annotations

import base64
import gzip

from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.csv import as_csv
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.frames import Frames

TABLES = ("cases", "comparisons")


def downloads(run: Run, tables: Frames) -> list[tuple[str, str, int, str]]:
    """(file name, content, rows, gzipped CSV in base64) of each table that has rows.

    They are the tables of ``torchduet export``.
    """
    named = [(name, table_of(run, name, tables)) for name in TABLES]
    return [(f"{name}.csv", name, len(table), packed(as_csv(table))) for name, table in named if len(table)]


def packed(text: str) -> str:
    """Text as base64 of its gzip; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode()
