"""Observes DataLoaders while a case is profiled: names their start and end in its trace, and counts their batches."""

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
    """The number of batches that DataLoaders have delivered."""

    batches: int = 0


@contextlib.contextmanager
def loaders_observed() -> Iterator[Delivered]:
    """Name the start and the end of loaders in traces, and count their batches.

    PyTorch itself names the wait for a batch, ``enumerate(DataLoader)#….__next__``, but not the start and the end of an
    epoch's processes: without a name, that time would count as Python's own.
    """
    delivered = Delivered()

    def counted(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @functools.wraps(method)
        def counting(iterator: Any) -> Any:
            batch = method(iterator)
            delivered.batches += 1
            return batch

        return counting

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
        def annotated(instance: Any) -> Any:
            with record_function(name):
                return method(instance)

        return annotated

    return named


def _replaced(owner: type, name: str, wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Any:
    """A context in which a method is wrapped; no effect if this version of PyTorch has no such method."""
    method = getattr(owner, name, None)
    return contextlib.nullcontext() if method is None else mock.patch.object(owner, name, wrap(method))


class _Recording:
    """Whether forked processes record operators; a hook registered at a fork cannot be removed."""

    registered = False
    disabled = False


@contextlib.contextmanager
def _children_unrecorded() -> Iterator[None]:
    """Processes forked within the context, such as a loader's, record no operators: their profile is not read."""
    if hasattr(os, "register_at_fork") and not _Recording.registered:
        os.register_at_fork(after_in_child=_record_nothing)
        _Recording.registered = True
    _Recording.disabled = True
    try:
        yield
    finally:
        _Recording.disabled = False


def _record_nothing() -> None:
    record: Callable[[bool], None] | None = getattr(torch.autograd, "_enable_record_function", None)
    if _Recording.disabled and record is not None:
        record(False)
