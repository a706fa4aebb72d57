"""Images: from scikit-learn, from the user's files, and what is said of files that cannot be used."""

import gzip
import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchduet.suites.datasets import data, idx
from torchduet.suites.extras import install
from torchduet.suites.workload import Unavailable

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
ARRAYS = {
    "x_train": RNG.integers(0, 256, (60, 28, 28), np.uint8),
    "y_train": np.arange(60, dtype=np.uint8) % 10,
    "x_test": RNG.integers(0, 256, (20, 28, 28), np.uint8),
    "y_test": np.arange(20, dtype=np.uint8) % 10,
}
LABELS = struct.pack(">BBBBI", 0, 0, 8, 1, 5) + bytes(range(5))
IMAGES = struct.pack(">BBBBIII", 0, 0, 8, 3, 5, 28, 28) + bytes(5 * 28 * 28)


@pytest.fixture(autouse=True)
def _default_again() -> Iterator[None]:
    yield
    data.use(None)


def npz(folder: Path, name: str = "mnist.npz", **changed: Any) -> Path:
    path = folder / name
    np.savez_compressed(path, **{key: value for key, value in (ARRAYS | changed).items() if value is not None})
    return path


def idx_bytes(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def torchvision(folder: Path, compressed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, values in zip(data.IDX_PARTS, ARRAYS.values(), strict=True):
        content = idx_bytes(values)
        name, content = (part + ".gz", gzip.compress(content)) if compressed else (part, content)
        (folder / name).write_bytes(content)
    return folder


def test_digits_are_images_of_28_by_28_in_0_to_1() -> None:
    pytest.importorskip("sklearn")
    images = data.images()
    assert images.name == "digits"
    assert len(images.x) + len(images.test_x) == 1797
    assert images.x.shape[1:] == images.test_x.shape[1:] == (1, 28, 28)
    assert images.x.dtype == torch.float32
    assert images.y.dtype == torch.int64
    assert 0 == images.x.min() < 0.9 < images.x.max() <= 1
    assert images.test_y.bincount() == pytest.approx(images.y.bincount() / 4, abs=1)  # every class alike
    assert 0.9 <= images.accuracy < images.high_accuracy < 1


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    data.use(None)
    with pytest.raises(Unavailable, match=re.escape(install("data"))):
        data.images()
    with pytest.raises(Unavailable, match=r"openml:mnist_784: scikit-learn is not installed"):
        data.check("openml:mnist_784")


def test_an_npz_file(tmp_path: Path) -> None:
    data.use(str(npz(tmp_path)))
    images = data.images()
    assert images.name == "MNIST"
    assert torch.equal(images.x.mul(255).round().to(torch.uint8)[:, 0], torch.from_numpy(ARRAYS["x_train"]))
    assert images.test_y.tolist() == ARRAYS["y_test"].tolist()
    assert data.check(str(npz(tmp_path, "my letters.npz"))) == "my letters"


@pytest.mark.parametrize("below", [".", "raw", "MNIST/raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_torchvision_folder(tmp_path: Path, below: str, compressed: bool) -> None:
    root = tmp_path / "root"
    torchvision(root / below, compressed)
    assert data.check(str(root)) == {"MNIST/raw": "MNIST", "FashionMNIST/raw": "Fashion-MNIST"}.get(below, "root")
    data.use(str(root))
    assert torch.equal(data.images().y, torch.from_numpy(ARRAYS["y_train"]).long())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None}, "has no x_test; give an .npz with x_train"),
        ({"x_train": ARRAYS["x_train"][:, :8, :8]}, "training images are uint8 of shape [60, 8, 8]; uint8 of shape"),
        ({"x_test": ARRAYS["x_test"] / 255.0}, "test images are float64"),
        ({"x_train": ARRAYS["x_train"][:0], "y_train": ARRAYS["y_train"][:0]}, "shape [0, 28, 28]"),
        ({"y_train": ARRAYS["y_train"][1:]}, "training labels are uint8 of shape [59]; 60 whole numbers are needed"),
        ({"y_test": ARRAYS["y_test"] + 1}, "test labels run from 1 to 10; 0 to 9 are needed"),
        ({"y_test": ARRAYS["y_test"].astype(object)}, "is not a whole .npz file of plain arrays (Object arrays"),
    ],
)
def test_an_npz_file_that_cannot_be_used(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    path = npz(tmp_path, **changed)
    with pytest.raises(data.DataError) as raised:
        data.check(str(path))
    assert str(path) in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut, "is not a whole .npz file"),
        (lambda path: path.write_text("not an archive"), "is not a whole .npz file"),
        (lambda path: path.write_bytes(b""), "is not a whole .npz file"),
        (one_array, "is a single array"),
        (Path.unlink, "no such file or folder"),
    ],
)
def test_a_file_that_is_not_what_it_says(tmp_path: Path, harm: Callable[[Path], Any], message: str) -> None:
    path = npz(tmp_path)
    harm(path)
    with pytest.raises(data.DataError, match=message):
        data.check(str(path))


