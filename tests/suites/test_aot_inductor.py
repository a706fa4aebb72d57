"""AOTInductor's format: a package that computes what the model computes, and what is missing where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet.bench.host.compilers import no_cpu_compiler
from torchduet.suites import export
from torchduet.suites.export import aot_inductor
from torchduet.suites.workload import Meter, Unavailable

CPU = torch.device("cpu")
SMALL = "784-16-10"


@pytest.fixture
def own_cache(tmp_path: Path) -> Iterator[Path]:
    """Inductor's cache and the loader's folders below the test's own, as those of a run are below the run's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"):
            patch.setenv(name, str(tmp_path))
        yield tmp_path


@pytest.mark.skipif(bool(no_cpu_compiler()), reason=no_cpu_compiler())
def test_a_package_computes_what_the_model_does_and_starts_from_a_copy(own_cache: Path) -> None:
    from torch._inductor import config

    settings: Any = config
    before = dict(settings.aot_inductor.metadata)
    model, x = export.model_and_images(CPU, SMALL, batch=2)
    starting = export.suite.workloads["start_compiled"].implementations["aot_inductor"].function(model, x)
    expected = export.infer_eager(model, x)
    torch.testing.assert_close(starting(model, x, Meter()), expected)
    assert starting.path.name == "model.aoti.pt2"
    copy = starting.renew()
    torch.testing.assert_close(copy(model, x, Meter()), expected)
    del copy
    assert list(starting.path.parent.iterdir()) == [starting.path]
    assert list(own_cache.glob("aotinductor_*")) == []  # what the loader unpacks goes with the program
    assert settings.aot_inductor.metadata == before


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = pytest.importorskip("torch._inductor.config")
    monkeypatch.setattr(config.cpp, "cxx", (None, "/no/such/g++"))
    with pytest.raises(Unavailable, match=r"^AOTInductor needs a C\+\+ compiler: install g\+\+"):
        aot_inductor.make_package(*export.model_and_images(CPU, SMALL))


def test_an_older_pytorch_says_which_one_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "_inductor", SimpleNamespace())
    with pytest.raises(Unavailable, match=r"it takes 2\.6 or newer"):
        aot_inductor.make_package(*export.model_and_images(CPU, SMALL))


@pytest.mark.parametrize(
    ("said", "device", "why"),
    [
        ("fatal error: cuda.h: No such file or directory", "cuda", aot_inductor.TOOLKIT),
        ("/usr/bin/ld: cannot find -lcuda", "cuda", aot_inductor.TOOLKIT),
        ("fatal error: cuda.h: No such file or directory", "cpu", None),
        ("undefined reference to main", "cuda", None),
    ],
)
def test_a_missing_toolkit_is_told_from_other_failures(said: str, device: str, why: str | None) -> None:
    error = RuntimeError("C++ compile error")
    error.__cause__ = RuntimeError(said)
    assert aot_inductor.lacking(error, torch.device(device)) == why
