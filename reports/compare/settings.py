"""What differs between the machines and settings of two runs, and what therefore cannot be concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from torchduet.reports.read.pytest_benchmark_cautions import pytest_benchmark_cautions
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units
from torchduet.reports.text.settings import SETTABLE

MACHINE, SOFTWARE, SETTING, SELECTION, OTHER = "machine", "software", "setting", "selection", "other"

# What a key of ``machine`` or ``options`` says of a run. Others are shown, and nothing is made of them.
KINDS = {
    **dict.fromkeys(("cpu", "cores", "memory_bytes"), MACHINE),
    **dict.fromkeys(("gpu", "gpus", "gpu_memory_bytes", "gpu_capability"), MACHINE),
    **dict.fromkeys(("accelerator", "accelerators", "accelerator_memory_bytes"), MACHINE),
    **dict.fromkeys(("torch", "cuda", "hip", "python", "system", "driver", "gpu_driver", "Torchduet"), SOFTWARE),
    **dict.fromkeys(("implementation", "pytest-benchmark"), SOFTWARE),
    **dict.fromkeys(
        ("threads", "cpu_capability", "governor", "power_limit", "power_limit_watts", "gpu_power_limit_watts"), SETTING
    ),
    **dict.fromkeys(("gpu_most_sm_mhz", "gpu_ecc", "gpu_mig"), SETTING),
    **dict.fromkeys(("data", "cache", "timer", "disable_gc", "warmup"), SETTING),
    "architecture": MACHINE,
    **dict.fromkeys(("tier", "budget_seconds", *SETTABLE, "suite"), SELECTION),
}
GPU_FACTS = {
    "driver": "gpu_driver",
    "power_limit_w": "gpu_power_limit_watts",
    "most_sm_mhz": "gpu_most_sm_mhz",
    "ecc": "gpu_ecc",
    "mig": "gpu_mig",
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
    """Every fact of machine, versions and options that is not the same in both, the weightiest first."""
    first, second = facts(base), facts(new)
    found = [
        Difference(KINDS.get(key, OTHER), name_of(key), said(key, first.get(key)), said(key, second.get(key)))
        for key in {**first, **second}
    ]
    return sorted((one for one in found if one.base != one.new), key=lambda one: ORDER.index(one.kind))


def cautions(base: Run, new: Run, found: list[Difference]) -> list[str]:
    """What cannot be concluded because of these differences, a sentence each."""

    def named(kind: str) -> str:
        return ", ".join(one.name for one in found if one.kind == kind)

    said = pytest_benchmark_cautions(base, new)
    if machines := named(MACHINE):
        said.append(
            f"These are different machines ({machines}): the verdicts compare the machines, not the code. "
            "What part the code has in a difference cannot be said."
        )
    if software := named(SOFTWARE):
        said.append(
            f"Versions differ ({software}): a change may come from them as well as from your code. "
            "Which of them it comes from cannot be said."
        )
    if settings := named(SETTING):
        said.append(
            f"The runs were made under different settings ({settings}): what is compared is the code together "
            "with these settings."
        )
    if selected := named(SELECTION):
        said.append(
            f"Different cases or times were asked for ({selected}): what only one run selected is listed as "
            "missing or new, and is no regression."
        )
    if _before(new, base):
        said.append(f"{new.name} was measured before {base.name}: are the files in the wrong order?")
    return said


def facts(run: Run) -> dict[str, str | int | float | bool | None]:
    """What a run says of its machine, options and versions."""
    return {**run.about["machine"], **_gpu_facts(run), **run.about["options"], "Torchduet": run.about["version"]}


def _gpu_facts(run: Run) -> dict[str, str | int | float | bool | None]:
    """What NVML said of the first GPU of the run."""
    facts = next((gpu["facts"] for gpu in run.about.get("gpus", [])), {})
    return {name: facts[key] for key, name in GPU_FACTS.items() if key in facts}


def name_of(key: str) -> str:
    """A fact's key in words."""
    names = {"torch": "PyTorch", "python": "Python", "cpu": "CPU", "gpu": "GPU", "gpus": "GPUs", "cuda": "CUDA"}
    return (names | {"hip": "ROCm"}).get(
        key, key.removesuffix("_bytes").replace("_", " ").replace("gpu ", "GPU ").replace("cpu ", "CPU ")
    )


def said(key: str, value: str | int | float | bool | None) -> str:
    """A fact's value in words."""
    if value is None:
        return "none" if KINDS.get(key) == MACHINE else "default" if key in ("threads", "device") else "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return units.size(value) if key.endswith("_bytes") else f"{value:g}" if value < 1e6 else f"{value:,}"
    return value


def _before(one: Run, other: Run) -> bool:
    """Whether it began earlier; False where either does not say."""
    first, second = (moment_of(run.about["started"]) for run in (one, other))
    return first is not None and second is not None and first < second


def moment_of(started: str) -> float | None:
    """Seconds since 1970 of a date as files have it, in UTC unless it says otherwise; None if it is none."""
    try:
        moment = datetime.fromisoformat(started)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def common_facts(base: Run) -> Mapping[str, str]:
    """The base's machine in a few words: what stands under the title."""
    machine = base.about["machine"]
    shown = {
        "GPU": machine.get("gpu"),
        "accelerator": machine.get("accelerator"),
        "CPU": machine.get("cpu"),
        "PyTorch": machine.get("torch"),
    }
    return {name: str(value) for name, value in shown.items() if value}
