"""Draws a run's pilots: the time of fixed work over the run, as a multiple of its fastest time."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib import rc_context

from torchduet.bench.record.devices import device_of_pilot, on_host
from torchduet.bench.record.schema import PilotRecord
from torchduet.reports.charts.axes import new_axes, text_below, ticks_at
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.scaling import key_of_line, line_look
from torchduet.reports.charts.svg import RULE, STYLE, to_svg
from torchduet.reports.text import units

WIDTH, HEIGHT = 660.0, 190.0
WORDS = {"arithmetic": "arithmetic (in the cache)", "memory": "memory (copying)", "calls": "calls (tiny operators)"}
STEPS = (1.0, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MIN = 1.1  # the least upper end of the axis, so that a quiet machine's pilots look flat
ROOM = 1 / 12  # of the axis, between two labelled steps
MAX_TICKS = 8


WORDS_ON_GPU = {"arithmetic": "arithmetic", "memory": "copying", "launch": "tiny kernels"}


def words_of(kind: str) -> str:
    """A kind of pilot in words: ``memory (copying)``, ``copying on cuda:0``."""
    device = device_of_pilot(kind)
    if on_host(device):
        return WORDS.get(kind, kind)
    name = kind.removeprefix(f"{device} ")
    return f"{WORDS_ON_GPU.get(name, name)} on {device}"


def kinds_of(pilots: Sequence[PilotRecord]) -> list[str]:
    """The kinds that every pilot of a run has; a chart needs at least one."""
    if not pilots:
        return []
    return [kind for kind in pilots[0]["seconds"] if all(kind in pilot["seconds"] for pilot in pilots)]


def pilot_chart(pilots: Sequence[PilotRecord], prefix: str) -> Chart:
    """One line per kind of pilot over the seconds of the run, as multiples of that kind's fastest time."""
    kinds = kinds_of(pilots)
    at = [pilot["at"] for pilot in pilots]
    lines = {}
    for kind in kinds:
        times = [pilot["seconds"][kind] for pilot in pilots]
        lines[kind] = [time / min(times) for time in times]
    slowest = max(max(line) for line in lines.values())
    top = next((step for step in STEPS if step >= max(slowest, MIN)), slowest)
    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT, (52, 40, WIDTH - 64, HEIGHT - 52))
        axes.set_yscale("log")
        axes.set_ylim(1 / (top**0.06), top**1.06)
        axes.set_xlim(min(at) - 0.02 * (max(at) - min(at)), max(at) + 0.02 * (max(at) - min(at)) + 1e-9)
        for index, line in enumerate(lines.values()):
            axes.plot(at, line, **line_look(index))
        ticks = _steps(top)
        ticks_at(axes.yaxis, ticks, [f"{tick:g}×" for tick in ticks])
        seconds = round_seconds(min(at), max(at))
        ticks_at(axes.xaxis, seconds, [f"{tick:g}" for tick in seconds])
        text_below(axes, "seconds into the run")
        axes.grid(visible=True, color=RULE, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
        svg = to_svg(figure, prefix)
    maxima = "; ".join(f"{kind} up to {units.ratio(max(line))}" for kind, line in lines.items())
    return Chart(
        svg=Markup(svg),
        title="Pilots over the run",
        alternative=f"Times of the pilots, taken {_times(len(pilots))}, over the fastest of each: {maxima}.",
        keys=tuple(
            (Markup(key_of_line(index, f"{prefix}-k{index}")), words_of(kind)) for index, kind in enumerate(lines)
        ),
    )


def _steps(top: float) -> list[float]:
    """Labelled steps from 1 up to the top, none too close to the one below."""
    labelled = [1.0]
    for step in STEPS[1:]:
        if step <= top and step / labelled[-1] >= top**ROOM and (step == top or top / step >= top**ROOM):
            labelled.append(step)
    return labelled


def round_seconds(first: float, last: float) -> list[float]:
    """Round numbers of seconds between two limits, at most ``MAX_TICKS``."""
    span = max(last - first, 1e-9)
    step = next(size * 10.0**power for power in range(-3, 7) for size in (1, 2, 5) if span / (size * 10.0**power) <= 7)
    begin = -(-first // step)
    return [step * (begin + index) for index in range(MAX_TICKS) if step * (begin + index) <= last]


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
