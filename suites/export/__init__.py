"""Export: one model served, saved, loaded and started in each export format of PyTorch."""

from __future__ import annotations

import contextlib
import copy
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from torchduet.suites.devices import wait_for
from torchduet.suites.export.aot_inductor import AOT_INDUCTOR
from torchduet.suites.export.formats import (
    EXPORTED,
    ONNX,
    SAFETENSORS,
    STATE_DICT,
    TORCHSCRIPT,
    Format,
    Served,
    device_of,
    load_safetensors,
    load_state_dict,
)
from torchduet.suites.mlp import cost, layers, parameters, widths
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation, Meter

suite = Suite("export", "Serving a model, and saving, loading and starting it")

FLOAT = 4  # bytes of a float32
EAGER = ("eager",)
SMALL, LARGE = "784-512-512-10", "784-4096-4096-10"  # 2.7 and 80 MB
MODEL = Axis(default=[SMALL], full=[LARGE], on={"cuda": Axis(full=[LARGE])})
BATCH = 32


def model_and_images(device: torch.device, model: str, batch: int = BATCH) -> tuple[nn.Module, Tensor]:
    network = layers(*widths(model)).to(device).eval()
    return network, torch.rand(batch, widths(model)[0], device=device)


def copied(model: str) -> Cost:
    """The cost of reading and writing every parameter once."""
    return Cost(bytes=2.0 * FLOAT * parameters(*widths(model)))


def new_path(format: Format) -> Path:
    return Path(tempfile.mkdtemp(prefix="export-")) / f"model{format.suffix}"


def written(format: Format, model: nn.Module, x: Tensor) -> Path:
    """Write the model to a new file of this format; returns its path."""
    path = new_path(format)
    format.write(format.make(model, x), path)
    return path


# Inference


