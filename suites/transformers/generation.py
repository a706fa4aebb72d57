"""Generation end to end: greedy decoding by hand, by decode steps as they are timed alone, and by ``generate``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.transformers.caches import (
    cached_tensors,
    copied_cache,
    dynamic_cache,
    forward,
    keyword_of,
    restore,
    step,
)
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.decoder_models import DECODERS
from torchduet.suites.transformers.decoders import FLOPS, texts
from torchduet.suites.transformers.generate_call import LastLogits, TokenClock, generate
from torchduet.suites.workload import Axis, Cost, Implementation, Meter

suite = part()

# All in float32: in bfloat16 the best two logits are often equal, and texts differ from the first such token on.
EAGER = ("eager",)


def decode_cost(model: str, context: int, steps: int, batch: int, prefill: bool = False) -> Cost:
    """The cost of decode steps against a cache that holds ``context`` tokens of each text, each with one token more.

    Args:
        prefill: the pass that fills the cache is counted, too. Its logits are those of one token.
    """
    passed = context if prefill else 0  # tokens of each text in the prefill
    seen = passed * (passed + 1) / 2 + steps * context + steps * (steps + 1) / 2
    return DECODERS[model].cost(
        tokens=batch * (passed + steps),
        pairs=batch * seen,
        outputs=batch * (steps + prefill),
        dtype="float32",
        passes=steps + prefill,
        cached=batch * (steps * context + steps * (steps - 1) / 2),
    )


def seconds(cost: Cost, new_tokens: int, device: str) -> float:
    """Roughly those of one call; on two cores each step takes a millisecond beside its operations."""
    return (cost.flops or 0.0) / FLOPS + 1e-3 * new_tokens if is_host(device) else 0.02 * new_tokens


# The loop by hand


def greedy_inputs(device: torch.device, model: str, context: int, new_tokens: int, batch: int) -> tuple[Any, ...]:
    """A model, the texts (batch, context), the name of the cache's parameter, and the number of new tokens."""
    module = DECODERS[model].make(device)
    return module, texts(model, batch, context, device), keyword_of(module), new_tokens


def loop(module: Any, cache: Any, token: Tensor, keyword: str, new_tokens: int) -> tuple[Tensor, Tensor]:
    """Greedy steps from the token (batch, 1): the tokens that follow it, and the logits of the step in the middle."""
    tokens, middle = [], token
    for index in range(new_tokens):
        logits = forward(module, token, cache, keyword)
        token = logits.argmax(-1)
        tokens.append(token)
        if index == new_tokens // 2:
            middle = logits
    return torch.cat(tokens, dim=1), middle


class Continuation:
    """Continues texts whose cache was filled before, and leaves the cache as it was.

    Attributes:
        cache: holds the texts.
        token: the first new token of each, which the prefill gave (batch, 1).
        text: the texts with that token.
    """

    def __init__(self, module: Any, texts: Tensor, keyword: str, new_tokens: int) -> None:
        del new_tokens
        self.cache = dynamic_cache(module)
        self.token = forward(module, texts, self.cache, keyword).argmax(-1)
        self.text = torch.cat((texts, self.token), dim=1)

    def renew(self) -> Self:
        """The same with its cache in other memory."""
        renewed = copy.copy(self)
        renewed.cache, renewed.token, renewed.text = copied_cache(self.cache), self.token.clone(), self.text.clone()
        return renewed


class LoopByHand(Continuation):
    """The loop that a user writes."""

    def __call__(self, module: Any, texts: Tensor, keyword: str, new_tokens: int) -> tuple[Tensor, Tensor]:
        """The new tokens and the logits of the step in the middle."""
        del texts
        tensors = cached_tensors(self.cache)
        result = loop(module, self.cache, self.token, keyword, new_tokens)
        restore(self.cache, tensors)
        return result


