"""Environment variables that change what is measured on a GPU: those that are set, and what they do, in words."""

from __future__ import annotations

import os
from collections.abc import Mapping

from torchduet.bench.record.devices import device_kind

TF32 = "NVIDIA_TF32_OVERRIDE"
# Recorded if set. Sources: CUDA C++ programming guide, environment variables; PyTorch's documentation, CUDA environment
# variables and CUDA semantics (memory management); cuBLAS' and cuDNN's on NVIDIA_TF32_OVERRIDE; the guide to MPS.
NAMES = (
    TF32,
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_MODULE_LOADING",
    "CUDA_CACHE_DISABLE",
    "CUDA_FORCE_PTX_JIT",
    "CUDA_MPS_PIPE_DIRECTORY",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUBLASLT_WORKSPACE_SIZE",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_HIP_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "TORCH_CUDNN_V8_API_DISABLED",
    "TORCHINDUCTOR_MAX_AUTOTUNE",
    "TORCHINDUCTOR_COORDINATE_DESCENT_TUNING",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES",
    "TRITON_INTERPRET",
)
OFF = ("", "0")
NO_TF32_CASES = "TF32 is switched off in all of NVIDIA's libraries: tf32 cases are left out; unset it to measure them"
TF32_EVERYWHERE = (
    "NVIDIA's libraries may use TF32 where fp32 is asked for: then fp32 cases fail their check, and where they pass, "
    "fp32 and tf32 are the same; unset it"
)
NO_TF32 = f"TF32 is switched off by {TF32}=0, which overrides every program's own setting: unset it"

# Name → what a set value does. Those that take an on or off change nothing where they are 0.
EFFECTS: Mapping[str, str] = {
    "CUDA_LAUNCH_BLOCKING": "every launch waits for its kernel, so times are not those of a usual program: unset it",
    "CUDA_CACHE_DISABLE": "kernels that are built at run time are built again by each process: first calls take longer",
    "CUDA_FORCE_PTX_JIT": "kernels are built from PTX instead of those that were shipped: unset it",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": (
        "every tensor takes its memory from the driver and gives it back, which waits for the device: unset it"
    ),
    "TORCH_CUDNN_V8_API_DISABLED": "convolutions use cuDNN's older interface, and other kernels: unset it",
    "TRITON_INTERPRET": "Triton's kernels are interpreted on the CPU: unset it",
}
# What any value does, 0 included.
ALWAYS: Mapping[str, str] = {
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "MPS gives this run a part of the GPU's multiprocessors",
}


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of ``NAMES`` that are set, with their values."""
    given = os.environ if variables is None else variables
    return {name: given[name] for name in NAMES if name in given}


def warnings(variables: Mapping[str, str] | None = None) -> list[str]:
    """One line for each variable that makes times other than those of a usual program."""
    lines = []
    for name, value in environment(variables).items():
        effect = ALWAYS.get(name) or ("" if value.strip() in OFF else EFFECTS.get(name, ""))
        if name == TF32:
            effect = NO_TF32_CASES if value.strip() == "0" else TF32_EVERYWHERE
        if effect:
            lines.append(f"{name}={value}: {effect}")
    return lines


def lacking(device: str, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Precision that this environment takes from a device → why."""
    value = environment(variables).get(TF32, "").strip()
    return {"tf32": NO_TF32} if device_kind(device) == "cuda" and value == "0" else {}


def tf32_for_fp32(variables: Mapping[str, str] | None = None) -> str:
    """Why a result in fp32 may have been computed in TF32, and what to do; empty where the environment says nothing."""
    value = environment(variables).get(TF32, "0").strip()
    return "" if value == "0" else f"{TF32}={value} lets NVIDIA's libraries use TF32 for fp32: unset it"
