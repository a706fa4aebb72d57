"""Whatever a workload does to its worker, its family fails with the reason, and the run goes on."""

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bench.test_left_behind import ROOT, Traces, until
from tests.faults import table
from tests.faults.run import WORKLOADS, Bench, records
from tests.faults.soak import watched
from tests.faults.workloads.hostile import SURVIVED

HOSTILE = WORKLOADS / "hostile.py"
RAN = "TORCHDUET_TEST_RAN"  # a file that a pickle would make where it is loaded


@pytest.fixture(scope="module")
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def faults(request: pytest.FixtureRequest) -> list[str]:
    """Those that this session looks at, and those that a worker survives: three deaths in a row would end the run."""
    cases = (getattr(item, "callspec", None) for item in request.session.items)
    selected = {case.params.get("fault") for case in cases if case is not None}
    return [fault for fault in table.WORKER if fault in selected or fault in SURVIVED]


@pytest.fixture(scope="module")
def hostile(traces: Traces, tmp_path_factory: pytest.TempPathFactory, faults: list[str]) -> Path:
    """A run of all of them."""
    run = tmp_path_factory.mktemp("hostile") / "run.json"
    ran = run.with_name("ran")
    traces.environment[RAN] = str(ran)
    globs = [f"hostile.{workload} *" for workload in (*faults, "stopped")]
    cases = [option for glob in (*globs, "hostile.harmless_*") for option in ("--case", glob)]
    for budget in ("15s", "90s"):  # a busy machine takes longer until each had its turn
        bench = Bench(traces, run, "--hang-after", "4s", *cases, suite=HOSTILE, budget=budget)
        with ThreadPoolExecutor(1) as beside:
            watching = beside.submit(watched, bench)
            code, output = bench.end()
            seen = watching.result()
        about = json.loads(run.read_text())["torchduet"] if run.exists() else {}
        if about and not about["unreached"] and not about["skipped"]:
            break
    assert code == 1, output
    # Between two workers only what the run needs is open, after its last as after its first.
    counts = [one.descriptors for one in seen if one.families]
    assert min(counts[-len(counts) // 3 :]) <= min(counts[: len(counts) // 3])
    about = json.loads(run.read_text())["torchduet"]
    assert about["unreached"] == []
    assert "stopped" not in about
    assert "Traceback" not in output
    assert "\x1b" not in output
    assert not ran.exists(), "a message ran a command in pytest's process"
    return run


@pytest.fixture(scope="module")
def reasons(hostile: Path) -> dict[str, str]:
    """Workload → why it failed."""
    about = json.loads(hostile.read_text())["torchduet"]
    return {one["case"]["workload"]: one["reason"] for one in about["failed"]}


@pytest.mark.parametrize("fault", list(table.WORKER))
def test_a_familys_items_fail_with_the_reason(reasons: dict[str, str], fault: str) -> None:
    assert table.WORKER[fault][1] in reasons[fault]
    assert len(reasons[fault]) < 3000


def test_nothing_is_left_behind_and_no_other_family_fails(
    reasons: dict[str, str], traces: Traces, faults: list[str]
) -> None:
    assert set(reasons) == set(faults)
    assert until(traces.none, 60), traces


def test_blocks_in_which_a_worker_was_stopped_are_left_out_and_it_is_said(hostile: Path) -> None:
    (record,) = [one for one in records(hostile).values() if one["case"]["workload"] == "stopped"]
    number = record["timing"]["left_out"]
    assert number >= 1
    assert record["noise"]["grade"] in ("noisy", "disturbed")
    (cause,) = [
        words for words in record["noise"]["causes"] if words.startswith("the process or the machine was suspended")
    ]
    assert f"{number} block" in cause
    assert "left out and taken again" in cause


def test_three_workloads_in_a_row_without_an_answer_end_the_run(traces: Traces, tmp_path: Path) -> None:
    words = "exit_0 or exit_7 or sys_exit or hangs"
    bench = Bench(traces, tmp_path / "run.json", "-k", words, suite=HOSTILE, budget="60s")
    code, output = bench.end()
    assert code == 1, output
    assert (
        "the run ended early (the workers of 3 workloads in a row gave no answer): 3 of 7 families are measured"
        in output
    )
    about = json.loads(bench.run.read_text())["torchduet"]
    assert about["stopped"] == "the workers of 3 workloads in a row gave no answer"
    assert (len(about["failed"]), len(about["unreached"])) == (3, 4)


def test_a_full_disk_leaves_the_json_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("as it was")
    script = f"""
import resource, signal
from pathlib import Path
from torchduet.bench.files.atomic import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(b"x" * 100_000, Path({str(path)!r}))
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_the_table_in_the_documentation_is_current(pytestconfig: pytest.Config) -> None:
    names = [f"tests.faults.{file.stem}" for file in Path(__file__).parent.glob("test_*.py")]
    names += [f"tests.bench.{name}" for name in table.BESIDE]
    modules = [importlib.import_module(name) for name in names]
    for fault, _, test in (*table.RUN, *table.PROCESSES, *table.PLACES, *table.COMMAND, *table.GPU):
        assert any(hasattr(module, test) for module in modules), fault
    if not pytestconfig.getoption("write_table", False):
        assert table.DOCUMENT.read_text() == table.document(), "run `pytest tests/faults --write-table`"
