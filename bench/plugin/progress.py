"""Draws the progress line: the current family, the position in the run, the time left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from time import monotonic
from typing import TextIO

QUIET_SECONDS = 15.0
REDRAW_SECONDS = 0.1


class ProgressLine:
    """Draws the line below pytest's own line, and removes it before pytest writes.

    On a terminal the line is redrawn in place; elsewhere a line is written every 15 seconds.

    Args:
        stream: the stream to draw on.
        column: returns the column of pytest's cursor.
        quiet_seconds: from one line to the next where there is no terminal.
    """

    def __init__(self, stream: TextIO, column: Callable[[], int], quiet_seconds: float = QUIET_SECONDS) -> None:
        self._stream, self._column, self._quiet_seconds = stream, column, quiet_seconds
        self._terminal = stream.isatty()
        self._last_drawn = -QUIET_SECONDS if self._terminal else monotonic()

    def show(self, text: str) -> None:
        """Draw ``text``, unless the last drawing was too recent."""
        interval = REDRAW_SECONDS if self._terminal else self._quiet_seconds
        if monotonic() - self._last_drawn < interval:
            return
        self._last_drawn = monotonic()
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._below(text if len(text) <= width else text[: width - 1] + "…")
        else:
            self._stream.write(f"\n  {text}\n")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._terminal:
            self._below("")
            self._last_drawn = -QUIET_SECONDS

    def _below(self, text: str) -> None:
        # Down one line (scrolling where needed), write, back up to pytest's column.
        self._stream.write(f"\n\r{text}\x1b[K\x1b[1A\x1b[{self._column() + 1}G")
        self._stream.flush()
