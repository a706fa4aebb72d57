"""The section "Several processes" of a run's page: what the run found, with its charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from torchduet.bench.record.knobs import ranks
from torchduet.reports.charts.axes import key_of
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.ranks import Figure, IntervalLine, bandwidth, efficiency
from torchduet.reports.charts.scaling import key_of_line
from torchduet.reports.charts.svg import INK
from torchduet.reports.findings.processes import section, words
from torchduet.reports.findings.processes.collectives import Collective
from torchduet.reports.findings.processes.scaling import VERDICTS, Curve, Line
from torchduet.reports.html.figures import MAX_CURVES, MAX_PANELS
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units


@dataclass(frozen=True)
class Page:
    """What the template shows: the findings, the charts of curves and of collectives, and the words of verdicts."""

    found: section.Processes
    curves: tuple[Chart, ...]
    bandwidths: tuple[Chart, ...]
    verdicts: dict[str, str]

    share = staticmethod(words.share)
    interval = staticmethod(words.interval)
    rate_interval = staticmethod(words.rate_interval)


def processes(run: Run) -> Page | None:
    """The section's data; None for a run without cases of several processes."""
    found = section.processes(run)
    if found is None:
        return None
    drawn = [curve for curve in found.curves if curve.drawn]
    workloads: dict[str, list[Collective]] = {}
    for of in found.collectives:
        if of.bus is not None and of.message:  # sizes are on a logarithmic axis
            workloads.setdefault(of.workload, []).append(of)
    several = {name: members for name, members in workloads.items() if len({of.message for of in members}) > 1}
    return Page(
        found=found,
        curves=tuple(_curve(curve, f"ranks-{index}") for index, curve in enumerate(drawn[:MAX_PANELS])),
        bandwidths=tuple(
            _bandwidth(name, members, f"bus-{index}")
            for index, (name, members) in enumerate(list(several.items())[:MAX_PANELS])
        ),
        verdicts=VERDICTS,
    )


def _curve(curve: Curve, prefix: str) -> Chart:
    lines = [line for line in curve.lines if any(point.efficiency for point in line.points)]
    shown, hidden = lines[:MAX_CURVES], len(lines) - MAX_CURVES
    drawn = [
        IntervalLine(
            line.name,
            tuple(
                Figure(point.ranks, share.value, share.low, share.high)
                for point in line.points
                if point.efficiency
                for share in [point.efficiency.share]
            ),
        )
        for line in shown
    ]
    ends = "; ".join(
        f"{line.name}: {words.share_words(line.last.efficiency.share)} at {ranks(str(line.last.ranks))}"
        for line in shown
        if line.last.efficiency
    )
    return Chart(
        svg=Markup(efficiency(drawn, prefix)),
        title=f"{curve.name}, {curve.scaling} scaling",
        alternative=f"Efficiency of {curve.name} over the number of ranks, against {curve.against}; ideal is 100 %. "
        f"{ends}.",
        note=_hidden(hidden),
        keys=(
            *(
                (Markup(key_of_line(index, f"{prefix}-k{index}")), _label(line, curve))
                for index, line in enumerate(shown)
            ),
            (Markup(key_of(INK, "", "--", f"{prefix}-ideal")), "ideal"),
        ),
    )


def _label(line: Line, curve: Curve) -> str:
    fewest = ranks(str(line.fewest))
    parts = ["without communication"] if line.part else []
    parts += [f"against {fewest}"] if fewest != curve.against else []
    return line.name + (f" ({', '.join(parts)})" if parts else "")


def _bandwidth(name: str, members: Sequence[Collective], prefix: str) -> Chart:
    by_line: dict[str, list[Figure]] = {}
    for of in members:
        if of.bus is not None:
            by_line.setdefault(of.line, []).append(Figure(of.message, of.bus.value, of.bus.low, of.bus.high))
    lines = [IntervalLine(label, tuple(sorted(points, key=lambda point: point.x))) for label, points in by_line.items()]
    shown, hidden = lines[:MAX_CURVES], len(lines) - MAX_CURVES
    ends = "; ".join(
        f"{line.label}: {units.rate(line.points[-1].value, 'B/s')} at {units.size(line.points[-1].x)}" for line in shown
    )
    return Chart(
        svg=Markup(bandwidth(shown, prefix)),
        title=name,
        alternative=f"Bus bandwidth of {name} over the size of the message. {ends}.",
        note=_hidden(hidden),
        keys=tuple((Markup(key_of_line(index, f"{prefix}-k{index}")), line.label) for index, line in enumerate(shown)),
    )


def _hidden(number: int) -> str:
    return f"{number} more line{'s are' if number != 1 else ' is'} in the table." if number > 0 else ""
