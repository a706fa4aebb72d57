"""Sentences on what cannot be concluded from runs of pytest-benchmark's own."""

from __future__ import annotations

from torchduet.bench.record.words.counting import plural
from torchduet.reports.read.pytest_benchmark import BATCHES, PytestBenchmarkRun
from torchduet.reports.read.run_file import Run

MISSING = {
    "Alternation": "Each benchmark was timed in one stretch, one after the other. A change of the machine in between "
    "looks like a difference between benchmarks, so none is called faster than another.",
    "Placements": "All rounds ran on the same allocations in one process, right after each other. They are no "
    "independent measurements, so no confidence interval is shown. Quartiles say how rounds vary, not how certain the "
    "median is. Another process may well give another median.",
    "Check against float64": "No result was compared with a reference: a benchmark may be fast because it is wrong.",
    "Pilots": "No fixed workload was timed between the benchmarks, so the machine's speed at each moment is unknown.",
    "First call": "Warm-up and compilation are not separate: they are in the first rounds, or were not timed at all.",
}
PYTEST_BENCHMARK_GUARD = (
    f"These are pytest-benchmark's own runs: consecutive rounds of one process, not placements in alternation. The "
    f"medians of up to {BATCHES} batches of rounds, in the order taken, stand in for placements. The functions timed "
    "right before and after a benchmark, and the median over all, stand in for pilots: a change that they share is "
    "taken for the machine’s. How far two processes differ without a cause is estimated from all other functions; with "
    "fewer than nine functions, nothing is judged."
)


def pytest_benchmark_cautions(base: Run, new: Run) -> list[str]:
    """What two runs of pytest-benchmark's own cannot show, a sentence each; empty for runs of Torchduet's."""
    sentences = []
    for run in (base, new):
        if isinstance(run, PytestBenchmarkRun) and (
            number := sum(not benchmark.has_rounds for benchmark in run.benchmarks)
        ):
            some = f" of {plural(number, 'benchmark')}" if number < len(run.benchmarks) else ""
            sentences.append(
                f"{run.name} holds no rounds{some}, only a summary: such times are listed, not judged. "
                "Both --benchmark-json and --benchmark-save-data keep every round."
            )
    return sentences
