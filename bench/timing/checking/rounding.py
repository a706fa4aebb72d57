"""Monte Carlo arithmetic: repeats a computation with perturbed operations, to see what rounding does to its results.

Each operation that rounds has its result multiplied by 1 + u·ξ elementwise, where u is the unit roundoff of a precision
and ξ is uniform in [-1, 1]. Operations that add up, such as products, norms and reductions, have their floating-point
inputs perturbed, too, as the terms that cancel within them are rounded, and their results moved as a whole. Operations
that only move or compare values are exact; those that return positions see the elements in another order, so that ties
show. The method: Parker, *Monte Carlo Arithmetic* (1997), at the level of PyTorch's operators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from torchduet.bench.timing.checking.modes import OperationMode
from torchduet.bench.timing.checking.operators import ELEMENTWISE, EXACT, ORDERING, SUMS

PARTIAL_SUMS = 2.0**-24  # what is computed in a type below float32 is added up in float32
WRITTEN = "running_"  # arguments that batch normalisation writes without declaring it


class Perturbation(OperationMode):  # type: ignore[no-untyped-call]
    """Every operation within the context rounds at random, as in a precision of unit roundoff ``unit``."""

    def __init__(self, unit: float, seed: int) -> None:
        super().__init__()
        self.unit, self.seed = unit, seed
        self.partial = min(unit, PARTIAL_SUMS)
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The operation's result, perturbed as the module says."""
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__.removeprefix("_foreach_").rstrip("_")
        if name in ORDERING and len(args) > 1 - (name in ("argmax", "argmin", "sort")):
            return self._in_another_order(func, name, args, kwargs)
        if name in EXACT or is_view(func):
            return func(*args, **kwargs)
        written = [
            argument.alias_info is not None and argument.alias_info.is_write for argument in func._schema.arguments
        ]
        if name in ELEMENTWISE:
            result = func(*args, **kwargs)
        else:
            result = func(*self._inputs(func, args, written), **self._keywords(func, kwargs))
        before = {leaf.data_ptr() for leaf in tree_leaves((args, kwargs)) if _rounds(leaf)}
        most = max((leaf.numel() for leaf in tree_leaves(args) if _rounds(leaf)), default=1)
        for leaf in tree_leaves(result):
            if not (_rounds(leaf) and leaf.numel() and (leaf.data_ptr() not in before or func._schema.is_mutable)):
                continue
            if name in ELEMENTWISE:
                leaf.mul_(self._factor(leaf))
            elif name in SUMS:
                self._add_up(leaf, func, args, kwargs, most)
            else:
                self._combine(leaf, most, normalises="norm" in name)
        if func._schema.is_mutable and not any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            for argument, write in zip(args, written, strict=False):  # _foreach_add_, _fused_adamw_
                for leaf in tree_leaves(argument) if write else ():
                    if _rounds(leaf):
                        leaf.mul_(self._factor(leaf))
        return result

    def _inputs(self, func: Any, args: tuple[Any, ...], written: Sequence[bool]) -> list[Any]:
        names = [argument.name for argument in func._schema.arguments]
        return [
            argument if write or name.startswith(WRITTEN) else tree_map(self._noisy, argument)
            for argument, write, name in zip(args, written, names, strict=False)
        ]

    def _keywords(self, func: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        written = {a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write}
        return {
            name: value if name in written or name.startswith(WRITTEN) else tree_map(self._noisy, value)
            for name, value in kwargs.items()
        }

    def _noisy(self, value: Any) -> Any:
        return value * self._factor(value) if _rounds(value) else value

    def _add_up(self, result: Tensor, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], most: int) -> None:
        """The rounding of the partial sums Sₖ of n terms, √Σ(u·Sₖ)²: u·Σ|x| for terms of both signs, else u·√n·|Σx|."""
        terms = func(args[0].abs(), *args[1:], **kwargs)
        partial = self._factor(result, self.partial).sub_(1).mul_(terms)
        result.mul_(self._factor(result, max(self.unit, self.partial * math.sqrt(most / result.numel())))).add_(partial)

    def _combine(self, result: Tensor, most: int, *, normalises: bool) -> None:
        """Round each element of a result, and move each channel as a whole by u·ξ of its root mean square.

        The rounding of a mean within an operation, such as batch normalisation's backward, moves all elements alike;
        the sum of n of them then errs by n, not by the square root of n. Zeros remain zeros. A normalisation has the
        mean of n elements with an error of u·√n (Higham and Mary, *A New Approach to Probabilistic Rounding Error
        Analysis*, 2019).
        """
        channels = [result.shape[1] if axis == 1 else 1 for axis in range(result.dim())]
        reduced = normalises and most > result.numel()
        terms = 1.0
        if normalises:
            terms = most / result.numel() if reduced else result.numel() / max(math.prod(channels), 1)
        unit = max(self.unit, self.partial * math.sqrt(terms))
        size = float(torch.linalg.vector_norm(result)) / math.sqrt(result.numel())
        result.mul_(self._factor(result, unit if reduced else self.unit))
        if reduced or not 0 < size < math.inf:
            return
        noise = torch.rand(
            channels, generator=self._generator(result.device), dtype=_real(result), device=result.device
        )
        result.add_((noise.mul_(2).sub_(1) * (unit * size)).to(result.dtype) * (result != 0))

    def _factor(self, tensor: Tensor, unit: float | None = None) -> Tensor:
        """1 + u·ξ for each element."""
        unit = unit or self.unit
        factor = self._uniform(tensor).mul_(2 * unit).add_(1 - unit)
        if tensor.is_complex():
            return torch.complex(factor, self._uniform(tensor).mul_(2 * unit).sub_(unit))
        return factor.to(tensor.dtype)

    def _uniform(self, tensor: Tensor) -> Tensor:
        device = tensor.device
        return torch.rand(tensor.shape, generator=self._generator(device), dtype=_real(tensor), device=device)

    def _in_another_order(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An ordering operation on shuffled elements, its positions translated back: equal elements change places."""
        values = args[0]
        names = [argument.name for argument in func._schema.arguments]
        given = dict(zip(names, args, strict=False)) | kwargs
        dim = given.get("dim", -1)
        stable = name == "sort" and given.get("stable") is True
        if stable or not isinstance(values, Tensor) or isinstance(dim, str) or "dim" not in names:
            return func(*args, **kwargs)
        whole = dim is None  # argmax of all elements
        source = values.reshape(-1) if whole else values
        axis = 0 if whole else dim
        if source.dim() == 0 or source.shape[axis] < 2:
            return func(*args, **kwargs)
        order = torch.randperm(source.shape[axis], generator=self._generator(source.device), device=source.device)
        shuffled = source.index_select(axis, order)
        result = func(shuffled.reshape(values.shape) if whole else shuffled, *args[1:], **kwargs)
        if isinstance(result, Tensor):
            return order[result]
        first, positions = result
        return type(result)((first, order[positions])) if hasattr(result, "indices") else (first, order[positions])

    def _generator(self, device: torch.device) -> torch.Generator:
        """One that leaves the random numbers of the computation itself as they are."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]


def is_view(func: Any) -> bool:
    """Whether an operation's result shares the memory of an argument that it does not write."""
    return any(
        argument.alias_info is not None and not argument.alias_info.is_write for argument in func._schema.arguments
    )


def _rounds(value: object) -> bool:
    """A dense tensor of real or complex numbers, which can be perturbed."""
    return (
        isinstance(value, Tensor)
        and (value.is_floating_point() or value.is_complex())
        and value.layout == torch.strided
        and value.dtype.itemsize > 1
        and not value.is_nested
        and not value.is_meta
    )


def _real(tensor: Tensor) -> torch.dtype:
    """The type of the factors: never narrower than float32, in which 1 + u of half precision can be told from 1."""
    return torch.float64 if tensor.dtype in (torch.float64, torch.complex128) else torch.float32
