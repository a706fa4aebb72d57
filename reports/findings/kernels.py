"""The sentences on comparisons whose verdict as called differs from that of their kernels."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import code
from torchduet.reports.tables.kernels import LAUNCHING
from torchduet.reports.text import units

MAX_NAMED = 3  # cases that a sentence names before "and N more"
HELP = "Larger batches, CUDA graphs or the mode `reduce-overhead` leave less of it"


def sentences(rows: pd.DataFrame) -> str:
    """Where the verdicts as called and of the kernels differ, and what follows from it; empty where they agree.

    Args:
        rows: the comparisons of one answer, ``frames.COMPARISON_COLUMNS``.
    """
    return " ".join(filter(None, (_of(rows, *pair) for pair in LAUNCHING)))


def _of(rows: pd.DataFrame, verdict: str, of_kernels: str) -> str:
    alike = rows[(rows["verdict"] == verdict) & (rows["kernel_verdict"] == of_kernels)]
    if alike.empty:
        return ""
    order = [abs(math.log(ratio)) for ratio in alike["kernel_ratio" if of_kernels != "same" else "ratio"]]
    alike = alike.iloc[sorted(range(len(order)), key=lambda index: -order[index])]
    named = [_named(row, of_kernels) for row in alike.head(MAX_NAMED).itertuples()]
    more = len(alike) - MAX_NAMED
    cases = f"{', '.join(named)}{f' and {more} more' if more > 0 else ''}"
    kernels = {
        "faster": "the kernels are faster",
        "slower": "the kernels are slower",
        "same": "the kernels are the same",
    }
    called = {"faster": "faster", "slower": "slower", "same": "the same"}
    text = f"As called {called[verdict]}, {kernels[of_kernels]}: {cases}."
    if verdict == "same":
        return f"{text} Launching is what takes the time. {HELP}."
    if of_kernels == "same":
        saved = "saves" if verdict == "faster" else "costs"
        return f"{text} Launching {saved} the whole difference, which shrinks as the work per launch grows."
    return f"{text} {LAUNCHING[verdict, of_kernels].capitalize()}."


def _named(row: Any, of_kernels: str) -> str:
    if of_kernels == "same":
        return f"{code(row.name)} {units.ratio(row.ratio)} as called"
    interval = units.ratio_interval(
        *(None if pd.isna(end) else float(end) for end in (row.kernel_low, row.kernel_high))
    )
    return f"{code(row.name)} {units.ratio(row.kernel_ratio)}{f' ({interval})' if interval else ''}"
