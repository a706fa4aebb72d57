"""Encoders of Hugging Face from their configurations, with random weights, and what one forward pass of them costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from torchduet.suites.extras import require

PAD, FIRST_TOKEN = 0, 10  # ids: that of padding, and the first that stands for a token in these workloads
LABELS = 2


@dataclass(frozen=True)
class Shape:
    """The sizes of an encoder; ``family`` names its classes in transformers."""

    family: str
    layers: int
    width: int
    heads: int
    hidden: int  # of the feed-forward layers
    vocabulary: int

    def products(self, length: int) -> float:
        """Multiply-adds of one token: of the linear layers (Kaplan et al. 2020, table 1), and of the attention.

        Each token is compared with ``length`` tokens, and their values are summed: two products of ``width`` each.
        """
        linear = 4 * self.width**2 + 2 * self.width * self.hidden
        return float(self.layers * (linear + 2 * length * self.width))

    def forward_flops(self, lengths: Sequence[int]) -> float:
        """Floating-point operations of a forward pass over sequences of these lengths, padding not counted."""
        return 2.0 * sum(length * self.products(length) for length in lengths)

    def head_flops(self, sequences: int) -> float:
        """The same of the classification head: two linear layers on the first token of each sequence."""
        return 2.0 * sequences * (self.width**2 + self.width * LABELS)


# "small" is a small DistilBERT for a CPU: 2.7 million parameters, a third of them of the vocabulary, as in DistilBERT.
# The others have the sizes of their configurations: 66 and 109 million parameters.
SHAPES = {
    "small": Shape("distilbert", layers=2, width=256, heads=4, hidden=1024, vocabulary=4000),
    "distilbert": Shape("distilbert", layers=6, width=768, heads=12, hidden=3072, vocabulary=30522),
    "bert-base": Shape("bert", layers=12, width=768, heads=12, hidden=3072, vocabulary=30522),
}


def configuration(model: str, dropout: float = 0.0) -> Any:
    """The configuration of one of ``SHAPES``.

    Raises:
        Unavailable: transformers is not installed.
    """
    require("transformers", "transformers")
    from transformers import BertConfig, DistilBertConfig

    shape = SHAPES[model]
    # Without a problem type, the model would infer it in the first call and keep it.
    common = {
        "vocab_size": shape.vocabulary,
        "pad_token_id": PAD,
        "num_labels": LABELS,
        "problem_type": "single_label_classification",
    }
    if shape.family == "bert":
        return BertConfig(
            num_hidden_layers=shape.layers,
            hidden_size=shape.width,
            num_attention_heads=shape.heads,
            intermediate_size=shape.hidden,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            **common,
        )
    return DistilBertConfig(
        n_layers=shape.layers,
        dim=shape.width,
        n_heads=shape.heads,
        hidden_dim=shape.hidden,
        dropout=dropout,
        attention_dropout=dropout,
        seq_classif_dropout=dropout,
        **common,
    )


def encoder(model: str, attention: str = "sdpa") -> nn.Module:
    """An encoder in evaluation mode, its attention ``eager`` or ``sdpa``."""
    config = configuration(model)
    from transformers import BertModel, DistilBertModel

    network: nn.Module
    if SHAPES[model].family == "bert":
        network = BertModel._from_config(config, attn_implementation=attention, add_pooling_layer=False)
    else:
        network = DistilBertModel._from_config(config, attn_implementation=attention)
    return network.eval()


def classifier(model: str, attention: str = "sdpa", dropout: float = 0.0) -> nn.Module:
    """A DistilBERT for the classification of sequences, in training mode."""
    config = configuration(model, dropout)
    from transformers import DistilBertForSequenceClassification

    network: nn.Module = DistilBertForSequenceClassification._from_config(config, attn_implementation=attention)
    return network.train()
