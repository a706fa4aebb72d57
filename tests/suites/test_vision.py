"""Networks for images: they are the published ones, both memory formats agree, and boxes are what they should be."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.suites.spoiled_steps import accepted
from torchduet.bench.inputs.reference import to_reference
from torchduet.bench.timing.callables import assemble, in_float64
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.reference import reference_result
from torchduet.bench.timing.checking.results import Results, observed
from torchduet.bench.timing.conversions import lay_out
from torchduet.suites.registry import libraries
from torchduet.suites.vision import boxes, suite, yolo
from torchduet.suites.vision.resnet import RESNETS
from torchduet.suites.vision.transformer import VITS
from torchduet.suites.vision.vgg import VGGS
from torchduet.suites.workload import Size, Unavailable, Workload

CPU = torch.device("cpu")
SIZES = [
    pytest.param(workload, size, id=f"{workload.name}-{size.get('network')}")
    for workload in suite.workloads.values()
    for size in workload.sizes("default")
]
NETWORKS = [case for case in SIZES if case.values[0].cost]
CONVERTED = [case for case in SIZES if case.values[0].knobs]
INFERRED = ("infer_classifier", "infer_vgg", "infer_yolo")
TRAINED = [case for case in SIZES if case.values[0].name.startswith("train")]


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """Imports transformers before the tests, as that changes the filters of warnings."""
    with contextlib.suppress(ImportError):
        for name in libraries(["vision"]):
            importlib.import_module(name)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors need no more; on a busy machine threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def inputs_of(workload: Workload, size: Size | None = None, seed: int = 0) -> tuple[Any, ...]:
    torch.manual_seed(seed)
    try:
        return tuple(workload.inputs(CPU, **(size or next(workload.sizes("default")))))
    except Unavailable as reason:
        pytest.skip(str(reason))


def results_of(workload: Workload, inputs: tuple[Any, ...]) -> Results:
    """The values by which a call is checked."""
    (implementation,) = workload.implementations.values()
    return observed(workload, inputs, assemble(implementation.function, "fp32", "cpu")(*inputs))


def result_of(workload: Workload, inputs: tuple[Any, ...]) -> list[Tensor]:
    """The same without their names."""
    return [part.value for part in results_of(workload, inputs).values() if isinstance(part.value, Tensor)]


def small(size: Size) -> Size:
    """The size with two images."""
    return {**size, **({"batch": 2} if "batch" in size else {})}


def numbers(module: nn.Module, *, with_statistics: bool = False) -> int:
    """How many numbers a network learns, and those of its batch normalisation."""
    statistics = (buffer.numel() for buffer in module.buffers() if buffer.dim()) if with_statistics else ()
    return sum(parameter.numel() for parameter in module.parameters()) + sum(statistics)


def test_the_networks_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert numbers(RESNETS["resnet18"].network()) == 11_689_512
        assert numbers(VGGS["vgg11"].network()) == 132_863_336
        assert numbers(yolo.TINY_YOLOS["tiny-yolo"].network(), with_statistics=True) == 15_867_885


def test_the_transformers_have_the_published_numbers_of_parameters() -> None:
    pytest.importorskip("transformers")
    with torch.device("meta"):
        assert numbers(VITS["vit-tiny"].network()) == 5_717_416
        assert numbers(VITS["vit-base"].network()) == 86_567_656


def test_the_networks_take_the_published_numbers_of_operations() -> None:
    def multiply_adds(architecture: Any) -> float:
        return sum(architecture.multiply_adds()) / 1e9

    assert multiply_adds(RESNETS["resnet18"]) == pytest.approx(1.81, abs=0.005)
    assert multiply_adds(VGGS["vgg11"]) == pytest.approx(7.61, abs=0.005)
    assert 2 * multiply_adds(yolo.TINY_YOLOS["tiny-yolo"]) == pytest.approx(6.97, abs=0.005)
    assert multiply_adds(VITS["vit-tiny"]) == pytest.approx(1.26, abs=0.01)


def test_the_narrow_transformer_takes_as_many_operations_as_the_narrow_resnet() -> None:
    resnet, vit = RESNETS["resnet18-narrow"].multiply_adds(), VITS["vit-narrow"].multiply_adds()
    assert sum(vit) == pytest.approx(sum(resnet), rel=0.2)


@pytest.mark.parametrize(("workload", "size"), NETWORKS)
def test_the_cost_is_what_pytorch_counts(workload: Workload, size: Size) -> None:
    inputs = inputs_of(workload, size)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # of other kernels it counts what the backward pass computes again
        results_of(workload, inputs)
    assert workload.cost is not None
    assert workload.cost(**size).flops == counter.get_total_flops()


@pytest.mark.parametrize(("workload", "size"), NETWORKS)
def test_samples_are_images(workload: Workload, size: Size) -> None:
    assert workload.cost is not None
    cost = workload.cost(**size)
    assert (cost.samples, cost.unit) == (size["batch"], "images")


@pytest.mark.parametrize(("workload", "size"), CONVERTED)
def test_channels_last_changes_nothing_but_rounding(workload: Workload, size: Size) -> None:
    reference = reference_result(workload, inputs_of(workload, small(size)), in_float64(workload))
    inputs = inputs_of(workload, small(size))
    lay_out(inputs, "channels_last")
    check(workload, "fp32", results_of(workload, inputs), reference)


@pytest.mark.parametrize(("workload", "size"), NETWORKS)
def test_in_float64_every_network_is_finite(workload: Workload, size: Size) -> None:
    results = result_of(workload, to_reference(inputs_of(workload, small(size))))
    assert all(result.dtype == torch.float64 and bool(result.isfinite().all()) for result in results)


@pytest.mark.parametrize(("workload", "size"), TRAINED)
def test_a_spoiled_step_is_refused(workload: Workload, size: Size) -> None:
    inputs_of(workload, size)  # skips where a package is missing
    assert accepted(workload, small(size), max_gradients=8) == []


@pytest.mark.parametrize(("workload", "size"), [case for case in NETWORKS if case.values[0].name in INFERRED])
def test_what_a_network_returns_depends_on_the_images(workload: Workload, size: Size) -> None:
    inputs = inputs_of(workload, size)
    result = result_of(workload, inputs)[-1]
    inputs[-1].copy_(inputs[-1].flip(0))
    assert (result_of(workload, inputs)[-1] - result).norm() > 0.1 * result.norm()


def test_resnet_and_the_transformer_stand_in_one_table() -> None:
    for name in ("train_classifier", "infer_classifier"):
        for device, networks in (("cpu", {"resnet18-narrow", "vit-narrow"}), ("cuda", {"resnet18", "vit-tiny"})):
            sizes = list(suite.workloads[name].sizes("default", device))
            assert {size["network"] for size in sizes} == networks
            assert len({size["batch"] for size in sizes}) == 1


def test_the_loss_of_yolos_is_that_of_the_model() -> None:
    inputs = inputs_of(suite.workloads["train_yolos"])
    model, *_, x, objects = inputs
    expected = model(pixel_values=x, labels=objects).loss
    assert float(result_of(suite.workloads["train_yolos"], inputs)[0]) == pytest.approx(expected.item())


def test_the_predictions_of_yolos_differ() -> None:
    workload = suite.workloads["infer_yolos"]
    _, scores = result_of(workload, inputs_of(workload))
    assert scores.std(dim=1).min() > 1e-4 * scores.mean()  # equal ones would leave the matching to rounding


@pytest.mark.parametrize("seed", range(2))
def test_rounding_to_fp32_does_not_change_what_yolos_matches(seed: int) -> None:
    workload = suite.workloads["train_yolos"]
    inputs = inputs_of(workload, seed=seed)
    expected = result_of(workload, to_reference(inputs))
    largest = max(float(value.norm()) for value in expected)
    for value, exact in zip(result_of(workload, inputs), expected, strict=True):
        assert (value - exact).norm() < 1e-4 * largest


@pytest.mark.parametrize("n", [8, 64, 256])
def test_both_ways_of_suppression_keep_the_same_boxes(n: int) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        (crowd,) = suite.workloads["nms"].inputs(CPU, n=n)
        kept = boxes.greedy(crowd)
        assert torch.equal(boxes.cluster(crowd), kept)
        overlapping = boxes.overlaps(crowd, crowd) > boxes.OVERLAP
        assert not overlapping[kept][:, kept].fill_diagonal_(False).any()
        for index in (~kept).nonzero():  # each of the others overlaps a better one that is kept
            assert (overlapping[index, :index] & kept[:index]).any()


def test_boxes_overlap_by_intersection_over_union() -> None:
    box = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    others = torch.tensor([[0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 6.0, 2.0], [4.0, 0.0, 6.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    assert boxes.overlaps(box, others).tolist() == [[1.0, pytest.approx(1 / 3), 0.0, pytest.approx(1 / 8)]]


def test_boxes_of_two_classes_do_not_suppress_each_other() -> None:
    box = torch.tensor([[10.0, 10.0, 30.0, 30.0]])
    candidates = torch.cat((box, box + 1, box + 2))[None]
    scores = torch.tensor([[[0.9, 0.0], [0.8, 0.0], [0.0, 0.7]]])
    ((kept, score, label),) = boxes.detections(candidates, scores, max_boxes=100)
    assert kept.tolist() == [candidates[0, 0].tolist(), candidates[0, 2].tolist()]
    assert (score.tolist(), label.tolist()) == (pytest.approx([0.9, 0.7]), [0, 1])


def perfect(architecture: yolo.TinyYolo, index: Tensor, centre: Tensor, stretch: Tensor, label: Tensor) -> Tensor:
    """The output of a network that finds these objects and no others."""
    cells = architecture.pixels // yolo.CELL
    output = torch.zeros(int(index[0].max()) + 1, architecture.outputs(), cells, cells)
    predicted = yolo.by_anchor(output)
    predicted[..., 4] = -30
    image, anchor, row, column = index
    values = torch.cat((centre.logit(), stretch, torch.full((len(label), 1), 30.0)), dim=1)
    predicted[image, anchor, row, column, :5] = values
    predicted[image, anchor, row, column, 5 + label] = 30
    return output


def test_a_perfect_detector_has_no_loss_and_finds_every_object() -> None:
    torch.manual_seed(0)
    architecture = yolo.TINY_YOLOS["tiny-yolo"]
    objects = yolo.random_objects(architecture, batch=4, each=1)
    index, centre, stretch, _ = objects
    output = perfect(architecture, *objects)
    assert float(yolo.loss_of(output, *objects)) == pytest.approx(0, abs=1e-4)
    assert float(yolo.loss_of(torch.zeros_like(output), *objects)) > 1

    decoded, scores = yolo.decode(output, architecture.anchors())
    remaining = boxes.detections(decoded, scores, max_boxes=100)
    for image, (kept, score, _) in enumerate(remaining):
        assert int((score > 0.5).sum()) == 1
        middle = (torch.stack((index[3, image], index[2, image])) + centre[image]) * yolo.CELL
        size = architecture.anchors()[index[1, image]] * stretch[image].exp() * yolo.CELL
        torch.testing.assert_close(kept[0], torch.cat((middle - size / 2, middle + size / 2)))
