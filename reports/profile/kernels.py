"""Sorts what runs on a GPU into kinds of work by the names of kernels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from torchduet.reports.profile.categories import COPY, ELEMENTWISE, FUSED, GEMM, OPTIMIZER, REDUCTION

ATTENTION = "attention"
SORTING = "sorting and scans"
FOURIER = "Fourier transforms"
RECURRENT = "recurrent cells"
COMMUNICATION = "communication between GPUs"
TRANSFER = "copies between host and GPU"
OTHER_KERNELS = "other kernels"
KINDS = (
    GEMM,
    FUSED,
    REDUCTION,
    ELEMENTWISE,
    COPY,
    OPTIMIZER,
    ATTENTION,
    SORTING,
    FOURIER,
    RECURRENT,
    COMMUNICATION,
    TRANSFER,
    OTHER_KERNELS,
)


@dataclass(frozen=True)
class Rule:
    """The kind of kernels in whose function's name one of ``function`` is found.

    With ``whole``, one of these must be found in the whole name, too, which has the types of templates and arguments.
    """

    kind: str
    function: tuple[str, ...]
    whole: tuple[str, ...] = ()


# The first rule that matches counts. Upper and lower case are the same.
RULES: tuple[Rule, ...] = (
    Rule(TRANSFER, (r"^Memcpy (HtoD|DtoH|HtoH|HtoA|AtoH|M2D|D2M|H2D|D2H)",)),
    Rule(COMMUNICATION, (r"nccl", r"cross_device_reduce")),
    Rule(
        ATTENTION, (r"flash_(fwd|bwd|attn)", r"fmha", r"sdpa", r"attention", r"^_?attn_(fwd|bwd)", r"compute_dot_do_o")
    ),
    Rule(GEMM, (r"^triton_tem_",)),
    Rule(FUSED, (r"^triton_",)),
    # PyTorch's kernels that apply a functor: what they do is in the functor's name.
    Rule(COPY, ("elementwise_kernel",), (r"FillFunctor", r"copy_kernel", r"masked_fill", r"arange", r"index_put")),
    Rule(OPTIMIZER, ("multi_tensor_apply_kernel",), (r"AdamFunctor", r"Fused\w+MathFunctor")),
    Rule(REDUCTION, ("multi_tensor_apply_kernel",), (r"NormFunctor",)),
    Rule(RECURRENT, (r"(LSTM|GRU|RNN)_",)),
    Rule(
        GEMM,
        (
            r"(?<!fb)gem[mvk]",
            r"xmma",
            r"cutlass",
            r"nvjet",
            r"splitK",
            r"^Cijk_",
            r"winograd",
            r"conv(?!ert)",
            r"[fb]prop",
            r"[dw]grad_",
            r"scudnn",
            r"cask_",
            r"fft2d_",  # cuDNN's convolutions; cuFFT has other names
            r"im2col|col2im",
        ),
    ),
    Rule(GEMM, ("",), (r"cublas",)),  # helpers of its products: what else it exports is not called by PyTorch
    Rule(FOURIER, (r"fft",)),
    Rule(
        SORTING,
        (
            r"Sort",
            r"topk",
            r"scan",
            r"searchsorted",
            r"ReduceByKey",
            r"DeviceSelect",
            r"Compact",
            r"unique",
            r"kthvalue",
        ),
    ),
    Rule(
        COPY,
        (
            r"^Mem(cpy|set)",
            r"copy",
            r"fill",
            r"index",
            r"gather",
            r"scatter",
            r"embedding",
            r"transpose",
            r"permute",
            r"nchwToNhwc",
            r"nhwcToNchw",
            r"triu_tril",
            r"roll_cuda",
            r"reflection_pad|replication_pad",
            r"^compute_cuda_kernel$",  # of repeat_interleave
            r"compute_grad_weight|sum_and_scatter|krn_partial",  # of the backward of embeddings
        ),
    ),
    Rule(
        REDUCTION,
        (
            r"reduce",
            r"softmax",
            r"norm(?!al(?!i))",
            r"pool",
            r"loss",
            r"bn_(fw|bw)",
            r"RowwiseMoments",
            r"GammaBeta",
            r"kernelHistogram",
        ),
    ),
    Rule(ELEMENTWISE, (r"elementwise", r"multi_tensor_apply", r"dropout", r"tensor_kernel", r"scalePacked")),
)
_COMPILED = [
    (rule.kind, re.compile("|".join(rule.function), re.IGNORECASE), re.compile("|".join(rule.whole), re.IGNORECASE))
    for rule in RULES
]
_MANGLED = re.compile(r"^_ZN?K?")
_LENGTH = re.compile(r"\d{1,9}")
MAX_SHOWN = 96  # characters


@lru_cache(maxsize=8192)
def kernel_kind(name: str) -> str:
    """The kind of work of a kernel, a copy or a fill; ``OTHER_KERNELS`` if no rule has its name."""
    function = function_name(name)
    for kind, in_function, in_whole in _COMPILED:
        if in_function.search(function) and in_whole.search(name):
            return kind
    return OTHER_KERNELS


def function_name(name: str) -> str:
    """A kernel's function with its namespaces, without its result's type, templates and arguments.

    ``void at::native::(anonymous namespace)::cunn_SoftMaxForward<4, float>(float*)`` →
    ``at::native::cunn_SoftMaxForward``. Kineto demangles names with ``abi::__cxa_demangle``, and leaves those as they
    are that this refuses.
    """
    if name.startswith(("Memcpy", "Memset")):
        return name
    if _MANGLED.match(name):
        return _unmangled(name)
    text = name.replace("(anonymous namespace)::", "").replace("operator()", "operator")
    function, depth = [], 0
    for character in text:
        if character == "<":
            depth += 1
        elif character == ">":
            depth = max(0, depth - 1)
        elif depth == 0:
            if character == "(":
                break
            function.append(character)
    words = "".join(function).split()
    return words[-1] if words else name


def _unmangled(name: str) -> str:
    """The nested names at the beginning of a mangled name, such as ``at::native::softmax_warp_forward``."""
    parts = []
    rest, at = _MANGLED.sub("", name), 0
    while (length := _LENGTH.match(rest, at)) is not None:
        at = length.end() + int(length[0])
        parts.append(rest[length.end() : at])
    return "::".join(part for part in parts if not part.startswith("_GLOBAL__")) or name


def short_name(name: str) -> str:
    """A kernel's name without its result's type, PyTorch's namespaces and its arguments, at most ``MAX_SHOWN`` long."""
    if name.startswith(("Memcpy", "Memset")):
        return name
    text = _without_arguments(name.replace("(anonymous namespace)::", ""))
    text = re.sub(r"^(void|std::enable_if<.*?>::type) ", "", text).replace("at::native::", "")
    first, *others = text.split(">")
    if others:
        text = ">".join([first.rstrip(), *(part.strip() for part in others[:-1]), others[-1].lstrip()])
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _without_arguments(name: str) -> str:
    depth = 0
    for place, character in enumerate(name):
        if character == "<":
            depth += 1
        elif character == ">":
            depth -= 1
        elif character == "(" and depth == 0 and place:
            return name[:place]
    return name
