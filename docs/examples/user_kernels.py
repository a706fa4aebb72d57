"""RMSNorm by hand, by PyTorch, by torch.compile, and by two kernels of one's own: Triton and CUDA C++.

pytest bench/ --suite docs/examples/user_kernels.py --device cuda
"""

import os

import torch
import torch.nn.functional as F

from torchduet import Axis, Cost, Implementation, Suite, Unavailable

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

suite = Suite("kernels", "RMSNorm by kernels of one's own")

EPSILON = 1e-6
THREADS = 256
FLOAT = 4  # bytes of a float32
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton computes on the CPU then, slowly


def rows_and_weight(device, rows, n):
    return torch.randn(rows, n, device=device), torch.rand(n, device=device)


def by_hand(x, weight):
    return x * torch.rsqrt((x * x).mean(dim=-1, keepdim=True) + EPSILON) * weight


def by_torch(x, weight):
    return F.rms_norm(x, (x.shape[-1],), weight, EPSILON)


# Triton: one program per row, which fits into the registers of its threads

if triton is not None:

    @triton.jit
    def rms_norm_row(x, weight, out, n, epsilon, BLOCK: tl.constexpr):
        row = tl.program_id(0).to(tl.int64)
        columns = tl.arange(0, BLOCK)
        inside = columns < n
        values = tl.load(x + row * n + columns, mask=inside, other=0.0)
        scale = 1.0 / tl.sqrt(tl.sum(values * values, axis=0) / n + epsilon)
        tl.store(out + row * n + columns, values * scale * tl.load(weight + columns, mask=inside), mask=inside)


def by_triton(x, weight):
    out = torch.empty_like(x)
    rows, n = x.shape
    rms_norm_row[(rows,)](x, weight, out, n, EPSILON, BLOCK=triton.next_power_of_2(n))
    return out


def triton_setup(x, weight):
    """Called once, before the timing: what is missing here is the reason of a skipped case, not of a failed one."""
    del weight
    if triton is None:
        raise Unavailable("the Triton kernel needs Triton: pip install triton")
    if x.device.type == "cpu" and not INTERPRETED:
        raise Unavailable("the Triton kernel needs a GPU; --device cuda, or TRITON_INTERPRET=1 for its numbers alone")
    return by_triton


# CUDA C++: one block of threads per row; NVRTC, which comes with PyTorch, compiles it

SOURCE = r"""
extern "C" __global__ void rms_norm(const float* x, const float* weight, float* out, int n, double epsilon) {
    __shared__ float sums[THREADS];
    const float* row = x + (size_t)blockIdx.x * n;
    float sum = 0.0f;
    for (int i = threadIdx.x; i < n; i += THREADS) sum += row[i] * row[i];
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    const float scale = rsqrtf(sums[0] / n + (float)epsilon);
    for (int i = threadIdx.x; i < n; i += THREADS) out[(size_t)blockIdx.x * n + i] = row[i] * scale * weight[i];
}
"""


def cuda_setup(x, weight):
    """Compiles the kernel once; the timed function launches it."""
    del weight
    if x.device.type != "cuda":
        raise Unavailable("the CUDA kernel needs a CUDA GPU; --device cuda")
    compile_kernel = getattr(torch.cuda, "_compile_kernel", None)
    if compile_kernel is None:
        raise Unavailable(f"the CUDA kernel needs torch.cuda._compile_kernel, which torch {torch.__version__} lacks")
    kernel = compile_kernel(SOURCE.replace("THREADS", str(THREADS)), "rms_norm")

    def by_cuda(x, weight):
        out = torch.empty_like(x)
        rows, n = x.shape
        kernel(grid=(rows, 1, 1), block=(THREADS, 1, 1), args=[x, weight, out, n, EPSILON])
        return out

    return by_cuda


suite.compare(
    "rms_norm",
    {
        "by_hand": by_hand,
        "torch": by_torch,
        "triton": Implementation(triton_setup, setup=True, modes=("eager",)),
        "cuda": Implementation(cuda_setup, setup=True, modes=("eager",)),
    },
    about="x / sqrt(mean(x²) + ε) · weight, for each row",
    inputs=rows_and_weight,
    axes={"rows": Axis(quick=[64], on={"cuda": [8192]}), "n": Axis(quick=[1000], on={"cuda": [4096]})},
    modes=["eager", "compile"],
    cost=lambda rows, n: Cost(flops=4.0 * rows * n, bytes=FLOAT * (2.0 * rows * n + n)),
)
