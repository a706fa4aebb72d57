"""Tokenizers: byte-pair encoding, fast and slow, of a batch of documents at once and one by one, over threads.

The package ``tokenizers`` (Rust) encodes the documents of ``encode_batch`` in parallel. The size of its pool of threads
is fixed when a process first uses it, from ``RAYON_NUM_THREADS`` or the number of cores; ``TOKENIZERS_PARALLELISM`` can
be changed later, but only turns the pool off and on. So within one process another number of threads means threads of
Python's, each of which has one document encoded at a time, by ``encode_batch``: ``encode`` keeps the interpreter's
lock. A process that is forked has a pool of its own, unless its parent has used one: then its batches are encoded by
one thread. Workloads are measured in processes whose parents have only imported the package.

A tokenizer keeps the pieces of 10 000 words that it has encoded. Each call that encodes is given other documents: most
of their words are among those kept, but not all, as in the middle of a long text. Each implementation has a tokenizer
of its own, since all are given the same documents: the words that one adds are new to the others.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchduet.suites.cpus import cores
from torchduet.suites.extras import require
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.corpus import FIRST_SEED, trained
from torchduet.suites.transformers.corpus import documents as texts
from torchduet.suites.transformers.python_bpe import python_bpe
from torchduet.suites.workload import Axis, Cost

suite = part()

BYTES_PER_TOKEN = 4.0  # of these documents with this vocabulary
ENCODING = ("encode_batch", "one_by_one", "one_thread", "two_threads", "thread_per_core")  # implementations in Rust
DECODING = ("decode_batch", "decode")
Ids = list[list[int]]


@dataclass
class Tokenizers:
    """The same vocabulary and merges in a tokenizer for each implementation.

    Attributes:
        rust: implementation → a ``Tokenizer`` of the package ``tokenizers``.
        fast: another one, with the interface of transformers.
        slow: one in Python, with the interface of transformers.
    """

    rust: Mapping[str, Any]
    fast: Any
    slow: Any


def texts_and_tokenizers(device: torch.device, documents: int, length: int) -> tuple[list[str], Tokenizers]:
    """Documents of ``length`` bytes, others at each call, and the tokenizers."""
    del device
    require("transformers", "transformers", "tokenizers")
    return texts(documents, length, FIRST_SEED + int(torch.randint(2**31, ()))), tokenizers_of_process()


@functools.cache
def tokenizers_of_process() -> Tokenizers:
    """The tokenizers, which the calls of a process share; a copy keeps no words of the original."""
    from transformers import PreTrainedTokenizerFast

    original = trained()
    rust = {name: copy.deepcopy(original) for name in (*ENCODING, *DECODING)}
    return Tokenizers(rust, PreTrainedTokenizerFast(tokenizer_object=original), python_bpe(original))


def cost(documents: int, length: int) -> Cost:
    """The bytes of the text, and its tokens at :data:`BYTES_PER_TOKEN`."""
    return Cost(bytes=documents * length, samples=round(documents * length / BYTES_PER_TOKEN), unit="tokens")


# Encoding


def encode_batch(documents: list[str], tokenizers: Tokenizers) -> Ids:
    return [encoding.ids for encoding in tokenizers.rust["encode_batch"].encode_batch(documents)]


def one_by_one(documents: list[str], tokenizers: Tokenizers) -> Ids:
    rust = tokenizers.rust["one_by_one"]
    return [rust.encode(text).ids for text in documents]


def in_threads(name: str, number: int) -> Callable[[list[str], Tokenizers], Ids]:
    """Encoding one by one in threads, which the call starts and ends.

    Each keeps a thread of the pool busy; more threads than those of the pool are no faster.

    Args:
        name: of the implementation.
        number: of the threads.
    """

    def encode(documents: list[str], tokenizers: Tokenizers) -> Ids:
        rust = tokenizers.rust[name]

        def ids_of(text: str) -> list[int]:
            (encoding,) = rust.encode_batch([text])
            return encoding.ids  # type: ignore[no-any-return]

        with ThreadPoolExecutor(number) as threads:
            return list(threads.map(ids_of, documents))

    return encode


def restored(inputs: Sequence[Any], ids: Ids) -> list[Tensor]:
    """The ids of each document, after each was decoded to the text that it was.

    Raises:
        ValueError: a document is not restored.
    """
    documents, tokenizers = inputs
    for number, (text, numbers) in enumerate(zip(documents, ids, strict=True)):
        if tokenizers.rust["decode"].decode(numbers) != text:
            raise ValueError(f"document {number} is another text after it was encoded and decoded")
    return [torch.tensor(numbers) for numbers in ids]


suite.compare(
    "tokenize",
    {
        "encode_batch": encode_batch,
        "one_by_one": one_by_one,
        "two_threads": in_threads("two_threads", 2),
        "transformers_fast": lambda documents, tokenizers: tokenizers.fast(documents)["input_ids"],
        "transformers_slow": lambda documents, tokenizers: tokenizers.slow(documents)["input_ids"],
    },
    about="Ids of a batch of documents by a byte-level BPE of 6000 tokens: in Rust, through transformers, in Python",
    inputs=texts_and_tokenizers,
    axes={"documents": Axis(default=[32], full=[256]), "length": Axis(default=[1024], full=[8192])},
    modes=["eager"],
    devices=["cpu"],
    observe=restored,
    fresh=True,
    cost=cost,
    call_seconds=lambda documents, length: 3e-6 * documents * length,
)

suite.compare(
    "tokenize_threads",
    {
        "one_thread": in_threads("one_thread", 1),
        "two_threads": in_threads("two_threads", 2),
        "thread_per_core": in_threads("thread_per_core", cores()),
        "encode_batch": encode_batch,
    },
    about="Ids of a batch of documents in 1 thread, in 2, in one per core, and in the pool of the package tokenizers",
    inputs=texts_and_tokenizers,
    axes={"documents": Axis(full=[32, 256]), "length": Axis(full=[1024, 8192])},
    modes=["eager"],
    devices=["cpu"],
    observe=restored,
    fresh=True,
    cost=cost,
    call_seconds=lambda documents, length: 2e-7 * documents * length,
)

# Decoding


def ids_and_tokenizers(device: torch.device, documents: int, length: int) -> tuple[Ids, Tokenizers, list[str]]:
    """The ids of the documents, the tokenizers, and the documents themselves."""
    given, tokenizers = texts_and_tokenizers(device, documents, length)
    return encode_batch(given, tokenizers), tokenizers, given


def same_texts(inputs: Sequence[Any], decoded: list[str]) -> list[Tensor]:
    """The bytes of each decoded document.

    Raises:
        ValueError: a text differs from the document that was encoded.
    """
    for number, (text, expected) in enumerate(zip(decoded, inputs[2], strict=True)):
        if text != expected:
            raise ValueError(f"document {number} is decoded to another text")
    return [torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) for text in decoded]


suite.compare(
    "detokenize",
    {
        "decode_batch": lambda ids, tokenizers, _: tokenizers.rust["decode_batch"].decode_batch(ids),
        "one_by_one": lambda ids, tokenizers, _: [tokenizers.rust["decode"].decode(numbers) for numbers in ids],
        "transformers_slow": lambda ids, tokenizers, _: tokenizers.slow.batch_decode(ids),
    },
    about="Texts of a batch of ids, each the document that it was before",
    inputs=ids_and_tokenizers,
    axes={"documents": Axis(default=[32], full=[256]), "length": Axis(default=[1024], full=[8192])},
    modes=["eager"],
    devices=["cpu"],
    observe=same_texts,
    cost=cost,
    call_seconds=lambda documents, length: 1e-6 * documents * length,
)
