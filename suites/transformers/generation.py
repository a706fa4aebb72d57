"""Generation end to end: greedy decoding by hand, by decode steps as they are timed alone, and by ``generate``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Self

import torch
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.transformers.caches import (
    cloned,
    dynamic_cache,
    forward,
    held,
    keyword_of,
    restore,
    step,
)
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.decoder_models import DECODERS
from torchduet.suites.transformers.decoders import FLOPS, texts
from torchduet.suites.workload import Axis, Cost, Implementation, Meter

suite = part()

# All in float32: in bfloat16 the best two logits are often equal, and texts differ from the first such token on.
EAGER = ("eager",)


def generate(model: Any, tokens: Tensor, new: int, **settings: Any) -> Any:
    """``model.generate``, greedy, of exactly ``new`` tokens."""
    return model.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),  # else it looks for padding among the tokens
        do_sample=False,
        max_new_tokens=new,
        min_new_tokens=new,
        pad_token_id=0,  # of texts that have ended, of which there are none
        **settings,
    )


def seconds(decoder: str, prompt: int, new: int, batch: int, device: str) -> float:
    """Roughly those of one call; on two cores each step takes a millisecond beside its operations."""
    flops = cost(decoder, prompt, new, batch).flops or 0.0
    return flops / FLOPS + 1e-3 * new if is_host(device) else 0.02 * new


def cost(decoder: str, prompt: int, new: int, batch: int) -> Cost:
    """Prefill of the prompt, then a step for each new token but the first, which the prefill gives."""
    tokens = batch * (prompt + new - 1)
    pairs = batch * (prompt + new - 1) * (prompt + new) / 2
    whole = DECODERS[decoder].cost(tokens=tokens, pairs=pairs, outputs=batch * new, cached=0, dtype="float32")
    return Cost(flops=whole.flops, samples=batch * new)


# The loop by hand


def greedy_inputs(device: torch.device, decoder: str, context: int, new: int, batch: int) -> tuple[Any, ...]:
    """A model, the texts (batch, context), the name of the cache's parameter, and the number of new tokens."""
    model = DECODERS[decoder].make(device)
    return model, texts(decoder, batch, context, device), keyword_of(model), new


def loop(model: Any, cache: Any, token: Tensor, keyword: str, new: int) -> tuple[Tensor, Tensor]:
    """``new`` steps from the token (batch, 1): the tokens that follow it, and the logits of the step in the middle."""
    tokens, middle = [], token
    for index in range(new):
        logits = forward(model, token, cache, keyword)
        token = logits.argmax(-1)
        tokens.append(token)
        if index == new // 2:
            middle = logits
    return torch.cat(tokens, dim=1), middle


class Continuing:
    """Continues texts whose cache was filled before, and leaves the cache as it was.

    Attributes:
        cache: holds the texts.
        token: the first new token of each, which the prefill gave (batch, 1).
        text: the texts with that token.
    """

    def __init__(self, model: Any, texts: Tensor, keyword: str, new: int) -> None:
        del new
        self.cache = dynamic_cache(model)
        self.token = forward(model, texts, self.cache, keyword).argmax(-1)
        self.text = torch.cat((texts, self.token), dim=1)

    def renew(self) -> Self:
        """The same with its cache in other memory."""
        renewed = copy.copy(self)
        renewed.cache, renewed.token, renewed.text = cloned(self.cache), self.token.clone(), self.text.clone()
        return renewed


class LoopByHand(Continuing):
    """The loop that a user writes."""

    def __call__(self, model: Any, texts: Tensor, keyword: str, new: int) -> tuple[Tensor, Tensor]:
        """The new tokens and the logits of the step in the middle."""
        del texts
        tensors = held(self.cache)
        result = loop(model, self.cache, self.token, keyword, new)
        restore(self.cache, tensors)
        return result


