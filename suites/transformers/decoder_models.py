"""The decoders that the workloads run: their sizes, their random weights and the least cost of a token.

Transformers is imported when a model is made, not when this module is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from torchduet.suites.devices import is_host
from torchduet.suites.extras import require
from torchduet.suites.memory import need_memory
from torchduet.suites.transformers.common import with_attention
from torchduet.suites.workload import Cost, Unavailable

BYTES = {"float32": 4, "bfloat16": 2}  # of a weight
# Copies of the weights in memory while results are checked: the model, its original values, and the reference in
# float64; on another device than the host, the host holds the reference only.
HOST_COPIES, REFERENCE_COPIES = 4, 2


@dataclass(frozen=True)
class Decoder:
    """A decoder by its sizes.

    Attributes:
        gated: Llama's layers: three gated matrices of the feed-forward network, RMS norm and rotary positions; else
            GPT-2's: two matrices, layer norm and learned positions.
        width: of the hidden states; a head has ``width / heads`` of it.
        key_heads: of keys and values, shared by groups of the query heads.
        feed_forward: width inside the feed-forward network.
    """

    gated: bool
    layers: int
    width: int
    heads: int
    key_heads: int
    feed_forward: int
    vocabulary: int
    positions: int

    @property
    def key_width(self) -> int:
        """Numbers of the keys of one token in one layer; its values have as many."""
        return self.width * self.key_heads // self.heads

    @property
    def parameters(self) -> int:
        """Weights of the matrices of all layers, without embeddings, norms and biases."""
        attention = 2 * self.width * self.width + 2 * self.width * self.key_width
        return self.layers * (attention + (3 if self.gated else 2) * self.width * self.feed_forward)

    @property
    def fp32_bytes(self) -> int:
        """Bytes of all matrices and the embeddings in float32; the output layer shares the embeddings of the tokens."""
        embeddings = self.vocabulary + (0 if self.gated else self.positions)
        return 4 * (self.parameters + self.width * embeddings)

    def cost(
        self, *, tokens: int, pairs: float, outputs: int, dtype: str, passes: int = 1, cached: float = 0.0
    ) -> Cost:
        """The least cost of one call.

        A forward pass needs two operations for each weight and token (Kaplan et al. 2020, "Scaling Laws for Neural
        Language Models", section 2.1), and 4 · layers · width for each pair of a query and a key that it sees
        (Chowdhery et al. 2022, "PaLM", appendix B, without the backward pass). The output layer is counted where logits
        are computed. Each pass reads the weights, and the keys and values that the cache holds; those of each token
        that passes through the layers are written once.

        Args:
            tokens: that pass through the layers.
            pairs: of a query and a key that it sees, in one layer.
            outputs: tokens whose logits are computed.
            dtype: of weights and cache.
            passes: through the model, one after the other.
            cached: tokens whose keys and values are read from a cache, of all passes together.
        """
        output_layer = self.width * self.vocabulary
        weights = self.parameters + output_layer
        cache = 2 * self.layers * self.key_width * (cached + tokens)
        return Cost(
            flops=2.0 * (self.parameters * tokens + output_layer * outputs) + 4.0 * self.layers * self.width * pairs,
            bytes=float(BYTES[dtype] * (passes * weights + cache)),
            samples=tokens,
            unit="tokens",
        )

    def make(self, device: torch.device, dtype: str = "float32") -> Any:
        """The model with random weights, for inference.

        The weights are drawn on the device. The frequencies of rotary positions stay in float32 whatever the weights
        are, as in a model that is loaded in that dtype.

        No token ends or pads a text: then ``generate`` makes the number of tokens that it is asked for, and GPT-2's
        forward pass does not read its tokens back from the device to look for padding.

        Raises:
            Unavailable: transformers is not installed, or the host has too little memory.
        """
        require("transformers", "transformers")
        import transformers

        need_memory(self.fp32_bytes * (HOST_COPIES if is_host(device.type) else REFERENCE_COPIES))
        settings = {
            "bos_token_id": 0,
            "eos_token_id": None,
            "pad_token_id": None,
            "vocab_size": self.vocabulary,
            # The usual 0.02 for a width of 1600; in a narrow model it is so little that every token repeats itself.
            "initializer_range": 0.8 / self.width**0.5,
        }
        if self.gated:
            config: Any = transformers.LlamaConfig(
                num_hidden_layers=self.layers,
                hidden_size=self.width,
                num_attention_heads=self.heads,
                num_key_value_heads=self.key_heads,
                intermediate_size=self.feed_forward,
                max_position_embeddings=self.positions,
                tie_word_embeddings=True,
                **settings,
            )
        else:
            config = transformers.GPT2Config(
                n_layer=self.layers,
                n_embd=self.width,
                n_head=self.heads,
                n_inner=self.feed_forward,
                n_positions=self.positions,
                **settings,
            )
        with device:
            return transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()


DECODERS: Mapping[str, Decoder] = {
    "small-gpt2": Decoder(False, 2, 256, 4, 4, 1024, 1024, 1024),
    "small-llama": Decoder(True, 2, 256, 8, 4, 688, 1024, 8192),
    "gpt2": Decoder(False, 12, 768, 12, 12, 3072, 50257, 1024),  # 124 million with the embeddings
    "llama-1b": Decoder(True, 16, 2048, 32, 8, 8192, 128256, 8192),  # the sizes of Llama 3.2, 1.2 billion
}


class UnavailableModel(nn.Module):
    """Stands for a model that transformers does not have; a call raises the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def forward(self, *_: Any, **__: Any) -> Any:
        """Raises Unavailable."""
        raise Unavailable(self.reason)


def with_attention_if_any(model: Any, attention: str) -> Any:
    """As :func:`with_attention`; where transformers refuses, a module that raises Unavailable with its reason."""
    try:
        return with_attention(model, attention)
    except (ValueError, ImportError) as error:
        return UnavailableModel(str(error).split(". ")[0])
