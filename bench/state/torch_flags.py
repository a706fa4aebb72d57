"""Entries: PyTorch's switches, such as grad mode, autocast, deterministic algorithms and the choice of kernels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from torchduet.bench.state.entry import Entry, on_or_off
from torchduet.bench.state.fp32_precision import Fp32Precision

_C: Any = torch._C
_inference_guards: list[Any] = []  # entered, and never left: a guard sets the former mode when it is destroyed
DENORMAL = sys.float_info.min / 4

# name in words → getter and setter of torch._C; a pair that a version of torch lacks is left out
SWITCHES = {
    "cuDNN": ("_get_cudnn_enabled", "_set_cudnn_enabled"),
    "torch.backends.cudnn.deterministic": ("_get_cudnn_deterministic", "_set_cudnn_deterministic"),
    "torch.backends.cuda.matmul.allow_fp16_accumulation": (
        "_get_cublas_allow_fp16_accumulation",
        "_set_cublas_allow_fp16_accumulation",
    ),
    "reduced precision of fp16 on the CPU": (
        "_get_cpu_allow_fp16_reduced_precision_reduction",
        "_set_cpu_allow_fp16_reduced_precision_reduction",
    ),
    "oneDNN (torch.backends.mkldnn.enabled)": ("_get_mkldnn_enabled", "_set_mkldnn_enabled"),
    "torch.backends.mkldnn.deterministic": ("_get_mkldnn_deterministic", "_set_mkldnn_deterministic"),
    "NNPACK": ("_get_nnpack_enabled", "_set_nnpack_enabled"),
    "flash attention": ("_get_flash_sdp_enabled", "_set_sdp_use_flash"),
    "memory-efficient attention": ("_get_mem_efficient_sdp_enabled", "_set_sdp_use_mem_efficient"),
    "attention by matrix products (math)": ("_get_math_sdp_enabled", "_set_sdp_use_math"),
    "cuDNN attention": ("_get_cudnn_sdp_enabled", "_set_sdp_use_cudnn"),
    "overrideable attention": ("_get_overrideable_sdp_enabled", "_set_sdp_use_overrideable"),
    "reduced precision of attention by matrix products": (
        "_get_math_sdp_allow_fp16_bf16_reduction",
        "_set_math_sdp_allow_fp16_bf16_reduction",
    ),
    "MIOpen's immediate mode": ("_get_miopen_immediate", "_set_miopen_immediate"),
    "multithreading of autograd": ("_is_multithreading_enabled", "_set_multithreading_enabled"),
    "replay of views in autograd": ("_is_view_replay_enabled", "_set_view_replay_enabled"),
    "forward-mode gradients": ("_is_fwd_grad_enabled", "_set_fwd_grad_enabled"),
    "warning each time (torch.set_warn_always)": ("_get_warnAlways", "_set_warnAlways"),
    "TorchScript's fusion on the CPU": ("_jit_can_fuse_on_cpu", "_jit_override_can_fuse_on_cpu"),
    "TorchScript's fusion on the GPU": ("_jit_can_fuse_on_gpu", "_jit_override_can_fuse_on_gpu"),
    "TorchScript's fuser (NNC)": ("_jit_texpr_fuser_enabled", "_jit_set_texpr_fuser_enabled"),
    "TorchScript's optimisation": ("_get_graph_executor_optimize", "_set_graph_executor_optimize"),
    "filling of uninitialised memory": (
        "_get_deterministic_fill_uninitialized_memory",
        "_set_deterministic_fill_uninitialized_memory",
    ),
}

# name in words → getter and setter of torch._C of a value that is no switch
VALUES = {
    "quantised engine": ("_get_qengine", "_set_qengine"),
    "order of attention kernels": ("_get_sdp_priority_order", "_set_sdp_priority_order"),
    "library of linear algebra": ("_get_linalg_preferred_backend", "_set_linalg_preferred_backend"),
    "library of matrix products": ("_get_blas_preferred_backend", "_set_blas_preferred_backend"),
    "SM carve-out": ("_get_sm_carveout_experimental", "_set_sm_carveout_experimental"),
}


def entries() -> Iterator[Entry]:
    """All of them."""
    yield from _modes()
    yield from _numbers()
    yield Entry("precision of fp32", Fp32Precision.now, Fp32Precision.put_back, differing=Fp32Precision.differing)
    for name, (getter, setter) in SWITCHES.items():
        if hasattr(_C, getter) and hasattr(_C, setter):
            yield Entry(name, getattr(_C, getter), getattr(_C, setter), on_or_off)
    for name, (getter, setter) in VALUES.items():
        if hasattr(_C, getter) and hasattr(_C, setter):
            yield Entry(name, getattr(_C, getter), getattr(_C, setter))
    for name in ("fp16", "bf16"):  # a pair of switches: reductions, and split-K
        getter, setter = (f"_{verb}_cublas_allow_{name}_reduced_precision_reduction" for verb in ("get", "set"))
        if hasattr(_C, getter) and hasattr(_C, setter):
            yield Entry(f"reduced precision of {name} in cuBLAS", getattr(_C, getter), _unpacked(getattr(_C, setter)))


def _unpacked(setter: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda value: setter(*value) if isinstance(value, tuple) else setter(value)


def _modes() -> Iterator[Entry]:
    """The modes of a thread."""
    # Inference mode first: it sets grad mode, which is put back after it.
    yield Entry("inference mode", torch.is_inference_mode_enabled, _set_inference_mode, on_or_off, fast=True)
    yield Entry("grad mode", torch.is_grad_enabled, _C._set_grad_enabled, on_or_off, fast=True)
    for kind in filter(None, dict.fromkeys(("cpu", _accelerator()))):
        enabled, set_enabled = torch.is_autocast_enabled, torch.set_autocast_enabled
        dtype, set_dtype = torch.get_autocast_dtype, torch.set_autocast_dtype
        yield Entry(f"autocast on {kind}", partial(enabled, kind), partial(set_enabled, kind), on_or_off, fast=True)
        yield Entry(f"dtype of autocast on {kind}", partial(dtype, kind), partial(set_dtype, kind), _dtype)
    yield Entry("depth of autocast", _autocast_depth, _set_autocast_depth, named=False)
    yield Entry(
        "autocast's cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled, on_or_off, fast=True
    )
    yield Entry("anomaly mode", torch.is_anomaly_enabled, _set_anomaly, on_or_off, fast=True)
    yield Entry(
        "anomaly mode's check for NaN",
        torch.is_anomaly_check_nan_enabled,
        lambda value: torch.set_anomaly_enabled(torch.is_anomaly_enabled(), value),
        on_or_off,
    )
    yield Entry(
        "deterministic algorithms",
        torch.are_deterministic_algorithms_enabled,
        lambda value: _C._set_deterministic_algorithms(value, warn_only=_warns_only()),
        on_or_off,
        fast=True,
    )
    yield Entry(
        "deterministic algorithms: warnings only",
        _warns_only,
        lambda value: _C._set_deterministic_algorithms(torch.are_deterministic_algorithms_enabled(), warn_only=value),
        on_or_off,
    )
    yield Entry("flushing of denormal numbers", _flushes, torch.set_flush_denormal, on_or_off, fast=True)
    yield Entry(
        "torch.backends.cudnn.benchmark", _C._get_cudnn_benchmark, _C._set_cudnn_benchmark, on_or_off, fast=True
    )
    yield Entry(
        "fast path of nn.MultiheadAttention",
        torch.backends.mha.get_fastpath_enabled,
        torch.backends.mha.set_fastpath_enabled,
        on_or_off,
    )
    einsum = torch.backends.opt_einsum
    yield Entry(
        "torch.backends.opt_einsum",
        lambda: (einsum.enabled, einsum.strategy),
        _set_einsum,
        lambda value: f"{value[1]}" if value[0] else "off",
    )
    invariants: Any = torch.sparse.check_sparse_tensor_invariants
    yield Entry(
        "checks of sparse tensors",
        invariants.is_enabled,
        lambda value: invariants.enable() if value else invariants.disable(),
        on_or_off,
    )
    future: Any = torch.__future__
    for name in ("overwrite_module_params_on_conversion", "swap_module_params_on_conversion"):
        yield Entry(f"torch.__future__.{name}", getattr(future, f"get_{name}"), getattr(future, f"set_{name}"))
    executor, profiling = _C._jit_set_profiling_executor, _C._jit_set_profiling_mode
    yield Entry("TorchScript's profiling executor", _by_setting(executor), executor, on_or_off)
    yield Entry("TorchScript's profiling mode", _by_setting(profiling), profiling, on_or_off)


def _set_einsum(value: tuple[bool, str | None]) -> None:
    einsum: Any = torch.backends.opt_einsum
    einsum.enabled, einsum.strategy = value


def _by_setting(setter: Callable[[bool], bool]) -> Callable[[], bool]:
    """A getter of a switch without one, whose setter returns the former value."""

    def get() -> bool:
        value = setter(True)
        setter(value)
        return value

    return get


def _accelerator() -> str:
    """The kind that this PyTorch is built for. Whether there is a device is not asked: that initialises its driver."""
    device = torch.accelerator.current_accelerator()
    return device.type if device is not None else ""


def _set_anomaly(value: bool) -> None:
    torch.set_anomaly_enabled(value, torch.is_anomaly_check_nan_enabled())


def _warns_only() -> bool:
    return torch.is_deterministic_algorithms_warn_only_enabled()


def _autocast_depth() -> int:
    depth = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return depth - 1


def _set_autocast_depth(depth: int) -> None:
    while _autocast_depth() > depth:
        torch.autocast_decrement_nesting()
    while _autocast_depth() < depth:
        torch.autocast_increment_nesting()
    if not depth:
        torch.clear_autocast_cache()


def _set_inference_mode(value: bool) -> None:
    guard = _C._InferenceMode(value)
    guard.__enter__()
    _inference_guards.append(guard)


def _flushes() -> bool:
    """Whether the processor takes denormal numbers for zero; PyTorch has no getter."""
    return DENORMAL * 1.0 == 0.0


def _dtype(value: Any) -> str:
    return str(value).removeprefix("torch.")


def _numbers() -> Iterator[Entry]:
    yield Entry("default dtype", torch.get_default_dtype, torch.set_default_dtype, _dtype, fast=True)
    yield Entry("number of threads", torch.get_num_threads, torch.set_num_threads, fast=True)
    # PyTorch refuses to change it once it was set or used.
    yield Entry("number of inter-op threads", torch.get_num_interop_threads, torch.set_num_interop_threads)
    if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        yield from _cuda()


def _cuda() -> Iterator[Entry]:
    """Of CUDA, once it is initialised: this process may have to stay without it."""
    cuda: Any = torch.cuda

    def initialised(read: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: read() if cuda.is_initialized() else None

    def unless_none(setter: Callable[[Any], object]) -> Callable[[Any], object]:
        return lambda value: None if value is None else setter(value)

    yield Entry("current CUDA device", initialised(cuda.current_device), unless_none(cuda.set_device))
    yield Entry("current CUDA stream", initialised(cuda.current_stream), unless_none(cuda.set_stream))
    yield Entry("CUDA's debug mode", initialised(cuda.get_sync_debug_mode), unless_none(cuda.set_sync_debug_mode))
