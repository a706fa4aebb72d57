"""No workload of a model reaches for the network, and each says what to install where its package is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchduet.suites.registry import load

SUITES = ("transformers", "vision", "recurrent", "generative", "speech")
ROOT = Path(__file__).parents[2]

# Every call by which Python reaches another machine ends the process: an exception could be caught, or tried again.
FORBIDDEN = """
import os, socket, sys, traceback

def refused(name, original):
    def call(*arguments, **keywords):
        if getattr(arguments[0], "family", None) == getattr(socket, "AF_UNIX", ""):
            return original(*arguments, **keywords)
        traceback.print_stack()
        print(f"a workload reaches for the network: {name}", file=sys.stderr, flush=True)
        os._exit(1)
    return call

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refused(name, getattr(socket.socket, name)))
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refused(name, getattr(socket, name)))
"""
MISSING = """
import sys
for name in ("transformers", "tokenizers"):
    sys.modules[name] = None  # its import raises ModuleNotFoundError
"""
# Makes the inputs of every workload at its smallest size and calls its first implementation. Prints, as JSON, why each
# cannot run here, or nothing. What is in the tier full only is too large for a test.
CALLS = """
import itertools, json, sys
import torch
from torchduet.bench.timing.callables import assemble, timed_function
from torchduet.suites.registry import load
from torchduet.suites.workload import Unavailable

torch.set_num_threads(1)
device = torch.device("cpu")
unavailable = {}
for suite in itertools.chain.from_iterable(map(load, sys.argv[1:])):
    for workload in suite.workloads.values():
        size = next(workload.sizes("default"), None)
        if size is None or "cpu" not in workload.devices:
            continue
        torch.manual_seed(0)
        unavailable[f"{suite.name}.{workload.name}"] = None
        try:
            inputs = workload.inputs(device, **size)
            name = next(iter(workload.implementations))
            assemble(timed_function(workload, name, inputs), "fp32", "cpu")(*workload.split(inputs)[0])
        except Unavailable as reason:
            unavailable[f"{suite.name}.{workload.name}"] = str(reason)
print(json.dumps(unavailable))
"""


def reasons(code: str, home: Path, *sources: str) -> dict[str, str | None]:
    """Workload → why it cannot run, in a new process that has no settings and no cache of a hub.

    Raises:
        RuntimeError: the process failed; the message is its error.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *sources],
        env=kept | {"HF_HOME": str(home), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_no_workload_reaches_for_the_network(suite: str, tmp_path: Path) -> None:
    called = reasons(FORBIDDEN + CALLS, tmp_path, suite)
    (workloads,) = load(suite)
    in_default = [w for w in workloads.workloads.values() if next(w.sizes("default"), None) and "cpu" in w.devices]
    assert set(called) == {f"{suite}.{workload.name}" for workload in in_default}


DOWNLOADS = """
import torch
from torchduet import Suite
suite = Suite("mine")

def inputs(device):
    from transformers import AutoConfig
    try:
        AutoConfig.from_pretrained("gpt2")
    except Exception:
        pass  # even if its author has a replacement ready
    return (torch.ones(2),)

@suite.workload(inputs=inputs)
def twice(x):
    "2x"
    return 2 * x
"""


def test_a_download_is_found_even_where_its_failure_is_caught(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    file = tmp_path / "mine.py"
    file.write_text(DOWNLOADS)
    with pytest.raises(RuntimeError, match=r"(?s)from_pretrained.*reaches for the network") as error:
        reasons(FORBIDDEN + CALLS, tmp_path / "home", str(file))
    assert "mine.py" in str(error.value)  # where it is done


NEEDING = ("transformers.tokenize", "transformers.detokenize", "speech.train_wav2vec2")


def test_where_transformers_is_missing_what_needs_it_says_what_to_install(tmp_path: Path) -> None:
    unavailable = reasons(MISSING + CALLS, tmp_path, *SUITES)
    for workload in NEEDING:
        assert unavailable[workload] is not None, workload
    assert unavailable["speech.ctc_loss"] is None  # needs torch alone
    for reason in filter(None, unavailable.values()):
        assert "transformers is not installed" in reason
        assert "pip install" in reason
