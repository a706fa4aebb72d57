"""The fork server imports this module once, so that a worker starts in milliseconds and compiles at once.

It contains imports only: workers can be forked only while no thread is started and no device is used. Modules that a
version of torch lacks are skipped. Files of users come last: ``unsafe`` says what they leave that no worker can use.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import torch

import torchduet.bench.workers.visit  # noqa: F401
from torchduet.bench.host.compilers import no_cpu_compiler
from torchduet.bench.host.temporary import HEADERS
from torchduet.bench.timing.dynamo import keep_headers_in
from torchduet.bench.workers.imported_once import import_files, import_libraries, import_modules
from torchduet.bench.workers.messages import (
    NOTHING,
    PRELOAD_COMPILER,
    PRELOAD_FILES,
    PRELOAD_LIBRARIES,
    PRELOAD_MODULES,
    PRELOAD_READY,
)
from torchduet.bench.workers.vector_probe import probe

MAX_HEADER_SECONDS = 300
FUNCTIONS = "bench.library.worker"  # imported before this module where a program's functions are measured
COMPILER_MODULES = (
    "sympy.combinatorics.tensor_can",
    "sympy.physics.units",
    "sympy.tensor.tensor",
    "torch._dynamo",
    "torch._dynamo.backends.cudagraphs",
    "torch._dynamo.backends.distributed",
    "torch._dynamo.backends.inductor",
    "torch._dynamo.backends.onnxrt",
    "torch._dynamo.backends.tensorrt",
    "torch._dynamo.backends.torchxla",
    "torch._dynamo.backends.tvm",
    "torch._dynamo.dce_extra_outputs",
    "torch._dynamo.repro.after_dynamo",
    "torch._export.passes.add_runtime_assertions_for_constraints_pass",
    "torch._functorch._activation_checkpointing.remat_using_tags_for_fwd_loss_bwd_graph_pass",
    "torch._functorch._aot_autograd.subclass_codegen",
    "torch._functorch.aot_autograd",
    "torch._higher_order_ops.cudagraph_conditional_nodes",
    "torch._higher_order_ops.passes.inline_invoke_subgraph",
    "torch._inductor.async_compile",
    "torch._inductor.bounds",
    "torch._inductor.choices",
    "torch._inductor.codegen.cpp",
    "torch._inductor.codegen.cpp_wrapper_cpu",
    "torch._inductor.codegen.cpp_wrapper_cpu_array_ref",
    "torch._inductor.codegen.cpp_wrapper_gpu",
    "torch._inductor.codegen.cpp_wrapper_mps",
    "torch._inductor.codegen.cpu_device_op_overrides",
    "torch._inductor.codegen.cuda_combined_scheduling",
    "torch._inductor.codegen.halide",
    "torch._inductor.codegen.memory_planning",
    "torch._inductor.codegen.mps",
    "torch._inductor.codegen.mps_device_op_overrides",
    "torch._inductor.codegen.pallas",
    "torch._inductor.codegen.python_wrapper_mtia",
    "torch._inductor.codegen.segmented_tree",
    "torch._inductor.codegen.wrapper_fxir",
    "torch._inductor.codegen.xpu.xpu_combined_scheduling",
    "torch._inductor.compile_fx",
    "torch._inductor.compiler_bisector",
    "torch._inductor.cudagraph_trees",
    "torch._inductor.extern_node_serializer",
    "torch._inductor.fx_passes.apply_gumbel_max_trick",
    "torch._inductor.fx_passes.efficient_conv_bn_eval",
    "torch._inductor.fx_passes.fuse_attention",
    "torch._inductor.fx_passes.joint_graph",
    "torch._inductor.fx_passes.mkldnn_fusion",
    "torch._inductor.fx_passes.pad_mm",
    "torch._inductor.fx_passes.post_grad",
    "torch._inductor.fx_passes.quantization",
    "torch._inductor.hooks",
    "torch._inductor.kernel_template_choice",
    "torch._inductor.runtime.caching",
    "torch._subclasses.schema_check_mode",
    "torch.distributed.tensor.experimental",
    "torch.export._trace",
    "torch.fx.experimental.validator",
    "torch.utils.cpp_extension",
)


def compiler() -> None:
    """Import what torch.compile imports lazily, and probe the CPU's vector instructions.

    The digest of torch's source files takes 0.1 s, which every worker would repeat.
    """
    with _without_cuda():
        for name in (*COMPILER_MODULES, *_patterns()):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        probe()
        with contextlib.suppress(ImportError):
            from torch._inductor.codecache import torch_key

            torch_key()  # a digest of torch's source files, part of every key in the cache


def precompile_headers() -> float:
    """Let inductor precompile its C++ headers for all workers, unless that is done: it takes some seconds.

    Otherwise they count as compile time of the run's first compiled case. This process may compile nothing itself, as
    that starts threads; a child does. Returns how many seconds it took.
    """
    folder = os.environ.get(HEADERS)
    if f"torchduet.{FUNCTIONS}" in sys.modules:
        return 0.0  # a program's own process compiles its functions first
    if not folder or not hasattr(os, "fork") or no_cpu_compiler() or any(Path(folder).glob("*.gch")):
        return 0.0
    began = monotonic()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return monotonic() - began
    try:
        signal.alarm(MAX_HEADER_SECONDS)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        keep_headers_in(Path(folder))
        torch.compile(lambda x: x + 1)(torch.ones(64))
    finally:
        os._exit(0)  # where it fails, the first compiled case says why


def _patterns() -> list[str]:
    """The modules of inductor's patterns, which it imports when it first compiles a product or an attention."""
    name = "torch._inductor.fx_passes.serialized_patterns"
    try:
        package = importlib.import_module(name)
    except ImportError:
        return []
    return [f"{name}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]


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


_for_headers = 0.0  # seconds that other servers do not need
if os.environ.get(PRELOAD_COMPILER) != NOTHING:
    importlib.import_module("torch._dynamo.utils")
if os.environ.get(PRELOAD_COMPILER) == "1":
    compiler()
    _for_headers = precompile_headers()

import_libraries(json.loads(os.environ.get(PRELOAD_LIBRARIES, "[]")))
unsafe = import_files(json.loads(os.environ.get(PRELOAD_FILES, "[]")))
unusable = import_modules(json.loads(os.environ.get(PRELOAD_MODULES, "[]")))

if ready := os.environ.get(PRELOAD_READY):
    with contextlib.suppress(OSError):  # the run may have ended
        Path(ready).write_text(f"no: {unusable}" if unusable else str(monotonic() - _for_headers), "utf-8")
