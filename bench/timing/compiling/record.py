"""The record of a case's compilation: graphs, graph breaks, what several sizes cost; or why nothing was compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from torchduet.bench.record.schema import CompileRecord, SizeRecord
from torchduet.bench.timing.callables import Prepared
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.compile_watch import CompileWatch, why_nothing
from torchduet.bench.timing.compiling.sizes import sizes_record
from torchduet.suites.workload import COMPILED, Unavailable

OF_ITS_OWN = "leave this mode out of its modes=, or call what torch.compile cannot trace from a function of its own"


@contextlib.contextmanager
def first_sizes(prepared: Prepared, synchronize: Callable[[], object]) -> Iterator[list[SizeRecord]]:
    """A record of the call at each size within the context; none of a case that is not compiled or has one size."""
    if prepared.sizes is None or prepared.case.mode not in COMPILED:
        yield []
        return
    with prepared.sizes.watched(synchronize) as records:
        yield records


def compile_record(
    watch: CompileWatch, skips: Sequence[str] | None, first: Sequence[SizeRecord], entered: Sequence[bool]
) -> CompileRecord:
    """The record of what was compiled in the first calls of a case.

    Args:
        skips: why inductor made no CUDA graphs; None in modes that have none.
        first: the first calls at the sizes of the workload, if it has several.
        entered: whether a second call at each size entered compiled code.

    Raises:
        Unavailable: Dynamo compiled nothing, and says why.
        CheckError: it compiled nothing, and says nothing.
    """
    record = watch.record()
    if skips is not None:
        record["graph_skips"] = list(dict.fromkeys(skips))
    if not record["graphs"]:
        if reason := why_nothing(record):
            raise Unavailable(f"torch.compile compiles nothing of it: {reason}; {OF_ITS_OWN}")
        raise CheckError("torch.compile compiled nothing of it; leave this mode out of its modes=")
    if first:
        record["sizes"] = sizes_record(first, entered)
    return record