class DecodeSteps(Continuing):
    """As many steps as ``decode`` times them: each the same, at the length that the loop has in its middle."""

    def __init__(self, model: Any, texts: Tensor, keyword: str, new: int) -> None:
        super().__init__(model, texts, keyword, new)
        for _ in range(new // 2):
            self.token = forward(model, self.token, self.cache, keyword).argmax(-1)

    def __call__(self, model: Any, texts: Tensor, keyword: str, new: int) -> tuple[Tensor, Tensor]:
        """The token of each step, and the logits of the last."""
        del texts
        tokens, logits = [], self.token
        for _ in range(new):
            logits = step(model, self.cache, self.token, keyword)
            tokens.append(logits.argmax(-1))
        return torch.cat(tokens, dim=1), logits


class Generating(Continuing):
    """``generate`` with the filled cache."""

    def __call__(self, model: Any, texts: Tensor, keyword: str, new: int) -> tuple[Tensor, Tensor]:
        """The new tokens and the logits of the step in the middle."""
        del texts
        tensors = held(self.cache)
        made = generate(
            model,
            self.text,
            new,
            **{keyword: self.cache},
            return_dict_in_generate=True,
            output_logits=True,
        )
        restore(self.cache, tensors)
        return made.sequences[:, self.text.shape[1] :], made.logits[new // 2][:, None]


def with_prefill(model: Any, texts: Tensor, keyword: str, new: int) -> tuple[Tensor, Tensor]:
    """As many new tokens from the texts themselves: the prefill gives the first, the loop the others."""
    cache = dynamic_cache(model)
    token = forward(model, texts, cache, keyword).argmax(-1)
    tokens, middle = loop(model, cache, token, keyword, new - 1)
    return torch.cat((token, tokens), dim=1), middle


def middle_logits(inputs: Sequence[Any], result: tuple[Tensor, Tensor]) -> Tensor:
    """What all have in common: the logits of one step, which depend on every token before it."""
    del inputs
    return result[1]


def greedy_cost(decoder: str, context: int, new: int, batch: int) -> Cost:
    """A step for each new token."""
    pairs = batch * new * (context + (new + 1) / 2)
    return DECODERS[decoder].cost(tokens=batch * new, pairs=pairs, outputs=batch * new, cached=0, dtype="float32")


suite.compare(
    "greedy",
    {
        "loop": Implementation(LoopByHand, setup=True),
        "decode_steps": Implementation(DecodeSteps, setup=True),
        "generate": Implementation(Generating, setup=True),
        "with_prefill": with_prefill,
    },
    about="New tokens of a text by a loop written by hand, by repeated decode steps, by generate, and with the prefill",
    inputs=greedy_inputs,
    axes={
        "decoder": Axis(
            default=["small-gpt2"], full=["gpt2", "llama-1b"], on={"cuda": Axis(default=["gpt2"], full=["llama-1b"])}
        ),
        "context": Axis(default=[128], full=[896], on={"cuda": Axis(default=[896], full=[128])}),
        "new": Axis(default=[15], full=[63]),  # odd: the middle step of all then has one length
        "batch": Axis(default=[1], on={"cuda": Axis(default=[1], full=[16])}),
    },
    modes=EAGER,
    observe=middle_logits,
    cost=greedy_cost,
    call_seconds=lambda decoder, context, new, batch, device: seconds(decoder, context, new, batch, device),
)

# generate


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
        meter.value("whole throughput", batch * len(self.times) / (self.times[-1] - self.began), "tokens/s")


def generate_inputs(device: torch.device, decoder: str, prompt: int, new: int, batch: int) -> tuple[Any, ...]:
    """A model, the prompts (batch, prompt) and the number of new tokens."""
    return DECODERS[decoder].make(device), texts(decoder, batch, prompt, device), new


def generating(**settings: Any) -> Callable[..., Tensor]:
    """An implementation by ``generate`` with these settings."""

    def generate_text(model: Any, tokens: Tensor, new: int, meter: Meter) -> Tensor:
        clock = TokenClock()
        texts = generate(model, tokens, new, streamer=clock, **settings)
        clock.note(meter, tokens.shape[0])
        return texts  # type: ignore[no-any-return]

    return generate_text


def tokens_and_their_logits(inputs: Sequence[Any], texts: Tensor) -> tuple[Tensor, Tensor]:
    """The tokens, and the logits that the model has for the whole text, in one pass without a cache."""
    with torch.no_grad():
        return texts, inputs[0](texts).logits


suite.compare(
    "generate",
    {
        "dynamic": generating(),
        "static": generating(cache_implementation="static", disable_compile=True),
        "static_compiled": Implementation(generating(cache_implementation="static"), devices=("accelerator",)),
    },
    about="Greedy generation from prompts, with the time to the first token and between tokens",
    inputs=generate_inputs,
    axes={
        "decoder": Axis(
            default=["small-gpt2"], full=["gpt2", "llama-1b"], on={"cuda": Axis(default=["gpt2"], full=["llama-1b"])}
        ),
        "prompt": Axis(default=[128], full=[896], on={"cuda": Axis(default=[896], full=[128])}),
        "new": Axis(default=[16], full=[64], on={"cuda": Axis(default=[64])}),
        "batch": Axis(default=[1], on={"cuda": Axis(default=[1], full=[16])}),
    },
    modes=EAGER,
    observe=tokens_and_their_logits,
    cost=cost,
    call_seconds=seconds,
)
