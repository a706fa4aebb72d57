"""What DataLoaders do while a case is profiled: named in its trace, and counted."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch.profiler import record_function
from torch.utils.data import DataLoader, dataloader

from torchduet.bench.record.schema import LOADER_ENDS, LOADER_STARTS


@dataclass
class Delivered:
    """How many batches DataLoaders have handed over."""

    batches: int = 0


@contextlib.contextmanager
def loaders_observed() -> Iterator[Delivered]:
    """Name in traces how loaders start and end, and count their batches.

    PyTorch itself names the wait for a batch, ``enumerate(DataLoader)#….__next__``. That an epoch starts and
    ends processes it does not say: without a name, this time would pass for Python's own.
    """
    delivered = Delivered()

    def counted(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @functools.wraps(method)
        def following(iterator: Any) -> Any:
            batch = method(iterator)
            delivered.batches += 1
            return batch

        return following

    with contextlib.ExitStack() as patches:
        patches.enter_context(_replaced(DataLoader, "__iter__", _named(LOADER_STARTS)))
        patches.enter_context(_replaced(dataloader._BaseDataLoaderIter, "__next__", counted))
        workers = dataloader._MultiProcessingDataLoaderIter
        patches.enter_context(_replaced(workers, "_shutdown_workers", _named(LOADER_ENDS)))
        patches.enter_context(_children_unrecorded())
        yield delivered


def _named(name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def named(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @functools.wraps(method)
        def annotated(own: Any) -> Any:
            with record_function(name):
                return method(own)

        return annotated

    return named


def _replaced(owner: type, name: str, by: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Any:
    """A method replaced for a while; where this PyTorch has none of that name, nothing is."""
    method = getattr(owner, name, None)
    return contextlib.nullcontext() if method is None else mock.patch.object(owner, name, by(method))


class _Recording:
    """Whether forked processes are to record nothing; what is registered at a fork stays so for good."""

    registered = False
    unwanted = False


@contextlib.contextmanager
def _children_unrecorded() -> Iterator[None]:
    """Processes forked meanwhile, as a loader's are, do not record operators in a profile that nobody will read."""
    if hasattr(os, "register_at_fork") and not _Recording.registered:
        os.register_at_fork(after_in_child=_record_nothing)
        _Recording.registered = True
    _Recording.unwanted = True
    try:
        yield
    finally:
        _Recording.unwanted = False


def _record_nothing() -> None:
    record: Callable[[bool], None] | None = getattr(torch.autograd, "_enable_record_function", None)
    if _Recording.unwanted and record is not None:
        record(False)
