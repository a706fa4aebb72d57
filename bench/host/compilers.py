"""The compilers that torch.compile starts: whether they are installed, and what to install where they are not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

CPP_COMPILERS, C_COMPILERS = ("g++", "clang++"), ("gcc", "clang")
SYCL_COMPILER = "icpx"


def no_cpu_compiler(names: Sequence[str] = CPP_COMPILERS) -> str:
    """Why inductor cannot compile for the CPU; "" where it can."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else list(names)
    if platform.system() == "Windows":
        return ""
    if not any(shutil.which(name.split()[0]) for name in candidates):
        return "torch.compile on the CPU needs a C++ compiler: install g++ or clang++, or set CXX"
    if not _has_headers():
        return "torch.compile on the CPU needs Python's headers: install them (Debian: python3-dev)"
    return ""


def no_triton_compiler(kind: str, others: Sequence[str] = ()) -> str:
    """Why Triton cannot build the C module with which it loads and launches kernels; "" where it can.

    Triton builds it at the first kernel of a process whose cache does not have it: with ``CC``, which it takes as the
    name of one program, otherwise with gcc or clang, and with ``Python.h`` (``python/triton/runtime/build.py`` in
    Triton). On Windows it comes with a compiler of its own. A program may also give it a function that builds
    (``triton.knobs.build.impl``).

    Args:
        kind: of the device, for the message.
        others: programs that would do, too, where this kind's Triton builds its module in another language.
    """
    if platform.system() == "Windows" or _own_build():
        return ""
    if any(shutil.which(name) for name in others):
        return "" if _has_headers() else _no_headers(kind)
    needs = f"torch.compile on {kind} needs a C compiler, with which Triton builds its launcher"
    if "CC" in os.environ:
        if shutil.which(os.environ["CC"]):
            return "" if _has_headers() else _no_headers(kind)
        return f"{needs}; CC={os.environ['CC']!r} is no program here: set CC to one, or unset it"
    if not any(shutil.which(name) for name in C_COMPILERS):
        return f"{needs}: install gcc or clang, or set CC"
    return "" if _has_headers() else _no_headers(kind)


def _no_headers(kind: str) -> str:
    return (
        f"torch.compile on {kind} needs Python's headers, with which Triton builds its launcher: "
        "install them (Debian: python3-dev)"
    )


def _own_build() -> bool:
    """Whether this process has given Triton a function that builds; only a program that has imported Triton can."""
    knobs = sys.modules.get("triton.knobs")
    return getattr(getattr(knobs, "build", None), "impl", None) is not None


def _has_headers() -> bool:
    """Whether ``Python.h`` is where inductor and Triton look for it."""
    scheme = sysconfig.get_default_scheme()
    # Debian's own scheme names /usr/local, where the headers are not; both look in the usual place instead.
    scheme = "posix_prefix" if scheme == "posix_local" else scheme
    return Path(sysconfig.get_path("include", scheme), "Python.h").is_file()
