"""What all tools time: built-in workloads, an identical copy of each, and copies slowed down by 3 % and 5 %.

A file of workloads for ``--suite`` as well as a module that other tools' scripts import. How much work the
slowed copies add was calibrated before (:mod:`torchduet.bench.peers.calibration`), once for all tools.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from torchduet import Suite
from torchduet.bench.timing.placements import settle_allocator
from torchduet.suites.registry import load
from torchduet.suites.workload import Size, SuiteError, Workload

SETTING = "TORCHDUET_PEERS"  # environment variable: the file with threads and turns
BASE = "base"
SIDES: Mapping[str, float] = {"twin": 1.0, "slower_3": 1.03, "slower_5": 1.05}

# name: workload and size. On the CPU calls of some 20 µs to 2 ms, from one operator to a training step.
CHOSEN: Mapping[str, tuple[str, Size]] = {
    "add": ("tensor_ops.add", {"n": 1_000_000}),
    "chain": ("tensor_ops.chain", {"n": 100}),
    "layer_norm": ("tensor_ops.layer_norm", {"n": 1000}),
    "matrix_product": ("matmul.square", {"n": 256}),
    "attention_scores": ("einsum.attention_scores", {"length": 64}),
    "attention": ("attention.attention", {"length": 128}),
    "evaluate": ("mlp.evaluate_784_100_10", {"batch": 100}),
    "train": ("mlp.train_784_100_10", {"batch": 100}),
}

Function = Callable[..., Any]


@dataclass(frozen=True)
class Setting:
    """Intra-op threads, and per case and side the turns of an empty loop that it does beside its call."""

    threads: int
    turns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def setting() -> Setting:
    """What this benchmark's command has set for the tools it starts.

    Raises:
        SuiteError: it has set nothing.
    """
    path = os.environ.get(SETTING)
    if path is None:
        raise SuiteError(f"{SETTING} is not set: these cases are made by torchduet peers")
    found = json.loads(Path(path).read_text("utf-8"))
    return Setting(found["threads"], found["turns"])


def begin(threads: int) -> None:
    """Bring this process to where the tools can be compared: its threads, and its allocator as in a long-lived one.

    How long results of some megabytes take would otherwise depend on what each process happened to
    free before, and the same extra work would be another share of them in each tool.
    """
    torch.set_num_threads(threads)
    settle_allocator()


def workload_of(name: str) -> Workload:
    """The built-in workload behind a case."""
    suite, workload = CHOSEN[name][0].split(".")
    return load(suite)[0].workloads[workload]


def base_of(name: str) -> Function:
    """The function that is timed, of its workload's inputs alone."""
    implementation = next(iter(workload_of(name).implementations.values()))
    function = implementation.function
    if "autocast" in inspect.signature(function).parameters:
        return lambda *inputs: function(*inputs, autocast=contextlib.nullcontext)
    return function


def with_turns(function: Function, turns: int) -> Function:
    """``function`` after so many turns of an empty loop; all sides are wrapped alike."""

    def call(*inputs: Any) -> Any:
        for _ in itertools.repeat(None, turns):
            pass
        return function(*inputs)

    return call


def inputs_of(name: str) -> tuple[Any, ...]:
    """Fresh inputs of a case on the CPU."""
    return tuple(workload_of(name).inputs(torch.device("cpu"), **CHOSEN[name][1]))


def call(name: str, side: str, inputs: tuple[Any, ...] | None = None) -> Callable[[], Any]:
    """A side of a case as other tools take it: a function without arguments, with the threads set."""
    now = setting()
    begin(now.threads)
    turns = now.turns[name].get(side, 0)
    given = inputs_of(name) if inputs is None else inputs
    function = with_turns(base_of(name), turns)
    return lambda: function(*given)


def make_suite() -> Suite:
    """The cases as this project's own workloads; the base is the reference of the other sides."""
    made = Suite("peers", "Identical copies and known slow-downs")
    turns = setting().turns
    for name, (_, size) in CHOSEN.items():
        base = base_of(name)
        made.compare(
            name,
            {side: with_turns(base, turns[name].get(side, 0)) for side in (BASE, *SIDES)},
            about=f"{name}: identical and slowed copies",
            inputs=workload_of(name).inputs,
            axes={axis: [value] for axis, value in size.items()},
            modes=["eager"],
            devices=["cpu"],
        )
    return made


if SETTING in os.environ:
    suite = make_suite()
