"""All ways to generate give the same tokens, as many as asked for, and the meter's figures agree with each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torchduet.suites.transformers import caches, generation
from torchduet.suites.workload import Meter

pytest.importorskip("transformers.models.gpt2.modeling_gpt2")  # sets warning filters when it is imported
pytest.importorskip("transformers.models.llama.modeling_llama")
CPU = torch.device("cpu")
NEW = 7


class Notes(Meter):
    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def value(self, name: str, number: float, unit: str = "") -> None:
        del unit
        self.values[name] = number


@pytest.fixture(scope="module")
def greedy() -> tuple[Any, ...]:
    torch.manual_seed(0)
    return generation.greedy_inputs(CPU, "small-llama", 24, NEW, 2)


@pytest.mark.parametrize("kind", [generation.LoopByHand, generation.Generating, generation.DecodeSteps])
def test_each_continues_the_texts_and_leaves_its_cache_as_it_was(greedy: tuple[Any, ...], kind: Any) -> None:
    expected = generation.LoopByHand(*greedy)(*greedy)
    continuing = kind(*greedy)
    before = caches.held(continuing.cache)
    first, second = continuing(*greedy), continuing.renew()(*greedy)
    assert all(a[0] is b[0] and a[1] is b[1] for a, b in zip(before, caches.held(continuing.cache), strict=True))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first[1], expected[1], rtol=1e-4, atol=1e-4)
    if kind is generation.Generating:
        assert torch.equal(first[0], expected[0])


def test_with_the_prefill_the_tokens_are_those_of_the_loop_one_step_later(greedy: tuple[Any, ...]) -> None:
    loop = generation.LoopByHand(*greedy)
    tokens, middle = generation.with_prefill(*greedy)
    after, expected = loop(*greedy)
    assert torch.equal(tokens, torch.cat((loop.token, after[:, :-1]), dim=1))
    torch.testing.assert_close(middle, expected, rtol=1e-4, atol=1e-4)


def test_generate_makes_the_number_of_tokens_that_is_asked_for_with_either_cache() -> None:
    torch.manual_seed(0)
    inputs = generation.generate_inputs(CPU, "small-gpt2", 24, NEW, 2)
    dynamic, static = (
        generation.suite.workloads["generate"].implementations[name].function(*inputs, Meter())
        for name in ("dynamic", "static")
    )
    assert dynamic.shape == (2, 24 + NEW)
    assert torch.equal(dynamic, static)


def test_the_best_two_logits_lie_further_apart_than_rounding_moves_them() -> None:
    torch.manual_seed(0)
    model, tokens, new = generation.generate_inputs(CPU, "small-gpt2", 128, 16, 1)
    texts = generation.generate(model, tokens, new)
    with torch.no_grad():
        logits, exact = model(texts).logits[:, 127:-1], model.double()(texts).logits[:, 127:-1]
    best, second = logits.topk(2).values.unbind(-1)
    assert (best - second).min() > 100 * (logits - exact).abs().max()


def test_the_meter_times_each_token_and_leaves_the_prefill_out_of_the_decode_phase() -> None:
    inputs = generation.generate_inputs(CPU, "small-gpt2", 200, NEW, 2)
    notes = Notes()
    generation.generating()(*inputs, notes)
    seconds = notes.values
    whole = seconds["time to first token"] + (NEW - 1) * seconds["inter-token latency"]
    assert seconds["whole throughput"] == pytest.approx(2 * NEW / whole)
    assert seconds["decode throughput"] == pytest.approx(2 / seconds["inter-token latency"])
    assert seconds["longest inter-token latency"] >= seconds["inter-token latency"]
