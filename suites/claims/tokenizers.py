"""Claims about tokenizers."""

from __future__ import annotations

from torchduet.suites.claim import Claim
from torchduet.suites.claims.pairs import implementations

COURSE = 'Hugging Face LLM Course, chapter 6, "Fast tokenizers’ special powers"'
MANUAL = "documentation of Hugging Face Tokenizers"

CLAIMS = (
    Claim(
        key="fast-tokenizer",
        statement="A fast tokenizer of transformers encodes a batch of texts faster than a slow one",
        source=f"{COURSE}; {MANUAL}",
        figure="course: 10.8 s against 4 min 41 s; manual: “less than 20 seconds to tokenize a GB of text on a "
        "server’s CPU”",
        comparisons=implementations("transformers", "tokenize", "transformers_fast", "transformers_slow"),
        notes="Both have the same vocabulary and give the same ids; the slow one is a byte-level BPE in Python, as "
        "transformers 5 has none of its own. 20 s for a GB are 50 MB/s: the throughput stands with the cases.",
    ),
    Claim(
        key="tokenize-batch",
        statement="A fast tokenizer encodes texts in one batch faster than one after the other",
        source=COURSE,
        figure="10.8 s against 59.2 s, “batched=True” and “batched=False”",
        comparisons=implementations("transformers", "tokenize", "encode_batch", "one_by_one"),
        notes="A batch is encoded by as many threads as there are cores. The course’s figure includes what "
        "`datasets.map` does for each call.",
    ),
)
