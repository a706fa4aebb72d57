"""The table that says how often each tool is wrong, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import quantiles
from typing import Any

from torchduet.bench.peers.cases import SIDES
from torchduet.bench.peers.trials import TOOLS
from torchduet.bench.record.proportions import BOUNDS_CONFIDENCE, clopper_pearson

INJECTED = [by for by in SIDES.values() if by > 1]
ABOUT = """\
Every tool held the same functions against an identical copy and against copies with extra work of 3 % and 5 %,
calibrated once for all of them; trials of all tools were interleaved. Each tool ran as its documentation says, with
its defaults and a threshold of 1 %. In brackets: Clopper-Pearson bounds at {bounds}."""
HEAD = (
    "| tool and its rule | identical code called different | its ratio: half within, 95 % within "
    "| 3 % found | 5 % found | s per comparison |\n| --- | --- | --- | --- | --- | --- |"
)


def markdown(kept: Mapping[str, Any]) -> str:
    """The whole page: a table for each condition, what was measured where, and how the tools were used."""
    return "\n".join(_lines(kept)) + "\n"


def _lines(kept: Mapping[str, Any]) -> Iterator[str]:
    yield from ABOUT.format(bounds=f"{BOUNDS_CONFIDENCE:.0%}").splitlines()
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    yield from _injected(kept)
    yield f"Measured on {kept['measured'][:10]}: {kept['cpu']}, {kept['cores']} cores; {versions}."
    yield ""
    trials = kept["trials"]
    for name in dict.fromkeys(trial["condition"] for trial in trials):
        threads = next(trial["threads"] for trial in trials if trial["condition"] == name)
        yield f"**{_condition(name)}, {threads} thread{'' if threads == 1 else 's'}**"
        yield ""
        yield HEAD
        for tool in TOOLS:
            if any(trial["tool"] == tool.name and trial["condition"] == name for trial in trials):
                yield row(trials, tool.name, name)
        yield ""
        yield from _failures(trials, name)


def _injected(kept: Mapping[str, Any]) -> Iterator[str]:
    """What the extra work made of the calls, as far as the file says."""
    found = [sides for one in kept["calibration"].values() for sides in one["measured"].values()]
    if found:
        spans = (
            f"{by - 1:.0%} came out as {min(one[side] for one in found) - 1:.1%} to "
            f"{max(one[side] for one in found) - 1:.1%}"
            for side, by in SIDES.items()
            if by > 1
        )
        yield f"When calibrated, extra work of {' and of '.join(spans)}, depending on the case."
        yield ""


def _condition(name: str) -> str:
    return {"idle": "Nothing else running", "busy": "Another process keeps one core busy"}.get(name, name)


def row(trials: Sequence[Mapping[str, Any]], tool: str, condition: str) -> str:
    """One tool under one condition."""
    mine = [trial for trial in trials if trial["tool"] == tool and trial["condition"] == condition]
    answers = [answer for trial in mine for answer in trial["answers"]]
    title = f"{tool}: {mine[0]['rule']}" if mine else tool
    if not answers:
        return f"| {title} | | | | | |"
    cells = [
        _rate([one["verdict"] != "none" for one in answers if one["injected"] == 1]),
        _errors([abs(math.log(one["ratio"])) for one in answers if one["injected"] == 1]),
        *(_rate([one["verdict"] == "slower" for one in answers if one["injected"] == by]) for by in INJECTED),
        f"{sum(trial['seconds'] for trial in mine if trial['answers']) / len(answers):.1f}",
    ]
    return f"| {title} | {' | '.join(cells)} |"


def _rate(happened: Sequence[bool]) -> str:
    if not happened:
        return ""
    low, high = clopper_pearson(sum(happened), len(happened))
    return f"{sum(happened)} of {len(happened)} ({low:.0%} to {high:.0%})"


def _errors(errors: Sequence[float]) -> str:
    if len(errors) < 2:
        return ""
    cuts = quantiles(errors, n=20, method="inclusive")
    return f"±{cuts[9]:.1%}, ±{cuts[18]:.1%}"


def _failures(trials: Sequence[Mapping[str, Any]], condition: str) -> Iterator[str]:
    failed = [trial for trial in trials if trial["condition"] == condition and trial["error"]]
    if failed:
        reasons = (f"{trial['tool']} ({trial['error'].splitlines()[0]})" for trial in failed)
        yield f"Trials that failed: {', '.join(reasons)}."
        yield ""
