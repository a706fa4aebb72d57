"""The decoders that the workloads run: their sizes, their random weights and the least cost of a token.

Transformers is imported when a model is made, not when this module is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from torchduet.suites.extras import require
from torchduet.suites.workload import Cost, Unavailable

BYTES = {"float32": 4, "bfloat16": 2}  # of a weight


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

    def cost(self, *, tokens: int, pairs: float, outputs: int, cached: int, dtype: str) -> Cost:
        """The least cost of one call.

        A forward pass needs two operations for each weight and token (Kaplan et al. 2020, "Scaling Laws for Neural
        Language Models", section 2.1), and 4 · layers · width for each pair of a query and a key that it sees
        (Chowdhery et al. 2022, "PaLM", appendix B, without the backward pass). The output layer is counted where logits
        are computed. Read once: the weights, and the keys and values that the cache holds.

        Args:
            tokens: that pass through the layers.
            pairs: of a query and a key that it sees, in one layer.
            outputs: tokens whose logits are computed.
            cached: tokens whose keys and values are read from a cache.
            dtype: of weights and cache.
        """
        output_layer = self.width * self.vocabulary
        weights = self.parameters + output_layer
        return Cost(
            flops=2.0 * (self.parameters * tokens + output_layer * outputs) + 4.0 * self.layers * self.width * pairs,
            bytes=float(BYTES[dtype] * (weights + 2 * self.layers * self.key_width * cached)),
            samples=tokens,
        )

    def make(self, device: torch.device, dtype: str = "float32") -> Any:
        """The model with random weights, for inference.

        No token ends or pads a text: then ``generate`` makes the number of tokens that it is asked for, and GPT-2's
        forward pass does not read its tokens back from the device to look for padding.

        Raises:
            Unavailable: transformers is not installed.
        """
        require("transformers", "transformers")
        import transformers

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
            model: Any = transformers.LlamaForCausalLM(config)
        else:
            config = transformers.GPT2Config(
                n_layer=self.layers,
                n_embd=self.width,
                n_head=self.heads,
                n_inner=self.feed_forward,
                n_positions=self.positions,
                **settings,
            )
            model = transformers.GPT2LMHeadModel(config)
        return model.to(device, getattr(torch, dtype)).eval()


DECODERS: Mapping[str, Decoder] = {
    "small-gpt2": Decoder(False, 2, 256, 4, 4, 1024, 1024, 1024),
    "small-llama": Decoder(True, 2, 256, 8, 4, 688, 1024, 8192),
    "gpt2": Decoder(False, 12, 768, 12, 12, 3072, 50257, 1024),  # 124 million with the embeddings
    "llama-1b": Decoder(True, 16, 2048, 32, 8, 8192, 128256, 8192),  # the sizes of Llama 3.2, 1.2 billion
}


def with_attention(model: Any, attention: str) -> Any:
    """A model of the same parameters and buffers with another implementation of attention."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    other = copy.deepcopy(model, shared)
    other.set_attn_implementation(attention)
    return other


class Missing(nn.Module):
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
        return Missing(str(error).split(". ")[0])
