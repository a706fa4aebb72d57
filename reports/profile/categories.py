"""Sorts what runs on the host into kinds of work by its name; ``kernels`` does so for what runs on a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from torchduet.bench.record.schema import LOADER_ENDS, LOADER_STARTS
from torchduet.reports.profile.runtime import LAUNCHES, WAITS

GEMM = "matrix products and convolutions"
FUSED = "fused kernels"
REDUCTION = "reductions and normalisations"
ELEMENTWISE = "element by element"
COPY = "copies, fills and indexing"
VIEW = "views and allocation"
OPTIMIZER = "optimizer"
AUTOGRAD = "autograd engine"
COMPILED = "entering compiled code"
DATA = "waiting for data"
LOADER = "starting and ending loaders"
OTHER = "other operators"
PYTHON = "Python, no operator running"
WAITING = "waiting for the GPU"
LAUNCHING = "launching and other calls of the GPU’s runtime"
CATEGORIES = (
    GEMM,
    FUSED,
    REDUCTION,
    ELEMENTWISE,
    COPY,
    VIEW,
    OPTIMIZER,
    AUTOGRAD,
    COMPILED,
    DATA,
    OTHER,
    PYTHON,
    LOADER,
    WAITING,
    LAUNCHING,
)
RUNTIME_CATEGORIES = {WAITS: WAITING, LAUNCHES: LAUNCHING}

# The first pattern that matches counts; operators are matched without their namespace and trailing underscore.
PATTERNS: tuple[tuple[str, str], ...] = (
    (LOADER, "|".join(map(re.escape, (LOADER_STARTS, LOADER_ENDS)))),
    (DATA, r"enumerate\(DataLoader\).*|.*DataLoader.*__next__.*"),
    (FUSED, r"graph_\d+_.*|triton_.*|.*cpp_fused_.*"),
    (
        COMPILED,
        r"TorchDynamo.*|Torch-Compiled Region.*|Pregraph bytecode.*|AOTDispatcher.*|CompiledFunction.*"
        r"|.*CompiledFxGraph.*",
    ),
    (AUTOGRAD, r"autograd::engine::.*|.*Backward\d*|torch::autograd::.*|.*AccumulateGrad.*"),
    (
        GEMM,
        r"(add|b|badd)?mm|addbmm|addm?v|mv|dot|vdot|inner|outer|ger|matmul|linear|(bi|_tri)linear|einsum|tensordot|.*conv.*"
        r"|mkldnn_.*|.*scaled_dot_product.*|.*attention.*|.*gemm.*|.*cutlass.*|.*xmma.*|.*cublas.*|.*flash_fwd.*"
        r"|.*flash_bwd.*|_addmm_activation|.*nvjet.*",
    ),
    (
        REDUCTION,
        r"sum|nansum|mean|prod|amax|amin|max|min|arg(max|min)|.*norm.*|var(_mean)?|std(_mean)?|cum(sum|prod).*"
        r"|_?(log_?)?softmax.*|logsumexp|.*loss.*|cross_entropy.*|any|all|topk|sort|histc|bincount|_local_scalar_dense"
        r"|item|.*pool.*|.*reduce_kernel.*|.*softmax.*",
    ),
    (
        VIEW,
        r"as_strided|view.*|_?reshape.*|t|transpose|permute|expand(_as)?|unsqueeze|squeeze|slice|select|narrow|unbind"
        r"|split.*|chunk|detach|alias|empty.*|new_empty.*|resize_?|resolve_(conj|neg)|_unsafe_view|flatten|lift_fresh"
        r"|set|broadcast_tensors|unflatten|result_type|is_nonzero",
    ),
    (
        COPY,
        r"_?copy|_to_copy|clone|to|contiguous|cat|stack|hstack|vstack|index.*|gather.*|scatter.*|take.*|fill.*|zeros?(_like)?"
        r"|ones(_like)?|full(_like)?|masked_.*|repeat.*|roll|flip|embedding.*|pin_memory|[Mm]emcpy.*|[Mm]emset.*"
        r"|arange|tril|triu|pad|constant_pad_nd|.*copy_kernel.*|.*CatArray.*",
    ),
    (
        ELEMENTWISE,
        r"_foreach_.*|add(c(mul|div))?|sub|rsub|mul|div|pow|sqrt|rsqrt|exp.*|log.*|sin|cos|tan|tanh.*|sigmoid.*|relu.*"
        r"|.*gelu.*|silu.*|elu|clamp.*|abs|neg|sign|reciprocal|square|threshold.*|dropout.*|native_dropout.*|bernoulli"
        r"|where|lerp|eq|ne|lt|le|gt|ge|logical_.*|bitwise_.*|maximum|minimum|floor.*|ceil|round|isnan|isfinite|isinf"
        r"|random|normal|uniform|_?fused_(adam|sgd).*|.*elementwise.*|.*multi_tensor_apply.*",
    ),
)


@lru_cache(maxsize=8192)
def category(name: str) -> str:
    """The category of an operator, an annotation or a kernel; ``OTHER`` if no pattern matches its name."""
    stem = re.sub(r"^[a-z_]+::", "", name) if not name.startswith(("autograd::", "torch::")) else name
    if not stem.endswith("__"):  # a single trailing underscore marks an in-place operator, two a Python method
        stem = stem.removesuffix("_") or stem
    for kind, pattern in PATTERNS:
        if re.fullmatch(pattern, stem):
            return kind
    return OTHER


def category_within(name: str, above: Iterable[str]) -> str:
    """The category of a name within others: everything within an optimizer or a loader counts as theirs."""
    names = [*above, name]
    if any(map(is_optimizer, names)):
        return OPTIMIZER
    kinds = {category(name) for name in names}
    return LOADER if LOADER in kinds else DATA if DATA in kinds else category(name)


def host_category(name: str, kind: str, above: Iterable[str]) -> str:
    """The category of a span of the host, of its kind, within others: a call of the GPU's runtime has its own."""
    if kind == "python":
        return PYTHON
    return RUNTIME_CATEGORIES.get(kind) or category_within(name, above)


def is_optimizer(name: str) -> bool:
    """Whether an annotation encloses the work of an optimizer."""
    return name.startswith(("Optimizer.step", "Optimizer.zero_grad"))
