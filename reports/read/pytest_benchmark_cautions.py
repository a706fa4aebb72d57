"""What cannot be concluded from runs of plain pytest-benchmark, said plainly."""

from __future__ import annotations

from torchduet.reports.read.pytest_benchmark import BATCHES, PytestBenchmarkRun
from torchduet.reports.read.run_file import Run

MISSING = {
    "Alternation": "Each benchmark was timed in one stretch, one after the other. Whether one of them is faster than "
    "another is therefore not judged: what the machine did in between looks the same.",
    "Placements": "All rounds ran on the same allocations in one process, right after each other. They are no "
    "independent measurements, so that no confidence interval is shown; quartiles say how rounds vary, not how sure "
    "the median is. Another process may well give another median.",
    "Check against float64": "No result was held against a reference: a benchmark may be fast because it is wrong.",
    "Pilots": "No fixed workload was timed between the benchmarks, so that nothing says how fast the machine just was.",
    "First call": "Warm-up and compilation are not apart: they are in the first rounds, or were not timed at all.",
}
PLAIN_GUARD = (
    f"These are runs of plain pytest-benchmark: consecutive rounds of one process, not placements in alternation. The "
    f"medians of up to {BATCHES} batches of them, in the order taken, stand in for placements; the functions timed "
    "right before and after a benchmark, and the median over all, for pilots: what these have in common is taken for "
    "the machine’s. How far two processes lie apart without a cause is taken from all other functions; with fewer than "
    "nine functions, nothing is judged."
)


def plain_cautions(base: Run, new: Run) -> list[str]:
    """What two plain runs cannot say, a sentence each; none for runs of Torchduet's."""
    said = []
    for run in (base, new):
        if isinstance(run, PytestBenchmarkRun) and (bare := sum(not one.sampled for one in run.timed)):
            which = "no rounds" if bare == len(run.timed) else f"no rounds of {bare} benchmark{'s' if bare > 1 else ''}"
            said.append(
                f"{run.name} holds {which}, only their summary: such times are listed, not judged. "
                "Both --benchmark-json and --benchmark-save-data keep every round."
            )
    return said
