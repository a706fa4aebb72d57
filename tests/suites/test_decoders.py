"""Decode steps leave their caches as they were, agree, wait for nothing, and cost what the models' sizes say."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from torchduet.suites import memory
from torchduet.suites.transformers import caches, decoders
from torchduet.suites.transformers.common import with_attention
from torchduet.suites.transformers.decoder_models import DECODERS
from torchduet.suites.transformers.generate_call import generate
from torchduet.suites.workload import Unavailable

pytest.importorskip("transformers.models.gpt2.modeling_gpt2")  # sets warning filters when it is imported
pytest.importorskip("transformers.models.llama.modeling_llama")
CPU = torch.device("cpu")
SMALL = ("small-gpt2", "small-llama")
CONTEXT = 24
STATIC_LAYER = pytest.importorskip("transformers.cache_utils").StaticLayer
needs_static_steps = pytest.mark.skipif(
    not hasattr(STATIC_LAYER(1), "cumulative_length"), reason="this transformers has no such static cache"
)


@pytest.fixture(params=SMALL)
def inputs(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    torch.manual_seed(0)
    return decoders.decode_inputs(CPU, request.param, CONTEXT, 2, "float32")


def test_a_step_leaves_the_dynamic_cache_with_the_same_tensors(inputs: tuple[Any, ...]) -> None:
    before = caches.cached_tensors(inputs[1])
    values = [(keys.clone(), rows.clone()) for keys, rows in before]
    decoders.decode_dynamic(*inputs)
    after = caches.cached_tensors(inputs[1])
    assert all(a is b for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))
    torch.testing.assert_close(after, values, rtol=0, atol=0)


@needs_static_steps
def test_steps_against_a_static_cache_write_the_same_position(inputs: tuple[Any, ...]) -> None:
    first = decoders.decode_static(*inputs)
    keys = [layer.keys.clone() for layer in inputs[2].layers]
    second = decoders.decode_static(*inputs)
    assert [int(layer.cumulative_length) for layer in inputs[2].layers] == [CONTEXT] * len(keys)
    torch.testing.assert_close([layer.keys for layer in inputs[2].layers], keys, rtol=0, atol=0)
    torch.testing.assert_close(second, first, rtol=0, atol=0)


@needs_static_steps
def test_a_step_is_the_whole_text_computed_without_a_cache(inputs: tuple[Any, ...]) -> None:
    torch.manual_seed(0)
    model = inputs[0]
    text = torch.randint(1024, (2, CONTEXT))
    dynamic = caches.filled_dynamic_cache(model, text, inputs[-1])
    static = caches.filled_static_cache(model, text, 8, inputs[-1])
    with torch.no_grad():
        expected = model(torch.cat((text, inputs[3]), dim=1)).logits[:, -1:]
    torch.testing.assert_close(caches.step(model, dynamic, inputs[3], inputs[-1]), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(caches.static_step(model, static, inputs[3], inputs[-1]), expected, rtol=1e-4, atol=1e-4)


class Reads(TorchDispatchMode):
    """Counts the numbers that are read from tensors: on a GPU each waits for the device."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@needs_static_steps
def test_a_step_reads_nothing_back_from_the_device(inputs: tuple[Any, ...]) -> None:
    with Reads() as reads:
        decoders.decode_dynamic(*inputs)
        decoders.decode_static(*inputs)
    assert reads.count == 0
    with Reads() as reads:
        inputs[2].layers[0].cumulative_length.item()
    assert reads.count == 1


@pytest.mark.parametrize("name", SMALL)
def test_the_formula_counts_the_weights_of_the_matrices(name: str) -> None:
    decoder = DECODERS[name]
    model = decoder.make(CPU)
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    matrices = [weight for weight in model.parameters() if weight.ndim == 2 and id(weight) not in embeddings]
    assert decoder.parameters == sum(weight.numel() for weight in matrices)


def test_a_second_implementation_of_attention_has_the_same_parameters() -> None:
    model = DECODERS["small-llama"].make(CPU)
    eager = with_attention(model, "eager")
    assert all(a is b for a, b in zip(model.parameters(), eager.parameters(), strict=True))
    assert (model.config._attn_implementation, eager.config._attn_implementation) == ("sdpa", "eager")


def test_a_prefill_fills_a_new_cache_in_each_call() -> None:
    torch.manual_seed(0)
    inputs = decoders.prefill_inputs(CPU, "small-llama", 16, 2, "float32")
    (first, cache), (second, other) = decoders.prefill_sdpa(*inputs), decoders.prefill_eager(*inputs)
    assert cache is not other
    assert cache.get_seq_length() == other.get_seq_length() == 16
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("keyword", ["cache", "past_key_values"])
def test_the_cache_is_passed_by_the_name_that_the_forward_pass_has(keyword: str) -> None:
    passed = []

    def forward(self: Any, tokens: Any, settings: Any, cache: Any) -> Any:
        del self, tokens, settings
        passed.append(cache)
        return SimpleNamespace(logits=torch.zeros(1))

    class Recent(torch.nn.Module):
        def forward(self, tokens: Any, cache: Any = None, **settings: Any) -> Any:
            return forward(self, tokens, settings, cache)

    class Earlier(torch.nn.Module):
        def forward(self, tokens: Any, past_key_values: Any = None, **settings: Any) -> Any:
            return forward(self, tokens, settings, past_key_values)

    model, held = (Recent() if keyword == "cache" else Earlier()), object()
    assert caches.keyword_of(model) == keyword
    caches.forward(model, torch.zeros(1, 1), held, keyword)
    assert passed == [held]


