"""Batches of sentences padded by a collator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from torchduet.suites.extras import require
from torchduet.suites.transformers import encoder_batches as batches
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.encoder_models import PAD
from torchduet.suites.transformers.finetuning import sentences
from torchduet.suites.workload import Axis, Cost

suite = part()


def tokenizer() -> Any:
    """A tokenizer that can pad, without a file.

    Raises:
        Unavailable: transformers or tokenizers is not installed.
    """
    require("transformers", "transformers", "tokenizers")
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = models.WordLevel({"[PAD]": PAD, "[UNK]": PAD + 1}, unk_token="[UNK]")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), pad_token="[PAD]", unk_token="[UNK]")


Features = Sequence[Mapping[str, Any]]


def features(device: torch.device, batch: int, max_length: int) -> tuple[Any, ...]:
    """Sentences as a data set of transformers gives them, lists of numbers, and the collator of transformers."""
    del device
    padding = tokenizer()
    from transformers import DataCollatorWithPadding

    sequences, labels = sentences("small", batch, max_length)
    listed = [
        {"input_ids": sequence.tolist(), "attention_mask": [1] * len(sequence), "labels": label}
        for sequence, label in zip(sequences, labels.tolist(), strict=True)
    ]
    collator = DataCollatorWithPadding(padding)
    collator(listed[:1])  # the first call notes in the tokenizer that a warning was not shown
    return listed, collator


def by_collator(listed: Features, collator: Any) -> dict[str, Tensor]:
    return dict(collator(listed))


def by_pad_sequence(listed: Features, _: Any) -> dict[str, Tensor]:
    padded = {
        name: pad_sequence([torch.tensor(feature[name]) for feature in listed], batch_first=True, padding_value=value)
        for name, value in (("input_ids", PAD), ("attention_mask", 0))
    }
    return {**padded, "labels": torch.tensor([feature["labels"] for feature in listed])}


suite.compare(
    "collate",
    {"data_collator": by_collator, "pad_sequence": by_pad_sequence},
    about="A batch of sentences padded to the longest: transformers' DataCollatorWithPadding, and torch's pad_sequence",
    inputs=features,
    axes={"batch": Axis(default=[32], full=[8, 256]), "max_length": Axis(default=[128], full=[512])},
    modes=["eager"],
    devices=["cpu"],
    cost=lambda batch, max_length: Cost(samples=sum(batches.lengths_of(batch, max_length)), unit="tokens"),
)
