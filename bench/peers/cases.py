"""The functions that all tools time: built-in workloads, an A/A copy of each, and copies slowed down by 3 % and 5 %.

This is a file of workloads for ``--suite`` and a module that the scripts of other tools import. The extra work of
the slowed copies is calibrated once for all tools (:mod:`torchduet.bench.peers.calibration`).
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
BASE = "base"
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
    suite, workload = WORKLOADS[name][0].split(".")
    return load(suite)[0].workloads[workload]


def base_of(name: str) -> Function:
    """The function that is timed; its arguments are the inputs of its workload."""
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
    return tuple(workload_of(name).inputs(torch.device("cpu"), **WORKLOADS[name][1]))


def call(name: str, side: str, inputs: tuple[Any, ...] | None = None) -> Callable[[], Any]:
    """A side of a case for other tools: a function without arguments; sets the threads."""
    settings = read_settings()
    prepare_process(settings.threads)
    turns = settings.turns[name].get(side, 0)
    arguments = inputs_of(name) if inputs is None else inputs
    function = with_turns(base_of(name), turns)
    return lambda: function(*arguments)


def make_suite() -> Suite:
    """The cases as workloads of Torchduet; the base is the reference of the other sides."""
    peers = Suite("peers", "Identical copies and known slow-downs")
    turns = read_settings().turns
    for name, (_, size) in WORKLOADS.items():
        base = base_of(name)
        peers.compare(
            name,
            {side: with_turns(base, turns[name].get(side, 0)) for side in (BASE, *SIDES)},
            about=f"{name}: identical and slowed copies",
            inputs=workload_of(name).inputs,
            axes={axis: [value] for axis, value in size.items()},
            modes=["eager"],
            devices=["cpu"],
        )
    return peers


if SETTINGS_VARIABLE in os.environ:
    suite = make_suite()
