"""Products of matrices in fp8 (e4m3), with one scale for each operand, as ``torch._scaled_mm`` takes them.

A layer's weights are converted once, its inputs in each call: with a scale of their own (*dynamic*) or one that was set
beforehand (*static*). Source of the terms and of the scheme: Micikevicius et al. 2022, *FP8 Formats for Deep Learning*.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.matmul.products import EAGER_FIRST, part
from torchduet.suites.workload import Axis, Implementation, Unavailable

suite = part()

E4M3 = torch.float8_e4m3fn
LARGEST = torch.finfo(E4M3).max  # 448; beyond it a conversion gives NaN
# Rounding to 3 bits of mantissa changes a value by 2**-4 of it at most, and a product of two rounded factors by twice
# that, to first order. Where roundings are independent they partly cancel: 0.038 of the norm for normal random numbers.
TOLERANCE = 2 * 2.0**-4
NEEDS = "fp8 products need a CUDA GPU of compute capability 8.9 or newer (Ada, Hopper, Blackwell)"
SIDE = 16  # of the matrices of a trial, the least that the kernels take
# Without one of these a CPU multiplies one number after the other: on an Intel Xeon with AMX for bf16 a product
# of matrices of a side of 512 took 6.4 s, with torch 2.13.
FLAGS = frozenset({"amx_fp8", "avx10_2"})
CPUINFO = Path("/proc/cpuinfo")
Product = Callable[[Tensor, Tensor], Tensor]


def quantised(x: Tensor, scale: Tensor) -> Tensor:
    """``x / scale`` in fp8; values beyond its range are given the largest."""
    return (x / scale).clamp(-LARGEST, LARGEST).to(E4M3)


def scale_of(x: Tensor) -> Tensor:
    """The scale with which the largest value becomes the largest that fp8 has: one number in float32."""
    return x.abs().amax().float().clamp(min=torch.finfo(torch.float32).tiny) / LARGEST


def scaled_product(x: Tensor, weight: Tensor, x_scale: Tensor, weight_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``(x · x_scale) (weight · weight_scale)ᵀ`` of fp8 matrices (m, k) and (n, k), in a wider type."""
    return torch._scaled_mm(x, weight.t(), scale_a=x_scale, scale_b=weight_scale, out_dtype=dtype)


def require_kernel(device: torch.device, dtype: torch.dtype) -> None:
    """Try a small product.

    Raises:
        Unavailable: the device or this PyTorch has no kernel for it.
    """
    try:
        operand = torch.zeros(SIDE, SIDE, device=device).to(E4M3)
        scale = torch.ones((), device=device)
        scaled_product(operand, operand, scale, scale, dtype)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise Unavailable(f"torch._scaled_mm does not run on {device.type} here ({reason}); {NEEDS}") from error


def require_instructions(device: torch.device, cpuinfo: Path = CPUINFO) -> None:
    """Refuse a CPU whose kernel multiplies one number after the other.

    Raises:
        Unavailable: it has no instructions for fp8, or does not say so.
    """
    if not is_host(device.type):
        return
    try:
        flags = next((line.split() for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), [])
    except OSError:  # not Linux
        flags = []
    if FLAGS.isdisjoint(flags):
        raise Unavailable(f"this CPU has no instructions for fp8 ({', '.join(sorted(FLAGS))}); {NEEDS}")


class Fp8Layer:
    """A product with a weight that was converted to fp8 beforehand.

    Args:
        x: inputs (m, k) from which the static scale is taken, and which ``mode="product"`` converts, too.
        weight: (n, k).
        mode: ``dynamic``, ``static``, or ``product``, which converts nothing in a call.
    """

    def __init__(self, x: Tensor, weight: Tensor, mode: str) -> None:
        require_kernel(x.device, x.dtype)
        self.mode = mode
        self.weight_scale, self.x_scale = scale_of(weight), scale_of(x)
        self.weight, self.x = quantised(weight, self.weight_scale), quantised(x, self.x_scale)

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product with the weight in fp8; ``weight`` is not read."""
        del weight
        scale = scale_of(x) if self.mode == "dynamic" else self.x_scale
        own = self.x if self.mode == "product" else quantised(x, scale)
        return scaled_product(own, self.weight, scale, self.weight_scale, x.dtype)

    def renew(self) -> Fp8Layer:
        """The same in other memory."""
        renewed = object.__new__(Fp8Layer)
        renewed.__dict__ = {
            name: value.clone() if isinstance(value, Tensor) else value for name, value in vars(self).items()
        }
        return renewed


def layer(mode: str) -> Callable[..., Any]:
    """The setup of an implementation: makes the layer of inputs and weight, where that is no emulation."""

    def setup(x: Tensor, weight: Tensor) -> Product:
        made = Fp8Layer(x, weight, mode)
        require_instructions(x.device)
        return made

    return setup


def layer_inputs(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    """Inputs and a weight of a layer, (n, n) each."""
    return torch.randn(n, n, device=device), torch.randn(n, n, device=device) / n**0.5


def in_fp8(mode: str) -> Implementation:
    """A layer in fp8, which takes and returns tensors of bf16."""
    return Implementation(layer(mode), setup=True, precisions=("bf16-pure",))


suite.compare(
    "fp8",
    {
        "linear": F.linear,
        "fp8_dynamic": in_fp8("dynamic"),
        "fp8_static": in_fp8("static"),
        "fp8_product": in_fp8("product"),
    },
    about="A layer's product in fp8 (e4m3): inputs scaled in each call, by a fixed scale, or converted beforehand",
    inputs=layer_inputs,
    axes={"n": Axis(full=[512, 2048], on={"cuda": Axis(default=[4096], full=[1024, 8192])})},
    modes=EAGER_FIRST,
    precisions=Axis(quick=["fp32"], default=["bf16-pure"]),
    tolerance={f"fp8_{mode}": TOLERANCE for mode in ("dynamic", "static", "product")},
    # No cost: a rate above the ceiling of bf16, which is that of its precision, would look like a mistake.
)
