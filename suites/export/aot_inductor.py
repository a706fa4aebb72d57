"""AOTInductor's format: a package of compiled code and weights, which is loaded without the compiler."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.devices import is_host
from torchduet.suites.export.formats import Format, Served, device_of, make_exported, quiet
from torchduet.suites.workload import Unavailable

NEEDS = "AOTInductor needs a C++ compiler: install g++ or clang++, or set CXX"
TOOLKIT = "AOTInductor on CUDA needs the CUDA toolkit beside PyTorch: install it (nvcc, cuda.h), and set CUDA_HOME"
# What a compiler or a linker says where the headers or the stub library of the CUDA toolkit are missing.
NO_TOOLKIT = re.compile(r"cuda\w*\.h: No such file|'cuda\w*\.h' file not found|cannot find -lcuda|CUDA_HOME|\bnvcc\b")


def make_package(model: nn.Module, x: Tensor) -> Path:
    """Compile the model for this batch size; returns the package. Inductor's cache is that of the process.

    Raises:
        Unavailable: there is no C++ compiler, or for a GPU no CUDA toolkit; the message says what to install.
    """
    from torch import _inductor  # takes seconds

    compile_and_package: Any = getattr(_inductor, "aoti_compile_and_package", None)
    if compile_and_package is None:
        raise Unavailable(f"torch {torch.__version__} has no AOTInductor packages; it takes 2.6 or newer")
    program = make_exported(model, x)
    path = Path(tempfile.mkdtemp(prefix="aot-inductor-")) / "model.pt2"
    try:
        with quiet(), own_metadata():
            compile_and_package(program, package_path=str(path))
    except Exception as error:
        if (why := lacking(error, x.device)) is not None:
            raise Unavailable(why) from error
        raise
    return path


@contextlib.contextmanager
def own_metadata() -> Iterator[None]:
    """Compilation notes facts of the model in inductor's settings; these are as before at the end."""
    from torch._inductor import config

    settings: Any = config
    notes = getattr(settings.aot_inductor, "metadata", None)
    with settings.patch({} if notes is None else {"aot_inductor.metadata": dict(notes)}):
        yield


def lacking(error: BaseException, device: torch.device) -> str | None:
    """What is missing for a compilation that failed; None if it failed for another reason."""
    errors: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in errors:
        errors.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any("InvalidCxxCompiler" in (type(one).__name__, str(one).partition(":")[0]) for one in errors):
        return NEEDS
    if not is_host(device.type) and any(NO_TOOLKIT.search(str(one)) for one in errors):
        return TOOLKIT
    return None


def read_package(path: Path, model: nn.Module) -> Served:
    """The program of a package, on the device of ``model``."""
    from torch import _inductor

    device = device_of(model)
    index = -1 if is_host(device.type) else device.index or 0
    loaded: Served = _inductor.aoti_load_package(str(path), device_index=index)
    return loaded


def write_package(package: Path, path: Path) -> None:
    """Write it to a path: compilation has packed it already."""
    shutil.copyfile(package, path)


AOT_INDUCTOR = Format(".aoti.pt2", make_package, write_package, read_package)
