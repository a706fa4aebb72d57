"""The tables of the tools: what each says of identical and of slowed copies, and of unlike pairs in two sittings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import quantiles
from typing import Any

from torchduet.bench.peers.cases import SIDES
from torchduet.bench.peers.sittings import ABOUT as ABOUT_SITTINGS
from torchduet.bench.peers.sittings import HEAD as SITTINGS_HEAD
from torchduet.bench.peers.sittings import row as sittings_row
from torchduet.bench.peers.trials import COPIES, PAIRS, TOOLS, subjects_of
from torchduet.bench.record.proportions import BOUNDS_CONFIDENCE, clopper_pearson

INJECTED = [factor for factor in SIDES.values() if factor > 1]
ABOUT = """\
Every tool compared the same functions with an identical copy and with copies that do 3 % and 5 % extra work,
calibrated once for all tools. Trials of all tools were interleaved. Each tool ran as its documentation says, with
its defaults and a threshold of 1 %. In brackets: Clopper-Pearson bounds at {bounds}."""
HEAD = (
    "| tool and its rule | identical code called different | its ratio: half within, 95 % within "
    "| 3 % found | 5 % found | s per comparison |\n| --- | --- | --- | --- | --- | --- |"
)


def markdown(results: Mapping[str, Any]) -> str:
    """The page: how the tools were used, where they ran, and a table for each condition."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    yield from ABOUT.format(bounds=f"{BOUNDS_CONFIDENCE:.0%}").splitlines()
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    yield from _injected(results)
    yield f"Measured on {results['measured'][:10]}: {results['cpu']}, {results['cores']} cores; {versions}."
    yield ""
    trials = results["trials"]
    for name in dict.fromkeys(trial["condition"] for trial in trials):
        threads = next(trial["threads"] for trial in trials if trial["condition"] == name)
        yield f"**{_condition(name)}, {threads} thread{'' if threads == 1 else 's'}**"
        yield ""
        for subjects, head, make_row in ((COPIES, HEAD, row), (PAIRS, SITTINGS_HEAD, sittings_row)):
            own = [trial for trial in trials if trial["condition"] == name and subjects_of(trial) == subjects.name]
            if own:
                if subjects is PAIRS:
                    yield from ("", *ABOUT_SITTINGS.splitlines(), "")
                yield head
                for tool in TOOLS:
                    if any(trial["tool"] == tool.name for trial in own):
                        yield make_row(own, tool.name, name)
                yield ""
        yield from _failures(trials, name)


def _injected(results: Mapping[str, Any]) -> Iterator[str]:
    """The slow-downs that the extra work caused, if the file has them."""
    measured = [sides for condition in results["calibration"].values() for sides in condition["measured"].values()]
    if measured:
        spans = (
            f"{factor - 1:.0%} came out as {min(sides[side] for sides in measured) - 1:.1%} to "
            f"{max(sides[side] for sides in measured) - 1:.1%}"
            for side, factor in SIDES.items()
            if factor > 1
        )
        yield f"When calibrated, extra work of {' and of '.join(spans)}, depending on the case."
        yield ""


def _condition(name: str) -> str:
    return {"idle": "Nothing else running", "busy": "Another process keeps one core busy"}.get(name, name)


def row(trials: Sequence[Mapping[str, Any]], tool: str, condition: str) -> str:
    """The row of one tool under one condition."""
    own = [trial for trial in trials if trial["tool"] == tool and trial["condition"] == condition]
    answers = [answer for trial in own for answer in trial["answers"]]
    title = f"{tool}: {own[0]['rule']}" if own else tool
    if not answers:
        return f"| {title} | | | | | |"
    cells = [
        _rate([answer["verdict"] != "none" for answer in answers if answer["injected"] == 1]),
        _errors([abs(math.log(answer["ratio"])) for answer in answers if answer["injected"] == 1]),
        *(
            _rate([answer["verdict"] == "slower" for answer in answers if answer["injected"] == factor])
            for factor in INJECTED
        ),
        f"{sum(trial['seconds'] for trial in own if trial['answers']) / len(answers):.1f}",
    ]
    return f"| {title} | {' | '.join(cells)} |"


def _rate(outcomes: Sequence[bool]) -> str:
    if not outcomes:
        return ""
    low, high = clopper_pearson(sum(outcomes), len(outcomes))
    return f"{sum(outcomes)} of {len(outcomes)} ({low:.0%} to {high:.0%})"


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
