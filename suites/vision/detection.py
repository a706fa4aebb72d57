"""Detectors: Tiny YOLO v2 and YOLOS find objects in images; non-maximum suppression by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites import model as training
from torchduet.suites.extras import require
from torchduet.suites.mlp import Autocast, Scaler
from torchduet.suites.steps import FORMATS_LATER, backward_and_step, cost_of, seconds_of
from torchduet.suites.vision.boxes import cluster, detections, greedy
from torchduet.suites.vision.common import EAGER_FIRST, FP32_FIRST, evaluated, images, part
from torchduet.suites.vision.transformer import DETECTORS
from torchduet.suites.vision.yolo import TINY_YOLOS, decode, loss_of, random_objects
from torchduet.suites.workload import Axis, Cost

suite = part()

MAX_BOXES = 100  # of an image, with which suppression begins
YOLO_AXES = {
    "network": Axis(default=["tiny-yolo-narrow"], full=["tiny-yolo"], on={"cuda": Axis(default=["tiny-yolo"])}),
    "batch": Axis(default=[4], on={"cuda": Axis(default=[32], full=[1])}),
}


def yolo(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A detector, its optimiser, images (batch, 3, n, n), and the objects in them as the loss takes them."""
    architecture = TINY_YOLOS[network]
    model = architecture.network().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x, _ = images(device, batch, architecture.pixels, architecture.classes)
    return model, optimizer, x, *(objects.to(device) for objects in random_objects(architecture, batch))


