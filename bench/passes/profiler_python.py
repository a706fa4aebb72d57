"""Where Python itself spends a case's time: pyinstrument samples its stack while the case is called."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from torchduet.bench.record.schema import PythonFunction, PythonRecord

NEEDS = "--profile-python needs pyinstrument: pip install 'torchduet[profile-python]'"
INTERVAL = 5e-4  # seconds between two looks
SECONDS = 1.0
MAX_FUNCTIONS = 12
SEPARATOR = "\x00"  # of a stack's entry: function, file, line, then more


def available() -> bool:
    """Whether pyinstrument is installed."""
    return importlib.util.find_spec("pyinstrument") is not None


def sample(call: Callable[[], object], seconds: float, folder: Path) -> PythonRecord:
    """Call for a second, a call taking about ``seconds``, and look at the stack every half a millisecond.

    What runs below Python, such as PyTorch's operators, counts for the function that called it.
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
    for stack, lasted in session.frame_records:
        named = [entry for entry in stack if not entry.startswith("[")]
        if named and __file__ not in named[-1]:
            function = _function(named[-1])
            times[function] = times.get(function, 0.0) + lasted
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
