"""A progress bar for what is measured from a notebook or a terminal, by tqdm."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Show = Callable[[str, float], None]
DELAY_SECONDS = 0.7  # shorter measurements show none


@contextlib.contextmanager
def shown(wanted: bool | None, name: str) -> Iterator[Show]:
    """Show what is being done and how much of the time is used up.

    Args:
        wanted: None: in a notebook, and where the standard error is a terminal.
        name: of what is measured.
    """
    if not (_is_seen() if wanted is None else wanted):
        yield lambda *_: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=100, desc=name, leave=False, delay=DELAY_SECONDS, bar_format="{desc}: {bar} {postfix}") as bar:

        def show(text: str, fraction: float) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.n = round(100 * min(1.0, max(0.0, fraction)))
            bar.refresh()

        yield show


def _is_seen() -> bool:
    if "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False
