"""All ways to generate give the same tokens, as many as asked for, and the meter's figures agree with each other."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchduet.suites.transformers import caches, decoders, generate_call, generation
from torchduet.suites.transformers.decoder_models import DECODERS
from torchduet.suites.workload import Meter

pytest.importorskip("transformers.models.gpt2.modeling_gpt2")  # sets warning filters when it is imported
pytest.importorskip("transformers.models.llama.modeling_llama")
StaticLayer = pytest.importorskip("transformers.cache_utils").StaticLayer
CPU = torch.device("cpu")
NEW = 7


class Reads(TorchDispatchMode):
    """Counts the numbers that are read from tensors: on a GPU each waits for the device."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


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


@pytest.mark.parametrize("kind", [generation.LoopByHand, generation.GenerateWithCache, generation.DecodeSteps])
def test_each_continues_the_texts_and_leaves_its_cache_as_it_was(greedy: tuple[Any, ...], kind: Any) -> None:
    expected = generation.LoopByHand(*greedy)(*greedy)
    continuing = kind(*greedy)
    before = caches.cached_tensors(continuing.cache)
    first, second = continuing(*greedy), continuing.renew()(*greedy)
    assert all(
        a[0] is b[0] and a[1] is b[1] for a, b in zip(before, caches.cached_tensors(continuing.cache), strict=True)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first[1], expected[1], rtol=1e-4, atol=1e-4)
    if kind is generation.GenerateWithCache:
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
    (dynamic, logits), (static, others) = (
        generation.suite.workloads["generate"].implementations[name].function(*inputs, Meter())
        for name in ("dynamic", "static")
    )
    assert dynamic.shape == (2, 24 + NEW)
    assert torch.equal(dynamic, static)
    torch.testing.assert_close(logits, others, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["dynamic", "static"])
def test_the_logits_of_the_check_come_from_the_cache_of_the_timed_call(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    inputs = generation.generate_inputs(CPU, "small-gpt2", 24, NEW, 2)
    function = generation.suite.workloads["generate"].implementations[name].function
    texts, logits = function(*inputs, Meter())
    with torch.no_grad():
        expected = inputs[0](texts[:, :-1]).logits[:, -1]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)

    layer = type(caches.dynamic_cache(inputs[0]).layers[0]) if name == "dynamic" else StaticLayer
    update = layer.update

    def forgetful(self: Any, keys: torch.Tensor, values: torch.Tensor, *rest: Any, **more: Any) -> Any:
        return update(self, keys, values * 0.5 if keys.shape[2] == 1 else values, *rest, **more)

    monkeypatch.setattr(layer, "update", forgetful)
    _, wrong = function(*inputs, Meter())
    assert (wrong - expected).norm() > 0.01 * expected.norm()


@pytest.mark.parametrize("value", [None, "true"])
def test_tokenizers_have_their_threads_after_generate_has_compiled(value: str | None) -> None:
    class Compiling:
        def generate(self, tokens: torch.Tensor, **settings: Any) -> torch.Tensor:
            del settings
            os.environ[generate_call.TOKENIZERS] = "0"
            return tokens

    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(generate_call.TOKENIZERS, raising=False)
        if value is not None:
            environment.setenv(generate_call.TOKENIZERS, value)
        generate_call.generate(Compiling(), torch.ones(1, 1), 1)
        assert os.environ.get(generate_call.TOKENIZERS) == value


def test_generate_reads_no_more_from_the_device_for_more_texts() -> None:
    counts = []
    for batch in (1, 2):
        inputs = generation.generate_inputs(CPU, "small-gpt2", 24, NEW, batch)
        with Reads() as reads, torch.no_grad():
            generate_call.generate(*inputs)
        counts.append(reads.count)
    assert counts[0] == counts[1] > 0


def test_the_cost_counts_the_weights_once_for_each_step() -> None:
    decoder = DECODERS["small-gpt2"]
    weights = 4 * (decoder.parameters + decoder.width * decoder.vocabulary)
    cost = generation.greedy_cost("small-gpt2", 128, 15, 1)
    assert cost.bytes is not None
    assert 15 * weights < cost.bytes < 16.5 * weights  # the rest is the cache
    steps = [decoders.decode_cost("small-gpt2", 128 + step, 1, "float32") for step in range(15)]
    assert cost.bytes == sum(step.bytes or 0 for step in steps)
    assert cost.flops == sum(step.flops or 0 for step in steps)


def test_generate_costs_a_prefill_and_the_steps_after_its_first_token() -> None:
    prefill = decoders.prefill_cost("small-gpt2", 24, 2, "float32")
    steps = generation.greedy_cost("small-gpt2", 24, NEW - 1, 2)
    cost = generation.generate_cost("small-gpt2", 24, NEW, 2)
    assert cost.flops == (prefill.flops or 0) + (steps.flops or 0)
    assert cost.bytes == (prefill.bytes or 0) + (steps.bytes or 0)
    assert (cost.samples, cost.unit) == (2 * NEW, "tokens")


def test_the_best_two_logits_lie_further_apart_than_rounding_moves_them() -> None:
    torch.manual_seed(0)
    model, tokens, new = generation.generate_inputs(CPU, "small-gpt2", 128, 16, 1)
    texts = generate_call.generate(model, tokens, new)
    with torch.no_grad():
        logits, exact = model(texts).logits[:, 127:-1], model.double()(texts).logits[:, 127:-1]
    best, second = logits.topk(2).values.unbind(-1)
    assert (best - second).min() > 100 * (logits - exact).abs().max()


def test_the_meter_times_each_token_and_leaves_the_prefill_out_of_the_decode_phase() -> None:
    inputs = generation.generate_inputs(CPU, "small-gpt2", 200, NEW, 2)
    notes = Notes()
    generation.generate_with()(*inputs, notes)
    seconds = notes.values
    whole = seconds["time to first token"] + (NEW - 1) * seconds["inter-token latency"]
    assert seconds["end-to-end throughput"] == pytest.approx(2 * NEW / whole)
    assert seconds["decode throughput"] == pytest.approx(2 / seconds["inter-token latency"])
    assert seconds["longest inter-token latency"] >= seconds["inter-token latency"]
