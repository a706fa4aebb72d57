"""Environment variables of one side of a duet that are known to be ignored silently: whether they took effect.

The loader skips a library that it cannot preload, the C library skips tunables that it does not know, and the kernel
may give no huge pages to anybody. The sides would then be the same, and a verdict on them would mislead.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torchduet.bench.plan.options import OptionError

OPTION = "--against-env"
PRELOAD, TUNABLES, TORCH_THP = "LD_PRELOAD", "GLIBC_TUNABLES", "THP_MEM_ALLOC_ENABLE"
JEMALLOC = "MALLOC_CONF"
HUGE_PAGES = "glibc.malloc.hugetlb"
OF_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
ON_GPU = (*OF_ALLOCATOR, "PYTORCH_NO_CUDA_MEMORY_CACHING", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE")
THP_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MAPS, SMAPS = Path("/proc/self/maps"), Path("/proc/self/smaps")
PROBED_BYTES = 64 << 20  # beyond any threshold from which memory comes from the kernel block by block
LIST_SECONDS = 10.0


def check_variables(variables: Iterable[tuple[str, str]], environ: Mapping[str, str]) -> None:
    """Refuse variables that cannot make the sides different.

    Raises:
        OptionError: one is given twice, this process has it already, or a library to preload is missing.
    """
    names: set[str] = set()
    for name, value in variables:
        if name in names:
            raise OptionError(f"{OPTION} {name}={value}: {name} is given twice; leave one of them out")
        names.add(name)
        if environ.get(name) == value:
            raise OptionError(
                f"{OPTION} {name}={value}: is set so here, too, so that both sides would be the same; "
                f"start with env -u {name}"
            )
        for library in _libraries(value) if name == PRELOAD else ():
            if "/" in library and not Path(library).is_file():
                raise OptionError(
                    f"{OPTION} {name}={value}: there is no file {library}; install the library, and give its path"
                )


def ignored(name: str, value: str) -> str | None:
    """Why a variable of this process has no effect on it, in one line; None if it has, or where nothing tells."""
    if sys.platform != "linux":
        return None
    for which, question in _QUESTIONS.items():
        if name == which and (why := question(value)) is not None:
            return why
    return None


def unused_by_allocator(name: str, value: str, segments: Iterable[Mapping[str, Any]]) -> str | None:
    """Why a variable of PyTorch's allocator on GPUs has no effect; None if it has, or where nothing tells.

    Args:
        segments: of ``torch.cuda.memory_snapshot()``, after a case has allocated memory.
    """
    if name not in OF_ALLOCATOR or not re.search(r"\bexpandable_segments\s*:\s*True\b", value):
        return None
    taken = list(segments)
    if not taken or any(segment.get("is_expandable") for segment in taken):
        return None
    return "PyTorch's allocator has no expandable segment here: the driver or this build does not support them"


def _libraries(value: str) -> list[str]:
    return [library for library in re.split(r"[: ]", value) if library]


def _not_preloaded(value: str) -> str | None:
    try:
        mapped = {line.split(maxsplit=5)[5].strip() for line in MAPS.read_text().splitlines() if "/" in line}
    except OSError:
        return None
    for library in _libraries(value):
        names = {Path(path).name for path in mapped} if "/" not in library else mapped
        wanted = library if "/" not in library else str(Path(library).resolve())
        if wanted not in names and not ("/" not in library and _by_link(library, mapped)):
            return (
                f"the loader has ignored {library}, which is not mapped into the process; give the path of a library "
                f"for {platform.machine()}"
            )
    return None


def _without_jemalloc(value: str) -> str | None:
    del value
    try:
        mapped = MAPS.read_text()
    except OSError:
        return None
    if re.search(r"/[^/\n]*jemalloc[^/\n]*$", mapped, re.MULTILINE):
        return None
    return (
        f"jemalloc, which alone reads it, is not loaded; add {OPTION} {PRELOAD}=LIBRARY, "
        "e.g. /usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
    )


def _by_link(library: str, mapped: Iterable[str]) -> bool:
    """Whether a library given by name alone is mapped as the file that a link of that name points to."""
    return any(Path(path).with_name(library).resolve() == Path(path) for path in mapped)


def _not_tuned(value: str) -> str | None:
    if platform.libc_ver()[0] != "glibc":
        return "this system's C library is not glibc, which alone reads it"
    known = _tunables()
    for part in filter(None, value.split(":")):
        name, equals, number = part.partition("=")
        if not equals:
            return f"{part!r} is no tunable; use NAME=VALUE, e.g. {HUGE_PAGES}=1"
        if known is not None and name not in known:
            return f"this glibc ({platform.libc_ver()[1]}) has no tunable {name}"
        if known is not None and _number(known[name]) != _number(number):
            return f"glibc has not taken {number!r} for {name}, which stays {known[name]}"
        if name == HUGE_PAGES and number == "1" and (why := _without_huge_pages()) is not None:
            return why
    return None


def _tunables() -> dict[str, str] | None:
    """The tunables of this process's loader with their values in this environment; None where it does not list them."""
    try:
        loaders = [line.split()[-1] for line in MAPS.read_text().splitlines() if re.search(r"/ld-[\w.-]+$", line)]
        listed = subprocess.run(
            [loaders[0], "--list-tunables"],
            env={TUNABLES: os.environ.get(TUNABLES, "")},
            capture_output=True,
            text=True,
            check=True,
            timeout=LIST_SECONDS,
        ).stdout
    except (OSError, IndexError, subprocess.SubprocessError):
        return None
    return {match[1]: match[2] for match in re.finditer(r"^([\w.]+): (\S+)", listed, re.MULTILINE)}


def _number(text: str) -> int | str:
    try:
        return int(text, 0)
    except ValueError:
        return text


def _no_huge_pages_of_torch(value: str) -> str | None:
    return _without_huge_pages() if value not in ("", "0") else None


def _without_huge_pages() -> str | None:
    """Why no memory of this process is marked for huge pages by its own request; None if it is."""
    try:
        mode = re.search(r"\[(\w+)\]", THP_MODE.read_text())
    except OSError:
        return "this kernel has no transparent huge pages"
    if mode is not None and mode[1] != "madvise":
        how = "gives them to nobody" if mode[1] == "never" else "gives them to all memory, on both sides"
        return f"the kernel {how} ({THP_MODE}: {mode[1]}); the variable counts where that is madvise"
    import torch

    marked = marked_for_huge_pages(torch.empty(PROBED_BYTES, dtype=torch.uint8).data_ptr())
    return None if marked is not False else "a tensor of 64 MiB is not marked for huge pages (/proc/self/smaps)"


def marked_for_huge_pages(address: int) -> bool | None:
    """Whether the memory at an address has the kernel's flag for huge pages; None where the kernel does not say."""
    try:
        lines = SMAPS.read_text().splitlines()
    except OSError:
        return None
    within = False
    for line in lines:
        if region := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            # What precedes the data of a block belongs to the same block, so that its start lies in the region.
            within = int(region[1], 16) <= address < int(region[2], 16)
        elif within and line.startswith("VmFlags:"):
            return "hg" in line.split()
    return None


_QUESTIONS: Mapping[str, Callable[[str], str | None]] = {
    PRELOAD: _not_preloaded,
    JEMALLOC: _without_jemalloc,
    TUNABLES: _not_tuned,
    TORCH_THP: _no_huge_pages_of_torch,
}
