"""Sequences of different lengths, and the batches that they are padded to."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from torchduet.suites.transformers.encoder_models import FIRST_TOKEN, PAD

SPREAD = 0.5  # standard deviation of the logarithm of a length


def lengths_of(batch: int, max_length: int) -> list[int]:
    """Lengths of sentences in tokens: the quantiles of a log-normal distribution, in a fixed random order.

    Its median is an eighth of ``max_length``, the length that a model is set up for. No length is beyond half of it.
    """
    scores = (NormalDist().inv_cdf((rank + 0.5) / batch) for rank in range(batch))
    lengths = [max(2, min(max_length // 2, round(max_length / 8 * math.exp(SPREAD * score)))) for score in scores]
    random.Random(0).shuffle(lengths)
    return lengths


def tokens_of(lengths: Sequence[int], vocabulary: int) -> list[Tensor]:
    """Random sequences of tokens of these lengths."""
    return [torch.randint(FIRST_TOKEN, vocabulary, (length,)) for length in lengths]


@dataclass
class Batch:
    """The arguments of one forward pass.

    Attributes:
        input_ids: tokens (sequences, length), padding after each sequence.
        attention_mask: 1 for tokens and 0 for padding, of the same shape; or True for the pairs of tokens that see
            each other, (1, 1, length, length).
        position_ids: the position of each token in its sequence, of the shape of the tokens; None: that in the row.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        positions = None if self.position_ids is None else self.position_ids.to(device)
        return Batch(self.input_ids.to(device), self.attention_mask.to(device), positions)


@dataclass
class Layout:
    """Batches that hold every sequence once.

    Attributes:
        indices: of the tokens (tokens,), first those of the first sequence, then those of the second, and so on. They
            count the tokens and the padding of all batches, row after row.
    """

    batches: list[Batch]
    indices: Tensor

    def to(self, device: torch.device) -> Layout:
        """The same on a device."""
        return Layout([batch.to(device) for batch in self.batches], self.indices.to(device))


def power_of_two(length: int) -> int:
    """The least power of two that is no less."""
    return 1 << (length - 1).bit_length()


def pad(sequences: Sequence[Tensor], length: int) -> Batch:
    """One batch, every sequence padded to a length."""
    rows = torch.full((len(sequences), length), PAD)
    mask = torch.zeros_like(rows)
    for row, seen, sequence in zip(rows, mask, sequences, strict=True):
        row[: len(sequence)] = sequence
        seen[: len(sequence)] = 1
    return Batch(rows, mask)


def padded(sequences: Sequence[Tensor], length: int) -> Layout:
    """All sequences in one batch of a length."""
    return bucketed(sequences, {length: range(len(sequences))})


def buckets_of(sequences: Sequence[Tensor]) -> dict[int, list[int]]:
    """Sequences of about the same length together: bucket → their numbers.

    A bucket holds the lengths between two powers of two, and is as long as the longest of them.
    """
    together: dict[int, list[int]] = {}
    for number, sequence in enumerate(sequences):
        together.setdefault(power_of_two(len(sequence)), []).append(number)
    return {max(len(sequences[number]) for number in numbers): numbers for _, numbers in sorted(together.items())}


def bucketed(sequences: Sequence[Tensor], buckets: dict[int, list[int]] | dict[int, range]) -> Layout:
    """A batch for each bucket, padded to its length."""
    batches, indices, start = [], {}, 0
    for length, numbers in buckets.items():
        batches.append(pad([sequences[number] for number in numbers], length))
        for number in numbers:
            indices[number] = torch.arange(start, start + len(sequences[number]))
            start += length
    return Layout(batches, torch.cat([indices[number] for number in range(len(sequences))]))


def packed(sequences: Sequence[Tensor]) -> Layout:
    """All sequences in one row without padding. A mask keeps them separate."""
    of = torch.cat([torch.full((len(sequence),), number) for number, sequence in enumerate(sequences)])
    positions = torch.cat([torch.arange(len(sequence)) for sequence in sequences])
    same = of[:, None] == of[None, :]
    return Layout([Batch(torch.cat(list(sequences))[None], same[None, None], positions[None])], torch.arange(len(of)))
