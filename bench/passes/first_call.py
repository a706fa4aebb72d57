"""Takes the first call of one case in this process, which has compiled nothing yet, and says what its cache served."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import FirstCallTaken, FirstCallTask, Task
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.dynamo import compile_into
from torchduet.bench.timing.first_calls import FirstCalls, Report
from torchduet.suites.registry import load


class NotTakenError(Exception):
    """The first call could not be taken; the message is one line that says why."""


class WithCache(FirstCalls):
    """The first calls of a process that compiles into a cache which another may have filled."""

    def __init__(self, task: Task, cache: str, report: Report) -> None:
        super().__init__(task, report)
        self._cache = Path(cache)

    def empty_cache(self, case: Case) -> None:
        """Leave the cache as it is: what it has is loaded, with all that a user's process does for it."""
        del case
        self._cache.mkdir(parents=True, exist_ok=True)
        compile_into(self._cache)


def take_first_call(job: FirstCallTask, report: Report) -> FirstCallTaken:
    """Take the first call of the task's only case. Its result is not checked: the run has done that.

    Raises:
        NotTakenError: the case's own code raises, or it cannot run here.
    """
    begin(job.task.threads, job.task.folder, job.task.data)
    (case,) = job.task.family.cases
    load(case.source)
    stages = WithCache(job.task, job.cache, report)
    stages.prepare_device(case.device, [case])
    result = stages.results[case]
    if why := result.error or result.skip:
        raise NotTakenError(why)
    assert result.first_call is not None
    return cast(FirstCallTaken, {"seconds": result.first_call["seconds"], **served()})


def served() -> dict[str, int]:
    """What the caches of inductor and AOTAutograd have served since they were last counted: see ``FirstCallTaken``."""
    from torch._dynamo.utils import counters

    inductor, autograd = counters["inductor"], counters["aot_autograd"]
    return {
        "hits": int(inductor["fxgraph_cache_hit"]),
        "misses": int(inductor["fxgraph_cache_miss"]),
        "uncached": int(inductor["fxgraph_cache_bypass"]),
        "traced": int(autograd["autograd_cache_miss"] + autograd["autograd_cache_bypass"]),
        "kept": int(autograd["autograd_cache_saved"]),
    }
