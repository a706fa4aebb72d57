"""The order to a worker: the cases of a family that it prepares, as plain values; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.sides import Side
from torchduet.bench.received.channel import Message

COMPILER = "torch._dynamo"  # optimisers import it, too, when they are made


def order(
    side: Side,
    cases: Sequence[Case],
    *,
    threads: int,
    folder: str,
    data: str | None,
    seed: str,
    first: bool,
    profiled: bool = False,
) -> Message:
    """The first message to a worker.

    Args:
        threads: intra-op threads, unless the environment of the side sets them.
        folder: where the worker may write, compile caches included.
        seed: of the random layout of memory.
        first: check the results against float64, and compile into an empty cache.
        profiled: whether the cases will be profiled.
    """
    side_cases = [replace(case, source=side.sources.get(case.source, case.source)) for case in cases]
    return {
        "cases": [asdict(case) for case in side_cases],
        "threads": side.threads(threads),
        "folder": folder,
        "data": data,
        "seed": seed,
        "first": first,
        "profiled": profiled,
    }


def restored(message: Message) -> Case:
    """A case from its plain values."""
    return Case(**message | {name: tuple(map(tuple, message[name])) for name in ("size", "other_settings")})
