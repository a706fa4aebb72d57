"""Variables and settings of one side of a duet: what is refused, and whether they took effect, in real processes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.duet.knobs import variables
from torchduet.bench.duet.knobs.gpu import check_on_gpu
from torchduet.bench.duet.knobs.in_force import KNOBS, written
from torchduet.bench.duet.knobs.settings import SETTINGS, settings
from torchduet.bench.duet.processes import IgnoredError, Server, link_packages
from torchduet.bench.duet.sides import Side, sides
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.duets.knob import knob
from torchduet.bench.record.duets.words import headline

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's and the loader's files are Linux'")
INTEROP = ("torch.set_num_interop_threads", "3")
PRODUCTS = ("torch.set_float32_matmul_precision", "medium")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cudnn", "use NAME=VALUE, e.g. torch.backends.cudnn.benchmark=True"),
        ("torch.backends.cudnn=1", "there is no setting 'torch.backends.cudnn'; use one of torch.backends.cudnn.bench"),
        ("torch.backends.cudnn.benchmark=1", "'1' is no value of torch.backends.cudnn.benchmark; use True or False"),
        ("torch.set_float32_matmul_precision=fast", "use highest, high or medium"),
        ("torch.set_num_interop_threads=0", "use a whole number from 1 to 9999"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(given: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as raised:
        sides(None, None, None, None, tmp_path, given=[given])
    words = str(raised.value)
    assert words.startswith(f"--against-setting {given!r}: ")
    assert message in words
    assert "\n" not in words


def test_a_setting_is_given_once() -> None:
    assert settings([" torch.set_num_interop_threads = 3 "]) == (INTEROP,)
    with pytest.raises(OptionError, match="is given twice"):
        settings(["torch.set_num_interop_threads=3", "torch.set_num_interop_threads=4"])


def test_a_variable_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--against-env FOO=2: FOO is given twice; leave one of them out"):
        sides(None, ["FOO=1", "BAR=1", "FOO=2"], None, None, tmp_path)


def test_what_both_sides_have_is_no_difference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "1")
    with pytest.raises(OptionError, match="both sides would be the same; start with env -u THP_MEM_ALLOC_ENABLE"):
        sides(None, ["THP_MEM_ALLOC_ENABLE=1"], None, None, tmp_path)


def test_a_library_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"there is no file /no/such\.so; install the library"):
        sides(None, ["LD_PRELOAD=/no/such.so"], None, None, tmp_path)


@pytest.mark.parametrize(
    "side",
    [
        Side("python", settings=(("torch.backends.cudnn.benchmark", "True"),)),
        Side("python", (("PYTORCH_ALLOC_CONF", "expandable_segments:True"),)),
    ],
)
def test_what_only_a_gpu_reads_takes_a_gpu(side: Side) -> None:
    with pytest.raises(OptionError, match="has an effect on GPUs only, and this run measures cpu; it takes a machine"):
        check_on_gpu(side, ["cpu"])
    check_on_gpu(side, ["cpu", "cuda:0"])
    check_on_gpu(Side("python", (("OMP_NUM_THREADS", "1"),), settings=(INTEROP,)), ["cpu"])


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return link_packages(tmp_path / "packages")


def answer(packages: Path, tmp_path: Path, side: Side) -> None:
    """Let a side's interpreter answer; raises what it refuses."""
    server = Server(side, packages, tmp_path / "server.log", {})
    try:
        server.ready()
    finally:
        server.close()


PARTS = {
    "LD_PRELOAD": ("libnosuchlibrary.so", "the loader has ignored libnosuchlibrary.so"),
    "GLIBC_TUNABLES": ("glibc.malloc.nosuch=1", "has no tunable glibc.malloc.nosuch"),
    "MALLOC_CONF": ("background_thread:true", "jemalloc, which alone reads it, is not loaded; add --against-env LD_P"),
}


@LINUX
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_a_variable_that_is_ignored_is_one_clear_line_and_no_side(packages: Path, tmp_path: Path) -> None:
    for name, (value, why) in PARTS.items():
        with pytest.raises(IgnoredError) as raised:
            answer(packages, tmp_path, Side(sys.executable, ((name, value),)))
        words = str(raised.value)
        assert words.startswith(f"--against-env {name}={value}: ")
        assert why in words
        assert "\n" not in words


@LINUX
def test_the_options_of_jemalloc_count_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    monkeypatch.setattr(variables, "MAPS", maps)
    maps.write_text(
        "7f0-7f1 r-xp 00000000 00:01 7 /usr/lib/libjemalloc.so.2\n7f2-7f3 r-xp 00000000 00:01 8 /usr/lib/libc.so\n"
    )
    assert variables.ignored("MALLOC_CONF", "background_thread:true") is None
    maps.write_text("7f2-7f3 r-xp 00000000 00:01 8 /usr/lib/jemalloc/libc.so\n")
    assert "is not loaded" in str(variables.ignored("MALLOC_CONF", "background_thread:true"))


@LINUX
def test_variables_and_settings_that_took_effect_are_a_side(packages: Path, tmp_path: Path) -> None:
    libraries = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libm" in line}
    preloaded = (("LD_PRELOAD", sorted(libraries)[0]),) if libraries else ()
    answer(packages, tmp_path, Side(sys.executable, preloaded, settings=(INTEROP, PRODUCTS)))


