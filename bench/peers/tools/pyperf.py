"""pyperf: a saved run of the base and one of the side, then ``pyperf compare_to --min-speed=1``.

All settings are its defaults: 20 processes with 3 values each, a t-test at 95 %. ``compare_to`` compares means.
"""

from __future__ import annotations

import re
from pathlib import Path

from torchduet.bench.peers.cases import BASE, SETTING
from torchduet.bench.peers.tools.place import Answer, Place, ToolError
from torchduet.bench.run.aa_summary import THRESHOLD

NAME = "pyperf"
RULE = "t-test at 95 %, and means differ by at least 1 % (`compare_to --min-speed=1`)"
SCRIPT = """\
import os

import pyperf

from torchduet.bench.peers.cases import call

runner = pyperf.Runner()
runner.bench_func(os.environ["CASE"], call(os.environ["CASE"], os.environ["SIDE"]))
"""
INHERITED = ("CASE", "SIDE", SETTING, "PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "HOME")
SAID = re.compile(r": ([\d.]+)x (slower|faster)")


def trial(place: Place) -> list[Answer]:
    """The base and each side in turn; the base's run serves all sides of a case, which pyperf's take long enough."""
    script = place.folder / "script.py"
    script.write_text(SCRIPT, "utf-8")
    answers = []
    for case in place.cases:
        base = _run(place, script, case, BASE)
        for side in place.sides:
            other = _run(place, script, case, side)
            answers.append(Answer(case, side, _ratio(base, other), _verdict(place, base, other)))
    return answers


def _run(place: Place, script: Path, case: str, side: str) -> Path:
    out = place.folder / f"{case}-{side}.json"
    place.python(
        *(script.name, "-o", out.name, "--quiet", f"--inherit-environ={','.join(INHERITED)}"),
        more={"CASE": case, "SIDE": side},
    )
    return out


def _ratio(base: Path, other: Path) -> float:
    import pyperf

    return float(pyperf.Benchmark.load(str(other)).mean() / pyperf.Benchmark.load(str(base)).mean())


def _verdict(place: Place, base: Path, other: Path) -> str:
    ran = place.python("-m", "pyperf", "compare_to", f"--min-speed={100 * THRESHOLD:g}", base.name, other.name)
    said = SAID.search(ran.stdout)
    if said:
        return said.group(2)
    if "not significant" in ran.stdout.lower() or "no change" in ran.stdout:
        return "none"
    raise ToolError(f"pyperf compare_to said something unknown: {ran.stdout.strip()[-300:]}")
