"""Which of PyTorch's backends of scaled-dot-product attention run here for a dtype, and why others do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from torchduet.suites.devices import is_host
from torchduet.suites.memory import available_on
from torchduet.suites.workload import Implementation, Unavailable

SHORT = 64  # queries and keys of the call that tries a backend
MAX_REASON = 200  # characters of PyTorch's own words


@dataclass(frozen=True)
class Kernel:
    """A backend of scaled-dot-product attention.

    Attributes:
        backend: to which ``sdpa_kernel`` restricts the operation.
        takes: what it needs beyond PyTorch.
        asked: the name of the function of ``torch.backends.cuda`` that says whether it can be used, empty if none.
        scores: it holds the scores of every query with every key in memory.
    """

    backend: SDPBackend
    takes: str = ""
    asked: str = ""
    scores: bool = False


KERNELS = {
    "math": Kernel(SDPBackend.MATH, scores=True),
    "flash": Kernel(
        SDPBackend.FLASH_ATTENTION,
        "on a GPU it takes float16 or bfloat16, a head depth up to 256 and compute capability 8.0",
        "can_use_flash_attention",
    ),
    "efficient": Kernel(SDPBackend.EFFICIENT_ATTENTION, "it takes a CUDA or ROCm GPU", "can_use_efficient_attention"),
    "cudnn": Kernel(
        SDPBackend.CUDNN_ATTENTION,
        "it takes float16 or bfloat16, and an NVIDIA GPU of compute capability 8.0 with cuDNN 9",
        "can_use_cudnn_attention",
    ),
}


def dtype_of(q: Tensor) -> torch.dtype:
    """The dtype in which attention of such queries is computed: autocast's, if that is in force."""
    if torch.is_autocast_enabled(q.device.type) and q.dtype is not torch.float64:
        return torch.get_autocast_dtype(q.device.type)
    return q.dtype


def refusal(name: str, q: Tensor, dtype: torch.dtype, causal: bool) -> str | None:
    """Why a backend does not compute attention of such queries in a dtype, in PyTorch's words; None if it does.

    Args:
        name: of ``KERNELS``.
        q: (batch, heads, length, depth).
    """
    kernel = KERNELS[name]
    short = q[..., :SHORT, :].to(dtype)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with sdpa_kernel(kernel.backend):
                F.scaled_dot_product_attention(short, short, short, is_causal=causal)
            return None
        except RuntimeError as error:
            words = str(error)
        if kernel.asked and not is_host(q.device.type):
            parameters = torch.backends.cuda.SDPAParams(short, short, short, None, 0.0, causal, False)
            getattr(torch.backends.cuda, kernel.asked)(parameters, True)
    of_kernel = [text for text in map(_said, caught) if "not used because" not in text and "disabled" not in text]
    where = "the CPU" if is_host(q.device.type) else q.device.type
    said = (of_kernel[-1] if of_kernel else _first_sentence(words)).rstrip(".")
    needs = f"; {kernel.takes}" if kernel.takes else ""
    return f"PyTorch has no {name} attention on {where} in {str(dtype).removeprefix('torch.')} ({said}){needs}"


def _said(warning: warnings.WarningMessage) -> str:
    return _first_sentence(str(warning.message).partition(" (Triggered internally")[0])


def _first_sentence(text: str) -> str:
    line = " ".join(text.split())
    return line.partition(". ")[0][:MAX_REASON]


def need_scores(q: Tensor) -> None:
    """Refuse to hold the scores of every query with every key, and their softmax, where they do not fit.

    Raises:
        Unavailable: too little memory is free on the device.
    """
    batch, heads, length, _ = q.shape
    needed = 2 * batch * heads * length**2 * q.element_size()
    available = available_on(q.device)
    if available is not None and available < needed:
        raise Unavailable(
            f"needs {needed / 2**30:.0f} GiB for the scores of {length:,} queries with as many keys and their softmax, "
            f"of which {available / 2**30:.0f} GiB are free; fused backends such as flash hold no scores"
        )


def by_kernel(name: str, causal: bool = False) -> Implementation:
    """Attention by one backend; where it does not run, its cases are skipped with the reason."""
    kernel = KERNELS[name]

    def setup(q: Tensor, *_: Tensor) -> Callable[..., Tensor]:
        if kernel.scores:
            need_scores(q)
        dtypes = dict.fromkeys((q.dtype, torch.float32, torch.bfloat16, torch.float16))
        refusals = {dtype: refusal(name, q, dtype, causal) for dtype in dtypes}
        if all(refusals.values()):
            raise Unavailable(refusals[q.dtype])

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            if reason := refusals[dtype_of(q)]:
                raise Unavailable(reason)
            with sdpa_kernel(kernel.backend):
                return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

        return attend

    return Implementation(setup, setup=True)
