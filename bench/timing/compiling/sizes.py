"""Calls a function with each of several sizes in turn, and watches the first calls: seconds, and what they compile.

The recompilations are those that Dynamo itself records, whose reasons ``TORCH_LOGS=recompiles`` shows.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any, cast

from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.record.schema import SizeRecord, SizesRecord
from torchduet.bench.timing.compile_watch import entries, sees_entries

MAX_SHAPES = 3  # of an item, in its name
PROPAGATED = "_dynamo_propagated_dynamic_indices"
LIMIT = "recompile limit exceeded"


class EachSize:
    """A function that is called with each item of one argument in turn; the result is the list of results.

    Args:
        position: of the argument among the function's.
    """

    def __init__(self, function: Callable[..., Any], position: int) -> None:
        self._function, self._position = function, position
        self._watch: Callable[[Any, Callable[[], Any]], Any] | None = None

    def __call__(self, *args: Any) -> list[Any]:
        """The results for all items, in their order."""
        before, items, after = args[: self._position], args[self._position], args[self._position + 1 :]
        if self._watch is None:
            return [self._function(*before, item, *after) for item in items]
        return [self._watch(item, partial(self._function, *before, item, *after)) for item in items]

    @contextlib.contextmanager
    def watched(self, synchronize: Callable[[], object]) -> Iterator[list[SizeRecord]]:
        """A record of each call of the function within the context, in their order."""
        records: list[SizeRecord] = []

        def watch(item: Any, call: Callable[[], Any]) -> Any:
            _forget_compilations()
            synchronize()
            start = perf_counter()
            result = call()
            synchronize()
            seconds = perf_counter() - start
            records.append(cast(SizeRecord, {"size": size_of(item), "seconds": seconds, **_compilations()}))
            return result

        self._watch = watch
        try:
            yield records
        finally:
            self._watch = None

    def entered(self, args: Sequence[Any]) -> list[bool]:
        """Make another call; for each size, whether compiled code was entered (True if this PyTorch does not say)."""
        known: list[bool] = []

        def watch(_: Any, call: Callable[[], Any]) -> Any:
            with entries() as hits:
                result = call()
            known.append(any(hits) or not sees_entries())
            return result

        self._watch = watch
        try:
            self(*args)
        finally:
            self._watch = None
        return known


def sizes_record(first: Sequence[SizeRecord], entered: Sequence[bool]) -> SizesRecord:
    """What the first calls of a compiled case at each size took and compiled.

    Args:
        entered: for each size, whether a second call entered compiled code; none where that is not known.
    """
    sizes = [
        size if compiled else cast(SizeRecord, {**size, "eager": True})
        for size, compiled in zip(first, entered, strict=False)  # a loss that overflows is computed again
    ]
    record = SizesRecord(sizes=sizes, recompilations=sum(size.get("recompilations", 0) for size in sizes))
    if any(size.get("limit") for size in sizes):
        from torch._dynamo import config

        record["limit"] = int(config.recompile_limit)
    return record


def notes_of(record: SizesRecord | None) -> list[str]:
    """What a reader of the case must know: sizes that run without compiled code."""
    if record is None:
        return []
    eager = [size["size"] for size in record["sizes"] if size.get("eager")]
    if not eager:
        return []
    many = f"{len(eager)} of its {len(record['sizes'])} sizes run eagerly, although the case is compiled"
    if "limit" not in record:
        return [f"{many} ({', '.join(eager[:MAX_SHAPES])}{', …' * (len(eager) > MAX_SHAPES)})"]
    return [
        f"{many}: torch.compile gives up after compiling one function {record['limit']} times "
        f"(torch._dynamo.config.recompile_limit); the first of them is {eager[0]}"
    ]


def size_of(item: Any) -> str:
    """The shapes of the tensors in an item, as a name: ``4×128``."""
    shapes = dict.fromkeys("×".join(map(str, tensor.shape)) or "a number" for tensor in tensors_in((item,)))
    shown = list(shapes)[:MAX_SHAPES]
    return ", ".join([*shown, *(["…"] if len(shapes) > MAX_SHAPES else [])]) or type(item).__name__


def forget_dynamic_sizes(inputs: Sequence[Any]) -> None:
    """Remove from tensors the marks by which one case's dynamic sizes would be those of the next from its first call.

    Compiled code with dynamic sizes marks the tensors that it is given; a user's program has one compilation of them.
    """
    for tensor in tensors_in(inputs):
        vars(tensor).pop(PROPAGATED, None)


def _forget_compilations() -> None:
    if utils := sys.modules.get("torch._dynamo.utils"):
        utils.clear_compilation_metrics()


def _compilations() -> dict[str, Any]:
    """What Dynamo has compiled since it was to forget: code of this call, and again as sizes differ."""
    utils = sys.modules.get("torch._dynamo.utils")
    forward = (
        []
        if utils is None
        else [metrics for metrics in utils.get_compilation_metrics() if metrics.is_forward is not False]
    )
    again = [metrics for metrics in forward if metrics.recompile_reason]
    found: dict[str, Any] = {"compilations": sum(metrics.fail_type is None for metrics in forward)}
    found["recompilations"] = len(again)
    if again:
        found["reason"] = " ".join(str(again[0].recompile_reason).split("\n")[0].split())
    if any(LIMIT in str(metrics.fail_reason) for metrics in forward):
        found["limit"] = True
    return found