class DecodeSteps(Continuation):
    """The step of the workload ``decode``, repeated at one length: the one that the loop has in its middle."""

    def __init__(self, module: Any, texts: Tensor, keyword: str, new_tokens: int) -> None:
        super().__init__(module, texts, keyword, new_tokens)
        for _ in range(new_tokens // 2):
            self.token = forward(module, self.token, self.cache, keyword).argmax(-1)

    def __call__(self, module: Any, texts: Tensor, keyword: str, new_tokens: int) -> tuple[Tensor, Tensor]:
        """The token of each step, and the logits of the last."""
        del texts
        tokens, logits = [], self.token
        for _ in range(new_tokens):
            logits = step(module, self.cache, self.token, keyword)
            tokens.append(logits.argmax(-1))
        return torch.cat(tokens, dim=1), logits


class GenerateWithCache(Continuation):
    """``generate`` with the filled cache."""

    def __call__(self, module: Any, texts: Tensor, keyword: str, new_tokens: int) -> tuple[Tensor, Tensor]:
        """The new tokens and the logits of the step in the middle."""
        del texts
        tensors = cached_tensors(self.cache)
        made = generate(
            module,
            self.text,
            new_tokens,
            **{keyword: self.cache},
            return_dict_in_generate=True,
            output_logits=True,
        )
        restore(self.cache, tensors)
        return made.sequences[:, self.text.shape[1] :], made.logits[new_tokens // 2][:, None]


def with_prefill(module: Any, texts: Tensor, keyword: str, new_tokens: int) -> tuple[Tensor, Tensor]:
    """As many new tokens from the texts themselves: the prefill gives the first, the loop the others."""
    cache = dynamic_cache(module)
    token = forward(module, texts, cache, keyword).argmax(-1)
    tokens, middle = loop(module, cache, token, keyword, new_tokens - 1)
    return torch.cat((token, tokens), dim=1), middle


def middle_logits(inputs: Sequence[Any], result: tuple[Tensor, Tensor]) -> Tensor:
    """What all have in common: the logits of one step, which depend on every token before it."""
    del inputs
    return result[1]


def greedy_cost(model: str, context: int, new_tokens: int, batch: int) -> Cost:
    """A step for each new token, in the order of the loop."""
    return decode_cost(model, context, new_tokens, batch)


def greedy_seconds(model: str, context: int, new_tokens: int, batch: int, device: str) -> float:
    """Those of the implementation with the prefill."""
    return seconds(decode_cost(model, context, new_tokens, batch, prefill=True), new_tokens, device)


suite.compare(
    "greedy",
    {
        "loop": Implementation(LoopByHand, setup=True),
        "decode_steps": Implementation(DecodeSteps, setup=True),
        "generate": Implementation(GenerateWithCache, setup=True),
        "with_prefill": with_prefill,
    },
    about="New tokens of a text by a loop written by hand, by repeated decode steps, by generate, and with the prefill",
    inputs=greedy_inputs,
    axes={
        "model": Axis(
            default=["small-gpt2"], full=["gpt2", "llama-1b"], on={"cuda": Axis(default=["gpt2"], full=["llama-1b"])}
        ),
        "context": Axis(default=[128], full=[896], on={"cuda": Axis(default=[896], full=[128])}),
        "new_tokens": Axis(default=[15], full=[63]),  # odd: the middle step of all then has one length
        "batch": Axis(default=[1], on={"cuda": Axis(default=[1], full=[16])}),
    },
    modes=EAGER,
    observe=middle_logits,
    cost=greedy_cost,
    call_seconds=greedy_seconds,
)

# generate


def generate_inputs(device: torch.device, model: str, prompt: int, new_tokens: int, batch: int) -> tuple[Any, ...]:
    """A model, the prompts (batch, prompt) and the number of new tokens."""
    return DECODERS[model].make(device), texts(model, batch, prompt, device), new_tokens


def generate_with(**settings: Any) -> Callable[..., tuple[Tensor, Tensor]]:
    """An implementation by ``generate`` with these settings."""

    def generate_texts(module: Any, tokens: Tensor, new_tokens: int, meter: Meter) -> tuple[Tensor, Tensor]:
        """The prompts with their new tokens, and the logits of the last step.

        Both are checked. The tokens must be equal; the logits depend on all that the cache holds by then.
        """
        clock, last = TokenClock(), LastLogits()
        made = generate(module, tokens, new_tokens, streamer=clock, logits_processor=[last], **settings)
        clock.note(meter, tokens.shape[0])
        return made, last.logits

    return generate_texts


def generate_cost(model: str, prompt: int, new_tokens: int, batch: int) -> Cost:
    """Prefill of the prompt, then a step for each new token but the first, which the prefill gives."""
    cost = decode_cost(model, prompt, new_tokens - 1, batch, prefill=True)
    return replace(cost, samples=batch * new_tokens)


def generate_seconds(model: str, prompt: int, new_tokens: int, batch: int, device: str) -> float:
    return seconds(generate_cost(model, prompt, new_tokens, batch), new_tokens, device)


suite.compare(
    "generate",
    {
        "dynamic": generate_with(),
        "static": generate_with(cache_implementation="static", disable_compile=True),
        "static_compiled": Implementation(generate_with(cache_implementation="static"), devices=("accelerator",)),
    },
    about="Greedy generation from prompts, with the time to the first token and between tokens",
    inputs=generate_inputs,
    axes={
        "model": Axis(
            default=["small-gpt2"], full=["gpt2", "llama-1b"], on={"cuda": Axis(default=["gpt2"], full=["llama-1b"])}
        ),
        "prompt": Axis(default=[128], full=[896], on={"cuda": Axis(default=[896], full=[128])}),
        "new_tokens": Axis(default=[16], full=[64], on={"cuda": Axis(default=[64])}),
        "batch": Axis(default=[1], on={"cuda": Axis(default=[1], full=[16])}),
    },
    modes=EAGER,
    cost=generate_cost,
    call_seconds=generate_seconds,
)
