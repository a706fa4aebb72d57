"""Claims about decoders of text: prefill, decode and generation."""

from __future__ import annotations

from torchduet.suites.claim import Claim, Comparison
from torchduet.suites.claims.pairs import implementations

STATIC = {"implementation": "static"}
DYNAMIC = {"implementation": "dynamic", "mode": "eager"}

CLAIMS: tuple[Claim, ...] = (
    Claim(
        key="static-cache-compiled",
        statement="A static cache with `torch.compile` makes decoding faster than a dynamic cache",
        source='"Optimizing inference", a guide of Hugging Face Transformers',
        figure="“up to a 4x speed up”",
        comparisons=tuple(
            Comparison("transformers", "decode", {**STATIC, "mode": mode}, DYNAMIC)
            for mode in ("compile-model", "reduce-overhead")
        ),
        any_of=True,
        notes="The model’s forward pass is compiled, alone or with CUDA graphs; one case that is faster is enough.",
    ),
    Claim(
        key="static-cache-alone",
        statement="Without compilation a static cache takes longer than a dynamic one: attention reads all its room",
        source="huggingface/transformers#40328",
        expects="slower",
        comparisons=implementations("transformers", "decode_room", "static", "dynamic"),
        notes="The static cache has room for a whole context window, as in the thread: 16 times the text on a CPU.",
    ),
    Claim(
        key="prefill-in-the-denominator",
        statement="Tokens per second that include the prefill understate the speed of decoding",
        source="vllm-project/vllm#10261; RunanywhereAI/runanywhere-sdks#662",
        figure="the latter: 20 against 25 tokens/s, for 100 tokens with a prefill of 1 s",
        expects="slower",
        comparisons=implementations("transformers", "greedy", "with_prefill", "loop"),
        notes="Both make the same number of tokens. The longer the prompt, the greater the difference.",
    ),
    Claim(
        key="sdpa-decoder",
        statement="A decoder is faster with scaled-dot-product attention than with eager attention",
        source="huggingface/transformers#31031; huggingface/transformers#31172",
        figure="training of Pythia 410M, 128 tokens: 24 ms against 19 ms",
        comparisons=(
            *implementations("transformers", "prefill", "sdpa", "eager_attention"),
            *implementations("transformers", "decode_attention", "sdpa", "eager_attention"),
        ),
        notes="The figure is of a training step; measured here are a prompt and a decode step.",
    ),
)
