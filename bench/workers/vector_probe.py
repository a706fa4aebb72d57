"""Whether code for the CPU's vector instructions can be built and run here: probed once, and kept for later runs."""

from __future__ import annotations

import contextlib
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from torchduet.bench.files.regular import read_text
from torchduet.bench.host.atomic_files import write_json
from torchduet.bench.host.cache_folder import cache_folder

FILE = "vector_instructions.json"


def probe() -> None:
    """Let inductor generate vector code without a probe of its own.

    Its probe compiles and runs a small C++ program in a process that imports torch (3 to 4 s), in every worker whose
    cache is empty. It is made here, once for all workers. The result is kept in the user's cache folder, for as long as
    torch, the compiler and the instructions stay the same; a probe that fails is not kept.
    """
    try:
        from torch._inductor import config
        from torch._inductor.cpu_vec_isa import valid_vec_isa_list
    except ImportError:
        return
    if not hasattr(config.cpp, "vec_isa_ok"):
        valid_vec_isa_list()
        return
    path, now = cache_folder() / FILE, _identity()
    listed, before = _listed(config), _read(path)
    if now is not None and before == {**now, "instructions": listed}:
        return
    config.cpp.vec_isa_ok = None
    valid_vec_isa_list.cache_clear()
    usable = list(map(str, valid_vec_isa_list()))
    if now is None or usable != listed:
        return  # inductor's own probe, whose result this process and those forked from it keep
    with contextlib.suppress(OSError):  # it is probed again in the next run
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json({**now, "instructions": listed}, path)
    _listed(config)


def _listed(config: Any) -> list[str]:
    """The instructions that the CPU lists, without a probe; leaves the configuration so that inductor makes none."""
    from torch._inductor.cpu_vec_isa import valid_vec_isa_list

    config.cpp.vec_isa_ok = True
    valid_vec_isa_list.cache_clear()
    return list(map(str, valid_vec_isa_list()))


def _identity() -> dict[str, Any] | None:
    """All that the result depends on; None if the compiler does not answer."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        compiler = get_cpp_compiler()
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except Exception as error:  # noqa: BLE001 - without a compiler inductor says so itself, when it needs one
        print(f"the C++ compiler's version is not known: {error}")
        return None
    return {
        "torch": torch.__version__,
        "file": torch.__file__,
        "compiler": str(compiler),
        "version": version.stdout.split("\n")[0],
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError):
        return None
