"""The formats that a model is served from: how each is made from a model, written and read."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchduet.suites.devices import is_host
from torchduet.suites.extras import require
from torchduet.suites.mlp import layers
from torchduet.suites.workload import Unavailable

PROVIDERS = {"cuda": "CUDAExecutionProvider"}  # kind of device → provider of ONNX Runtime
Served = Callable[[Tensor], Any]  # images in, logits out


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: the end of its file names.
        make: a model and an input → the object to write, such as a traced program.
        write: writes that object to a path.
        read: a path and a model of the same architecture and device → a function of the images.
    """

    suffix: str
    make: Callable[[nn.Module, Tensor], Any]
    write: Callable[[Any, Path], None]
    read: Callable[[Path, nn.Module], Served]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide notes of the exporters on packages that these models do not need, and on their own deprecated parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Served:
    """A new model with the architecture of ``model`` and these weights, as a server makes it."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    new = layers(linear[0].in_features, *(module.out_features for module in linear)).to(device_of(model)).eval()
    new.load_state_dict(weights)
    return new


# State dicts


def load_state_dict(path: Path, device: torch.device, mmap: bool = False) -> dict[str, Tensor]:
    """The tensors that ``torch.save`` wrote."""
    weights: dict[str, Tensor] = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    return weights


def make_safetensors(model: nn.Module, x: Tensor) -> nn.Module:
    del x
    require("export", "safetensors")
    return model


def write_safetensors(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(model.state_dict(), path)


def load_safetensors(path: Path, device: torch.device) -> dict[str, Tensor]:
    """The tensors that safetensors wrote."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = load_file(path, device=str(device))
    return weights


# Programs


def make_torchscript(model: nn.Module, x: Tensor) -> Any:
    if not hasattr(torch.jit, "trace"):
        raise Unavailable(f"torch {torch.__version__} has no TorchScript (torch.jit.trace)")
    with quiet():
        return torch.jit.freeze(torch.jit.trace(model, x))  # type: ignore[no-untyped-call]


def read_torchscript(path: Path, model: nn.Module) -> Served:
    loaded: Served = torch.jit.load(path, map_location=device_of(model))  # type: ignore[no-untyped-call]
    return loaded


def make_exported(model: nn.Module, x: Tensor) -> torch.export.ExportedProgram:
    with quiet():
        return torch.export.export(model, (x,))


def make_onnx(model: nn.Module, x: Tensor) -> Any:
    require("export", "onnx", "onnxscript", "onnxruntime")
    with quiet():
        return torch.onnx.export(model, (x,), dynamo=True, verbose=False)


def read_onnx(path: Path, model: nn.Module) -> Served:
    """A session of ONNX Runtime on the device of ``model``, with as many threads as PyTorch has.

    Raises:
        Unavailable: this build of ONNX Runtime has no provider for the device.
    """
    import onnxruntime

    device = device_of(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # By default its threads keep spinning after a run, which takes cores from the case that is timed next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if is_host(device.type):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (name,) = (value.name for value in session.get_inputs())
        return lambda x: session.run(None, {name: x.numpy()})[0]
    if device.type not in PROVIDERS:
        raise Unavailable(f"ONNX Runtime is used on the CPU and on {', '.join(PROVIDERS)}, not on {device.type}")
    if PROVIDERS[device.type] not in onnxruntime.get_available_providers():
        raise Unavailable("this ONNX Runtime has no CUDA: pip install onnxruntime-gpu instead of onnxruntime")
    # ONNX Runtime has a stream of its own, and waits for it at the end of each run. TF32 is its default.
    settings = {"device_id": str(device.index or 0), "use_tf32": "0"}
    session = onnxruntime.InferenceSession(path, options, providers=[(PROVIDERS[device.type], settings)])
    if PROVIDERS[device.type] not in session.get_providers():
        raise Unavailable("ONNX Runtime could not load its CUDA libraries; install those of its CUDA version")
    return lambda x: run_on_device(session, x)


def run_on_device(session: Any, x: Tensor) -> Tensor:
    """The result of the session for ``x``, both in the memory of the device."""
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    logits = torch.empty(result.shape, device=x.device)
    binding = session.io_binding()
    for bind, value, tensor in ((binding.bind_input, source, x), (binding.bind_output, result, logits)):
        bind(value.name, x.device.type, x.device.index or 0, np.float32, tuple(tensor.shape), tensor.data_ptr())
    session.run_with_iobinding(binding)
    return logits


STATE_DICT = Format(
    ".pt",
    lambda model, _: model,
    lambda model, path: torch.save(model.state_dict(), path),
    lambda path, model: with_weights(model, load_state_dict(path, device_of(model))),
)
SAFETENSORS = Format(
    ".safetensors",
    make_safetensors,
    write_safetensors,
    lambda path, model: with_weights(model, load_safetensors(path, device_of(model))),
)
TORCHSCRIPT = Format(".ts", make_torchscript, lambda program, path: program.save(path), read_torchscript)
EXPORTED = Format(".pt2", make_exported, torch.export.save, lambda path, _: torch.export.load(path).module())
ONNX = Format(".onnx", make_onnx, lambda program, path: program.save(path), read_onnx)
