"""The cases of several processes in a run's summary: what the report's section says first, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.bench.record.words.counting import plural
from torchduet.reports.findings.processes.section import processes
from torchduet.reports.read.run_file import Run
from torchduet.reports.text.escaping import inline

MAX_SENTENCES = 14


def lines(run: Run) -> Iterator[str]:
    """A heading and the sentences; nothing for a run without such cases."""
    found = processes(run)
    if found is None:
        return
    yield ""
    yield "### Several processes"
    yield ""
    sentences = [*found.sentences[:MAX_SENTENCES], *found.control, *filter(None, [found.gloo])]
    yield from (f"- {inline(sentence)}" for sentence in sentences)
    if (more := len(found.sentences) - MAX_SENTENCES) > 0:
        yield f"- {plural(more, 'more finding is', 'more findings are')} in the report."
    yield ""
