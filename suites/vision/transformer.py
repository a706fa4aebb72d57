"""What the vision transformers of the package transformers are made of: sizes, operations and models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from torchduet.suites.extras import require


class Logits(nn.Module):
    """A classifier of transformers that takes images and returns scores, as other classifiers do."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, pixels, pixels) to (batch, classes)."""
        return self.classifier(pixel_values=x).logits  # type: ignore[no-any-return]


@dataclass(frozen=True)
class VisionTransformer:
    """The architecture of a transformer on the patches of an image (Dosovitskiy et al. 2021).

    Attributes:
        pixels: sides of the image; ``patch`` is the side of each patch.
        width, layers, heads: of the transformer; its feed-forward layers are four times as wide.
        classes: number of classes.
        queries: number of detection tokens (YOLOS, Fang et al. 2021); 0 for a classifier.
    """

    pixels: int
    patch: int
    width: int
    layers: int
    heads: int
    classes: int
    queries: int = 0

    def sizes(self) -> dict[str, Any]:
        """The arguments that a configuration of transformers takes."""
        return {
            "patch_size": self.patch,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.width,
            "num_labels": self.classes,
        }

    def network(self) -> Logits:
        """A new ``ViTForImageClassification`` with random weights; its dropout is 0.

        Raises:
            Unavailable: transformers is not installed.
        """
        require("transformers", "transformers")
        from transformers import ViTConfig, ViTForImageClassification

        return Logits(ViTForImageClassification(ViTConfig(image_size=self.pixels, **self.sizes())))

    def detector(self) -> Any:
        """A new ``YolosForObjectDetection`` with random weights; the last class of its scores is "no object".

        The package leaves all tokens and positions at zero, so that all predictions are equal and rounding decides
        which of them is matched with an object. Here they are random, as the detection tokens of Fang et al. 2021 are.

        Raises:
            Unavailable: transformers is not installed.
        """
        require("transformers", "transformers")
        from transformers import YolosConfig, YolosForObjectDetection

        config = YolosConfig(image_size=[self.pixels] * 2, num_detection_tokens=self.queries, **self.sizes())
        model = YolosForObjectDetection(config)
        for name, parameter in model.named_parameters():
            if name.endswith(("_token", "_tokens", "position_embeddings")):
                nn.init.normal_(parameter, std=config.initializer_range)
        return model

    def multiply_adds(self) -> tuple[int, ...]:
        """Per image: of the patches' embedding, the layers' weights, attention and the heads.

        A layer has 12 × width² weights, each used once per token, and attention multiplies a vector of that width
        twice per pair of tokens (Kaplan et al. 2020, table 1; they count causal pairs together with masked ones).
        """
        patches = (self.pixels // self.patch) ** 2
        tokens = patches + 1 + self.queries
        heads = self.width * self.classes
        if self.queries:  # three linear layers each for the classes, one more than there are, and for four coordinates
            heads = self.queries * (4 * self.width**2 + self.width * (self.classes + 1 + 4))
        return (
            patches * 3 * self.patch**2 * self.width,
            self.layers * tokens * 12 * self.width**2,
            self.layers * 2 * tokens**2 * self.width,
            heads,
        )


# The narrow classifier has as many operations per image as the narrow ResNet-18.
VITS = {
    "vit-narrow": VisionTransformer(64, 8, width=48, layers=4, heads=3, classes=1000),
    "vit-tiny": VisionTransformer(224, 16, width=192, layers=12, heads=3, classes=1000),
    "vit-base": VisionTransformer(224, 16, width=768, layers=12, heads=12, classes=1000),
}
DETECTORS = {
    "yolos-narrow": VisionTransformer(64, 8, width=48, layers=4, heads=3, classes=91, queries=20),
    "yolos-tiny": VisionTransformer(512, 16, width=192, layers=12, heads=3, classes=91, queries=100),
}
