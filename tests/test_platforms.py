"""Every module can be imported on Windows and macOS; reports are written there, and a run measures."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reports.made_history import make_history
from tests.reports.sample import make_run
from tests.test_layout import modules

ROOT = Path(__file__).parents[1]
SMALL = str(ROOT / "tests" / "bench" / "workloads" / "small.py")
SYSTEMS = ("win32", "darwin")
NEEDING_OTHERS = ("torchduet.bench.peers.tools",)  # run by asv and pyperf, which may not be installed
IMPORTS = """
import json, sys
from tests.platforms import import_all
print(json.dumps(import_all(*json.load(sys.stdin))))
"""


def python(code: str, *arguments: str, given: str = "", folder: Path = ROOT) -> str:
    """What a process of its own prints for this code."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=given,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_is_imported(system: str) -> None:
    names = [name for name in modules() if not name.startswith(NEEDING_OTHERS) and not name.endswith("__main__")]
    assert json.loads(python(IMPORTS, given=json.dumps([system, names])).splitlines()[-1]) == []


COMMANDS = """
import json, sys
from pathlib import Path
from tests.platforms import become

def commands(folder):
    from torchduet.__main__ import main
    out = Path(folder)
    out.mkdir()
    base, new = "base.json", "new.json"
    for command in (
        ("render", base, "-o", out / "report.html"), ("render", base, "--markdown", out / "report.md"),
        ("compare", base, new, "-o", out / "compare.html"), ("compare", base, new, "--markdown", out / "compare.md"),
        ("export", base, "-o", out / "cases.csv"), ("claims", base),
        ("history", "runs", "-o", out / "history.html"),
    ):
        assert main([str(word) for word in command]) == 0, command

commands("real")
become(sys.argv[1])
commands("shown")
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_reports_are_the_same(system: str, tmp_path: Path) -> None:
    pytest.importorskip("ruptures", reason="needs the extra history")
    document = make_run(placements=6)
    (tmp_path / "runs").mkdir()
    paths = make_history(tmp_path / "runs", document, 6)
    for name, path in (("base", paths[0]), ("new", paths[-1])):
        shutil.copy(path, tmp_path / f"{name}.json")
    done = python(COMMANDS, system, folder=tmp_path)
    assert done.count("history.html") == 2
    real, shown = ({path.name: path for path in (tmp_path / name).iterdir()} for name in ("real", "shown"))
    assert real.keys() == shown.keys()
    assert len(real) == 6
    for name in ("report.md", "compare.md", "cases.csv"):
        assert real[name].read_text() == shown[name].read_text()


SITE = """
import sys


class AtFirst:
    def find_spec(self, name, path=None, target=None):
        if name == "torchduet":
            sys.meta_path.remove(self)
            import filelock, torch, torch._dynamo.utils, torch.utils.data
            from tests.platforms import become

            become({system!r}, running=True)
        return None


sys.meta_path.insert(0, AtFirst())
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_measures_with_a_new_interpreter_for_each_worker(system: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE.format(system=system))
    run = tmp_path / "run.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    options = ("--suite", SMALL, "--case", "small.add[n=1000]*", "--budget", "6s", "--threads", "1")
    done = subprocess.run(
        # Plain asserts: else pytest's own finder comes first, as Torchduet has a plugin, and the system stays as it is.
        [sys.executable, "-m", "pytest", "bench/", "-s", "--assert=plain", *options, "--benchmark-json", str(run)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(run.read_text())["torchduet"]
    (warning,) = (warning for warning in record["warnings"] if "each worker imports torch itself" in warning)
    assert ("other runs of Torchduet are not detected" in warning) == (system == "win32")
    assert record["failed"] == []
