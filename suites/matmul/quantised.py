"""Linear layers that torchao quantises: int8 weights alone, int8 and float8 with inputs that each call quantises.

A layer with a small batch reads its weight once for few operations: there, one byte for each number instead of two or
four can matter. With a large batch the products themselves count. torchao comes with the extra ``torchao``.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites import extras
from torchduet.suites.devices import is_host
from torchduet.suites.matmul import fp8
from torchduet.suites.matmul.products import EAGER_FIRST, part
from torchduet.suites.workload import Axis, Implementation, Unavailable

suite = part()

CONFIGS = {  # implementation → its configuration in torchao.quantization
    "int8_weight_only": "Int8WeightOnlyConfig",
    "int8_dynamic": "Int8DynamicActivationInt8WeightConfig",
    "float8_dynamic": "Float8DynamicActivationFloat8WeightConfig",
}
FLOAT8 = "float8_dynamic"
FLOAT8_CAPABILITY = (8, 9)
# A row whose largest value is m standard deviations is rounded to multiples of m/127 of them, an error of m/127/√12:
# 0.01 for m = 4.5, which random numbers of rows up to 8192 hardly exceed. Inputs that are rounded, too, add as much
# again, independently. The bounds are twice that; float8 has the one of torchduet.suites.matmul.fp8.
INT8_TOLERANCE = {"int8_weight_only": 0.02, "int8_dynamic": 0.03}


def require_torchao(name: str, device: torch.device) -> Any:
    """torchao's configuration for an implementation.

    Raises:
        Unavailable: torchao is missing or lacks it, or the device has no instructions for float8.
    """
    log = logging.getLogger("torchao")
    level = log.level
    try:
        log.setLevel(logging.ERROR)  # it names each of its libraries that are for other GPUs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            extras.require("torchao", "torchao", "torchao.quantization")
            import torchao.quantization as quantization
    finally:
        log.setLevel(level)
    if name == FLOAT8 and (is_host(device.type) or torch.cuda.get_device_capability(device) < FLOAT8_CAPABILITY):
        raise Unavailable(fp8.NEEDS)
    config = getattr(quantization, CONFIGS[name], None)
    if config is None:
        raise Unavailable(f"this torchao has no {CONFIGS[name]}: {extras.install('torchao', 'torchao')}")
    return config


class QuantisedLayer:
    """A linear layer without bias whose weight was quantised beforehand.

    Args:
        x: inputs (batch, n), which are not read.
        weight: (n, n).
        name: a key of ``CONFIGS``.
    """

    def __init__(self, x: Tensor, weight: Tensor, name: str) -> None:
        config = require_torchao(name, x.device)
        from torchao.quantization import quantize_

        width, features = weight.shape
        layer = nn.Linear(features, width, bias=False, device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions of configurations
            quantize_(layer, config())
        self.layer = layer.requires_grad_(requires_grad=False)

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product (batch, n) with the quantised weight; ``weight`` is not read."""
        del weight
        with torch.no_grad():
            return self.layer(x)  # type: ignore[no-any-return]

    def renew(self) -> QuantisedLayer:
        """The same in other memory."""
        renewed = object.__new__(QuantisedLayer)
        renewed.layer = copy.deepcopy(self.layer)
        return renewed


def setup(name: str) -> Callable[..., Any]:
    """The setup of an implementation: makes the layer of inputs and weight."""
    return lambda x, weight: QuantisedLayer(x, weight, name)


def inputs(device: torch.device, batch: int, n: int) -> tuple[Tensor, Tensor]:
    """Inputs (batch, n) and a weight (n, n)."""
    return torch.randn(batch, n, device=device), torch.randn(n, n, device=device) / n**0.5


suite.compare(
    "quantised_linear",
    {
        "linear": F.linear,
        **{
            name: Implementation(setup(name), setup=True, precisions=("bf16-pure",) if name == FLOAT8 else None)
            for name in CONFIGS
        },
    },
    about="A linear layer that torchao has quantised: int8 weights, or int8 and float8 products",
    inputs=inputs,
    axes={"batch": Axis(full=[1, 64]), "n": Axis(full=[2048], on={"cuda": Axis(default=[4096], full=[8192])})},
    modes=EAGER_FIRST,
    precisions=Axis(quick=["fp32"], default=["bf16-pure"]),
    tolerance=INT8_TOLERANCE | {FLOAT8: fp8.TOLERANCE},
    # No cost: a rate above the ceiling of its precision would look like a mistake.
)
