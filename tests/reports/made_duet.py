"""Duets whose cases are what a test says they are: slower, faster, the same, unclear, controls, in need of memory."""

from __future__ import annotations

import json
from typing import Any

from tests.reports.test_duet import make_duet
from torchduet.bench.record.schema import KEY

BASE, NEW = "1a2b3c4" + "0" * 33, "5d6e7f8" + "0" * 33
MEBI = 2**20
ENDS = {  # verdict → A's time / B's time with its interval
    "slower": (1 / 1.08, 1 / 1.10, 1 / 1.07),
    "faster": (1.25, 1.22, 1.28),
    "same": (1.0, 0.995, 1.005),
    "unclear": (1.0, 0.9, 1.1),
    "blind": (1.0, 0.5, 2.0),  # unclear: no slow-down that matters would be seen
}


def duet_of(document: Any, *verdicts: str, failed: int = 0, skipped: int = 0) -> Any:
    """The sample run as a duet with one case for each verdict, named ``layers.case_0`` and so on.

    A verdict is a word with what else holds of the case: ``"same more"`` needs more memory, ``"slower control"``,
    ``"unclear few"`` has too few pairs.
    """
    made = make_duet({**document, "benchmarks": document["benchmarks"][: len(verdicts)]})
    for number, (benchmark, words) in enumerate(zip(made["benchmarks"], verdicts, strict=True)):
        verdict, *more = words.split()
        record = benchmark["extra_info"][KEY]
        record["case"]["id"] = f"layers.case_{number}"
        against = record["against"]
        ratio, low, high = ENDS[verdict]
        against.update(verdict=verdict, ratio=ratio, low=low, high=high, stage="confirmed", base_seconds=1e-3)
        against["verdict"] = "unclear" if verdict == "blind" else verdict
        against["seconds"] = 1e-3 / ratio
        against.update(base_peak_bytes=10 * MEBI, peak_bytes=10 * MEBI)
        if "more" in more or "less" in more:
            against["peak_bytes"] = 15 * MEBI if "more" in more else 5 * MEBI
        if "few" in more:
            against.update(low=None, high=None, stage="screened", pairs=2)
        if "control" in more:
            against["control"] = True
    about = made[KEY]
    about["failed"] = [_not_measured(document, f"layers.failed_{number}", "raised") for number in range(failed)]
    about["skipped"] = [_not_measured(document, f"layers.skipped_{number}", "no GPU") for number in range(skipped)]
    about["against"]["base"].update(commit=BASE, rev="main", torch="2.9.1")
    about["against"]["against"].update(commit=NEW, uncommitted=3, torch="2.9.1")
    return made


def _not_measured(document: Any, name: str, reason: str) -> Any:
    case = json.loads(json.dumps(document[KEY]["failed"][0]["case"]))
    return {"case": {**case, "id": name}, "reason": reason}
