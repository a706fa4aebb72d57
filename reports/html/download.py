"""Packs the tables of a report as compressed CSV into its page; the page's script unpacks them on demand."""

from __future__ import annotations

import base64
import gzip

from torchduet.bench.record.knobs import COMMUNICATION
from torchduet.bench.record.speedups import counted
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.csv import as_csv
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.frames import Frames

TABLES = ("cases", "comparisons")


def downloads(run: Run, tables: Frames) -> list[tuple[str, str, str, str]]:
    """(file name, content, how many rows, gzipped CSV in base64) of each table that has rows.

    They are the tables of ``torchduet export``.
    """
    beyond = {"comparisons": _not_in_the_headline(run, tables)}
    named = [(name, table_of(run, name, tables)) for name in TABLES]
    return [
        (f"{name}.csv", name, f"{len(table):,}{beyond.get(name, '')}", packed(as_csv(table)))
        for name, table in named
        if len(table)
    ]


def _not_in_the_headline(run: Run, tables: Frames) -> str:
    """Which comparisons the headline does not count: ``, 2 of them of several knobs at once``; empty without any.

    It counts those of one knob: of several at once they say the same again, and without communication a case does
    other work.
    """
    other = int(((tables.comparisons["knob"] == COMMUNICATION) | tables.comparisons["other_work"].astype(bool)).sum())
    together = len(tables.comparisons) - other - sum(len(counted(record)) for record in run.records)
    parts = [(together, "of several knobs at once"), (other, "without communication")]
    return "".join(f", {number} of them {words}" for number, words in parts if number > 0)


def packed(text: str) -> str:
    """Text as base64 of its gzip; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode()
