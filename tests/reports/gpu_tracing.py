"""Made-up traces of a GPU, in the format that Kineto writes: launches, kernels, flows; times in microseconds."""

from __future__ import annotations

from typing import Any

from tests.reports.tracing import call, span
from torchduet.bench.record.schema import PROFILED_CALL

GEMM = "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1_execute_segment_k_off_kernel"
ADD = (
    "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul> >"
    "(int, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul>)"
)
Events = list[dict[str, Any]]


def runtime(name: str, start: float, lasted: float, number: int = 0, kind: str = "cuda_runtime", **of: Any) -> Any:
    """A call of CUDA's runtime on the thread of the operators."""
    return span(name, start, lasted, kind, **of, **{"External id": number, "cbid": 211, "correlation": number})


def on_stream(name: str, start: float, lasted: float, number: int = 0, stream: int = 7, kind: str = "kernel") -> Any:
    """A kernel, copy or fill: its process is the device, its thread the stream."""
    args = {"External id": number, "queued": 0, "device": 0, "context": 1, "stream": stream, "correlation": number}
    return {"ph": "X", "cat": kind, "name": name, "pid": 0, "tid": stream, "ts": start, "dur": lasted, "args": args}


def flow(number: int, start: float, stream: int = 7) -> Events:
    """The arrow that viewers draw from a launch to its kernel."""
    common = {"id": number, "cat": "ac2g", "name": "ac2g"}
    return [
        {"ph": "s", "pid": 7, "tid": 1, "ts": start, **common},
        {"ph": "f", "pid": 0, "tid": stream, "ts": start, "bp": "e", **common},
    ]


def launched(name: str, at: float, start: float, lasted: float, number: int, **of: Any) -> Events:
    """``cudaLaunchKernel`` of 5 µs and its kernel."""
    return [
        runtime("cudaLaunchKernel", at, 5, number),
        on_stream(name, start, lasted, number, **of),
        *flow(number, start),
    ]


def gpu_bound(start: float = 0, number: int = 1) -> Events:
    """A call of 1000 µs whose product takes 970: it is launched in the operator, and then the host waits for it."""
    return [
        call(start, 1000),
        span("aten::mm", start + 2, 12, **{"Input Dims": [[4096, 4096], [4096, 4096]]}),
        *launched(GEMM, start + 5, start + 20, 970, number),
        runtime("cudaDeviceSynchronize", start + 15, 980, 0),
        {**on_stream(PROFILED_CALL, start + 20, 970, kind="gpu_user_annotation"), "args": {"External id": number}},
    ]


def launch_bound(start: float = 0, number: int = 1) -> Events:
    """A call of 100 µs with 4 kernels of 5 µs, each launched by an operator of 15 µs, with 5 µs of Python between."""
    events = [call(start, 100)]
    for place in range(4):
        at = start + 20 * place
        events += [span("aten::add", at + 2, 15), *launched(ADD, at + 8, at + 14, 5, number + place)]
    return [*events, runtime("cudaDeviceSynchronize", start + 82, 16)]