def test_a_damaged_npz_is_never_more_than_a_data_error(tmp_path: Path) -> None:
    path = npz(tmp_path)
    whole = path.read_bytes()

    @given(st.integers(0, len(whole) - 1), st.integers(1, 255))
    def damaged(position: int, change: int) -> None:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ change]) + whole[position + 1 :])
        try:
            data.check(str(path))
        except data.DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 - not every change is noticed

    damaged()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match=r"no train-images-idx3-ubyte in it, its raw, MNIST/raw"):
        data.check(str(tmp_path))
    folder = torchvision(tmp_path / "MNIST" / "raw")
    (folder / data.IDX_PARTS[1]).write_bytes(LABELS[:-1])
    with pytest.raises(data.DataError, match=r"train-labels-idx1-ubyte: is truncated: 4 of 5 bytes"):
        data.check(str(tmp_path))
    (folder / data.IDX_PARTS[1]).unlink()
    with pytest.raises(data.DataError, match=r"MNIST/raw/train-labels-idx1-ubyte: is missing"):
        data.check(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (LABELS, "is not an IDX file of unsigned bytes in 3"),
        (IMAGES[:9], "is truncated within its header"),
        (IMAGES + b"x", "has more than the 5 items"),
        (IMAGES[:8] + struct.pack(">II", 8, 8) + IMAGES[16:], "has items of 8×8; 28×28 is needed"),
        (IMAGES[:4] + struct.pack(">I", 2**32 - 1) + IMAGES[8:], "claims 4294967295 items"),
    ],
)
def test_an_idx_file_that_is_not_what_it_says(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(idx.IdxError, match=message):
        idx.read(path, (28, 28))


@given(st.integers(0, len(IMAGES) - 1), st.booleans())
def test_a_truncated_idx_file_is_refused(length: int, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("images.gz" if compressed else "images")
        whole = gzip.compress(IMAGES) if compressed else IMAGES
        path.write_bytes(whole[: length % len(whole)])
        with pytest.raises(idx.IdxError):
            idx.read(path, (28, 28))


@given(st.binary(max_size=64), st.booleans())
def test_bytes_at_random_are_refused(tail: bytes, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("labels.gz" if compressed else "labels")
        content = LABELS[:4] + tail
        path.write_bytes(gzip.compress(content)[:-1] if compressed else content)
        try:
            assert len(idx.read(path, ())) == len(tail) - 4
        except idx.IdxError as error:
            assert str(error)  # noqa: PT017 - few of them are well formed


def test_openml_without_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("sklearn.datasets")

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(datasets, "fetch_openml", offline)
    with pytest.raises(data.DataError, match=r"could not be fetched \(.*not known.*\); connect this machine"):
        data.check("openml:mnist_784")
    with pytest.raises(data.DataError, match=r"openml:iris: is not known; give an mnist\.npz"):
        data.check("openml:iris")


def test_openml_gives_the_usual_split(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = np.zeros((60_010, 784), np.int64), np.array(["3"] * 60_010, dtype=object)
    monkeypatch.setattr(datasets, "fetch_openml", lambda *_, **__: (x, y))
    data.use("openml:Fashion-MNIST")
    images = data.images()
    assert images.name == "Fashion-MNIST"
    assert (len(images.x), len(images.test_x)) == (60_000, 10)
    assert images.y[0] == 3


def pytest_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_option_is_checked_before_anything_is_measured(tmp_path: Path) -> None:
    done = pytest_bench("--data", str(tmp_path / "none.npz"))
    assert done.returncode == 4
    assert "none.npz: no such file or folder; give an mnist.npz" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_option_reaches_the_worker_and_the_record(tmp_path: Path) -> None:
    large = {"x_train": np.repeat(ARRAYS["x_train"], 9, 0), "y_train": np.repeat(ARRAYS["y_train"], 9, 0)}
    path, run = npz(tmp_path, "shapes.npz", **large), tmp_path / "run.json"
    done = pytest_bench(
        *("--data", str(path), "--suite", "training", "--tier", "default", "-k", "steps and in_memory"),
        *("--budget", "10s", "--threads", "1", "--benchmark-json", str(run)),
    )
    assert done.returncode == 0, done.stdout
    assert json.loads(run.read_text())["torchduet"]["options"]["data"] == "shapes"
