"""A byte-level BPE in Python: a slow tokenizer of transformers, as GPT-2's was before its version 5."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

# How GPT-2 splits a text into words, each with the blank before it (Radford et al. 2019, the published encoder).
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CACHE = 10_000  # words whose pieces are kept: as many as the BPE of the package tokenizers keeps


def letters_of_bytes() -> dict[int, str]:
    """Each byte as one visible letter: itself where it is printable in Latin-1, else a letter from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(0x100) if byte not in printable)
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + rank) for rank, byte in enumerate(others)}


def pieces(ranks: Mapping[tuple[str, str], int], word: str) -> tuple[str, ...]:
    """The word in pieces: neighbours are joined, those first that training joined first."""
    parts = list(word)
    while len(parts) > 1:
        best = min(itertools.pairwise(parts), key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        joined: list[str] = []
        rest = iter(range(len(parts)))
        for index in rest:
            if tuple(parts[index : index + 2]) == best:
                joined.append("".join(best))
                next(rest)
            else:
                joined.append(parts[index])
        parts = joined
    return tuple(parts)


@functools.cache
def _python_bpe_class() -> Any:
    """The class; its base comes with transformers."""
    from transformers.tokenization_python import PythonBackend

    regex: Any = importlib.import_module("regex")  # comes with transformers, and has no annotations
    words = regex.compile(WORDS)

    class PythonBPE(PythonBackend):  # type: ignore[misc]
        """The same ids as the tokenizer of the package ``tokenizers`` whose vocabulary and merges it has."""

        def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
            self.vocabulary = vocabulary
            self.tokens = {number: token for token, number in vocabulary.items()}
            self.letters = letters_of_bytes()
            self.bytes = {letter: byte for byte, letter in self.letters.items()}
            ranks = {pair: rank for rank, pair in enumerate(merges)}
            self.pieces = functools.lru_cache(CACHE)(functools.partial(pieces, ranks))
            super().__init__(
                special_tokens_pattern="none"
            )  # transformers 5.0 adds the ids of [CLS] and [SEP] by default

        @property
        def vocab_size(self) -> int:
            return len(self.vocabulary)

        def get_vocab(self) -> dict[str, int]:
            return dict(self.vocabulary)

        def _tokenize(self, text: str, **_: Any) -> list[str]:
            tokens: list[str] = []
            for word in words.findall(text):
                tokens.extend(self.pieces("".join(map(self.letters.__getitem__, word.encode()))))
            return tokens

        def _convert_token_to_id(self, token: str) -> int:
            return self.vocabulary[token]

        def _convert_id_to_token(self, index: int) -> str:
            return self.tokens[index]

        def convert_tokens_to_string(self, tokens: list[str]) -> str:
            return bytes(map(self.bytes.__getitem__, "".join(tokens))).decode(errors="replace")

    return PythonBPE


def python_bpe(tokenizer: Any) -> Any:
    """The slow tokenizer of the same vocabulary and merges as a ``tokenizers.Tokenizer`` with a BPE."""
    model = json.loads(tokenizer.to_str())["model"]
    return _python_bpe_class()(model["vocab"], [tuple(pair) for pair in model["merges"]])