def in_a_side(code: str, *given: tuple[str, str], **environment: str) -> Any:
    """What Python prints as JSON at the end of a process that has begun as a side with these settings."""
    begin = "import json\nfrom torchduet.bench.duet.knobs.in_force import begin, refused\nassert begin() is None\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + code],
        cwd=ROOT,
        env=os.environ | written((), given) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_products_have_the_precision_of_the_setting_and_its_tolerance_in_fp32_alone() -> None:
    code = """
import torch
from torchduet.bench.timing.precision import TOLERANCE, matmul_precision
found = []
for precision in ("fp32", "tf32"):
    with matmul_precision(precision):
        found.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
print(json.dumps([found, TOLERANCE["fp32"] == TOLERANCE["bf16"], torch.get_float32_matmul_precision()]))
"""
    assert in_a_side(code, PRODUCTS) == [[["medium", False], ["high", True]], True, "medium"]


def test_a_setting_that_something_undoes_fails_what_was_measured() -> None:
    code = "import torch\ntorch.set_float32_matmul_precision('highest')\nprint(json.dumps(refused()))"
    why = (
        "--against-setting torch.set_float32_matmul_precision=medium: is not in force, something has set it to highest"
    )
    assert in_a_side(code, PRODUCTS) == why
    assert in_a_side("print(json.dumps(refused()))", PRODUCTS, INTEROP) is None


def test_a_process_without_them_has_nothing_of_its_own() -> None:
    assert KNOBS not in os.environ
    assert written((), ()) == {KNOBS: '{"variables": {}, "settings": {}}'}
    assert set(SETTINGS) == {
        "torch.backends.cudnn.benchmark",
        "torch.set_float32_matmul_precision",
        "torch.set_num_interop_threads",
    }


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("always madvise [never]", "gives them to nobody"),
        ("[always] madvise never", "gives them to all memory, on both sides"),
    ],
)
def test_huge_pages_need_a_kernel_that_gives_them_to_those_who_ask(
    mode: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "enabled"
    file.write_text(f"{mode}\n")
    monkeypatch.setattr(variables, "THP_MODE", file)
    monkeypatch.setattr(sys, "platform", "linux")
    said = variables.ignored("THP_MEM_ALLOC_ENABLE", "1")
    assert said is not None
    assert why in said


def test_a_flag_of_huge_pages_is_that_of_the_region_of_the_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "smaps"
    file.write_text(
        "1000-2000 rw-p 00000000 00:00 0\nSize: 4 kB\nVmFlags: rd wr mr mw me ac sd\n"
        "2000-9000 rw-p 00000000 00:00 0\nSize: 28 kB\nVmFlags: rd wr mr mw me ac sd hg\n"
    )
    monkeypatch.setattr(variables, "SMAPS", file)
    assert variables.marked_for_huge_pages(0x1800) is False
    assert variables.marked_for_huge_pages(0x2000) is True
    assert variables.marked_for_huge_pages(0x9000) is None


@pytest.mark.parametrize(
    ("name", "value", "segments", "ignored"),
    [
        ("PYTORCH_ALLOC_CONF", "expandable_segments:True", [{"is_expandable": False}], True),
        ("PYTORCH_CUDA_ALLOC_CONF", "a:1,expandable_segments:True", [{"is_expandable": True}], False),
        ("PYTORCH_ALLOC_CONF", "expandable_segments:True", [], False),  # nothing was allocated
        ("PYTORCH_ALLOC_CONF", "max_split_size_mb:64", [{"is_expandable": False}], False),
        ("OMP_NUM_THREADS", "1", [{"is_expandable": False}], False),
    ],
)
def test_expandable_segments_show_in_the_allocators_snapshot(
    name: str, value: str, segments: list[dict[str, Any]], ignored: bool
) -> None:
    assert (variables.unused_by_allocator(name, value, segments) is not None) == ignored


def record(verdict: str, ratio: float) -> Any:
    ends = {"low": 0.99 * ratio, "high": 1.01 * ratio, "threshold": 0.02}
    return {"case": {"id": f"a.{verdict}"}, "against": {"verdict": verdict, "ratio": ratio, **ends}}


def duet_of(base: dict[str, Any], against: dict[str, Any] | None = None) -> Any:
    side = {"python": "python", "torch": "2.13.0", "rev": None, "env": {}, "label": "side"}
    return {"base": side | base, "against": side | (against or {})}


def test_the_answer_is_about_the_variable_and_counts_its_speed_up() -> None:
    duet = duet_of({"env": {"A": "1"}, "settings": {"torch.set_num_interop_threads": "1"}})
    name = "A=1 torch.set_num_interop_threads=1"
    assert knob(duet) == name
    faster = [record("slower", 1 / factor) for factor in (1.31, 1.03, 1.07)]  # B, which is without it, is slower
    rest = [record("same", 1.0), record("unclear", 0.9)]
    assert headline(duet, [*faster, *rest]) == (
        f"With {name}: 1.03× to 1.31× as fast in 3 of 5 cases (median 1.07×); 1 is the same, 1 is unclear."
    )
    assert headline(duet, [faster[0], record("faster", 1.25)]) == (
        f"With {name}: 1.31× as fast in 1 of 2 cases, 0.800× as fast in 1 of 2 cases."
    )
    assert headline(duet, rest) == (
        f"With {name}: neither faster nor slower in any of 2 cases; 1 is the same, 1 is unclear."
    )
    assert headline(duet, rest[:1]) == f"With {name}: neither faster nor slower in the one case; 1 is the same."


@pytest.mark.parametrize(
    ("base", "against"),
    [
        ({}, {}),
        ({"env": {"A": "1"}, "torch": "2.12.0"}, {}),  # two versions, too
        ({"env": {"A": "1"}, "rev": "main"}, {}),
        ({}, {"env": {"A": "1"}}),  # of an earlier writer
    ],
)
def test_sides_that_differ_in_more_have_no_such_answer(base: dict[str, Any], against: dict[str, Any]) -> None:
    assert knob(duet_of(base, against)) == ""
