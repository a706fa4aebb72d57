"""The tables of a report as CSV within its page: compressed, and written out by the page's script on demand."""

from __future__ import annotations

import base64
import gzip

import pandas as pd

from reports.frames import Frames

WITHIN_PAGE = ["anchor", "sizes"]  # columns that mean nothing outside it


def downloads(tables: Frames) -> list[tuple[str, str, int, str]]:
    """(file name, what it holds, rows, its gzipped CSV in base64) of each table that has rows."""
    return [
        (name, what, len(frame), packed(csv(frame)))
        for name, what, frame in (
            ("cases.csv", "cases", tables.cases),
            ("comparisons.csv", "comparisons", tables.comparisons),
        )
        if len(frame)
    ]


def csv(frame: pd.DataFrame) -> str:
    """A table of the page as CSV: seconds, rates per second, ratios; empty where nothing is known."""
    return frame.drop(columns=WITHIN_PAGE, errors="ignore").to_csv(index=False, lineterminator="\r\n")


def packed(text: str) -> str:
    """Text as base64 of its gzip, always the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode()
