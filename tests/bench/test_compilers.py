"""Without what Triton needs to build its launcher, compiled cases are skipped with a reason instead of failing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.host import compilers, machine
from torchduet.bench.host.compilers import no_cpu_compiler, no_triton_compiler
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.timing.device_accelerator import MpsDevice, XpuDevice
from torchduet.suites.workload import COMPILED

CASE = Case("s", "s", "w", "", (), "w", True, "cuda", "eager", "fp32")


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH of one empty folder, and no CC or CXX."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(compilers, "_has_headers", lambda: True)
    return tmp_path


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def with_gpu(monkeypatch: pytest.MonkeyPatch) -> machine.Machine:
    properties = SimpleNamespace(name="NVIDIA H200", major=9, minor=0, total_memory=2**37, uuid="u")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    return machine.probe()


@pytest.mark.usefixtures("empty_path")
def test_every_compiled_mode_on_cuda_needs_a_c_compiler_and_graph_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_gpu(monkeypatch)
    for mode in COMPILED:
        obstacle = unavailable(found, replace(CASE, mode=mode))
        assert obstacle is not None, mode
        assert obstacle.knob == "mode"
        assert "needs a C compiler" in obstacle.why
        assert "install gcc or clang, or set CC" in obstacle.why
    assert unavailable(found, replace(CASE, mode="graph")) is None
    assert unavailable(found, CASE) is None


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_gcc_or_clang_is_enough(monkeypatch: pytest.MonkeyPatch, empty_path: Path, name: str) -> None:
    program(empty_path, name)
    assert unavailable(with_gpu(monkeypatch), replace(CASE, mode="compile")) is None


def test_cc_is_taken_as_triton_takes_it(monkeypatch: pytest.MonkeyPatch, empty_path: Path) -> None:
    own = program(empty_path, "my-cc")
    monkeypatch.setenv("CC", str(own))
    assert no_triton_compiler("CUDA") == ""
    program(empty_path, "gcc")
    for name in ("no-such-cc", "gcc -m64", ""):  # it starts one program of this name, and does not look further
        monkeypatch.setenv("CC", name)
        assert f"CC={name!r} is no program here" in no_triton_compiler("CUDA")


def test_pythons_headers_are_needed_beside_the_compiler(monkeypatch: pytest.MonkeyPatch, empty_path: Path) -> None:
    program(empty_path, "gcc")
    monkeypatch.setattr(compilers, "_has_headers", lambda: False)
    assert "python3-dev" in no_triton_compiler("CUDA")
    monkeypatch.setenv("CC", "gcc")
    assert "python3-dev" in no_triton_compiler("CUDA")


@pytest.mark.usefixtures("empty_path")
def test_a_build_function_given_to_triton_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert no_triton_compiler("CUDA")
    knobs = SimpleNamespace(build=SimpleNamespace(impl=lambda *_: "launcher.so"))
    monkeypatch.setitem(sys.modules, "triton.knobs", knobs)  # type: ignore[arg-type]
    assert no_triton_compiler("CUDA") == ""


def test_xpu_needs_it_too_and_mps_does_not(monkeypatch: pytest.MonkeyPatch, empty_path: Path) -> None:
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    assert "on xpu needs a C compiler" in XpuDevice.why_not_compiled("xpu")
    assert MpsDevice.why_not_compiled("mps") == ""
    for name in ("clang", "icpx"):
        own = program(empty_path, name)
        assert XpuDevice.why_not_compiled("xpu") == ""
        own.unlink()
    assert XpuDevice.why_not_compiled("xpu")
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    assert "needs a Triton" in XpuDevice.why_not_compiled("xpu")


def test_the_headers_are_looked_for_where_debian_has_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's Python installs packages below /usr/local, but has its headers in /usr/include."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(compilers.sysconfig, "get_default_scheme", lambda: "posix_local")
    places = {"posix_prefix": str(tmp_path), "posix_local": str(tmp_path / "local")}
    monkeypatch.setattr(compilers.sysconfig, "get_path", lambda _, scheme: places[scheme])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    program(tmp_path, "gcc")
    program(tmp_path, "g++")
    assert no_triton_compiler("CUDA") == ""
    assert no_cpu_compiler() == ""
