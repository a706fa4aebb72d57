"""The knobs by which the cases of a workload differ: how each stands in a file, and what it is called.

A new knob is an entry of ``KNOBS``; what it does to a call is in :mod:`torchduet.bench.timing.conversions`. What the
measuring side has to know of a knob beyond its entry (how many workers there are, which settings need a GPU) is in
:mod:`torchduet.bench.cases.knobs`. Imports nothing but the standard library: ``reports`` reads this, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

IMPLEMENTATION = "implementation"


def _same(setting: str) -> str:
    return setting


@dataclass(frozen=True)
class Knob:
    """One knob, as files and readers have it.

    Attributes:
        name: its key in ``params`` and speed-ups; its option is ``--name``.
        heading: what heads its column in a table.
        about: the meaning of its column in exported tables.
        rank: its place among the answers, the least first.
        reference: the reference's setting; None where that depends on the workload.
        optional: a case's record, id and ``params`` leave it out where it is at its reference's setting, or where its
            workload does not have it; so do files from before there was this knob.
        own_key: it has a key of its own in a case's record; any other stands under ``settings`` there.
        values: its settings, where these are words that ``suites`` does not list (as it does modes and precisions).
        option: what its option takes, for ``--help``; empty: it has no option.
        prefix: stands before its setting in ids.
        numeric: its settings are whole numbers.
        written: its settings are names that a workload's author writes, which may be of any length.
        subjects: setting → what it is called as the subject of a sentence.
        subject: what any other setting is called there: of the setting, and what it is held against.
        spoken: a setting as it stands among those of other knobs.
        collected: (title, baseline) of the one answer that holds all of its settings; None: an answer for each.
    """

    name: str
    heading: str
    about: str
    rank: int
    reference: str | None = None
    optional: bool = False
    own_key: bool = False
    values: tuple[str, ...] = ()
    option: str = ""
    prefix: str = ""
    numeric: bool = False
    written: bool = False
    subjects: Mapping[str, str] = field(default_factory=dict)
    subject: Callable[[str, str], str] | None = None
    spoken: Callable[[str], str] = _same
    collected: tuple[str, str] | None = None

    @property
    def flag(self) -> str:
        """``--memory-format`` of ``memory_format``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def absent(self) -> str:
        """The setting of a case whose record does not say it: the reference's; empty if its workload lacks the knob."""
        return self.reference or ""

    def of(self, case: Mapping[str, Any]) -> str:
        """The setting in a case's record."""
        place = case if self.own_key else case.get("settings", {})
        return str(place.get(self.name, self.absent))

    def word(self, setting: str) -> str:
        """A setting as ids have it; empty where they leave it out."""
        return "" if self.optional and setting == self.absent else f"{self.prefix}{setting}"

    def read(self, word: str) -> str | None:
        """The setting that an optional knob's word stands for; None for a word that is not its."""
        if self.prefix:
            return word.removeprefix(self.prefix) if word.startswith(self.prefix) else None
        return word if word in self.values and word != self.absent else None

    def titled(self, setting: str, baseline: str) -> str:
        """What a setting is called as the subject of a sentence; code stands between backticks."""
        if setting in self.subjects:
            return self.subjects[setting]
        return self.subject(setting, baseline) if self.subject else f"{self.name.replace('_', ' ')} {code(setting)}"


def code(name: str) -> str:
    """A name set as code; a backtick within it would end it."""
    return "`" + re.sub(r"\s+", " ", name.replace("`", "'")) + "`"


def workers(setting: str) -> str:
    """``1 worker``, ``2 workers``; anything but a number as it is."""
    if not (setting.isascii() and setting.isdigit()):
        return setting
    return f"{int(setting)} worker{'s' if int(setting) != 1 else ''}"


# In the order in which ids and ``params`` have them.
KNOBS: tuple[Knob, ...] = (
    Knob(
        name=IMPLEMENTATION,
        heading="Implem.",
        about="which way it is computed",
        rank=5,
        own_key=True,
        written=True,
        subject=lambda setting, baseline: f"{code(setting)} instead of {code(baseline)}",
        collected=("Another implementation", "the workload's first implementation"),
    ),
    Knob(
        name="device",
        heading="Device",
        about="cpu, cuda:0, …",
        rank=2,
        own_key=True,
        option="cpu, cuda, cuda:1 …, or another kind of device that PyTorch has here, such as xpu or mps "
        "(default: cpu, and the first of each other kind)",
        subjects=dict.fromkeys(("cuda", "xpu", "mps"), "The GPU"),
    ),
    Knob(
        name="mode",
        heading="Mode",
        about="eager, compile, …",
        rank=0,
        reference="eager",
        own_key=True,
        option="{values} (default: the tier's)",
        subjects={"compile": "`torch.compile`", "compile-model": "`torch.compile` of the model alone"},
    ),
    Knob(
        name="precision",
        heading="Precision",
        about="fp32, bf16, …",
        rank=1,
        reference="fp32",
        own_key=True,
        option="{values} (default: the tier's, as far as the machine has them)",
        subjects={"bf16": "bf16 autocast", "tf32": "TF32"},
    ),
    Knob(
        name="workers",
        heading="Workers",
        about="DataLoader workers, where that is a knob",
        rank=4,
        optional=True,
        own_key=True,
        option="numbers of DataLoader workers, e.g. 0,2,8 (default: the tier's)",
        prefix="workers",
        numeric=True,
        subject=lambda setting, _: f"{setting} DataLoader worker{'s' if setting != '1' else ''}",
        spoken=workers,
        collected=("DataLoader workers", "the fewest workers"),
    ),
    Knob(
        name="memory_format",
        heading="Memory format",
        about="contiguous or channels_last: how 4-D weights and inputs lie in memory",
        rank=3,
        reference="contiguous",
        optional=True,
        values=("contiguous", "channels_last"),
        option="{values}: how 4-D weights and inputs lie in memory, of workloads that have this knob "
        "(default: the tier's)",
        subjects={"channels_last": "`channels_last`"},
    ),
)
NAMES: tuple[str, ...] = tuple(knob.name for knob in KNOBS)
BY_NAME: Mapping[str, Knob] = {knob.name: knob for knob in KNOBS}
PLAIN: Mapping[str, str] = {knob.name: knob.reference for knob in KNOBS if knob.reference}  # the reference's settings


def settings_of(case: Mapping[str, Any]) -> dict[str, str]:
    """The setting of every knob in a case's record, in words; empty where its workload lacks the knob."""
    return {knob.name: knob.of(case) for knob in KNOBS}
