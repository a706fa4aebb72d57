"""Claims about half precision without autocast, and about fp8."""

from __future__ import annotations

from torchduet.suites.claim import MEMORY, Claim, Comparison, Setting
from torchduet.suites.claims.pairs import implementations

PURE, AUTOCAST = "bf16-pure", "bf16"


def pure(suite: str, *workloads: str, **settings: Setting) -> tuple[Comparison, ...]:
    """Model and inputs in bf16 against bf16 autocast."""
    return tuple(
        Comparison(suite, workload, {"precision": PURE, **settings}, {"precision": AUTOCAST, **settings})
        for workload in workloads
    )


CLAIMS = (
    Claim(
        key="pure-half-inference",
        statement="A model in half precision infers faster than the same under autocast",
        source="huggingface/diffusers#2021; huggingface/diffusers#511",
        figure="autocast is “always slower than pure fp16”; the second: 19.0 s against 14.0 s on a Titan RTX",
        comparisons=(
            *pure("mlp", "evaluate_784_512_512_10"),
            *pure("convnet", "infer_lenet5", implementation="contiguous"),
            *pure("transformers", "encode", implementation="sdpa"),
        ),
        notes="In bf16; the sources measured fp16.",
    ),
    Claim(
        key="autocast-casts",
        statement="Casting makes a lone product slower under autocast than with operands in half precision",
        source="huggingface/transformers#15026",
        figure="“the overhead of casting back-and-forth can dominate the total runtime” of small batches",
        comparisons=pure("matmul", "square"),
        notes="In bf16. The share of casting falls as matrices grow.",
    ),
    Claim(
        key="pure-bf16-memory",
        statement="Training in pure bf16 needs less memory than under autocast",
        source="huggingface/transformers#21312",
        figure="8 bytes per parameter in place of 18, activations not counted",
        expects="less",
        measure=MEMORY,
        comparisons=(
            *pure("transformers", "fine_tune", implementation="sdpa"),
            *pure("vision", "train_vgg"),
        ),
        notes="The peak of a step beyond its inputs: gradients, activations and casts, but no parameters.",
    ),
    Claim(
        key="fp8-product",
        statement="A product in fp8 is faster than one in bf16 on a GPU",
        source="pytorch/ao#3342",
        figure="3.22 ms against 2.41 ms on an H100",
        comparisons=implementations("matmul", "fp8", "fp8_product", "linear", precision=PURE, device="cuda"),
        notes="Here with one scale for each operand, there with one for each block.",
    ),
    Claim(
        key="fp8-conversion",
        statement="Converting the inputs in each call takes a large part of the time of a layer in fp8",
        source="vllm-project/vllm#4118",
        figure="first token after 38.8 ms; 27.4 ms without the conversion, 28.8 ms in fp16",
        threshold=1.2,
        comparisons=implementations("matmul", "fp8", "fp8_product", "fp8_dynamic", precision=PURE, device="cuda"),
        notes="“A large part” is taken as a sixth or more. Compiled, the conversion is fused into fewer kernels.",
    ),
)
