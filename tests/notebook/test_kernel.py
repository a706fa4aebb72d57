"""Comparisons in a real kernel: what stays in the notebook, and what an interrupt does."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import time
from typing import Any

BEFORE = """
import sys
sys.modules["ipywidgets"] = None  # as if it were not installed
import torch, torchduet
torch.set_num_threads(1)
x = torch.randn(200)
def f(x): return x.sin()
def g(x): return torch.sin(x)
"""


def outputs(client: Any, code: str, *, interrupt_on: str = "") -> list[dict[str, Any]]:
    """A cell's outputs as a notebook keeps them.

    Args:
        interrupt_on: interrupt the kernel when the progress has this text.
    """
    request = client.execute(code)
    kept: list[dict[str, Any]] = []
    shown: dict[str, dict[str, Any]] = {}
    waits_until = time.monotonic() + 120
    while time.monotonic() < waits_until:
        with contextlib.suppress(queue.Empty):
            message = client.get_iopub_msg(timeout=1)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != request:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                return kept
            text = content.get("data", {}).get("text/plain", "")
            if interrupt_on and interrupt_on in text:
                interrupt_on = ""
                client.manager.interrupt_kernel()
            if kind in ("stream", "error", "execute_result", "display_data"):
                kept.append({"kind": kind, **content})
                if display := content.get("transient", {}).get("display_id"):
                    shown[display] = kept[-1]
            elif kind == "update_display_data":
                shown[content["transient"]["display_id"]].update(data=content["data"])
            elif kind.startswith("comm"):
                kept.append({"kind": kind})
    raise AssertionError("the cell did not end")


def test_of_the_progress_nothing_stays_and_nothing_is_said(client: Any) -> None:
    assert outputs(client, BEFORE) == []
    progress, result = outputs(client, "torchduet.compare(f, g, x, budget='2s', processes=False)")
    assert (progress["kind"], progress["data"]) == ("display_data", {})
    assert result["kind"] == "execute_result"
    assert {*result["data"]} == {"text/plain", "text/html"}
    assert 'class="torchduet' in result["data"]["text/html"]


def test_progress_is_left_out_if_it_is_not_wanted(client: Any) -> None:
    outputs(client, BEFORE)
    (result,) = outputs(client, "torchduet.compare(f, g, x, budget='2s', processes=False, progress=False)")
    assert result["kind"] == "execute_result"


def test_an_interrupt_prints_what_was_found_and_the_next_cell_works(client: Any) -> None:
    outputs(client, BEFORE)
    kept = outputs(client, "torchduet.compare(f, g, x, budget='60s')", interrupt_on="visit 3")
    printed = "".join(each["text"] for each in kept if each["kind"] == "stream" and each["name"] == "stdout")
    assert "time per call" in printed
    assert "ended early: stopped by SIGINT" in printed
    assert kept[-1]["ename"] == "KeyboardInterrupt"
    (count,) = outputs(client, "import sys; len(sys.last_value.comparison)")
    assert count["data"]["text/plain"] == "2"
    *_, result = outputs(client, "torchduet.compare(f, g, x, budget='1s', processes=False)")
    assert "f" in result["data"]["text/plain"]


def test_a_terminal_is_left_clean() -> None:
    code = (
        "import sys, time; from torchduet import progress; progress.DELAY_SECONDS = 0\n"
        "with progress.shown(True, 'f+g') as show: show('timing', 0.5)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"timing" in done.stderr
    assert done.stderr.endswith(b"\r")
    assert done.stderr.split(b"\r")[-2].strip() == b""
