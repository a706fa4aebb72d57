"""Lists how the machines and settings of two runs differ, and what cannot be concluded because of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from torchduet.bench.record.gpu_samples import NOT_LOCKED
from torchduet.reports.read.pytest_benchmark_cautions import pytest_benchmark_cautions
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units
from torchduet.reports.text.settings import SETTABLE

MACHINE, SOFTWARE, SETTING, SELECTION, OTHER = "machine", "software", "setting", "selection", "other"

# The kind of each key of ``machine`` and ``options``. Other keys are shown, without any conclusion.
KINDS = {
    **dict.fromkeys(("cpu", "cores", "memory_bytes"), MACHINE),
    **dict.fromkeys(("gpu", "gpus", "gpu_memory_bytes", "gpu_capability"), MACHINE),
    **dict.fromkeys(("accelerator", "accelerators", "accelerator_memory_bytes"), MACHINE),
    **dict.fromkeys(("torch", "cuda", "hip", "python", "system", "driver", "gpu_driver", "Torchduet"), SOFTWARE),
    **dict.fromkeys(("implementation", "pytest-benchmark"), SOFTWARE),
    **dict.fromkeys(
        ("threads", "cpu_capability", "governor", "power_limit", "power_limit_watts", "gpu_power_limit_watts"), SETTING
    ),
    **dict.fromkeys(("gpu_most_sm_mhz", "gpu_ecc", "gpu_mig", "gpu_clocks"), SETTING),
    **dict.fromkeys(("data", "cache", "timer", "disable_gc", "warmup"), SETTING),
    "architecture": MACHINE,
    **dict.fromkeys(("tier", "budget_seconds", *SETTABLE, "suite"), SELECTION),
}
VARIABLE = "environment variable "  # before the names of those that were set
GPU_FACTS = {
    "driver": "gpu_driver",
    "power_limit_w": "gpu_power_limit_watts",
    "most_sm_mhz": "gpu_most_sm_mhz",
    "ecc": "gpu_ecc",
    "mig": "gpu_mig",
    "clocks": "gpu_clocks",
}
ORDER = (MACHINE, SOFTWARE, SETTING, SELECTION, OTHER)


@dataclass(frozen=True)
class Difference:
    """One fact in which two runs differ, with both sides in words."""

    kind: str
    name: str
    base: str
    new: str


def differences(base: Run, new: Run) -> list[Difference]:
    """Every fact of machine, versions and options that differs, the most important kind first."""
    first, second = facts(base), facts(new)
    if not all(
        "environment" in run.about for run in (base, new)
    ):  # of an earlier version, or of a machine without a GPU
        first, second = ({key: of[key] for key in of if not key.startswith(VARIABLE)} for of in (first, second))
    pairs = [
        Difference(kind_of(key), name_of(key), in_words(key, first.get(key)), in_words(key, second.get(key)))
        for key in {**first, **second}
    ]
    return sorted((pair for pair in pairs if pair.base != pair.new), key=lambda pair: ORDER.index(pair.kind))


def cautions(base: Run, new: Run, differences: list[Difference]) -> list[str]:
    """What cannot be concluded because of these differences, one text for each kind."""

    def names(kind: str) -> str:
        return ", ".join(difference.name for difference in differences if difference.kind == kind)

    texts = pytest_benchmark_cautions(base, new)
    if machines := names(MACHINE):
        texts.append(
            f"These are different machines ({machines}): the verdicts compare the machines, not the code. "
            "How much of a difference comes from the code is not known."
        )
    if software := names(SOFTWARE):
        texts.append(
            f"Versions differ ({software}): a change may come from them as well as from your code. "
            "Which of them it comes from is not known."
        )
    if settings := names(SETTING):
        texts.append(
            f"The runs have different settings ({settings}): the comparison is of the code together with its settings."
        )
    if selection := names(SELECTION):
        texts.append(
            f"The runs selected different cases or times ({selection}): cases of one run only are listed as "
            "missing or new; they are no regressions."
        )
    if _before(new, base):
        texts.append(f"{new.name} was measured before {base.name}: are the files in the wrong order?")
    return texts


def facts(run: Run) -> dict[str, str | int | float | bool | None]:
    """A run's facts on its machine, options and versions. Where its data was is none: the name of the data is."""
    about = run.about
    environment = {f"{VARIABLE}{name}": value for name, value in about.get("environment", {}).items()}
    options = {name: value for name, value in about["options"].items() if name != "data_source"}
    own = {**about["machine"], **_gpu_facts(run), **options}
    return {**own, **environment, "Torchduet": about["version"]}


def _gpu_facts(run: Run) -> dict[str, str | int | float | bool | None]:
    """NVML's facts on the GPUs that were measured: a value for all, or each that differs.

    Clocks that are not locked are no fact: files of earlier versions do not have it.
    """
    of_all = [gpu["facts"] for gpu in run.about.get("gpus", [])]
    values = {
        name: list(dict.fromkeys(facts[key] for facts in of_all if facts.get(key, NOT_LOCKED) != NOT_LOCKED))
        for key, name in GPU_FACTS.items()
    }
    return {
        name: found[0] if len(found) == 1 else ", ".join(in_words(name, value) for value in found)
        for name, found in values.items()
        if found
    }


def kind_of(key: str) -> str:
    """What can be concluded from a difference in a fact."""
    return SETTING if key.startswith(VARIABLE) else KINDS.get(key, OTHER)


def name_of(key: str) -> str:
    """A fact's key in words."""
    if key.startswith(VARIABLE):
        return key.removeprefix(VARIABLE)
    names = {"torch": "PyTorch", "python": "Python", "cpu": "CPU", "gpu": "GPU", "gpus": "GPUs", "cuda": "CUDA"}
    return (names | {"hip": "ROCm"}).get(
        key, key.removesuffix("_bytes").replace("_", " ").replace("gpu ", "GPU ").replace("cpu ", "CPU ")
    )


def in_words(key: str, value: str | int | float | bool | None) -> str:
    """A fact's value in words."""
    if value is None and key.startswith(VARIABLE):
        return "not set"
    if value is None:
        return "none" if KINDS.get(key) == MACHINE else "default" if key in ("threads", "device") else "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return units.size(value) if key.endswith("_bytes") else f"{value:g}" if value < 1e6 else f"{value:,}"
    return value


def _before(first: Run, second: Run) -> bool:
    """Whether the first run began before the second; False where either file has no time."""
    began, other_began = (moment_of(run.about["started"]) for run in (first, second))
    return began is not None and other_began is not None and began < other_began


def moment_of(started: str) -> float | None:
    """Seconds since 1970 of a date in ISO format, in UTC unless it names a zone; None if it is no date."""
    try:
        moment = datetime.fromisoformat(started)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def common_facts(base: Run) -> Mapping[str, str]:
    """The main facts on the base's machine, for the line below the title."""
    machine = base.about["machine"]
    shown = {
        "GPU": machine.get("gpu"),
        "accelerator": machine.get("accelerator"),
        "CPU": machine.get("cpu"),
        "PyTorch": machine.get("torch"),
    }
    return {name: str(value) for name, value in shown.items() if value}
