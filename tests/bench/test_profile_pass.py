"""What ``--profile`` chooses, where its traces go, and that TensorBoard opens them."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.engine.options import OptionError, parse_profile
from bench.engine.profile_pass import chosen, folder_name, profiling_of
from bench.engine.schema import PROFILED_CALL

ROOT = Path(__file__).parents[2]
SMALL = str(Path(__file__).parent / "workloads" / "small.py")


def measured(**seconds: float) -> dict[Any, Any]:
    """Records by case, whose ids are the names."""
    return {Named(name): {"timing": {"seconds": value}} for name, value in seconds.items()}


class Named(SimpleNamespace):
    """A case of which nothing but the id is looked at."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name)

    def __hash__(self) -> int:
        return hash(self.id)


@pytest.mark.parametrize(
    ("what", "ids"),
    [("all", ["a", "bb", "bc"]), ("slowest:2", ["a", "bc"]), ("b?", ["bb", "bc"]), ("x*", [])],
)
def test_what_is_profiled(what: str, ids: list[str]) -> None:
    assert [case.id for case in chosen(what, measured(a=3.0, bb=1.0, bc=2.0))] == ids


def test_brackets_of_an_id_stand_for_themselves_in_a_glob() -> None:
    records = {Named("m.mm[n=64] cpu"): {"timing": {"seconds": 1.0}}}
    assert len(chosen("m.mm[n=64]*", records)) == 1  # type: ignore[arg-type]
    assert not chosen("m.mm[n=6]*", records)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"), [("slowest:0", "whole number"), ("slowest:x", "whole number"), (str(ROOT), "a path")]
)
def test_what_cannot_be_profiled_is_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_profile(text)


def test_folders_of_different_cases_differ_on_every_file_system() -> None:
    names = [folder_name(case) for case in ("a/b", "a:b", "A/b", "a" * 300, "a" * 301, "../x", "")]
    assert len({name.lower() for name in names}) == len(names)
    assert all(name[0] not in "./" and len(name) < 120 and "/" not in name for name in names)


def test_a_folder_for_traces_that_cannot_be_made_is_refused_before_anything_is_timed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = SimpleNamespace(
        profile="all", profile_python=False, profile_with=(), trace_dir=str(tmp_path / "file" / "traces")
    )
    with pytest.raises(OptionError, match="--trace-dir"):
        profiling_of(options, tmp_path / "run.json")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run with profiles of two cases."""
    path = tmp_path_factory.mktemp("profiled") / "run.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--suite", SMALL, "--budget", "3s", "--threads", "1"),
            *("--benchmark-json", str(path), "--profile=slowest:2", "--profile-python"),
        ],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def profiles(path: Path) -> list[dict[str, Any]]:
    benchmarks = json.loads(path.read_text("utf-8"))["benchmarks"]
    records = [benchmark["extra_info"]["torchduet"] for benchmark in benchmarks]
    return [record["profile"] for record in records if "profile" in record]


def test_the_slowest_are_called_under_the_profiler_after_all_timing(profiled: Path) -> None:
    found = profiles(profiled)
    assert len(found) == 2
    for profile in found:
        assert profile["seconds"] > 0
        assert profile["plain_seconds"] > 0
        trace = json.loads(gzip.decompress((profiled.parent / profile["trace"]).read_bytes()))
        calls = [event for event in trace["traceEvents"] if event.get("name") == PROFILED_CALL]
        assert len(calls) == profile["calls"]
        functions = profile["python"]["functions"]
        assert sum(one["share"] for one in functions) == pytest.approx(1, abs=0.5)
        assert (profiled.parent / profile["python"]["file"]).exists()
    assert json.loads(profiled.read_text("utf-8"))["torchduet"]["seconds"]["profiling"] > 0


def test_the_report_has_them(profiled: Path) -> None:
    from reports.load import load
    from reports.page import render

    page = render(load(profiled))
    assert page.count('<details class="case profile"') == 2
    assert "has no profile here" not in page


@contextlib.contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """TensorBoard on a free port of this machine; its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--load_fast", "false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}/data/plugin/pytorch_profiler"
    finally:
        process.terminate()
        process.wait(20)


def asked(address: str, until: float, ready: Callable[[Any], object] = bool) -> Any:
    """What the plugin answers, as soon as it has read enough: it reads the traces one by one."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(address, timeout=20) as answer:
                found = json.loads(answer.read())
            if ready(found):
                return found
        except (OSError, ValueError):
            pass
        assert time.monotonic() < until, f"no answer from {address}"
        time.sleep(0.5)


def test_tensorboards_plugin_opens_the_traces(profiled: Path) -> None:
    pytest.importorskip("torch_tb_profiler", reason="pip install 'torchduet[profile]'")
    pytest.importorskip("tensorboard")
    until = time.monotonic() + 120
    with tensorboard(profiled.parent / f"{profiled.stem}-traces") as address:
        runs = asked(f"{address}/runs", until, lambda found: len(found["runs"]) == 2)["runs"]
        run = f"run={urllib.request.quote(runs[0])}"
        assert "Overview" in asked(f"{address}/views?{run}", until)
        (span,) = asked(f"{address}/spans?{run}&worker=torchduet", until)
        overview = asked(f"{address}/overview?{run}&worker=torchduet&span={span}&view=Overview", until)
        assert overview["performance"]
