"""Claims about speech."""

from __future__ import annotations

from torchduet.suites.claim import Claim
from torchduet.suites.claims.pairs import implementations

CLAIMS = (
    Claim(
        key="ctc-cudnn",
        statement="CTC loss by cuDNN is faster than by PyTorch’s own kernels",
        source="pytorch/pytorch#9628; pytorch/pytorch#22234",
        figure="#9628: “much faster”; #22234: a factor of 50 with about 10 000 classes",
        comparisons=implementations("speech", "ctc_loss", "cudnn", "native", device="cuda"),
        notes="The texts are of 2018 and 2019. Targets of int64 select PyTorch’s kernels, int32 on the CPU cuDNN’s.",
    ),
)
