"""Warm starts: which cases are started again, what counts as warm, and what the record says of what does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import FirstCallTaken, Task
from torchduet.bench.plan.options import OptionError, Options, parse
from torchduet.bench.record.schema import KEY, Record
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.warm_starts import (
    FEW,
    MAX_TRIES,
    STAGE,
    TRIES,
    check_selection,
    measure_warm_starts,
    selected,
    set_aside,
    warm_start,
    warm_start_record,
)
from torchduet.bench.workers.launcher import Launcher, WorkerError

ROOT = Path(__file__).parents[2]
NOTHING = dict.fromkeys(("suite", "data", "threads", "budget"))


def options(**given: Any) -> Options:
    return parse(**{"tier": "quick", **NOTHING, **given})


def taken(seconds: float = 1.0, hits: int = 3, misses: int = 0, **more: int) -> FirstCallTaken:
    return cast(
        FirstCallTaken,
        {"seconds": seconds, "hits": hits, "misses": misses, "uncached": 0, "traced": 0, "kept": 0, **more},
    )


COLD = taken(8.0, hits=0, misses=3, traced=3, kept=2)


def test_a_start_is_warm_where_the_cache_served_all_that_it_keeps() -> None:
    record = warm_start_record(COLD, [taken(seconds, traced=1) for seconds in (1.0, 3.0, 2.0)])
    assert record == {"cold": 8.0, "tries": [1.0, 3.0, 2.0], "seconds": 2.0, "hits": 3, "traced": 1}


@pytest.mark.parametrize(
    ("tries", "why"),
    [
        ([taken(), taken(misses=1)], "1 graph was not found in the cache, and compiled again"),
        ([taken(misses=2)], "2 graphs were not found in the cache, and compiled again"),
        ([taken(uncached=2)], "inductor keeps 2 of its graphs in no cache, and compiles them again"),
        ([taken(traced=2)], "AOTAutograd did not find 1 graph that it had kept, and traced again"),
        ([taken(hits=0)], "nothing was loaded from the cache"),
    ],
)
def test_a_start_that_the_cache_did_not_serve_is_not_called_warm(tries: list[FirstCallTaken], why: str) -> None:
    record = warm_start_record(COLD, tries)
    assert record.get("why") == why
    assert "seconds" not in record
    assert len(record["tries"]) == len(tries)


def case(workload: str, mode: str = "compile") -> Case:
    return Case("s", "s", workload, "", (), workload, True, "cpu", mode, "fp32")


def record(verdict: str = "faster", seconds: float = 3.0, *, compiled: bool = True) -> Record:
    fields = {
        "compile": {"graphs": 1, "graph_breaks": [], "cold": True} if compiled else None,
        "speedups": [{"knob": "mode", "verdict": verdict}],
        "first_call": {"seconds": seconds, "calls": 2},
        "timing": {"seconds": 1e-3},
    }
    return cast(Record, fields)


def families(*cases: Case) -> list[Family]:
    return [Family((one,), (one,)) for one in cases]


def test_tiers_from_default_on_start_a_few_cases_of_as_many_families_within_the_budget() -> None:
    assert set_aside(options()) == 0
    assert set_aside(options(tier="default", budget="60s")) == 0
    assert set_aside(options(tier="default", warm_start="all")) == 0
    by_itself = options(tier="default")
    assert 0 < set_aside(by_itself) < 0.1 * by_itself.budget_seconds
    slow, fast, long = case("slow"), case("fast"), case("long")
    others = [case(f"w{number}") for number in range(FEW)]
    records = {
        slow: record("slower", 0.5),
        fast: record(seconds=0.6),
        long: record(seconds=1e3),
        **{one: record(seconds=0.7) for one in others},
    }
    chosen = [one for _, one in selected(by_itself, families(*records), records)]
    assert chosen == [fast, *others[: FEW - 1]]
    assert selected(options(), families(*records), records) == []
    assert selected(options(tier="default", warm_start="none"), families(*records), records) == []


def test_only_compiled_cases_of_one_process_are_started_again() -> None:
    eager, compiled, ranked, reading = case("a", "eager"), case("b"), case("c"), case("d")
    records = {
        eager: record(compiled=False),
        compiled: record(),
        ranked: cast(Record, {**record(), "ranks": {}}),
        reading: record(compiled=False),
    }
    every = selected(options(warm_start="all"), families(*records), records)
    assert [one for _, one in every] == [compiled]


def test_a_glob_must_match_a_case_and_paths_are_refused() -> None:
    check_selection("s.b *", [case("b").id])
    for what in (None, "all", "none", "slowest:3"):
        check_selection(what, [case("b").id])
    with pytest.raises(OptionError, match="--warm-start"):
        check_selection("mlp.*", [case("b").id])
    for wrong in ("", "slowest:0", str(ROOT)):
        with pytest.raises(OptionError, match="--warm-start"):
            options(warm_start=wrong)


class Launching:
    """A launcher whose workers answer at once."""

    def __init__(self, folder: Path, answers: list[Any]) -> None:
        self.folder, self.answers, self.jobs = folder, answers, list[Any]()
        self.servers = SimpleNamespace(choose=lambda *_, **__: None)

    def kept_folder(self, name: str) -> str:
        folder = self.folder / name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        return str(folder)

    def of_family(self, _: Any, job: Any, __: Any, ___: Any) -> Any:
        self.jobs.append(job)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_case_is_started_in_new_processes_and_its_record_gets_the_result(tmp_path: Path) -> None:
    from torchduet.bench.cases.outcome import Measured

    good, bad = case("good"), case("bad")
    progress = Progress(families=families(good, bad))
    for one in (good, bad):
        progress.outcomes[one] = Measured(record())
    launching = Launching(tmp_path, [COLD, *[taken(traced=1)] * TRIES, WorkerError("it died")])
    task = Task(progress.families[0], 1.0, 1)
    measure_warm_starts(options(warm_start="all"), progress, cast(Launcher, launching), lambda _: task)
    caches = {job.cache for job in launching.jobs}
    assert len(launching.jobs) == 2 + TRIES
    assert len(caches) == 2
    assert not any(Path(cache).exists() for cache in caches)
    assert all(job.task.family.cases in ((good,), (bad,)) for job in launching.jobs)
    compiled = progress.records()[good]["compile"]
    assert compiled is not None
    assert compiled["warm_start"]["seconds"] == 1.0
    assert compiled["graphs"] == 1
    assert progress.records()[bad]["compile"] == record()["compile"]
    assert progress.warnings == [f"{bad.id} has no warm start: it died"]
    assert STAGE in progress.seconds


def test_where_times_scatter_there_are_more_of_them(tmp_path: Path) -> None:
    for times, number in (
        ([1.0, 1.01, 0.99, 1.02, 1.0], TRIES),
        ([1.0, 9.0, 1.0, 1.0, 1.0], TRIES),  # one disturbed try does not matter to the median
        ([1.0, 2.0] * MAX_TRIES, MAX_TRIES),
    ):
        launching = Launching(tmp_path, [COLD, *(taken(seconds) for seconds in times)])
        found = warm_start(case("w"), Task(families(case("w"))[0], 1.0, 1), cast(Launcher, launching))
        assert len(found["tries"]) == number


def test_an_option_that_selects_no_compiled_case_is_warned_about(tmp_path: Path) -> None:
    progress = Progress(families=families(case("a", "eager")))
    measure_warm_starts(
        options(warm_start="all"),
        progress,
        cast(Launcher, Launching(tmp_path, [])),
        lambda _: None,  # type: ignore[arg-type,return-value]
    )
    assert progress.warnings == ["--warm-start all: no compiled case matches; nothing was started again"]
    assert STAGE not in progress.seconds


def test_a_run_records_cold_and_warm_starts(tmp_path: Path) -> None:
    file = tmp_path / "suite.py"
    file.write_text(
        "import torch\nfrom torchduet import Suite\nsuite = Suite('s')\n"
        "@suite.workload(inputs=lambda device: (torch.ones(64),))\n"
        "def chain(x):\n    return (x + 1).sin().exp()\n"
    )
    run = tmp_path / "run.json"
    arguments = ("--suite", str(file), "--threads", "1", "--budget", "8s", "--warm-start", "--when-busy", "go")
    done = subprocess.run(
        [sys.executable, "-m", "torchduet", "run", *arguments, "--benchmark-json", str(run)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = [one["extra_info"][KEY] for one in json.loads(run.read_text())["benchmarks"]]
    (compiled,) = [one["compile"] for one in records if one["compile"]]
    start = compiled["warm_start"]
    assert start["hits"] == 1
    assert "why" not in start
    assert TRIES <= len(start["tries"]) <= MAX_TRIES
    assert 0 < start["seconds"] < start["cold"]
