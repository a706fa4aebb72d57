"""Shows the progress of a comparison: in a notebook by a display that is emptied afterwards, in a terminal by tqdm."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

Show = Callable[[str, float], None]
DELAY_SECONDS = 0.7  # shorter measurements show none
NOTEBOOK_INTERVAL = 0.1  # seconds between two updates


class _Bar(Protocol):
    def update(self, text: str, fraction: float) -> None:
        """Show what is being done, and how much of the time is used up."""

    def close(self) -> None:
        """Leave nothing."""


@contextlib.contextmanager
def shown(wanted: bool | None, name: str) -> Iterator[Show]:
    """Show what is being done and how much of the time is used up; afterwards nothing of it is left.

    Args:
        wanted: None: in a notebook, and where the standard error is a terminal.
        name: of what is measured.
    """
    if not (_is_seen() if wanted is None else wanted):
        yield lambda *_: None
        return
    begun = time.monotonic()
    bars: list[_Bar] = []

    def show(text: str, fraction: float) -> None:
        if not bars and time.monotonic() - begun >= DELAY_SECONDS:
            bars.append(_InNotebook(name) if _has_kernel() else _InTerminal(name))
        for bar in bars:
            bar.update(text, min(1.0, max(0.0, fraction)))

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()


class _InTerminal:
    """A bar by tqdm."""

    def __init__(self, name: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=100, desc=name, leave=False, bar_format="{desc}: {bar} {postfix}")

    def update(self, text: str, fraction: float) -> None:
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.n = round(100 * fraction)
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _InNotebook:
    """A display that is updated in its place. It needs no widgets, whose remains would be saved with the notebook."""

    def __init__(self, name: str) -> None:
        from IPython import display

        self._display: Any = display.display
        self._handle: Any = None
        self._name, self._last = name, 0.0

    def update(self, text: str, fraction: float) -> None:
        if self._handle is not None and time.monotonic() - self._last < NOTEBOOK_INTERVAL:
            return
        self._last = time.monotonic()
        data = self._data(text, fraction)
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.update({}, raw=True)

    def _data(self, text: str, fraction: float) -> dict[str, str]:
        line, percent = f"{self._name}: {text}", round(100 * fraction)
        bar = f'<progress max="100" value="{percent}" aria-label="Time used up"></progress>'
        style = "font: 13px system-ui, sans-serif; overflow-wrap: anywhere"
        return {
            "text/plain": f"{percent:3d} % {line}",
            "text/html": f'<div style="{style}">{bar} {html.escape(line)}</div>',
        }


def _is_seen() -> bool:
    if _has_kernel():
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def _has_kernel() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
