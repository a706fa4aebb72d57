"""Python's own share of a case's time: pyinstrument samples the stack while the case is called."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from torchduet.bench.record.schema import PythonFunction, PythonRecord
from torchduet.suites.extras import install

INTERVAL = 5e-4  # seconds between two samples
SECONDS = 1.0
MAX_FUNCTIONS = 12
SEPARATOR = "\x00"  # of a stack's entry: function, file, line, then more


def available() -> bool:
    """Whether pyinstrument is installed."""
    return importlib.util.find_spec("pyinstrument") is not None


def needs() -> str:
    """The words for a missing pyinstrument."""
    return f"--profile-python needs pyinstrument: {install('profile-python', 'pyinstrument')}"


def sample(call: Callable[[], object], seconds: float, folder: Path) -> PythonRecord:
    """Call for about a second, and sample the stack every half a millisecond.

    The time of code below Python, such as PyTorch's operators, counts for the function that called it.

    Args:
        seconds: of one call, about.
        folder: for pyinstrument's page.
    """
    from pyinstrument import Profiler

    profiler = Profiler(interval=INTERVAL, async_mode="disabled")
    with profiler:
        for _ in range(max(1, round(SECONDS / max(seconds, 1e-9)))):
            call()
    session = profiler.last_session
    assert session is not None
    page = folder / "python.html"
    page.write_text(profiler.output_html(), "utf-8")
    times: dict[tuple[str, str], float] = {}
    for stack, duration in session.frame_records:
        functions = [entry for entry in stack if not entry.startswith("[")]
        if functions and __file__ not in functions[-1]:
            function = _function(functions[-1])
            times[function] = times.get(function, 0.0) + duration
    total = sum(times.values())
    longest = sorted(times.items(), key=lambda item: -item[1])[:MAX_FUNCTIONS]
    return PythonRecord(
        file=str(page),
        seconds=total,
        functions=[PythonFunction(name=name, place=place, share=seconds / total) for (name, place), seconds in longest],
    )


def _function(entry: str) -> tuple[str, str]:
    """(name, the last two parts of its file and its line) of a stack's entry."""
    name, file, line = (*entry.split("\x01")[0].split(SEPARATOR), "", "")[:3]
    if not file or file.startswith("<"):
        return name, file
    return name, f"{'/'.join(Path(file).parts[-2:])}:{line}"
