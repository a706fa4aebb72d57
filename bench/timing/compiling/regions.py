"""Regional compilation: of a module's repeated blocks one is compiled, and the others of its kind run the same code.

PyTorch's recipe "Reducing torch.compile cold start compilation time with regional compilation" compiles each layer of
a list. Here the module among the inputs stays as it is, as other cases use it: its blocks are compiled within calls of
the stand-in only.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchduet.bench.timing.dynamo import CompiledModel, own_code

IN_BLOCK = "_compiled_call_impl"  # where nn.Module.compile keeps what a call of the module runs
LISTS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


def repeated_blocks(module: nn.Module) -> list[nn.Module]:
    """The blocks of a module that occur several times, in order.

    A block is an item of a list of modules that has modules of its own, and of whose class the list has another one.
    What is within a block is part of it.
    """
    blocks: list[nn.Module] = []
    children = list(module.children())
    composite = [child for child in children if next(child.children(), None) is not None]
    kinds = Counter(type(child) for child in composite) if isinstance(module, LISTS) else Counter[type]()
    for child in composite:
        blocks += [child] if kinds[type(child)] > 1 else repeated_blocks(child)
    return list(dict.fromkeys(blocks))


class CompiledRegions(CompiledModel):
    """A stand-in for a module: a call runs it with compiled blocks, and all attributes are the module's own."""

    def __init__(self, model: nn.Module, number: int = 0) -> None:
        self._model, blocks = model, repeated_blocks(model)
        self._of_kinds = {
            kind: torch.compile(own_code(_call, f"block_{number}_{index}"))
            for index, kind in enumerate(dict.fromkeys(map(type, blocks)))
        }
        self._calls = self._calls_of(blocks)

    @property
    def blocks(self) -> int:
        """The number of its repeated blocks."""
        return len(self._calls)

    def _calls_of(self, blocks: list[nn.Module]) -> list[tuple[dict[str, Any], Callable[..., Any]]]:
        return [(vars(block), functools.partial(self._of_kinds[type(block)], block)) for block in blocks]

    def of(self, model: nn.Module) -> CompiledRegions:
        """A stand-in for another module of the same class, whose blocks run the same compiled code."""
        other = CompiledRegions.__new__(CompiledRegions)
        other._model, other._of_kinds = model, self._of_kinds
        other._calls = other._calls_of(repeated_blocks(model))
        return other

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output, from compiled blocks."""
        for attributes, call in self._calls:
            attributes[IN_BLOCK] = call
        try:
            return self._model(*args, **kwargs)
        finally:
            for attributes, _ in self._calls:
                attributes.pop(IN_BLOCK, None)


def _call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]
