"""A journal as the JSON that its run would have written, had it been stopped there. No torch, and nothing is loaded."""

from __future__ import annotations

from typing import Any

from torchduet.bench.host.run_clock import words
from torchduet.bench.noise.family_noise import Timed
from torchduet.bench.noise.monitor import noise_of
from torchduet.bench.record.journal import Content, Entry
from torchduet.bench.record.schema import KEY
from torchduet.bench.run.outcomes import outcome_of
from torchduet.bench.run.records import highest
from torchduet.bench.run.resume import finished

STAGES = ("compiling", "timed", "checking", "warming")


def document(content: Content) -> Entry:
    """The run so far: a benchmark for each record, and the run's own record.

    Raises:
        LookupError, TypeError, ValueError: its entries are not those of a run.
    """
    families, entries = finished(content), content.entries
    about: dict[str, Any] = dict(content.header["run"])
    found = {case: one for entry in families for case, one in entry["outcomes"].items()}
    pilots = [entry["pilot"] for entry in entries if entry["kind"] == "pilot"]
    about["skipped"] = [*about["skipped"], *(one["skipped"] for one in found.values() if "skipped" in one)]
    about["failed"] = [*about["failed"], *(one["failed"] for one in found.values() if "failed" in one)]
    about["unreached"] = [case for _, cases in content.header["plan"] for case in cases if case not in found]
    about["pilots"] = pilots
    about["ceilings"] = highest(entry["ceilings"] for entry in entries if entry["kind"] == "ceilings")
    spent = [entry["spent"]["stages"] for entry in families]
    about["seconds"] = {
        "total": max((entry["at"] for entry in entries), default=0.0),
        "startup": next((entry["startup"] for entry in entries if entry["kind"] == "began"), 0.0),
        **{stage: sum(each.get(stage, 0.0) for each in spent) for stage in STAGES},
    }
    about["warnings"] = [*(families[-1]["warnings"] if families else about["warnings"]), _warning(content)]
    if passing := (families[-1].get("passing") if families else None):
        about["passing"] = passing
        about["warnings"] += words(passing)
    if resumed := [entry["resumed"] for entry in entries if entry["kind"] == "resumed"]:
        about["resumed"] = resumed
    timings = [
        Timed.from_json(entry["timed"], {case: outcome_of(one) for case, one in entry["outcomes"].items()})
        for entry in families
        if entry["timed"] is not None
    ]
    if timings:
        about["noise"] = noise_of(timings, pilots, int(about["options"]["threads"]), int(about["machine"]["cores"]))
    records = [one["record"] for one in found.values() if "record" in one]
    return {"benchmarks": [{"extra_info": {KEY: record}} for record in records], KEY: about}


def _warning(content: Content) -> str:
    families = len(content.header["plan"])
    of = f"{len(finished(content))} of {families} families"
    damaged = f"; {content.dropped} of its lines are damaged and were left out" if content.dropped else ""
    return f"this is the journal of a run that was cut short after {of}: --resume goes on with it{damaged}"
