"""The progress line: what is being measured, how far the run is, how long it will take."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from time import monotonic
from typing import TextIO

QUIET_SECONDS = 15.0
REDRAW_SECONDS = 0.1


class ProgressLine:
    """Draws the line below pytest's own, and takes it away again before pytest writes.

    On a terminal the line is redrawn in place; elsewhere one line is written every 15 seconds.

    Args:
        stream: where to draw.
        column: tells where pytest's cursor stands in its line.
    """

    def __init__(self, stream: TextIO, column: Callable[[], int]) -> None:
        self._stream, self._column = stream, column
        self._terminal = stream.isatty()
        self._last_drawn = -QUIET_SECONDS if self._terminal else monotonic()

    def show(self, text: str) -> None:
        """Draw ``text``, if the last drawing is long enough ago."""
        pause = REDRAW_SECONDS if self._terminal else QUIET_SECONDS
        if monotonic() - self._last_drawn < pause:
            return
        self._last_drawn = monotonic()
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._below(text if len(text) <= width else text[: width - 1] + "…")
        else:
            self._stream.write(f"\n  {text}\n")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal:
            self._below("")
            self._last_drawn = -QUIET_SECONDS

    def _below(self, text: str) -> None:
        # Down one line (scrolling where needed), write, back up to pytest's column.
        self._stream.write(f"\n\r{text}\x1b[K\x1b[1A\x1b[{self._column() + 1}G")
        self._stream.flush()
