"""pyperf: saved runs of base and side, then ``pyperf compare_to --min-speed=1``.

All settings are its defaults: 20 processes with 3 values each, a t-test at 95 %. ``compare_to`` compares means.
"""

from __future__ import annotations

import re
from pathlib import Path

from torchduet.bench.peers.cases import BASE, SETTINGS_VARIABLE
from torchduet.bench.peers.tools.trial import Answer, ToolError, Trial
from torchduet.bench.record.visits.intervals import COPY_THRESHOLD as THRESHOLD

NAME = "pyperf"
RULE = "t-test at 95 %, and means differ by at least 1 % (`compare_to --min-speed=1`)"
SCRIPT = """\
import os

import pyperf

from torchduet.bench.peers.cases import call

runner = pyperf.Runner()
runner.bench_func(os.environ["CASE"], call(os.environ["CASE"], os.environ["SIDE"]))
"""
INHERITED = ("CASE", "SIDE", SETTINGS_VARIABLE, "PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "HOME")
COMPARED = re.compile(r": ([\d.]+)x (slower|faster)")


def run(trial: Trial) -> list[Answer]:
    """Run the base and each side once; pyperf takes so long that all sides of a case share one run of the base."""
    script = trial.folder / "script.py"
    script.write_text(SCRIPT, "utf-8")
    answers = []
    for case in trial.cases:
        base = _save_run(trial, script, case, BASE)
        for side in trial.sides:
            other = _save_run(trial, script, case, side)
            answers.append(Answer(case, side, _ratio(base, other), _verdict(trial, base, other)))
    return answers


def _save_run(trial: Trial, script: Path, case: str, side: str) -> Path:
    out = trial.folder / f"{case}-{side}.json"
    trial.python(
        *(script.name, "-o", out.name, "--quiet", f"--inherit-environ={','.join(INHERITED)}"),
        variables={"CASE": case, "SIDE": side},
    )
    return out


def _ratio(base: Path, other: Path) -> float:
    import pyperf

    return float(pyperf.Benchmark.load(str(other)).mean() / pyperf.Benchmark.load(str(base)).mean())


def _verdict(trial: Trial, base: Path, other: Path) -> str:
    process = trial.python("-m", "pyperf", "compare_to", f"--min-speed={100 * THRESHOLD:g}", base.name, other.name)
    match = COMPARED.search(process.stdout)
    if match:
        return match.group(2)
    if "not significant" in process.stdout.lower() or "no change" in process.stdout:
        return "none"
    raise ToolError(f"pyperf compare_to printed something unknown: {process.stdout.strip()[-300:]}")
