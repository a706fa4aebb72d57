"""CUDA's GPUs, and AMD's, which PyTorch also calls ``cuda``: what they have beyond other accelerators.

Events, a delay kernel, CUDA graphs, the L2's size, the memory of a context, and NVML, which AMD's GPUs lack.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from torchduet.bench.host.error_words import one_line
from torchduet.bench.host.nvml import READINGS, devices
from torchduet.bench.timing.clock import Clock
from torchduet.bench.timing.cuda_clock import CudaClock
from torchduet.bench.timing.cuda_graph import newest_first
from torchduet.bench.timing.device import Allocator
from torchduet.bench.timing.device_accelerator import AcceleratorDevice
from torchduet.bench.timing.slowed.delay import Delay, delay
from torchduet.suites.workload import PRECISIONS

USED = {"memory_used_bytes": READINGS["memory_used_bytes"]}


class CudaDevice(AcceleratorDevice):
    """A GPU of NVIDIA or AMD."""

    has_delay_kernel = True
    has_float64 = True
    precisions = PRECISIONS
    energy_counter = "nvml"

    @classmethod
    def detect(cls, kind: str) -> None:
        """None: ``probe`` describes them, see ``Machine.gpus``."""

    @classmethod
    def give_back_memory(cls, kind: str) -> None:
        """Empty the allocator's cache."""
        del kind
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()

    def clock(self) -> Clock:
        """CUDA events, with the wall clock beside them."""
        return CudaClock(self.name)

    def synchronize(self) -> None:
        """Wait until it has finished all that was launched."""
        torch.cuda.synchronize(self.torch_device)

    def allocator(self) -> Allocator:
        """The caching allocator."""
        return Allocator(torch.cuda, self.torch_device)

    def delay(self, seconds: float) -> Delay:
        """A kernel that waits."""
        return delay(self.name, seconds)

    def prefer_newest_recordings(self) -> None:
        """Let inductor search its recorded CUDA graphs from the newest to the oldest."""
        newest_first(self.name)

    def unusable(self) -> bool:
        """Whether each call raises the error of an earlier one.

        This is so after an illegal access or a failed assertion in a kernel (CUDA Runtime API, cudaErrorIllegalAddress
        and cudaErrorAssert).
        """
        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            return False
        try:
            self.synchronize()
        except RuntimeError:
            return True
        return False

    def start(self, *, compiles: bool = False) -> None:
        """Create the context, and the handles of cuBLAS, cuBLASLt and cuDNN, as far as they are there.

        Otherwise a family's first case pays for them in its first call, and the others do not.

        Args:
            compiles: load Triton's driver, too, which a C compiler builds where no cache has it.
        """
        torch.empty(0, device=self.torch_device)  # creates the context; where there is none, it says why
        with torch.cuda.device(self.torch_device):
            for library in (_use_cublas, _use_cudnn):
                library(self.torch_device)
            self.synchronize()
            if compiles:
                _load_triton()

    def current(self) -> AbstractContextManager[object]:
        """``torch.cuda.device``, once CUDA is initialised."""
        started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return torch.cuda.device(self.torch_device) if started else nullcontext()

    def context_bytes(self, uuid: str) -> int | None:
        """See :func:`context_bytes`."""
        return context_bytes(self.name, uuid)

    def profiler_activities(self) -> list[ProfilerActivity]:
        """The host's activity, and the kernels."""
        return [ProfilerActivity.CPU, ProfilerActivity.CUDA]

    @contextmanager
    def named_range(self, name: str) -> Iterator[None]:
        """A range of NVTX; with ROCm, of ROCTx."""
        torch.cuda.nvtx.range_push(name)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            torch.cuda.nvtx.range_pop()  # type: ignore[no-untyped-call]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Between ``cudaProfilerStart`` and ``cudaProfilerStop``, for which Nsight Systems and Nsight Compute wait.

        With ROCm both do nothing.
        """
        cudart = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        torch.cuda.check_error(cudart.cudaProfilerStart())
        try:
            yield
        finally:
            cudart.cudaProfilerStop()  # its result is that of an earlier failed kernel, if any


def _use_cublas(device: torch.device) -> None:
    """One product of cuBLAS, and one with a bias, which cuBLASLt makes."""
    x, bias = torch.ones(16, 16, device=device), torch.ones(16, device=device)
    torch.mm(x, x)
    torch.addmm(bias, x, x)


def _use_cudnn(device: torch.device) -> None:
    """One convolution."""
    if torch.backends.cudnn.is_available() and torch.backends.cudnn.enabled:  # type: ignore[no-untyped-call]
        image, kernel = torch.ones(1, 1, 8, 8, device=device), torch.ones(1, 1, 3, 3, device=device)
        torch.nn.functional.conv2d(image, kernel)


def _load_triton() -> None:
    """Load Triton's module for the driver (``cuda_utils``), which it compiles where its cache lacks it.

    Cases are compiled with empty caches: without this, the first one in every process would build that module, too.
    """
    try:
        runtime = importlib.import_module("triton.runtime")
        runtime.driver.active.utils  # noqa: B018 - making it loads the module
    except Exception as error:  # noqa: BLE001 - the compiled cases fail with it themselves; others do not need it
        print(f"Triton's driver cannot be loaded: {one_line(error)}")


def context_bytes(device: str, uuid: str, nvml: Any = None) -> int | None:
    """Bytes of a GPU's memory that CUDA itself takes in this process, which must not have used the GPU yet.

    The difference of the used memory before and after initialisation, less the caching allocator's share. None where
    NVML does not report it, or where the process has initialised CUDA before.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    (gpu,), _ = devices([uuid], nvml)
    if gpu is None:
        return None
    before = gpu.read(USED).get("memory_used_bytes")
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)
    after = gpu.read(USED).get("memory_used_bytes")
    if before is None or after is None:
        return None
    return max(0, int(after) - int(before) - int(torch.cuda.memory_reserved(device)))
