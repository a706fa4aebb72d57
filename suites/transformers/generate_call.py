"""A greedy call of ``generate``, with what notes the times of its tokens and keeps its last logits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from torchduet.suites.workload import Meter

TOKENIZERS = "TOKENIZERS_PARALLELISM"


@contextmanager
def unchanged_tokenizers() -> Iterator[None]:
    """After the context, tokenizers use as many threads as before; ``generate`` that compiles allows them one."""
    before = os.environ.get(TOKENIZERS)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(TOKENIZERS, None)
        else:
            os.environ[TOKENIZERS] = before


def generate(module: Any, tokens: Tensor, new_tokens: int, **settings: Any) -> Any:
    """``module.generate``, greedy, of exactly ``new_tokens`` tokens: no token of the decoders ends a text."""
    with unchanged_tokenizers():
        return module.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),  # else it looks for padding among the tokens
            do_sample=False,
            max_new_tokens=new_tokens,
            **settings,
        )


class TokenClock:
    """A streamer that notes when each new token has reached the host.

    ``generate`` copies the tokens to the host for a streamer, so each note waits for the device. That costs a GPU one
    copy of a number for each text and step; ``generate`` waits for the device once a step in any case, to see whether
    all texts have ended.
    """

    def __init__(self) -> None:
        self.began = perf_counter()
        self.times: list[float] = []
        self._prompt = True

    def put(self, value: Tensor) -> None:
        """Take the prompts, then the next token of each text."""
        del value
        if not self._prompt:
            self.times.append(perf_counter())
        self._prompt = False

    def end(self) -> None:
        """All tokens have come."""

    def note(self, meter: Meter, batch: int) -> None:
        """Note the time to the first token, the times between tokens, and the tokens of each second.

        The decode phase begins when the first token has come: it has one token less, and no prefill.
        """
        latencies = [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]
        decode = self.times[-1] - self.times[0]
        meter.value("time to first token", self.times[0] - self.began, "s")
        meter.value("inter-token latency", decode / len(latencies), "s")
        meter.value("longest inter-token latency", max(latencies), "s")
        meter.value("decode throughput", batch * len(latencies) / decode, "tokens/s")
        meter.value("end-to-end throughput", batch * len(self.times) / (self.times[-1] - self.began), "tokens/s")


class LastLogits:
    """A processor of logits that changes nothing and keeps those of the last step (batch, vocabulary)."""

    def __init__(self) -> None:
        self.logits = torch.empty(0)

    def __call__(self, tokens: Tensor, logits: Tensor) -> Tensor:
        """Keep the logits, in memory that only this step uses."""
        del tokens
        self.logits = logits
        return logits
