"""What ``--profile`` chooses, where its traces go, what is called there, and that TensorBoard opens them."""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from torchduet.bench.cases.case import cases_of, group
from torchduet.bench.cases.exchange import ProfileTask, Task
from torchduet.bench.passes import profiler
from torchduet.bench.plan.options import OptionError, parse_profile
from torchduet.bench.record.schema import LOADER_STARTS, PROFILED_CALL, ProfileRecord
from torchduet.bench.run.profile_selection import folder_name, matching, profiling_of
from torchduet.bench.workers.profiling import profile_family
from torchduet.reports.profile.categories import DATA, LOADER, PYTHON
from torchduet.reports.profile.summary import Summary, summarise
from torchduet.reports.profile.trace import read
from torchduet.reports.profile.waiting import in_words, waiting
from torchduet.suites.registry import load

ROOT = Path(__file__).parents[2]
WORKLOADS = Path(__file__).parent / "workloads"
SMALL, LOADING = str(WORKLOADS / "small.py"), str(WORKLOADS / "loading.py")


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
    assert [case.id for case in matching(what, measured(a=3.0, bb=1.0, bc=2.0))] == ids


def test_brackets_of_an_id_stand_for_themselves_in_a_glob() -> None:
    records = {Named("m.mm[n=64] cpu"): {"timing": {"seconds": 1.0}}}
    assert len(matching("m.mm[n=64]*", records)) == 1  # type: ignore[arg-type]
    assert not matching("m.mm[n=6]*", records)  # type: ignore[arg-type]


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


@dataclass(frozen=True)
class Found:
    """What came of a case that was profiled here, without a run."""

    record: ProfileRecord
    summary: Summary
    said: str


@pytest.fixture(scope="module")
def loading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Found]]:
    """Workload and workers → what came of it, of cases that wait for data."""
    folder = tmp_path_factory.mktemp("loading")
    method, threads = multiprocessing.get_start_method(allow_none=True), torch.get_num_threads()
    multiprocessing.set_start_method("fork", force=True)  # as in a worker
    found = {}
    patch = pytest.MonkeyPatch()
    patch.setattr(tempfile, "tempdir", tempfile.tempdir)
    for name, number in (("WARM_UP", 1), ("MIN_STEPS", 2), ("MIN_BLOCKS", 1)):  # each starts processes anew
        patch.setattr(profiler, name, number)
    try:
        (suite,) = load(LOADING)
        for family in group(cases_of(LOADING, suite, tier="quick", devices=["cpu"])):
            folders = {case: str(folder / folder_name(case.id)) for case in family.cases}
            job = ProfileTask(Task(family, 1.0, 1, str(folder)), folders)
            made = profile_family(job, lambda _what, _fraction: None)
            assert not made.errors
            for case, record in made.records.items():
                summary = summarise(read(Path(record["trace"])), case.id, "cpu")
                waits = waiting(summary, record)
                assert waits is not None
                found[f"{case.workload} {case.workers}"] = Found(
                    record, summary, in_words(waits, summary, case.workers)
                )
        yield found
    finally:
        patch.undo()
        multiprocessing.set_start_method(method, force=True)
        torch.set_num_threads(threads)


def test_without_workers_what_is_waited_for_is_loading_itself(loading: dict[str, Found]) -> None:
    found = loading["once 0"]
    assert found.record["batches"] == 4
    assert found.summary.share(DATA) > 0.5
    assert found.summary.share(PYTHON) < 0.4
    assert "without workers a call waits for all of it" in found.said
    assert "of its 4 batches" in found.said


@pytest.mark.parametrize(("case", "batches"), [("once 2", 4), ("twice None", 8)])
def test_with_workers_waiting_is_told_from_starting_them(loading: dict[str, Found], case: str, batches: int) -> None:
    found = loading[case]
    assert found.record["batches"] == batches  # the last request of an epoch brings none
    assert min(found.summary.share(DATA), found.summary.share(LOADER)) > 0
    assert found.summary.share(PYTHON) < 0.4
    assert "workers load ahead" in found.said
    assert "Starting and ending the workers takes another" in found.said
    starts = [one.calls for one in found.summary.operators if one.name == LOADER_STARTS]
    assert starts == [batches / 4]


def test_the_categories_of_a_call_that_loads_add_up_to_it(loading: dict[str, Found]) -> None:
    for found in loading.values():
        assert sum(found.summary.categories.values()) == pytest.approx(found.summary.seconds, rel=0.02)


def test_profiling_leaves_no_worker_and_nothing_replaced(loading: dict[str, Found]) -> None:
    assert loading
    assert not multiprocessing.active_children()
    assert not hasattr(DataLoader.__iter__, "__wrapped__")


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run with profiles of what it had the time to measure."""
    path = tmp_path_factory.mktemp("profiled") / "run.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--suite", SMALL, "-k", "twice", "--budget", "4s"),
            *("--threads", "1", "--benchmark-json", str(path), "--profile", "--profile-python"),
        ],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "too little was left of the run's budget" in done.stdout and "1 passed" not in done.stdout:
        pytest.skip("this machine is too slow or too busy to measure a case within the budget")
    return path


def profiles(path: Path) -> list[dict[str, Any]]:
    """Of all cases that were measured."""
    benchmarks = json.loads(path.read_text("utf-8"))["benchmarks"]
    records = [benchmark["extra_info"]["torchduet"] for benchmark in benchmarks]
    assert records
    return [record["profile"] for record in records]


def test_cases_are_called_under_the_profiler_after_all_timing(profiled: Path) -> None:
    for profile in profiles(profiled):
        assert profile["seconds"] > 0
        assert profile["plain_seconds"] > 0
        trace = json.loads(gzip.decompress((profiled.parent / profile["trace"]).read_bytes()))
        calls = [event for event in trace["traceEvents"] if event.get("name") == PROFILED_CALL]
        assert len(calls) == profile["calls"]
        functions = profile["python"]["functions"]
        assert 0 < sum(one["share"] for one in functions) <= 1 + 1e-9
        assert (profiled.parent / profile["python"]["file"]).exists()
    assert json.loads(profiled.read_text("utf-8"))["torchduet"]["seconds"]["profiling"] > 0


def test_the_report_has_them(profiled: Path) -> None:
    from torchduet.reports.html.run_page import render
    from torchduet.reports.read import run_file as runs

    page = render(runs.load(profiled))
    assert page.count('<details class="case profile"') == len(profiles(profiled))
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
        runs = asked(f"{address}/runs", until, lambda found: len(found["runs"]) == len(profiles(profiled)))["runs"]
        run = f"run={urllib.request.quote(runs[0])}"
        assert "Overview" in asked(f"{address}/views?{run}", until)
        (span,) = asked(f"{address}/spans?{run}&worker=torchduet", until)
        overview = asked(f"{address}/overview?{run}&worker=torchduet&span={span}&view=Overview", until)
        assert overview["performance"]
