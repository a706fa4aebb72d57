"""Recurrent language models: every step function computes what torch's module computes, with the same weights."""

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.suites.spoiled_steps import accepted
from torchduet.bench.inputs.reference import to_reference
from torchduet.bench.timing.callables import assemble
from torchduet.bench.timing.compile_watch import CompileWatch
from torchduet.bench.timing.dynamo import CompiledModel
from torchduet.suites.recurrent import suite
from torchduet.suites.recurrent.cells import gru_by_hand
from torchduet.suites.recurrent.model import KINDS, MODELS, Dimensions, LanguageModel
from torchduet.suites.workload import Workload

CPU = torch.device("cpu")
SIZE = {"model": "two layers", "length": 5, "batch": 3}
LOOPS = ("cell", "by_hand", "einsum")  # "by_gate", too, of a GRU's inference
TRAINED, INFERRED = ("train_lstm", "train_gru"), ("infer_lstm", "infer_gru")
EVERY = [
    pytest.param(name, implementation, id=f"{name}-{implementation}")
    for name in (*TRAINED, *INFERRED)
    for implementation in suite.workloads[name].implementations
    if implementation != "fused"
]


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "two layers", Dimensions(vocabulary=11, hidden=6, layers=2))
    torch.manual_seed(0)


def call(workload: Workload, implementation: str, inputs: Sequence[Any]) -> Any:
    return assemble(workload.implementations[implementation].function, "fp32", "cpu")(*inputs)


def parameters_and_gradients(inputs: Sequence[Any]) -> tuple[list[torch.Tensor], list[torch.Tensor | None]]:
    parameters = list(inputs[0].parameters())
    return parameters, [parameter.grad for parameter in parameters]


