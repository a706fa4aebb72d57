"""CTC loss by its three implementations, and the training step of Wav2Vec2."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from tests.suites.spoiled_steps import accepted
from torchduet.bench.timing.callables import timed_function
from torchduet.suites.speech import ctc, wav2vec2
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Unavailable

with contextlib.suppress(ImportError):  # its import adds a filter of warnings, which no test may
    import transformers.models.wav2vec2.modeling_wav2vec2  # noqa: F401

CPU = torch.device("cpu")
TINY = {"model": "tiny", "batch": 2, "seconds": 1}
SMALLEST = {"model": "smallest", "batch": 1, "seconds": 1}


@pytest.fixture(autouse=True)
def _smallest_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """One layer; its convolution of positions has one group: PyTorch's counter ignores groups in a backward pass."""
    monkeypatch.setitem(wav2vec2.SHAPES, "smallest", (16, 1, 2, 32, 8, 4, 1))


def in_float64(frames: int, batch: int, classes: int) -> tuple[Any, ...]:
    logits, *others = ctc.logits_and_targets(CPU, frames, batch, classes)
    return logits.detach().double().requires_grad_(), *others


@pytest.mark.parametrize(("frames", "batch", "classes"), [(20, 5, 3), (50, 8, 32), (9, 1, 2)])
def test_the_recursion_by_hand_is_the_loss_of_pytorch(frames: int, batch: int, classes: int) -> None:
    inputs = in_float64(frames, batch, classes)
    torch.testing.assert_close(ctc.by_hand(*inputs), ctc.native(*inputs), rtol=1e-9, atol=1e-12)


def test_the_recursion_sums_over_all_alignments() -> None:
    """Two labels that are the same need a blank between them: of the alignments of 3 frames only one fits."""
    logits = torch.randn(3, 1, 4, dtype=torch.float64, requires_grad=True)
    loss, _ = ctc.by_hand(logits, torch.tensor([[2, 2]]), torch.tensor([2, 2]), (3,), (2,))
    alignment = logits.log_softmax(-1)[[0, 1, 2], 0, [2, 0, 2]].sum()
    torch.testing.assert_close(loss, -alignment.detach() / 2)


def test_a_call_leaves_no_gradient_behind() -> None:
    inputs = ctc.logits_and_targets(CPU, 10, 2, 5)
    for call in (ctc.native, ctc.by_hand, ctc.joined_targets):
        call(*inputs)
        assert inputs[0].grad is None


@pytest.mark.parametrize("frames", [50, 1000, 10_000])
def test_the_inputs_are_such_that_cudnn_takes_them(frames: int) -> None:
    """The conditions in the documentation of ``torch.nn.CTCLoss``."""
    logits, targets, joined, steps, labels = ctc.logits_and_targets(CPU, frames, 7, 32)
    assert ctc.BLANK == 0
    assert logits.dtype == torch.float32
    assert (joined.dtype, joined.dim(), joined.device) == (torch.int32, 1, CPU)
    assert joined.is_contiguous()
    assert len(joined) == sum(labels)
    assert set(steps) == {frames}
    assert max(labels) < 256
    assert max(labels) <= frames
    assert min(labels) >= 1
    assert len(set(labels)) > 1  # the usual case: some are shorter
    assert targets.dtype == torch.int64  # which cuDNN does not take
    assert torch.equal(joined, torch.cat([row[:length] for row, length in zip(targets, labels, strict=True)]).int())
    assert int(joined.min()) > ctc.BLANK