def infer_eager(model: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(x)  # type: ignore[no-any-return]


class Serving:
    """Calls an exported program under inference_mode, as the model is called; ``read`` makes it, with own weights."""

    def __init__(self, read: Callable[[], Served]) -> None:
        self._read, self._served = read, read()

    def __call__(self, model: nn.Module, x: Tensor) -> Any:
        del model
        with torch.inference_mode():
            return self._served(x)

    def renew(self) -> Serving:
        """The same program with its weights in other memory."""
        return Serving(self._read)


def serving(format: Format) -> Implementation:
    """An implementation whose setup exports the model to a file, from which it is served."""

    def setup(model: nn.Module, x: Tensor) -> Serving:
        path = written(format, model, x)
        return Serving(lambda: format.read(path, model))

    return Implementation(setup, setup=True, modes=EAGER)


suite.compare(
    "infer",
    {
        "eager": infer_eager,
        "torchscript": serving(TORCHSCRIPT),
        "torch_export": serving(EXPORTED),
        "onnxruntime": serving(ONNX),
    },
    about="Logits of a batch, by the model itself and by its exported programs",
    inputs=model_and_images,
    axes={
        "model": Axis(quick=[SMALL], full=[LARGE], on={"cuda": Axis(quick=[LARGE], full=[SMALL])}),
        "batch": Axis(quick=[1], default=[32, 256], on={"cuda": Axis(quick=[256], default=[1], full=[4096])}),
    },
    modes=Axis(quick=["eager"], default=["compile"]),
    cost=lambda model, batch: cost(batch, *widths(model), training=False),
)

suite.compare(
    "infer_compiled",
    {"eager": infer_eager, "torch_export": serving(EXPORTED), "aot_inductor": serving(AOT_INDUCTOR)},
    about="The same by code that was compiled ahead of time, which its setup makes in seconds to tens of seconds",
    inputs=model_and_images,
    axes={
        "model": Axis(full=[SMALL, LARGE]),
        "batch": Axis(full=[1, 32], on={"cuda": Axis(full=[1, 256])}),
    },
    modes=Axis(quick=["eager"], full=["compile"]),
    cost=lambda model, batch: cost(batch, *widths(model), training=False),
)

# Files


def saving(format: Format) -> Implementation:
    """An implementation that writes the object of the setup to one path in each call, and notes the file's size."""

    def setup(model: nn.Module, x: Tensor) -> Callable[..., Path]:
        program, path = format.make(model, x), new_path(format)

        def save(model: nn.Module, x: Tensor, meter: Meter) -> Path:
            del model, x
            format.write(program, path)
            meter.value("size", path.stat().st_size, "bytes")
            return path

        return save

    return Implementation(setup, setup=True)


SAVED = {
    "state_dict": STATE_DICT,
    "safetensors": SAFETENSORS,
    "torchscript": TORCHSCRIPT,
    "torch_export": EXPORTED,
    "onnx": ONNX,
}


def served_again(inputs: Sequence[Any], path: Path) -> Any:
    """The values by which a file is checked: the logits of the model that is read from it."""
    model, x = inputs
    (format,) = (format for format in SAVED.values() if format.suffix == path.suffix)
    with torch.inference_mode():
        return format.read(path, model)(x)


suite.compare(
    "save",
    {name: saving(format) for name, format in SAVED.items()},
    about="Writing a model to a file: its weights alone, and as a program",
    inputs=model_and_images,
    axes={"model": MODEL},
    modes=EAGER,
    observe=served_again,
    cost=copied,
)


def touched(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights, after each has been read: a mapped file is read only when its values are used."""
    for tensor in weights.values():
        tensor.sum()
    return weights


class OfFile:
    """Reads a file in each call; ``read`` gets its path."""

    def __init__(self, path: Path, read: Callable[[Path], Any]) -> None:
        self.path, self.read = path, read
        self._copies = itertools.count()

    def renew(self) -> Self:
        """The same with a copy of the file, which is removed when the new object is no longer used.

        The operating system decides where a file lies in memory when the file is written.
        """
        renewed = copy.copy(self)
        renewed.path = self.path.with_stem(f"{self.path.stem}-{next(self._copies)}")
        shutil.copyfile(self.path, renewed.path)
        weakref.finalize(renewed, remove, renewed.path)
        return renewed


def remove(path: Path) -> None:
    """Remove a file if possible: Windows keeps a mapped file until its folder is removed."""
    with contextlib.suppress(OSError):
        path.unlink()


class Loading(OfFile):
    """Loads weights from a file and reads each of them once."""

    def __call__(self, *_: Any) -> Mapping[str, Tensor]:
        return touched(self.read(self.path))


def loading(format: Format, load: Callable[[Path, torch.device], Mapping[str, Tensor]]) -> Implementation:
    """An implementation that loads the file of its setup and reads every weight once."""

    def setup(model: nn.Module, x: Tensor) -> Loading:
        device = device_of(model)
        return Loading(written(format, model, x), lambda path: load(path, device))

    return Implementation(setup, setup=True)


suite.compare(
    "load",
    {
        "torch_load": loading(STATE_DICT, load_state_dict),
        "torch_load_mmap": loading(STATE_DICT, lambda path, device: load_state_dict(path, device, mmap=True)),
        "safetensors": loading(SAFETENSORS, load_safetensors),
    },
    about="A model's weights loaded and read once, from a file in the memory of the operating system",
    inputs=model_and_images,
    axes={"model": MODEL},
    modes=EAGER,
    observe=lambda _, weights: [weights[name] for name in sorted(weights)],
)


class Starting(OfFile):
    """Reads a program from a file and computes the first batch; notes the time of each."""

    def __call__(self, model: nn.Module, x: Tensor, meter: Meter) -> Any:
        del model
        with torch.inference_mode():
            served = self.read(self.path)
            meter.lap("load")
            logits = served(x)
            wait_for(x.device)
            meter.lap("first inference")
        return logits


def starting(format: Format) -> Implementation:
    """An implementation that starts from the file of its setup."""

    def setup(model: nn.Module, x: Tensor) -> Starting:
        return Starting(written(format, model, x), lambda path: format.read(path, model))

    return Implementation(setup, setup=True)


STARTED = {"onnxruntime" if name == "onnx" else name: starting(format) for name, format in SAVED.items()}
suite.compare(
    "start",
    STARTED,
    about="From a file to the first batch's logits, in a process that has its libraries loaded",
    inputs=model_and_images,
    axes={"model": MODEL},
    modes=EAGER,
    call_seconds=0.05,
)

suite.compare(
    "start_compiled",
    {**{name: STARTED[name] for name in ("state_dict", "torch_export")}, "aot_inductor": starting(AOT_INDUCTOR)},
    about="The same for code that was compiled ahead of time: no compiler runs at the start",
    inputs=model_and_images,
    axes={"model": Axis(full=[SMALL, LARGE])},
    modes=EAGER,
    call_seconds=0.05,
)
