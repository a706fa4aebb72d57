"""The fork server imports this module once, so that a worker starts in milliseconds and compiles at once.

It contains imports only: workers can be forked only while no thread is started and no device is used. Modules that a
version of torch lacks are skipped. Files of users come last: ``unsafe`` says what they leave that no worker can use.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Iterator

import torch
import torch._dynamo.utils

import torchduet.bench.workers.visit  # noqa: F401
from torchduet.bench.workers.imported_once import import_files
from torchduet.bench.workers.messages import PRELOAD_COMPILER, PRELOAD_FILES

COMPILER_MODULES = (
    "torch._dynamo",
    "torch._dynamo.repro.after_dynamo",
    "torch._dynamo.backends.inductor",
    "torch._export.passes.add_runtime_assertions_for_constraints_pass",
    "torch._functorch.aot_autograd",
    "torch._functorch._aot_autograd.subclass_codegen",
    "torch._inductor.async_compile",
    "torch._inductor.codegen.cpp",
    "torch._inductor.codegen.cpp_wrapper_cpu",
    "torch._inductor.codegen.cpp_wrapper_cpu_array_ref",
    "torch._inductor.codegen.cpp_wrapper_gpu",
    "torch._inductor.codegen.cuda_combined_scheduling",
    "torch._inductor.codegen.halide",
    "torch._inductor.codegen.memory_planning",
    "torch._inductor.codegen.mps",
    "torch._inductor.codegen.pallas",
    "torch._inductor.codegen.wrapper_fxir",
    "torch._inductor.codegen.xpu.xpu_combined_scheduling",
    "torch._inductor.compile_fx",
    "torch._inductor.compiler_bisector",
    "torch._inductor.fx_passes.fuse_attention",
    "torch._inductor.fx_passes.joint_graph",
    "torch._inductor.fx_passes.mkldnn_fusion",
    "torch._inductor.fx_passes.pad_mm",
    "torch._inductor.fx_passes.post_grad",
    "torch._inductor.fx_passes.quantization",
    "torch._inductor.runtime.caching",
    "torch.export._trace",
    "torch.utils.cpp_extension",
)


def compiler() -> None:
    """Import what torch.compile imports lazily, and probe the CPU's vector instructions.

    The probe compiles and runs a small C++ program (3 to 4 s); inductor would repeat it in every
    worker whose cache is empty.
    """
    with _without_cuda():
        for name in COMPILER_MODULES:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        try:
            from torch._inductor.cpu_vec_isa import valid_vec_isa_list
        except ImportError:
            return
        for isa in valid_vec_isa_list():
            bool(isa)


@contextlib.contextmanager
def _without_cuda() -> Iterator[None]:
    """Nothing initialises CUDA within the context: a process with CUDA initialised cannot fork workers that use it.

    Where a CUDA toolkit is installed, the import of ``torch.utils.cpp_extension`` calls ``torch.cuda.is_available()``,
    only to word a warning; that call initialises the driver.
    """
    original, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    try:
        yield
    finally:
        torch.cuda.is_available = original


if os.environ.get(PRELOAD_COMPILER) == "1":
    compiler()

unsafe = import_files(json.loads(os.environ.get(PRELOAD_FILES, "[]")))
