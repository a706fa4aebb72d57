"""Images of handwriting or clothes as tensors, from a file of the user or from scikit-learn."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import socket
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.datasets import idx
from torchduet.suites.extras import install
from torchduet.suites.workload import Unavailable

SIDE = 28
CLASSES = 10
SPLIT_SEED = 0
TEST_SHARE = 0.2
DIGITS = ("datasets", "data", "digits.csv.gz")  # below the package sklearn
IDX_FOLDERS = (".", "raw", "MNIST/raw", "FashionMNIST/raw")
IDX_PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
OPENML = {"openml:mnist_784": "MNIST", "openml:Fashion-MNIST": "Fashion-MNIST"}
SILENT_SECONDS = 20.0  # of a server, before the download is given up
OPENML_TRAINING = 60_000  # both have the training images first, then 10 000 for testing
FORMS = f"an mnist.npz, a torchvision folder with IDX files, or one of {', '.join(OPENML)}"

# Test accuracies for an MLP 784-100-10 trained with Adam: the target, and a higher one for longer runs.
# digits, 6 seeds: 0.95 after 6 or 7 epochs at batch 100 and 13 to 16 at batch 1000 (learning rate scaled with
# the square root of the batch, bf16 or not); 0.96 after 7 to 12 and 14 to 20; not every seed reached 0.97 within
# 100. MNIST and Fashion-MNIST: one to two epochs and about three of the loops in tutorials, by the figures that
# they print.
TARGETS = {"digits": (0.95, 0.96), "MNIST": (0.95, 0.97), "Fashion-MNIST": (0.85, 0.87)}


class DataError(ValueError):
    """Unusable data; the message names the file and says what to do."""


@dataclass(frozen=True)
class Images:
    """A data set of images in ten classes.

    Attributes:
        name: of the data set, for people.
        x, test_x: [n, 1, 28, 28] float32 in [0, 1].
        y, test_y: [n] int64, 0 to 9.
        accuracy, high_accuracy: shares of the test images to classify correctly: the targets of "time to accuracy".
    """

    name: str
    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    accuracy: float
    high_accuracy: float


@dataclass(frozen=True)
class _Raw:
    """Arrays as read: images [n, 28, 28] uint8, labels [n] of any integer type."""

    name: str
    parts: tuple[npt.NDArray[Any], ...]  # training images and labels, test images and labels


_source: str | None = None


def use(source: str | None) -> None:
    """Set the source of :func:`images` in this process; None: the digits of scikit-learn."""
    global _source
    _source = source
    images.cache_clear()


def check(source: str) -> str:
    """Read the whole source; returns the name of the data set.

    Raises:
        DataError: the source is missing or has another form.
        Unavailable: a package is missing.
    """
    return _read(source).name


@functools.cache
def images() -> Images:
    """The data set chosen by :func:`use`.

    Raises:
        DataError: the source is missing or has another form.
        Unavailable: a package is missing.
    """
    if _source is None:
        return _digits()
    raw = _read(_source)
    x, y, test_x, test_y = (torch.from_numpy(part.copy()) for part in raw.parts)
    return _as_images(raw.name, x.unsqueeze(1) / 255.0, y, test_x.unsqueeze(1) / 255.0, test_y)


def _as_images(name: str, x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> Images:
    accuracy, high = TARGETS.get(name, TARGETS["MNIST"])
    return Images(name, x.float(), y.long(), test_x.float(), test_y.long(), accuracy, high)


def _digits() -> Images:
    """1797 images of 8×8 pixels (Alpaydin & Kaynak, UCI 1998), scaled bilinearly to 28×28.

    They are read from the files of scikit-learn without importing it: the import takes seconds, and brings another
    OpenMP runtime, environment variables and warning filters into the timed process.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise Unavailable(f"scikit-learn, whose digits are the default data, is not installed: {install('data')}")
    path = Path(package.submodule_search_locations[0], *DIGITS)
    try:
        rows = np.loadtxt(path, delimiter=",")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error}); install it again: pip install --force-reinstall scikit-learn"
        ) from None
    labels = torch.from_numpy(rows[:, -1]).long()
    pixels = torch.from_numpy(rows[:, :-1] / 16.0).float().reshape(-1, 1, 8, 8)
    scaled = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    training, testing = _split(labels)
    return _as_images("digits", scaled[training], labels[training], scaled[testing], labels[testing])


