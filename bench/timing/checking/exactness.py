"""How exact a result can be: the precision that code really computes in, its unit roundoff and its tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from torchduet.bench.inputs.graph import moments_in, tensors_in, walk
from torchduet.bench.record.knobs import PURE_SUFFIX
from torchduet.bench.timing.checking.modes import OperationMode
from torchduet.bench.timing.precision import AUTOCAST_DTYPE, PURE_DTYPE, PURE_FACTOR, TOLERANCE
from torchduet.suites.workload import PRECISIONS, Workload

# From the least exact to the most.
FLOATS = (
    *(getattr(torch, name) for name in ("float8_e5m2", "float8_e5m2fnuz", "float8_e4m3fn", "float8_e4m3fnuz")),
    *(torch.bfloat16, torch.float16, torch.float32, torch.float64),
)
REAL = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}
LOW = frozenset(FLOATS[:-2])  # types that code chooses to be fast, not exact
# Of float8: twice what a product of numbers has that are rounded to 3 or 2 bits of mantissa.
FLOAT8_TOLERANCE = {"float8_e5m2": 0.3, "float8_e5m2fnuz": 0.3, "float8_e4m3fn": 0.15, "float8_e4m3fnuz": 0.15}
# float64 is compared with float64. It is allowed what float32 is: a workload may well return float32 of it.
PRECISION_OF = {
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float32: "fp32",
    torch.float64: "fp32",
}
ROUNDOFF_BITS = {"fp32": 24, "tf32": 11, "fp16": 11, "bf16": 8, "fp16-pure": 11, "bf16-pure": 8}
UP_TO_SIGN = frozenset({"_linalg_svd", "linalg_eig", "_linalg_eigh", "linalg_qr", "geqrf"})
NOMINAL = {"fp32": torch.float32, "tf32": torch.float32, **AUTOCAST_DTYPE, **PURE_DTYPE}


class Recorder(OperationMode):  # type: ignore[no-untyped-call]
    """Collects the floating-point types of all that is computed within the context, and what it is computed by.

    Attributes:
        random: operators that draw random numbers were called.
        free: operators were called whose results are determined only up to signs or phases.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()
        self.random = self.free = False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The operation's result, as it is."""
        result = func(*args, **(kwargs or {}))
        self.random = self.random or torch.Tag.nondeterministic_seeded in func.tags
        self.free = self.free or func.overloadpacket.__name__ in UP_TO_SIGN
        for leaf in (result,) if isinstance(result, Tensor) else tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.dim():  # counters of optimisers are single numbers in float32
                self.dtypes.add(leaf.dtype)
        return result


def dtypes_in(inputs: Sequence[Any]) -> set[torch.dtype]:
    """The floating-point types of the tensors and arrays among the inputs, a module's parameters included."""
    counters = moments_in(inputs)
    found = {tensor.dtype for tensor in tensors_in(inputs) if tensor.numel() and id(tensor) not in counters}
    for value in walk(inputs):
        if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
            found.add({2: torch.float16, 4: torch.float32}.get(value.real.dtype.itemsize, torch.float64))
    return {REAL.get(dtype, dtype) for dtype in found} & set(FLOATS)


def lowest(dtypes: Iterable[torch.dtype]) -> torch.dtype | None:
    """The least exact of these types; None where none is a floating-point type."""
    real = {REAL.get(dtype, dtype) for dtype in dtypes}
    return next((dtype for dtype in FLOATS if dtype in real), None)


def computes_in(precision: str, found: torch.dtype | None) -> torch.dtype:
    """The type in which a case computes: that of its precision, unless its tensors are less exact, or float64.

    A pure precision converts tensors of float64, too.
    """
    nominal = NOMINAL[precision]
    if found is None:
        return nominal
    if found == torch.float64 and precision not in PURE_DTYPE:
        return found
    return lowest((nominal, found)) or nominal


def unit_roundoff(precision: str, dtype: torch.dtype) -> float:
    """The largest relative error of one rounding: 2**-p for a mantissa of p bits, the hidden one included."""
    own = torch.finfo(dtype).eps / 2
    nominal: float = 2.0 ** -ROUNDOFF_BITS[precision]
    return nominal if dtype == NOMINAL[precision] else float(own)


def allowed(workload: Workload, implementation: str, precision: str, dtype: torch.dtype) -> float:
    """The relative error that a case may have.

    The author's for its implementation comes first, then the author's for its precision, then the author's for the
    precision in which it really computes, then the default of that. What an author states for autocast holds for the
    pure precision of the same type, times ``PURE_FACTOR``; where that is less than the default of the latter, it is of
    what autocast keeps in float32, and the default holds.
    """
    own: Any = workload.tolerance.get(implementation) if implementation not in PRECISIONS else None
    real = precision if dtype == NOMINAL[precision] else PRECISION_OF.get(dtype, "")
    if isinstance(own, Mapping):
        own = _stated(own, precision, real)
    for stated in (own, _stated(workload.tolerance, precision, real)):
        if isinstance(stated, int | float):
            return float(stated)
    return TOLERANCE[real] if real in TOLERANCE else FLOAT8_TOLERANCE[_name(dtype)]


def _stated(tolerance: Mapping[str, Any], precision: str, real: str) -> Any:
    """What an author states for a precision, else for the one in which a case really computes; None for neither."""
    if precision not in tolerance and precision in PURE_DTYPE and real == precision:
        autocast = tolerance.get(precision.removesuffix(PURE_SUFFIX))
        return max(PURE_FACTOR * autocast, TOLERANCE[precision]) if isinstance(autocast, int | float) else None
    return tolerance.get(precision, tolerance.get(real))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def label(precision: str, dtype: torch.dtype) -> str | None:
    """The name of the type in which a case computes, if it is not what its precision says."""
    return None if dtype == NOMINAL[precision] else _name(dtype)


def changes_nothing(precision: str, found: set[torch.dtype], recorded: Callable[[], set[torch.dtype]]) -> str | None:
    """Why a case in this precision would compute the same as in fp32; None where it would not.

    Autocast leaves float64 as it is, and TF32 is a way to compute with float32.

    Args:
        found: the floating-point types among the inputs.
        recorded: computes it in fp32, and returns the types in which it does.
    """
    if precision in PURE_DTYPE:
        return None  # where it would convert nothing, that has been refused
    target = AUTOCAST_DTYPE.get(precision)
    left = {torch.float64, target} if target is not None else set(FLOATS) - {torch.float32}
    if precision == "fp32" or not found or not found <= left or torch.float32 in recorded():
        return None
    names = " and ".join(sorted(_name(dtype) for dtype in found))
    what = "autocast leaves" if target is not None else "TF32 leaves"
    return f"its tensors are {names}, which {what} as they are: {precision} would change nothing"