def test_without_a_usable_static_cache_only_its_own_cases_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class StaticCache:
        def __init__(self, **_: Any) -> None:
            self.layers = [SimpleNamespace()]  # that count no tokens, as those of transformers 5.0

    monkeypatch.setattr(sys.modules["transformers"], "StaticCache", StaticCache)
    inputs = decoders.decode_inputs(CPU, "small-llama", CONTEXT, 2, "float32")
    assert decoders.decode_dynamic(*inputs).shape == (2, 1, 1024)
    with pytest.raises(Unavailable, match="newer transformers"):
        decoders.decode_static(*inputs)
    decoders.attention_inputs(CPU, "small-llama", CONTEXT, 2, "float32")


def test_a_model_in_bfloat16_has_rotary_frequencies_in_float32() -> None:
    exact = DECODERS["small-llama"].make(CPU).model.rotary_emb.inv_freq
    model = DECODERS["small-llama"].make(CPU, "bfloat16")
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(model.model.rotary_emb.inv_freq, exact, rtol=0, atol=0)


def test_a_model_is_made_on_its_device() -> None:
    model = DECODERS["llama-1b"].make(torch.device("meta"), "bfloat16")
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


@pytest.mark.parametrize("name", SMALL)
def test_the_memory_of_a_model_is_that_of_its_weights(name: str) -> None:
    weights = sum(weight.nbytes for weight in DECODERS[name].make(CPU).parameters())
    assert DECODERS[name].fp32_bytes == pytest.approx(weights, rel=0.01)  # norms and biases are left out


def test_a_model_that_the_memory_cannot_hold_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    with pytest.raises(Unavailable, match="20 GB of the host's memory, of which 1 GB are free"):
        DECODERS["llama-1b"].make(CPU)
    DECODERS["small-llama"].make(CPU)


@pytest.mark.parametrize("name", SMALL)
def test_a_decode_step_costs_what_pytorch_counts(name: str) -> None:
    model, dynamic, _, token, keyword = decoders.decode_inputs(CPU, name, CONTEXT, 2, "float32")
    eager = with_attention(model, "eager")  # the counter leaves out the CPU's own SDPA
    with FlopCounterMode(display=False) as counter:
        caches.step(eager, dynamic, token, keyword)
    cost = decoders.decode_cost(name, CONTEXT, 2, "float32")
    assert (cost.flops, cost.samples, cost.unit) == (counter.get_total_flops(), 2, "tokens")


@pytest.mark.parametrize("name", SMALL)
def test_a_prefill_costs_what_pytorch_counts_without_the_pairs_that_the_mask_hides(name: str) -> None:
    length, batch, decoder = 16, 2, DECODERS[name]
    inputs = decoders.prefill_inputs(CPU, name, length, batch, "float32")
    with FlopCounterMode(display=False) as counter:
        decoders.prefill_eager(*inputs)
    hidden = batch * length * (length - 1) / 2
    cost = decoders.prefill_cost(name, length, batch, "float32")
    assert cost.flops == counter.get_total_flops() - 4 * decoder.layers * decoder.width * hidden


@pytest.mark.parametrize("name", SMALL)
def test_the_bytes_of_a_step_are_those_of_its_weights_and_its_cache(name: str) -> None:
    inputs = decoders.decode_inputs(CPU, name, CONTEXT, 2, "float32")
    model = inputs[0]
    positions = {id(model.transformer.wpe.weight)} if name == "small-gpt2" else set()  # one row of them is read
    weights = sum(weight.nbytes for weight in model.parameters() if weight.ndim == 2 and id(weight) not in positions)
    cached = sum(keys.nbytes + values.nbytes for keys, values in caches.cached_tensors(inputs[1]))
    written = cached / CONTEXT
    assert decoders.decode_cost(name, CONTEXT, 2, "float32").bytes == weights + cached + written
    prefill = decoders.prefill_cost(name, CONTEXT, 2, "float32")
    assert prefill.bytes == weights + cached


@needs_static_steps
def test_the_static_cache_of_decode_room_has_memory_for_a_whole_context_window() -> None:
    workload = decoders.suite.workloads["decode_room"]
    (size,) = workload.sizes("default")
    static = workload.inputs(CPU, **size)[2]
    assert static.layers[0].keys.shape[2] == size["context"] + size["room"] == 2048


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("name", SMALL)
def test_on_a_gpu_steps_do_not_wait_for_the_device_and_agree_with_generate(name: str) -> None:
    device = torch.device("cuda")
    inputs = decoders.decode_inputs(device, name, CONTEXT, 2, "float32")
    decoders.decode_dynamic(*inputs)  # the first call sets up libraries, and waits
    decoders.decode_static(*inputs)
    torch.cuda.set_sync_debug_mode("error")
    try:
        dynamic, static = decoders.decode_dynamic(*inputs), decoders.decode_static(*inputs)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(dynamic, static, rtol=1e-3, atol=1e-3)
    texts = generate(inputs[0], decoders.texts(name, 2, CONTEXT, device), 4)
    assert texts.shape == (2, CONTEXT + 4)


def test_the_suite_is_loaded_without_transformers() -> None:
    code = "import sys, torchduet.suites.transformers; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
