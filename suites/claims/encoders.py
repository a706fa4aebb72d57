"""Claims about encoders of text: attention, padding, and frozen layers."""

from __future__ import annotations

from torchduet.suites.claim import Claim
from torchduet.suites.claims.pairs import implementations

SDPA = "huggingface/transformers#28802, “[BERT] Add support for sdpa”"
POWERS = "vllm-project/vllm#14581, on numbers of tokens on TPUs"
OPENVINO = "openvinotoolkit/openvino#10656, “Dynamic Shapes Documentation”"
COURSE = "The Hugging Face course, “Processing the data”"
DYNAMIC = (
    "“Divide Hugging Face Transformers training time by 2 or more with dynamic padding and uniform length batching”"
)

CLAIMS = (
    Claim(
        key="sdpa-encoder",
        statement="SDPA attention makes inference of BERT faster than eager attention",
        source=SDPA,
        figure="5 % at batch 1 and length 128, in fp16 on an A100",
        comparisons=implementations("transformers", "encode", "sdpa", "eager_attention"),
        notes="Longer sequences gain more: attention grows with the square of the length.",
    ),
    Claim(
        key="sdpa-fine-tuning",
        statement="SDPA attention makes training of BERT faster than eager attention",
        source=SDPA,
        figure="24 % at batch 1 and length 256, 20 % at length 512, on an A100",
        comparisons=implementations("transformers", "fine_tune", "sdpa", "eager_attention"),
        notes="Without dropout, so that results can be compared.",
    ),
    Claim(
        key="dynamic-padding",
        statement="Padding each batch to its longest sequence instead of a fixed maximum makes fine-tuning faster",
        source=f"{COURSE}; {DYNAMIC}",
        figure="“by quite a bit”; “2 or more” times with uniform length batching",
        comparisons=implementations("transformers", "fine_tune", "sdpa", "padded_to_max_length"),
        notes="By how much depends on the lengths: here, half of the sentences have an eighth of the maximum or less.",
    ),
    Claim(
        key="power-of-two-padding",
        statement="Padding to a power of two instead of the longest sentence makes a batch slower",
        source=f"{POWERS}; {OPENVINO}",
        expects="slower",
        comparisons=implementations("transformers", "padding", "power_of_two", "longest"),
        notes="Both sources speak of other engines; the second of padding in general. It brings few "
        "shapes instead, so few compilations (see vllm-project/vllm#16726), which are not timed here.",
    ),
    Claim(
        key="sorted-by-length",
        statement="Encoding sentences in batches of similar length is faster, as there is less padding",
        source="huggingface/sentence-transformers#663",
        comparisons=implementations("transformers", "padding", "bucketed", "longest"),
        notes="One batch padded to its longest sentence against a few smaller ones, each of similar lengths.",
    ),
    Claim(
        key="without-padding",
        statement="An encoder that leaves padding out takes much less time when lengths vary",
        source="“Effective Transformer: Running BERT without Padding”, a library’s README",
        comparisons=implementations("transformers", "padding", "packed", "longest"),
        notes="The library removes padding inside of its own kernels. Here the sentences lie in one row, kept apart "
        "by a mask, and attention takes time in proportion to the square of all tokens.",
    ),
    Claim(
        key="frozen-encoder",
        statement="Freezing the encoder makes fine-tuning faster",
        source="“AutoFreeze: Automatically Freezing Model Blocks to Accelerate Fine-tuning”, arXiv:2102.01386",
        figure="up to 2.55 times on one GPU, with freezing that adapts and cached activations",
        comparisons=implementations("transformers", "fine_tune_head", "frozen", "all"),
        notes="All layers but the head are frozen, which the source finds to reduce accuracy.",
    ),
)
