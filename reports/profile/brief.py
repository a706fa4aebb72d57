"""Says in one line a case what its profile found on the GPU, for a summary as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.bench.record.devices import on_host
from torchduet.reports.profile.device_words import answer
from torchduet.reports.profile.summary import summarise
from torchduet.reports.profile.trace import TraceError, read
from torchduet.reports.read.run_file import Run


def lines(run: Run) -> Iterator[str]:
    """A line for each profiled case of a GPU; a trace that cannot be used is left to the page, which names it."""
    for record in run.records:
        case = record["case"]
        if "profile" not in record or on_host(case["device"]):
            continue
        try:
            summary = summarise(read(run.folder / record["profile"]["trace"]), case["id"], case["device"])
        except TraceError:
            continue
        if summary.device is not None:
            yield f"{case['id']}: {answer(summary.device)}"
