"""The folder of a run that was killed is removed by the next run, that of one that is alive is not."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.bench.test_left_behind import ROOT
from torchduet.bench.host.temporary import ALIVE, RunFolder, sweep

KILLED = """
import os, signal
from torchduet.bench.host.temporary import RunFolder
folder = RunFolder()
print(folder.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_only_what_nobody_holds_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    left = Path(done.stdout.strip())
    (others := tmp_path / "torchduet-notes").mkdir()
    alive = RunFolder()
    assert left.is_dir()  # too young: it might not be locked yet
    for folder in (left, Path(alive.name)):
        os.utime(folder / ALIVE, (0, 0))
    sweep()
    assert not left.exists()
    assert Path(alive.name).is_dir()
    assert others.is_dir()
    alive.cleanup()
    assert [*tmp_path.iterdir()] == [others]
