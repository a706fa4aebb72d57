"""What a worker is told to prepare: a family's cases in plain values. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.protocol import Message
from torchduet.bench.duet.sides import Side

COMPILER = "torch._dynamo"  # which optimisers import, too, when they are made


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
        threads: intra-op threads, where the side's environment does not say otherwise.
        folder: where it may write, compile caches included.
        seed: of the memory's random layout.
        first: check the results against float64, and compile into an empty cache.
        profiled: they will be profiled.
    """
    there = [replace(case, source=side.sources.get(case.source, case.source)) for case in cases]
    return {
        "cases": [asdict(case) for case in there],
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
