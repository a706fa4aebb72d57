"""The precision of fp32 in matrix products, convolutions and recurrent layers, with all interfaces to it.

PyTorch has three: ``set_float32_matmul_precision``, ``allow_tf32``, and since 2.9 ``fp32_precision`` of a backend and
an operation. Each has a store of its own, and a getter of an older interface raises where the stores contradict each
other: in ``torch.export``, ``torch.backends.cudnn.flags`` and in code that reads ``allow_tf32``. So all are set alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

_C: Any = torch._C
NONE = "none"  # as the next wider setting says
TF32, IEEE = "tf32", "ieee"
# (backend, operation) of torch._C._get_fp32_precision_getter
GENERIC = ("generic", "all")
BACKENDS = (("cuda", "all"), ("mkldnn", "all"))
OPERATIONS = tuple((backend, operation) for backend, _ in BACKENDS for operation in ("matmul", "conv", "rnn"))
MATMUL, CONV, RNN = OPERATIONS[:3]
PLACES = (GENERIC, *BACKENDS, *OPERATIONS)
PRODUCTS = (MATMUL, ("mkldnn", "matmul"))
# of the older interface for products → what it stands for in the newer one, of CUDA and of oneDNN
OLDER = {"highest": (IEEE, IEEE), "high": (TF32, TF32), "medium": (TF32, "bf16")}


@dataclass(frozen=True)
class Fp32Precision:
    """What the stores of all interfaces hold.

    Attributes:
        products: of ``set_float32_matmul_precision``.
        cudnn: ``torch.backends.cudnn.allow_tf32``.
        newer: for each of ``PLACES``, as it was set: ``none`` where it was not.
    """

    products: str
    cudnn: bool
    newer: tuple[str, ...]

    @classmethod
    def now(cls) -> Fp32Precision:
        """The present one."""
        newer = _newer()
        return cls(_products(newer), _cudnn(newer), tuple(newer.values()))

    def put_back(self) -> None:
        """Set it; the older interfaces first, as they set parts of the newer one."""
        _C._set_cudnn_allow_tf32(self.cudnn)
        _C._set_float32_matmul_precision(self.products)
        for place, value in zip(PLACES, self.newer, strict=True):
            _set(place, value)

    def differing(self, other: Fp32Precision) -> str:
        """In words, what is different in ``other``."""
        names = ("matrix products", "cuDNN's TF32", *(" ".join(place) for place in PLACES))
        pairs = zip(
            names,
            (self.products, self.cudnn, *self.newer),
            (other.products, other.cudnn, *other.newer),
            strict=True,
        )
        return ", ".join(f"{name}: {old} → {new}" for name, old, new in pairs if old != new)


_fp32_products = "highest"  # of set_float32_matmul_precision where TF32 is not asked for


def let_fp32_mean(products: str) -> None:
    """From now on, fp32 in this process stands for this value of ``set_float32_matmul_precision``, not for highest."""
    global _fp32_products
    _fp32_products = products


def set_fp32(*, tf32: bool) -> None:
    """Allow TF32 in CUDA's matrix products, convolutions and recurrent layers, or forbid it, by every interface."""
    products = "high" if tf32 else _fp32_products
    _C._set_cudnn_allow_tf32(tf32)
    _C._set_float32_matmul_precision(products)
    for place, value in ((MATMUL, OLDER[products][0]), *((place, TF32 if tf32 else IEEE) for place in (CONV, RNN))):
        _set(place, value)


def _set(place: tuple[str, str], value: str) -> None:
    _C._set_fp32_precision_setter(*place, value)


def _get(place: tuple[str, str]) -> str:
    """As it holds: where it was not set, that of the next wider place."""
    return str(_C._get_fp32_precision_getter(*place))


def _newer() -> dict[tuple[str, str], str]:
    """Place → what it was set to. A getter does not tell this from what the place has from a wider one."""
    found = {place: _get(place) for place in PLACES}
    if found[GENERIC] == NONE and all(found[backend] == NONE for backend in BACKENDS):
        return found
    _set(GENERIC, NONE)
    own = {backend: _get(backend) for backend in BACKENDS}
    for backend in BACKENDS:
        _set(backend, NONE)
    found |= own | {place: _get(place) for place in OPERATIONS}
    for place in (GENERIC, *BACKENDS):
        _set(place, found[place])
    return found


def _cudnn(newer: dict[tuple[str, str], str]) -> bool:
    """``allow_tf32`` of cuDNN, also where its getter raises; it does not if both operations agree with it."""
    try:
        return bool(_C._get_cudnn_allow_tf32())
    except RuntimeError:
        pass
    for place in (CONV, RNN):
        _set(place, TF32)
    try:
        return bool(_C._get_cudnn_allow_tf32())
    except RuntimeError:
        return False
    finally:
        for place in (CONV, RNN):
            _set(place, newer[place])


def _products(newer: dict[tuple[str, str], str]) -> str:
    """That of ``set_float32_matmul_precision``, also where its getter raises."""
    try:
        return str(_C._get_float32_matmul_precision())
    except RuntimeError:
        pass
    try:
        for name, values in OLDER.items():
            for place, value in zip(PRODUCTS, values, strict=True):
                _set(place, value)
            try:
                if _C._get_float32_matmul_precision() == name:
                    return name
            except RuntimeError:
                continue
    finally:
        for place in PRODUCTS:
            _set(place, newer[place])
    return "highest"