def evaluated_yolo(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A detector in evaluation mode, its anchors, and images."""
    model, _, x, *_ = yolo(device, network, batch)
    return evaluated(model, x), TINY_YOLOS[network].anchors().to(device), x


def train_yolo(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    index: Tensor,
    centre: Tensor,
    stretch: Tensor,
    label: Tensor,
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    optimizer.zero_grad()
    with autocast():
        output = model(x)
    loss = loss_of(output.to(x.dtype), index, centre, stretch, label)
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def infer_yolo(model: nn.Module, anchors: Tensor, x: Tensor, autocast: Autocast) -> tuple[Tensor, Tensor, list[Any]]:
    """Boxes and scores of all predictions, and what remains after suppression."""
    with torch.no_grad():
        with autocast():
            output = model(x)
        boxes, scores = decode(output.to(x.dtype), anchors)
        return boxes, scores, detections(boxes, scores, MAX_BOXES)


def yolo_training_cost(network: str, batch: int) -> Cost:
    """The cost of the convolutions in a training step."""
    return cost_of(TINY_YOLOS[network].multiply_adds(), batch, training=True)


def yolo_cost(network: str, batch: int) -> Cost:
    """The cost of the convolutions in an inference step."""
    return cost_of(TINY_YOLOS[network].multiply_adds(), batch, training=False)


def continuous(inputs: Sequence[Any], result: Sequence[Any]) -> tuple[Any, ...]:
    """The part of a detector's result that is compared: all boxes and scores.

    Rounding decides which of two boxes of nearly the same score is kept; ``nms`` checks that choice for given boxes.
    """
    del inputs
    return tuple(result[:2])


suite.compare(
    "train_yolo",
    {"step": train_yolo},
    about="Training step of Tiny YOLO v2: coordinates, objects and classes; SGD",
    inputs=yolo,
    axes=YOLO_AXES,
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    knobs=FORMATS_LATER,
    observe=training.state,
    cost=yolo_training_cost,
    call_seconds=seconds_of(yolo_training_cost),
)

suite.compare(
    "infer_yolo",
    {"step": infer_yolo},
    about="Inference step of Tiny YOLO v2 with its post-processing: boxes, best scores, non-maximum suppression",
    inputs=evaluated_yolo,
    axes=YOLO_AXES,
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    knobs=FORMATS_LATER,
    observe=continuous,
    cost=yolo_cost,
    call_seconds=seconds_of(yolo_cost),
)


def crowded(device: torch.device, n: int) -> tuple[Tensor]:
    """``n`` boxes around n / 8 objects in an image of 640×640, best first.

    Sides are in whole pixels, so that areas and overlaps above one half are exact in fp32.
    """
    objects = torch.randint(n // 8, (n,))
    centre = 64 + 512 * torch.rand(n // 8, 2)[objects] + 8 * torch.randn(n, 2)
    half = 16 + 32 * torch.rand(n // 8, 2)[objects] + 4 * torch.rand(n, 2)
    return (torch.cat((centre - half, centre + half), dim=1).round().to(device),)


suite.compare(
    "nms",
    {"greedy": greedy, "cluster": cluster},
    about="Non-maximum suppression: box by box, and by Cluster-NMS, all overlaps at once",
    inputs=crowded,
    axes={"n": Axis(default=[256], full=[1024], on={"cuda": Axis(default=[1024], full=[256])})},
    modes=["eager"],  # the number of boxes that remain decides how often both repeat
)


class EagerLosses(nn.Module):
    """Losses that torch.compile leaves out: their matching is computed by SciPy."""

    def __init__(self, losses: nn.Module) -> None:
        super().__init__()
        self.losses = losses

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, predicted: Mapping[str, Tensor], objects: list[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Each loss by its name."""
        return self.losses(predicted, objects)  # type: ignore[no-any-return]


def yolos(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A YOLOS detector, its optimiser and loss, images, and the objects in each: classes, boxes in shares of the sides.

    The loss is that of the model, which the model itself computes in fp32 only: a module among the inputs follows them
    to float64.

    Raises:
        Unavailable: a package is not installed: SciPy solves the assignment within the loss, and transformers offers
            its functions for boxes with Pillow only.
    """
    require("transformers", "transformers", "scipy", "PIL")
    from transformers.loss.loss_for_object_detection import HungarianMatcher, ImageLoss

    architecture = DETECTORS[network]
    model = architecture.detector().to(device).train()
    costs = {name: getattr(model.config, name) for name in ("class_cost", "bbox_cost", "giou_cost")}
    losses = ImageLoss(
        matcher=HungarianMatcher(**costs),
        num_classes=architecture.classes,
        eos_coef=model.config.eos_coefficient,
        losses=["labels", "boxes", "cardinality"],
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x, _ = images(device, batch, architecture.pixels, architecture.classes)
    objects = [
        {
            "class_labels": torch.randint(architecture.classes, (4,), device=device),
            "boxes": 0.2 + 0.4 * torch.rand(4, 4, device=device),
        }
        for _ in range(batch)
    ]
    return model, optimizer, EagerLosses(losses).to(device), x, objects


def evaluated_yolos(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A YOLOS detector in evaluation mode, and images."""
    architecture = DETECTORS[network]
    model = architecture.detector().to(device).eval()
    return model, images(device, batch, architecture.pixels, architecture.classes)[0]


def train_yolos(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: nn.Module,
    x: Tensor,
    objects: list[Mapping[str, Tensor]],
    autocast: Autocast,
    scaler: Scaler = None,
) -> Tensor:
    """Zero_grad, forward under autocast, matching and losses in the type of the images, backward, optimiser step.

    Coarse rounding may change which prediction is matched with an object, and so the loss and the gradients; the check
    allows what it changes in references that are perturbed by as much.
    """
    optimizer.zero_grad()
    with autocast():
        output = model(pixel_values=x)
    predicted = {"logits": output.logits.to(x.dtype), "pred_boxes": output.pred_boxes.to(x.dtype)}
    parts = losses(predicted, objects)
    config: Any = model.config
    loss: Tensor = parts["loss_ce"]
    loss = loss + config.bbox_loss_coefficient * parts["loss_bbox"] + config.giou_loss_coefficient * parts["loss_giou"]
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def infer_yolos(model: nn.Module, x: Tensor, autocast: Autocast) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes in pixels, the best score of each and its class; a transformer needs no suppression."""
    with torch.no_grad():
        with autocast():
            output = model(pixel_values=x)
        scores, classes = output.logits.to(x.dtype).softmax(dim=2)[..., :-1].max(dim=2)
        centre, size = output.pred_boxes.to(x.dtype).split(2, dim=2)
        return torch.cat((centre - size / 2, centre + size / 2), dim=2) * x.shape[-1], scores, classes


def yolos_training_cost(network: str, batch: int) -> Cost:
    """The cost of the network in a training step."""
    return cost_of(DETECTORS[network].multiply_adds(), batch, training=True)


def yolos_cost(network: str, batch: int) -> Cost:
    """The cost of the network in an inference step."""
    return cost_of(DETECTORS[network].multiply_adds(), batch, training=False)


YOLOS_AXES = {
    "network": Axis(default=["yolos-narrow"], full=["yolos-tiny"], on={"cuda": Axis(default=["yolos-tiny"])}),
    "batch": Axis(default=[4], on={"cuda": Axis(default=[8], full=[1])}),
}

suite.compare(
    "train_yolos",
    {"step": train_yolos},
    about="Training step of YOLOS, a transformer that detects: bipartite matching on the CPU, AdamW",
    inputs=yolos,
    axes=YOLOS_AXES,
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    observe=training.state,
    cost=yolos_training_cost,
    call_seconds=seconds_of(yolos_training_cost),
)

suite.compare(
    "infer_yolos",
    {"step": infer_yolos},
    about="Inference step of YOLOS with its post-processing: boxes, best scores and classes",
    inputs=evaluated_yolos,
    axes=YOLOS_AXES,
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    observe=continuous,
    cost=yolos_cost,
    call_seconds=seconds_of(yolos_cost),
)
