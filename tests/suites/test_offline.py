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
# Makes the inputs of every workload that runs on a CPU, at the smallest size of the tiers quick and default, and calls
# each implementation that runs on a CPU without being compiled. Prints, as JSON, workload → implementation → why it
# cannot run here, or nothing. Left to other tests: sizes, models and workloads of the tier full, which are too large
# for a test, other modes and precisions, and what is only run on a GPU.
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
        reasons = unavailable[f"{suite.name}.{workload.name}"] = {}
        inputs = None
        for name, implementation in workload.implementations.items():
            if "cpu" not in (implementation.devices or ("cpu",)) or "eager" not in (implementation.modes or ("eager",)):
                continue
            reasons[name] = None
            try:
                inputs = inputs or workload.inputs(device, **size)
                assemble(timed_function(workload, name, inputs), "fp32", "cpu")(*workload.split(inputs)[0])
            except Unavailable as reason:
                reasons[name] = str(reason)
print(json.dumps(unavailable))
"""


def reasons(code: str, home: Path, *sources: str) -> dict[str, dict[str, str | None]]:
    """Workload → implementation → why it cannot run, in a new process that has no settings and no cache of a hub.

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
    unavailable: dict[str, dict[str, str | None]] = json.loads(done.stdout.splitlines()[-1])
    return unavailable


def on_cpu(suite: str) -> dict[str, set[str]]:
    """Workload of the tiers quick and default → implementations that a CPU runs without compiling them."""
    (workloads,) = load(suite)
    return {
        f"{suite}.{workload.name}": {
            name
            for name, implementation in workload.implementations.items()
            if "cpu" in (implementation.devices or ("cpu",)) and "eager" in (implementation.modes or ("eager",))
        }
        for workload in workloads.workloads.values()
        if next(workload.sizes("default"), None) and "cpu" in workload.devices
    }


def test_no_implementation_reaches_for_the_network(tmp_path: Path) -> None:
    unavailable = reasons(FORBIDDEN + CALLS, tmp_path, *SUITES)
    called = {workload: set(implementations) for workload, implementations in unavailable.items()}
    assert called == {workload: names for suite in SUITES for workload, names in on_cpu(suite).items()}
    missing = {reason for implementations in unavailable.values() for reason in implementations.values() if reason}
    if missing:
        pytest.skip(f"not all were called: {'; '.join(sorted(missing))}")


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


# Beside every workload of the suite transformers; of the classifiers, only ViT, which is not their smallest network.
NEEDING = ("vision.train_yolos", "vision.infer_yolos", "speech.train_wav2vec2")


def test_where_transformers_is_missing_what_needs_it_says_what_to_install(tmp_path: Path) -> None:
    unavailable = reasons(MISSING + CALLS, tmp_path, "transformers", "vision", "speech")
    needing = {*NEEDING, *on_cpu("transformers")}
    assert needing < unavailable.keys()
    for workload, implementations in unavailable.items():
        for name, reason in implementations.items():
            assert (reason is not None) == (workload in needing), (workload, name)
            if reason is not None:
                assert "transformers is not installed" in reason
                assert "pip install" in reason
