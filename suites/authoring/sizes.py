"""Checks what an author's functions say of each size: its cost and the seconds of a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from torchduet.suites.authoring.details import check_name
from torchduet.suites.devices import ACCELERATOR, HOST, is_known, runs_on
from torchduet.suites.workload import Axis, Cost, Size, SuiteError, Value, Workload

MAX_AMOUNT = 1e30  # of operations or bytes
MAX_UNIT = 20  # letters


def check_sizes(workload: Workload, where: str) -> None:
    """Call ``cost=`` and ``call_seconds=`` for every size, and compare the sizes' labels.

    Raises:
        SuiteError: a value that cannot be used; the message names the size.
    """
    for keyword, values in (("modes", workload.modes), ("precisions", workload.precisions)):
        _check_kinds(workload, values, where, f"{keyword}=")
    for axis, values in workload.axes.items():
        check_name(where, "the name of an axis", axis)
        _check_kinds(workload, values, where, f"axes[{axis!r}]")
        for value in (value for each in (values, *values.on.values()) for value in each.up_to("full")):
            if isinstance(value, str):
                check_name(where, f"the axis {axis!r}: the value", value)
    kinds = dict.fromkeys(kind for values in workload.axes.values() for kind in values.on)
    labels: Counter[str] = Counter()
    for size, devices in workload.sizes_on("full", (HOST, *kinds)):
        labels[",".join(f"{axis}={value}" for axis, value in size.items())] += 1
        if workload.cost is not None:
            for ranks in workload.ranks.everywhere() if workload.ranks else (None,):
                _check_cost(_called(partial(_cost_at, workload, ranks), "cost=", size, where), size, where)
        if callable(workload.call_seconds):
            seconds = _called(partial(_seconds_at, workload, devices[0]), "call_seconds=", size, where)
            if not _is_amount(seconds):
                raise SuiteError(f"{where}: call_seconds= returned {seconds!r} for {dict(size)}; return seconds from 0")
    twice = [label for label, count in labels.items() if count > 1]
    if twice:
        raise SuiteError(f"{where}: two sizes read {twice[0]}; leave commas and equals signs out of the values")


def _cost_at(workload: Workload, ranks: Value | None, /, **size: Value) -> object:
    return workload.cost_at(size, None if ranks is None else int(ranks))


def _seconds_at(workload: Workload, device: str, /, **size: Value) -> float:
    return workload.seconds_of(size, device)


def _check_kinds(workload: Workload, values: Axis, where: str, keyword: str) -> None:
    for kind in values.on:
        if not is_known(kind):
            raise SuiteError(f"{where}: {keyword}: on= has {kind}; use {ACCELERATOR}, or a kind that PyTorch has")
        if kind != ACCELERATOR and not runs_on(workload.devices, kind):
            raise SuiteError(
                f"{where}: {keyword}: on= has {kind}, which devices= leaves out ({', '.join(workload.devices)}); "
                "add it there, or remove it from on="
            )


def _called(function: Callable[..., Any], keyword: str, size: Size, where: str) -> Any:
    try:
        return function(**size)
    except Exception as error:
        raise SuiteError(f"{where}: {keyword} raised {type(error).__name__} for {dict(size)}: {error}") from error


def _check_cost(cost: object, size: Size, where: str) -> None:
    if not isinstance(cost, Cost):
        raise SuiteError(f"{where}: cost= returned {type(cost).__name__}; return a Cost(flops=…, bytes=…, samples=…)")
    for name in ("flops", "bytes", "samples", "message", "bus"):
        amount = getattr(cost, name)
        whole = name != "samples" or (isinstance(amount, int) and amount < 2**63)
        if amount is not None and not (_is_amount(amount) and whole):
            expected = (
                "a whole number below 2**63" if name == "samples" else f"a finite number from 0 to {MAX_AMOUNT:g}"
            )
            raise SuiteError(f"{where}: cost= returned {name}={amount!r} for {dict(size)}; give {expected}, or None")
    if not (isinstance(cost.unit, str) and cost.unit.isprintable() and 0 < len(cost.unit.strip()) <= MAX_UNIT):
        raise SuiteError(
            f"{where}: cost= returned unit={cost.unit!a:.40}; give a word for the samples, such as 'tokens'"
        )


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_AMOUNT