@pytest.mark.parametrize(("name", "implementation"), EVERY)
def test_every_step_function_computes_what_the_module_computes_up_to_rounding_in_float64(
    name: str, implementation: str
) -> None:
    workload = suite.workloads[name]
    original = workload.inputs(CPU, **SIZE)
    fused, loop = to_reference(original), to_reference(original)
    torch.testing.assert_close(
        call(workload, implementation, loop), call(workload, "fused", fused), rtol=1e-12, atol=1e-13
    )
    torch.testing.assert_close(parameters_and_gradients(loop), parameters_and_gradients(fused), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_step_has_a_gradient_for_every_parameter_and_changes_each(name: str) -> None:
    workload = suite.workloads[name]
    for implementation in ("fused", *LOOPS):
        inputs = workload.inputs(CPU, **SIZE)
        before = [parameter.detach().clone() for parameter in inputs[0].parameters()]
        call(workload, implementation, inputs)
        for parameter, former in zip(inputs[0].parameters(), before, strict=True):
            assert parameter.grad is not None
            assert parameter.grad.any()
            assert not torch.equal(parameter, former)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_cells_have_the_parameters_of_the_module_and_the_copy_for_the_check_shares_them_too(kind: Any) -> None:
    inputs = partial(suite.workloads[f"infer_{'lstm' if kind.gates == 4 else 'gru'}"].inputs, CPU)(**SIZE)
    for model in (inputs[0], to_reference(inputs)[0]):
        for number, cell in enumerate(model.cells):
            for name, parameter in cell.named_parameters():
                assert parameter is getattr(model.recurrent, f"{name}_l{number}")


def test_the_state_is_carried_over() -> None:
    workload = suite.workloads["infer_lstm"]
    model, optimizer, tokens, following, state = to_reference(workload.inputs(CPU, **SIZE))
    for implementation in ("fused", *LOOPS):
        whole, last = call(workload, implementation, (model, optimizer, tokens, following, state))
        first, between = call(workload, implementation, (model, optimizer, tokens[:2], following[:2], state))
        second, after = call(workload, implementation, (model, optimizer, tokens[2:], following[2:], between))
        torch.testing.assert_close((torch.cat([first, second]), after), (whole, last))


def test_the_reset_gate_of_a_gru_multiplies_the_product_and_not_the_state() -> None:
    cell = torch.nn.GRUCell(4, 4, dtype=torch.float64)
    x, h = torch.randn(2, 3, 4, dtype=torch.float64)
    w_r, w_z, w_n = cell.weight_ih.chunk(3)
    u_r, u_z, u_n = cell.weight_hh.chunk(3)
    b_r, b_z, b_n = cell.bias_ih.chunk(3)
    c_r, c_z, c_n = cell.bias_hh.chunk(3)
    r, z = torch.sigmoid(x @ w_r.T + b_r + h @ u_r.T + c_r), torch.sigmoid(x @ w_z.T + b_z + h @ u_z.T + c_z)
    after = torch.tanh(x @ w_n.T + b_n + r * (h @ u_n.T + c_n))
    before = torch.tanh(x @ w_n.T + b_n + (r * h) @ u_n.T + c_n)
    (new,) = gru_by_hand(cell)(x, (h,))
    torch.testing.assert_close(new, (1 - z) * after + z * h)
    assert not torch.allclose(new, (1 - z) * before + z * h)


@pytest.mark.parametrize(
    ("name", "implementation"), [p for p in EVERY if p.values[1] != "cell"]
)  # the counter misses its products
def test_costs_are_what_pytorch_counts(name: str, implementation: str) -> None:
    workload = suite.workloads[name]
    assert workload.cost is not None
    cost = workload.cost(**SIZE)
    with FlopCounterMode(display=False) as counter:
        call(workload, implementation, workload.inputs(CPU, **SIZE))
    assert cost.flops == counter.get_total_flops()
    assert (cost.samples, cost.unit) == (SIZE["length"] * SIZE["batch"], "tokens")


def compiled(implementation: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What Dynamo records of the compiled forward pass of an LSTM model."""
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    model, _, tokens, _, state = suite.workloads["infer_lstm"].inputs(CPU, **SIZE)
    watch = CompileWatch()
    CompiledModel(model)(tokens, state, KINDS["lstm"].steps[implementation])
    return watch.record()


def test_the_graph_breaks_at_the_module_and_what_is_around_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    record = compiled("fused", monkeypatch)
    assert record["graphs"] >= 2  # the embedding, and the layer behind
    (graph_break,) = record["graph_breaks"]
    assert "LSTM" in graph_break["reason"]
    assert any("self.recurrent(" in source for source in graph_break["places"])


@pytest.mark.parametrize("implementation", LOOPS)
def test_a_loop_over_cells_is_one_graph(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record = compiled(implementation, monkeypatch)
    assert (record["graphs"], record["graph_breaks"]) == (1, [])


def test_a_model_learns_to_repeat_a_text() -> None:
    workload = suite.workloads["train_lstm"]
    inputs = workload.inputs(CPU, **SIZE)
    losses = [
        float(call(workload, implementation, inputs)) for implementation in itertools.chain(*[("fused", *LOOPS)] * 25)
    ]
    assert losses[-1] < 0.9 * losses[0]


def test_a_model_of_a_kind_has_the_parameters_of_its_layers_once() -> None:
    dimensions = MODELS["two layers"]
    for kind in KINDS.values():
        layer = 2 * kind.gates * dimensions.hidden * (dimensions.hidden + 1)
        embedding_and_output = dimensions.vocabulary * (2 * dimensions.hidden + 1)
        count = sum(parameter.numel() for parameter in LanguageModel(kind, dimensions).parameters())
        assert count == dimensions.layers * layer + embedding_and_output


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_without_an_optimizer_s_or_with_a_gradient_of_zero_is_refused(name: str) -> None:
    assert accepted(suite.workloads[name], SIZE) == []


def test_a_single_token_by_cells_gives_what_the_module_gives() -> None:
    workload = suite.workloads["next_word_lstm"]
    assert workload.observe is not None
    inputs = to_reference(workload.inputs(CPU, **(SIZE | {"length": 1})))
    fused, cells = (workload.observe(inputs, call(workload, name, inputs)) for name in ("fused", "cell"))
    torch.testing.assert_close(cells, fused, rtol=1e-12, atol=1e-13)
    assert len(fused[1]) == 2


def test_a_single_token_by_cells_has_the_operators_of_a_user_s_loop() -> None:
    """An embedding, a cell for each layer, and the last layer: nothing is stacked, selected or iterated."""
    workload = suite.workloads["next_word_lstm"]
    inputs = workload.inputs(CPU, **(SIZE | {"length": 1}))
    with torch.profiler.profile() as profile:
        call(workload, "cell", inputs)
    top = [event.name for event in profile.events() if event.cpu_parent is None]
    layers = MODELS["two layers"].layers
    assert top == ["aten::embedding", *["aten::lstm_cell"] * layers, "aten::linear"]


def test_training_scales_its_loss_in_fp16() -> None:
    workload = suite.workloads["train_lstm"]
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    inputs = workload.inputs(CPU, **SIZE)
    scaled = to_reference(inputs)
    plain = to_reference(inputs)
    function = workload.implementations["fused"].function
    function(*scaled, nullcontext, scaler)
    function(*plain, nullcontext)
    torch.testing.assert_close(parameters_and_gradients(scaled)[0], parameters_and_gradients(plain)[0])
    assert "fp16" in workload.precisions.of("cuda").up_to("full")
