"""Claims about the backends of scaled-dot-product attention."""

from __future__ import annotations

from torchduet.suites.claim import MEMORY, Claim, Setting
from torchduet.suites.claims.pairs import implementations

WORKLOADS = ("backends", "causal_backends")
ON_GPU: dict[str, Setting] = {"device": "cuda", "precision": "bf16"}  # the sources are about GPUs
FLASH = "FlashAttention-2 (arXiv:2307.08691), its abstract"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        key="flash-memory",
        statement="Flash attention needs much less memory than attention that holds all scores",
        source=FLASH,
        figure="“linear instead of quadratic” in the length",
        expects="less",
        threshold=2.0,
        measure=MEMORY,
        comparisons=tuple(
            one for workload in WORKLOADS for one in implementations("attention", workload, "flash", "by_hand", "math")
        ),
        notes="“Much” is taken as half or less of the peak, inputs not counted. The CPU's flash attention counts, too.",
    ),
    Claim(
        key="flash-time",
        statement="Flash attention is at least twice as fast as attention by matrix products",
        source=FLASH,
        figure="“2-4x compared to optimized baselines”",
        threshold=2.0,
        comparisons=tuple(
            one
            for workload in WORKLOADS
            for one in implementations("attention", workload, "flash", "by_hand", "math", **ON_GPU)
        ),
        notes="Forward only, under bf16 autocast.",
    ),
    Claim(
        key="cudnn-attention",
        statement="cuDNN's attention is faster than PyTorch's flash attention",
        source="PyTorch 2.5 Release Blog",
        figure="“up to 75% speed-up over FlashAttentionV2” on H100",
        comparisons=tuple(
            one for workload in WORKLOADS for one in implementations("attention", workload, "cudnn", "flash", **ON_GPU)
        ),
        any_of=True,
        notes="“Up to”: one case that is faster is enough.",
    ),
)
