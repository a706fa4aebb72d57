"""Pilots on a GPU in the reports: they concern the cases on that GPU alone, and files without them read as before."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from tests.reports.remeasured import remeasured
from tests.reports.with_gpu import make_gpu_run
from torchduet.bench.record.schema import KEY
from torchduet.reports.charts.pilots import kinds_of, pilot_chart, words_of
from torchduet.reports.history.judge import _pilots_of
from torchduet.reports.history.series import CaseName
from torchduet.reports.html import run_page
from torchduet.reports.read.run_file import from_json
from torchduet.reports.shifts.guards import Guards

FAMILY = "matmul.square[n=256]"
KINDS = ("arithmetic", "memory", "launch")


def run(seed: int, *, gpu: float = 1.0, cpu: float = 1.0, without: tuple[str, ...] = ()) -> Any:
    """A run with pilots on ``cuda:0``, which take ``gpu`` times as long, and those of the CPU ``cpu`` times."""
    document = copy.deepcopy(remeasured(make_gpu_run(), seed, quiet=1e-9))
    for pilot in document[KEY]["pilots"]:
        pilot["seconds"] = {kind: cpu * seconds for kind, seconds in pilot["seconds"].items()}
        pilot["seconds"] |= {f"cuda:0 {kind}": 1e-4 * gpu for kind in KINDS if kind not in without}
        pilot["busy"] = {"cuda:0": 0.0}
    return from_json(document, f"run{seed}.json")


def movements(base: Any, new: Any) -> dict[str, float]:
    guards = Guards(base, new, another_machine=False)
    found = guards.of_families([(FAMILY, device) for device in ("cpu", "cuda", "cuda:1")])
    return {device: movement.furthest for (_, device), movement in found.items()}


def test_a_gpu_that_became_slower_moves_its_own_cases_alone() -> None:
    found = movements(run(1), run(2, gpu=1.2))
    assert found["cuda"] == pytest.approx(-math.log(1.2), abs=1e-6)
    assert found["cpu"] == pytest.approx(0.0, abs=1e-6)
    assert found["cuda:1"] == pytest.approx(0.0, abs=1e-6)


def test_the_cpu_launches_the_kernels_of_a_gpu_too() -> None:
    found = movements(run(1), run(2, cpu=1.2))
    assert found["cpu"] == pytest.approx(found["cuda"])
    assert found["cpu"] == pytest.approx(-math.log(1.2), abs=1e-6)


def test_a_run_without_pilots_on_its_gpu_is_compared_by_those_of_the_cpu() -> None:
    assert movements(run(1, without=KINDS), run(2, gpu=3.0))["cuda"] == pytest.approx(0.0, abs=1e-6)
    assert movements(run(1, without=("launch",)), run(2, gpu=3.0))["cuda"] == pytest.approx(-math.log(3), abs=1e-6)


def test_a_common_factor_of_cases_on_the_cpu_is_not_explained_by_a_gpu() -> None:
    guards = Guards(run(1), run(2, gpu=1.2), another_machine=False)
    assert set(guards.levels_on({"cpu"})) == {"arithmetic", "memory", "calls"}
    assert set(guards.levels_on({"cpu", "cuda"})) == {*guards.levels}
    assert set(guards.levels_on({"cuda:1"})) == {"arithmetic", "memory", "calls"}


def test_a_history_judges_each_device_by_its_own_pilots() -> None:
    logs = np.zeros(3)

    class History:
        pilots = {FAMILY: {"memory": logs, "cuda:0 memory": logs, "cuda:1 memory": logs}}  # noqa: RUF012

    def kinds(device: str, family: str = FAMILY) -> set[str]:
        history: Any = History()
        return set(_pilots_of(history, CaseName("a", family, "", device, "", "", False)))

    assert kinds("cpu") == kinds("cpu", "") == {"memory"}
    assert kinds("cuda") == {"cuda:0 memory"}
    assert kinds("cuda:1", "") == {"cuda:1 memory"}
    assert kinds("xpu") == set()


def test_the_chart_and_the_page_name_the_gpu() -> None:
    shown = run(1)
    pilots = shown.about["pilots"]
    assert kinds_of(pilots)[3:] == [f"cuda:0 {kind}" for kind in KINDS]
    keys = [words for _, words in pilot_chart(pilots, "p").keys]
    assert keys[3:] == ["arithmetic on cuda:0", "copying on cuda:0", "tiny kernels on cuda:0"]
    assert words_of("cuda:0 future") == "future on cuda:0"
    assert "copying on cuda:0" in run_page.render(shown)
