"""What the two sides of a duet are called, and its records seen from the side that is new. No torch.

A duet times the side that ``--against…`` names, A, and the interpreter that runs pytest, B. B is new, and A its base;
but a knob, a variable or a setting of one side alone, is what A has: then A is new, and B the base.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from torchduet.bench.record.duets.knob import knob
from torchduet.bench.record.schema import AgainstRecord, DuetRecord, Record, SideRecord, Verdict

LIBRARY = re.compile(r"LD_PRELOAD=\S*?lib([A-Za-z0-9]+?)(?:_minimal)?\.so[.0-9]*")
MAX_NAME = 24  # letters
OPPOSITE: dict[Verdict, Verdict] = {"slower": "faster", "faster": "slower"}
SWAPPED = (("base_seconds", "seconds"), ("base_blocks", "blocks"), ("base_peak_bytes", "peak_bytes"))


@dataclass(frozen=True)
class Sides:
    """The two sides by their names.

    Attributes:
        base, new: short, for the head of a column and within a sentence: ``main``, ``yours``; ``without``, ``with``.
        base_side, new_side: their records.
        knob: what the new side alone has, in short; empty where the sides differ otherwise.
        revision: whether the files as they are are compared with those of a git revision.
    """

    base: str
    new: str
    base_side: SideRecord
    new_side: SideRecord
    knob: str = ""
    revision: bool = False


def sides(duet: DuetRecord) -> Sides:
    """The sides of a duet, and what they are called."""
    a, b = duet["base"], duet["against"]
    if name := knob(duet):
        return Sides("without", "with", b, a, short_knob(name))
    if a.get("rev") is not None and b.get("rev") is None:
        return Sides(_revision(a), "yours", a, b, revision=True)
    if a["label"] == b["label"]:
        return Sides("first", "second", a, b)
    return Sides(_shortened(a["label"]), _shortened(b["label"]), a, b)


def of_gate(duet: DuetRecord, reason: str) -> str:
    """What a gate has found, of a knob with its name: ``of 3 cases, 1 is slower with tcmalloc``."""
    name = sides(duet).knob
    return f"{reason} with {name}" if name and reason else reason


def short_knob(name: str) -> str:
    """A knob by its library, if it preloads one: ``tcmalloc``; else unchanged."""
    return LIBRARY.sub(lambda found: found[1], name)


def _revision(side: SideRecord) -> str:
    rev = str(side["rev"])
    return rev if len(rev) <= MAX_NAME else side.get("commit", rev)[:7]


def _shortened(label: str) -> str:
    return label if len(label) <= MAX_NAME else f"…{label[1 - MAX_NAME :]}"


def from_new(duet: DuetRecord, records: Sequence[Record]) -> list[Record]:
    """The records that both sides measured, each with the new side against the base: of a knob, turned around."""
    measured = [record for record in records if "against" in record]
    if not knob(duet):
        return measured
    return [cast("Record", {**record, "against": _turned(record["against"])}) for record in measured]


def _turned(against: AgainstRecord) -> AgainstRecord:
    """The result with both sides exchanged."""
    other = dict(SWAPPED) | {new: base for base, new in SWAPPED}
    turned: dict[str, Any] = {other.get(key, key): value for key, value in against.items()}
    low, high = against["low"], against["high"]
    turned["ratio"] = 1 / against["ratio"]
    turned["low"], turned["high"] = (1 / high if high else None), (1 / low if low else None)
    turned["verdict"] = OPPOSITE.get(against["verdict"], against["verdict"])
    if "pair_ratios" in against:
        turned["pair_ratios"] = [1 / ratio for ratio in against["pair_ratios"]]
    return cast("AgainstRecord", turned)
