"""The functions that all tools time: copies of built-in workloads, identical and slowed down, and unlike pairs.

This is a file of workloads for ``--suite`` and a module that the scripts of other tools import. The extra work of
the slowed copies is calibrated once for all tools (:mod:`torchduet.bench.peers.calibration`). An unlike pair is two
implementations of one workload: what it shows in one sitting, another should show, too.
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
from torchduet.bench.inputs.allocator import settle_allocator
from torchduet.suites.registry import load
from torchduet.suites.workload import Size, SuiteError, Workload

SETTINGS_VARIABLE = "TORCHDUET_PEERS"  # environment variable: the path of the file with threads and turns
CASES_VARIABLE = "TORCHDUET_PEERS_CASES"  # names of the cases of a trial, separated by commas; default: all copies
BASE, OTHER = "base", "other"
SIDES: Mapping[str, float] = {"twin": 1.0, "slower_3": 1.03, "slower_5": 1.05}

# name: workload and size. On the CPU calls of some 20 µs to 2 ms, from one operator to a training step.
WORKLOADS: Mapping[str, tuple[str, Size]] = {
    "add": ("tensor_ops.add", {"n": 1_000_000}),
    "chain": ("tensor_ops.chain", {"n": 100}),
    "layer_norm": ("tensor_ops.layer_norm", {"n": 1000}),
    "matrix_product": ("matmul.square", {"n": 256}),
    "attention_scores": ("einsum.attention_scores", {"length": 64}),
    "attention": ("attention.attention", {"length": 128}),
    "evaluate": ("mlp.evaluate_784_100_10", {"batch": 100}),
    "train": ("mlp.train_784_100_10", {"batch": 100}),
}

# name: workload, size, the base and the implementation that is compared with it. Calls of some 20 µs to 5 ms.
UNLIKE: Mapping[str, tuple[str, Size, str, str]] = {
    "index_select": ("tensor_ops.take_rows", {"n": 1000}, "index", "index_select"),
    "gather": ("tensor_ops.take_rows", {"n": 1000}, "index", "gather"),
    "nonzero": ("tensor_ops.select_positive", {"n": 1000}, "mask", "nonzero"),
    "flatten_into": ("tensor_ops.flatten_transposed", {"n": 1000}, "reshape", "flatten_into"),
    "einsum": ("einsum.batched_bilinear", {"batch": 64}, "bilinear", "einsum"),
    "multi_dot": ("einsum.chain", {"n": 256}, "best_order", "multi_dot"),
    "sdpa": ("attention.attention", {"length": 128}, "by_hand", "sdpa"),
    "no_grad": ("autograd.forward", {"batch": 100}, "with_gradient", "no_grad"),
}

Function = Callable[..., Any]


@dataclass(frozen=True)
class Settings:
    """Intra-op threads, and per case and side the turns of an empty loop before each call."""

    threads: int
    turns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_settings() -> Settings:
    """The settings that ``torchduet peers`` gives to the tools that it starts.

    Raises:
        SuiteError: there are none.
    """
    path = os.environ.get(SETTINGS_VARIABLE)
    if path is None:
        raise SuiteError(f"{SETTINGS_VARIABLE} is not set: start these cases with torchduet peers")
    settings = json.loads(Path(path).read_text("utf-8"))
    return Settings(settings["threads"], settings["turns"])


def prepare_process(threads: int) -> None:
    """Make this process comparable between tools: set its threads, and its allocator to the state of a long-lived one.

    Otherwise the time of results of some megabytes would depend on what each process happened to free before,
    and the same extra work would be a different share of it in each tool.
    """
    torch.set_num_threads(threads)
    settle_allocator()


def workload_of(name: str) -> Workload:
    """The built-in workload behind a case."""
    suite, workload = _sources(name)[0].split(".")
    return load(suite)[0].workloads[workload]


def _sources(name: str) -> tuple[str, Size]:
    """The workload of a case, as ``suite.workload``, and its size."""
    return UNLIKE[name][:2] if name in UNLIKE else WORKLOADS[name]


def base_of(name: str) -> Function:
    """The function that is timed; its arguments are the inputs of its workload."""
    return _function(name, UNLIKE[name][2] if name in UNLIKE else None)


def _function(name: str, implementation: str | None) -> Function:
    """An implementation of a case's workload; None: its first."""
    implementations = workload_of(name).implementations
    function = implementations[implementation or next(iter(implementations))].function
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
    return tuple(workload_of(name).inputs(torch.device("cpu"), **_sources(name)[1]))


def sides_of(name: str, turns: Mapping[str, Mapping[str, int]]) -> dict[str, Function]:
    """Every side of a case; of copies each is wrapped alike, with its own turns.

    Args:
        turns: of copies, per case and side.
    """
    base = base_of(name)
    if name in UNLIKE:
        return {BASE: base, OTHER: _function(name, UNLIKE[name][3])}
    return {side: with_turns(base, turns[name].get(side, 0)) for side in (BASE, *SIDES)}


def call(name: str, side: str, inputs: tuple[Any, ...] | None = None) -> Callable[[], Any]:
    """A side of a case for other tools: a function without arguments; sets the threads."""
    settings = read_settings()
    prepare_process(settings.threads)
    arguments = inputs_of(name) if inputs is None else inputs
    function = sides_of(name, settings.turns)[side]
    return lambda: function(*arguments)


def make_suite() -> Suite:
    """The cases of a trial as workloads of Torchduet; the base is the reference of the other sides."""
    peers = Suite("peers", "Identical copies, known slow-downs and unlike pairs")
    turns = read_settings().turns
    for name in os.environ.get(CASES_VARIABLE, ",".join(WORKLOADS)).split(","):
        workload, size = _sources(name)
        peers.compare(
            name,
            sides_of(name, turns),
            about=f"{name}: {workload}",
            inputs=workload_of(name).inputs,
            axes={axis: [value] for axis, value in size.items()},
            modes=["eager"],
            devices=["cpu"],
        )
    return peers


if SETTINGS_VARIABLE in os.environ:
    suite = make_suite()
