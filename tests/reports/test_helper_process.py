"""Charts drawn in a process of their own are those drawn here, and drawn here where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from tests.reports.remeasured import remeasured
from torchduet.__main__ import main
from torchduet.reports.charts.model import Bar
from torchduet.reports.charts.ratio_axis import axis
from torchduet.reports.html import helper_process
from torchduet.reports.html.helper_process import Helper, helper

BARS = [Bar("faster", f"case {place}", 1.1 + place, 1.0 + place, 1.2 + place, "faster") for place in range(3)]


def test_a_second_process_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_process, "cores", lambda: 2)
    with helper(helper_process.LARGE) as second:
        assert second.pool is not None
        assert second.begin(axis, BARS, 300.0)() == axis(BARS, 300.0)


@pytest.mark.parametrize(("size", "cores"), [(helper_process.LARGE - 1, 2), (helper_process.LARGE, 1)])
def test_small_files_and_single_cores_have_no_second_process(
    size: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper_process, "cores", lambda: cores)
    with helper(size) as second:
        assert second.pool is None


def test_where_no_process_can_be_started_this_one_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(helper_process, "cores", lambda: 2)
    monkeypatch.setattr(helper_process, "ProcessPoolExecutor", refused)
    with helper(helper_process.LARGE) as second:
        assert second.begin(axis, BARS, 300.0)() == axis(BARS, 300.0)


def test_a_drawing_whose_process_was_killed_is_made_here() -> None:
    class Killed:
        def submit(self, *_: Any) -> Future[Any]:
            lost: Future[Any] = Future()
            lost.set_exception(BrokenProcessPool("killed"))
            return lost

    drawn = Helper(Killed()).begin(axis, BARS, 300.0)  # type: ignore[arg-type]
    assert drawn() == axis(BARS, 300.0)


def test_the_page_of_a_history_is_the_same_either_way(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")
    for seed in (1, 2):
        (tmp_path / f"{seed}.json").write_text(json.dumps(remeasured(shared_document, seed)))
    monkeypatch.setattr(helper_process, "cores", lambda: 2)
    pages = []
    for least in (1, 10**9):
        monkeypatch.setattr(helper_process, "LARGE", least)
        assert main(["history", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 0
        pages.append((tmp_path / "page.html").read_text("utf-8"))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("from_stdin", [False, True], ids=["script", "standard input"])
def test_a_script_without_a_guard_is_not_run_by_the_second_process(
    shared_document: Any, tmp_path: Path, from_stdin: bool
) -> None:
    pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")
    for seed in (1, 2):
        (tmp_path / f"{seed}.json").write_text(json.dumps(remeasured(shared_document, seed)))
    script = (
        "with open('starts', 'a') as log: log.write('started\\n')\n"
        "from torchduet.__main__ import main; from torchduet.reports.html import helper_process\n"
        "helper_process.LARGE, helper_process.cores = 1, lambda: 2\n"
        "raise SystemExit(main(['history', '.', '-o', 'page.html']))\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-" if from_stdin else "script.py"],
        cwd=tmp_path,
        input=script,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "starts").read_text() == "started\n"