@pytest.mark.parametrize("selected", [True, False])
def test_cudnn_is_timed_only_where_pytorch_selects_it(selected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = ctc.logits_and_targets(CPU, 10, 2, 5)
    asked = []

    def select(*arguments: Any) -> bool:  # as the function has it that is compiled for CUDA only
        schema = torch.ops.aten._use_cudnn_ctc_loss.default._schema
        assert [argument.name for argument in schema.arguments][-1] == "blank"
        assert len(arguments) == len(schema.arguments)
        asked.append(arguments)
        return selected

    monkeypatch.setattr(ctc, "SELECT", select)
    implementation = Suite("speech", "")
    ctc.add_to(implementation)
    described = implementation.workloads["ctc_loss"]
    if selected:
        function = timed_function(described, "cudnn", inputs)
        torch.testing.assert_close(function(*inputs), ctc.native(*inputs))
    else:
        with pytest.raises(Unavailable, match="cuDNN"):
            timed_function(described, "cudnn", inputs)
    ((scores, targets, frames, labels, blank),) = asked
    torch.testing.assert_close(scores, inputs[0].log_softmax(-1))
    assert (targets is inputs[2], frames, labels, blank) == (True, *inputs[3:], ctc.BLANK)


def test_units_are_frames_of_logits_and_seconds_of_sound() -> None:
    cost = ctc.cost(frames=50, batch=8, classes=32)
    assert (cost.samples, cost.unit) == (400, "frames")
    cost = wav2vec2.cost(features=wav2vec2.TRAINED, **(TINY | {"seconds": 5}))
    assert (cost.samples, cost.unit) == (10, "seconds of sound")


# Wav2Vec2


def inputs_of(features: str, size: Mapping[str, Any] = TINY) -> tuple[Any, ...]:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    return wav2vec2.step_inputs(CPU, features=features, **size)


def losses(inputs: Sequence[Any], number: int) -> list[float]:
    return [float(wav2vec2.step(*inputs, autocast=contextlib.nullcontext)) for _ in range(number)]


def test_the_loss_is_the_model_s_own() -> None:
    network, _, sound, labels = inputs = inputs_of(wav2vec2.TRAINED)
    own = network(sound, labels=labels).loss
    assert network.config.ctc_loss_reduction == "sum"
    assert losses(inputs, 1)[0] == pytest.approx(own.item(), rel=1e-6)


def test_a_step_is_the_same_from_the_same_state_and_learns() -> None:
    inputs = inputs_of(wav2vec2.TRAINED)
    again = copy.deepcopy(inputs)
    first = losses(inputs, 20)
    assert losses(again, 20) == pytest.approx(first, rel=1e-4)  # nothing random: no dropout, masks or dropped layers
    assert first[-1] < first[0]


def test_frozen_convolutions_stay_and_all_else_is_trained() -> None:
    for features, moving in ((wav2vec2.FROZEN, False), (wav2vec2.TRAINED, True)):
        inputs = inputs_of(features)
        before = {name: value.detach().clone() for name, value in inputs[0].named_parameters()}
        losses(inputs, 1)
        for name, value in inputs[0].named_parameters():
            trained = moving or "feature_extractor" not in name
            if "masked_spec_embed" not in name and "k_proj.bias" not in name:  # unused; without effect
                assert (not torch.equal(value, before[name])) == trained, name


def test_the_operations_are_those_that_pytorch_counts() -> None:
    network, _, sound, _ = inputs_of(wav2vec2.TRAINED)
    network.set_attn_implementation("eager")  # whose products it counts
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(sound)
    assert counter.get_total_flops() == 2 * sum(wav2vec2.forward_flops("tiny", 1))


@pytest.mark.parametrize("features", [wav2vec2.TRAINED, wav2vec2.FROZEN])
def test_a_step_costs_what_pytorch_counts_without_the_gradient_of_the_sound(features: str) -> None:
    inputs = inputs_of(features, SMALLEST)
    inputs[0].set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        losses(inputs, 1)
    never_read = wav2vec2.forward_flops("smallest", 1)[0] if features == wav2vec2.TRAINED else 0
    assert wav2vec2.cost(features=features, **SMALLEST).flops == counter.get_total_flops() - never_read


@pytest.mark.parametrize("features", [wav2vec2.TRAINED, wav2vec2.FROZEN])
def test_a_step_without_an_optimizer_s_or_with_a_gradient_of_zero_is_refused(features: str) -> None:
    pytest.importorskip("transformers")
    suite = Suite("speech", "")
    wav2vec2.add_to(suite)
    assert accepted(suite.workloads["train_wav2vec2"], SMALLEST | {"features": features}) == []


def test_base_has_the_shape_of_the_published_model() -> None:
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        network = wav2vec2.recogniser("base")
        published = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config())  # its defaults: wav2vec2-base-960h
    assert {n: p.shape for n, p in network.named_parameters()} == {n: p.shape for n, p in published.named_parameters()}
    assert wav2vec2.frames(16_000)[-1] == 49


def test_the_loss_of_padded_targets_ignores_the_padding() -> None:
    logits, targets, joined, frames, labels = in_float64(30, 4, 6)
    other = targets.clone()
    for row, length in zip(other, labels, strict=True):
        row[length:] = 1
    expected = F.ctc_loss(logits.log_softmax(-1), joined, frames, labels).detach()
    for call in (ctc.native, ctc.by_hand):
        torch.testing.assert_close(call(logits, other, joined, frames, labels)[0], expected)
