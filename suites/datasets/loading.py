"""Datasets and epochs for suites that use a DataLoader; the workers of an epoch end with it."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from torchduet.suites.extras import install
from torchduet.suites.workload import Unavailable

ENCODED_SIDE, CROPPED_SIDE, SIDE = 64, 56, 28  # pixels: as stored, after the crop, for the model
QUALITY = 90  # of the JPEGs
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST, with which images of digits are commonly normalised
CLASSES = 10
Item = tuple[Tensor, Any]


class EncodedImages(Dataset[Item]):
    """Images as JPEG files in memory: each item is decoded, cropped, scaled down and normalised.

    The crop is always the centre, so that every epoch gives the same tensors.
    """

    def __init__(self, files: Sequence[bytes], labels: Tensor) -> None:
        self._files, self._labels = files, labels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Item:
        """A [1, 28, 28] tensor of the default floating-point type, and its label."""
        from PIL import Image

        border = (ENCODED_SIDE - CROPPED_SIDE) // 2
        with Image.open(io.BytesIO(self._files[index])) as image:
            cropped = image.convert("L").crop((border, border, ENCODED_SIDE - border, ENCODED_SIDE - border))
            small = np.array(cropped.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(small).to(torch.get_default_dtype()).unsqueeze(0)
        return pixels.div_(255).sub_(MEAN).div_(DEVIATION), self._labels[index]


def encoded_images(count: int) -> tuple[list[bytes], Tensor]:
    """Colour JPEGs of 64×64 pixels, each the smooth pattern of its class with noise, and their labels.

    Raises:
        Unavailable: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise Unavailable(f"Pillow, which decodes images, is not installed: {install('data')}") from None
    labels = torch.arange(count) % CLASSES
    patterns = torch.rand(CLASSES, 3, 8, 8)[labels] + 0.3 * torch.rand(count, 3, 8, 8)
    large = F.interpolate(patterns / 1.3, size=ENCODED_SIDE, mode="bilinear", align_corners=False)
    files = []
    for pixels in large.mul(255).to(torch.uint8).permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
        files.append(file.getvalue())
    return files, labels


def images_in_memory(count: int) -> tuple[Tensor, Tensor]:
    """Ready tensors [count, 1, 28, 28] with values in [0, 1], and labels."""
    labels = torch.arange(count) % CLASSES
    return (torch.rand(CLASSES, 1, SIDE, SIDE)[labels] + torch.rand(count, 1, SIDE, SIDE)) / 2, labels


def dataset(data: Tensor | Sequence[bytes], labels: Tensor) -> Dataset[Any]:
    """The dataset over tensors, or over encoded images."""
    return TensorDataset(data, labels) if isinstance(data, Tensor) else EncodedImages(data, labels)


class Orders(Sampler[int]):
    """A random order of ``count`` items for each epoch, which depends on the seed alone.

    ``DataLoader(shuffle=True)`` draws other numbers from its generator, too; how many depends on persistent
    workers.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        yield from self.draw().tolist()

    def draw(self) -> Tensor:
        """The next epoch's order, [count] int64."""
        return torch.randperm(self._count, generator=self._generator)


def shuffled(items: Dataset[Any], batch: int, seed: int, **options: Any) -> DataLoader[Any]:
    """A DataLoader with an order that depends on the seed alone."""
    return DataLoader(items, batch, sampler=Orders(len(items), seed), **options)  # type: ignore[arg-type]


def epochs(loader: DataLoader[Any]) -> Generator[Iterator[Any], None, None]:
    """Iterators over the batches of the loader, one for each epoch, without end.

    Closing the generator ends the workers at once, also after an error: an iterator that waits for the garbage
    collector keeps its processes, and no garbage is collected while calls are timed.
    """
    iterator = None
    try:
        while True:
            iterator = iter(loader)
            yield iterator
            if not loader.persistent_workers:
                _end(iterator)
    finally:
        _end(iterator)


def _end(iterator: Iterator[Any] | None) -> None:
    # DataLoader's iterators have no public way to close them; without workers there is nothing to end.
    shutdown: Callable[[], None] | None = getattr(iterator, "_shutdown_workers", None)
    if shutdown is not None:
        shutdown()
