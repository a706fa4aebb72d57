"""Of two runs on one machine the second notices the first; a lock is free when its holder ends, however it ends."""

import subprocess
import sys
import threading
from pathlib import Path
from time import sleep

import pytest

from tests.bench.test_left_behind import ROOT
from torchduet.bench.host.run_lock import GO, REFUSE, TOGETHER, WAIT, Lock, LockError

HOLDER = """
import sys, time
from pathlib import Path
from torchduet.bench.host.run_lock import Lock
assert Lock(Path(sys.argv[1])).take("refuse", print) is None
print("held", flush=True)
time.sleep(600)
"""


def test_the_second_waits_until_the_first_is_killed_refuses_or_goes_on_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = Lock(path)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LockError, match="another run of Torchduet is measuring"):
        held.take(REFUSE, print)
    assert held.take(GO, print) == TOGETHER
    said: list[str] = []
    waiting = threading.Thread(target=lambda: said.append(str(held.take(WAIT, said.append))))
    waiting.start()
    sleep(0.6)
    assert waiting.is_alive()
    holder.kill()
    holder.communicate()
    waiting.join(30)
    assert len(said) == 2
    assert "waiting for its end" in said[0]
    assert said[1] == "None"
    with pytest.raises(LockError):
        Lock(path).take(REFUSE, print)
    held.free()
    after = Lock(path)
    assert after.take(REFUSE, print) is None
    after.free()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    assert "it is a link, not a file" in str(Lock(tmp_path / "lock").take(REFUSE, print))
    assert not (tmp_path / "elsewhere").exists()