def _split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Row numbers for training and for testing: always the same fifth of each class is for testing."""
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    order = torch.randperm(len(labels), generator=generator)
    testing = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(CLASSES):
        members = order[labels[order] == digit]
        testing[members[: round(TEST_SHARE * len(members))]] = True
    return order[~testing[order]], order[testing[order]]


def _read(source: str) -> _Raw:
    if source.startswith("openml:"):
        return _checked(source, OPENML.get(source, source), *_openml(source))
    path = Path(source)
    if not source.strip() or not path.exists():
        raise DataError(f"--data {source}: no such file or folder; give {FORMS}")
    if not path.is_dir() and not path.is_file():
        raise DataError(f"--data {source}: is a pipe, a socket or a device, not a file; give {FORMS}")
    name = _name(path)
    try:
        parts, where = _folder(path) if path.is_dir() else _npz(path)
    except OSError as error:
        raise DataError(f"--data {source}: cannot be read ({error.strerror or error}); check its permissions") from None
    return _checked(where, name, *parts)


def _name(path: Path) -> str:
    """The name of the data set if the path contains it, else that of the file."""
    text = str(path).lower()
    if "fashion" in text or ((path / "FashionMNIST").is_dir() and not (path / "MNIST").is_dir()):
        return "Fashion-MNIST"
    return "MNIST" if "mnist" in text or (path / "MNIST").is_dir() else path.stem


def _npz(path: Path) -> tuple[Sequence[npt.NDArray[Any]], str]:
    keys = ", ".join(NPZ_KEYS)
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise DataError(f"--data {path}: is a single array; give an .npz with {keys}")
        with loaded as arrays:
            missing = [key for key in NPZ_KEYS if key not in arrays]
            if missing:
                raise DataError(f"--data {path}: has no {', '.join(missing)}; give an .npz with {keys}")
            return [arrays[key] for key in NPZ_KEYS], str(path)
    except (DataError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - numpy raises many types on damage: tokenize.TokenError, zlib.error
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"--data {path}: is not a whole .npz file of plain arrays ({why}); download it again") from None


def _folder(path: Path) -> tuple[Sequence[npt.NDArray[Any]], str]:
    for below in IDX_FOLDERS:
        folder = path / below
        files = [_plain_or_gz(folder / part) for part in IDX_PARTS]
        if any(files):
            break
    else:
        raise DataError(
            f"--data {path}: no {IDX_PARTS[0]} in it, its raw, MNIST/raw or FashionMNIST/raw; "
            "name the folder that torchvision downloaded to (root=)"
        )
    parts = []
    for part, file in zip(IDX_PARTS, files, strict=True):
        if file is None:
            raise DataError(f"--data {folder / part}: is missing; download the data set again")
        try:
            parts.append(idx.read(file, (SIDE, SIDE) if "images" in part else ()))
        except idx.IdxError as error:
            raise DataError(f"--data {file}: {error}; download the data set again") from None
    return parts, str(folder)


def _plain_or_gz(path: Path) -> Path | None:
    return next((file for file in (path, path.with_name(path.name + ".gz")) if file.is_file()), None)


def _openml(source: str) -> Sequence[npt.NDArray[Any]]:
    if source not in OPENML:
        raise DataError(f"--data {source}: is not known; give {FORMS}")
    try:
        from sklearn.datasets import fetch_openml
    except ImportError:
        raise Unavailable(f"--data {source}: scikit-learn is not installed: {install('data')}") from None
    fetch: Callable[..., Any] = fetch_openml
    try:
        with _impatient():
            x, y = fetch(source.removeprefix("openml:"), version=1, return_X_y=True, as_frame=False, n_retries=1)
    except (OSError, ValueError, EOFError, HTTPException, zlib.error) as error:  # URLError is an OSError
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"--data {source}: could not be fetched ({why}); connect this machine to the network, or give a file"
        ) from None
    x, y = x.astype(np.uint8).reshape(-1, SIDE, SIDE), y.astype(np.int64)
    return x[:OPENML_TRAINING], y[:OPENML_TRAINING], x[OPENML_TRAINING:], y[OPENML_TRAINING:]


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """A connection that is silent for some seconds ends, without a warning of the attempt before the last."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENT_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)


def _checked(where: str, name: str, *parts: npt.NDArray[Any]) -> _Raw:
    for kind, x, y in (("training", parts[0], parts[1]), ("test", parts[2], parts[3])):
        problem = ""
        if x.dtype != np.uint8 or x.ndim != 3 or x.shape[1:] != (SIDE, SIDE) or not len(x):
            problem = f"images are {x.dtype} of shape {list(x.shape)}; uint8 of shape [n, {SIDE}, {SIDE}] is needed"
        elif y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
            problem = f"labels are {y.dtype} of shape {list(y.shape)}; {len(x)} whole numbers are needed"
        elif y.min() < 0 or y.max() >= CLASSES:
            problem = f"labels run from {y.min()} to {y.max()}; 0 to {CLASSES - 1} are needed"
        if problem:
            raise DataError(f"--data {where}: its {kind} {problem}; use data in the form of MNIST")
    return _Raw(name, parts)
