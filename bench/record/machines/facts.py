"""The facts that a run records of its machine, versions and options, what each is a fact of, and their words."""

from __future__ import annotations

from torchduet.bench.record.gpu_samples import NOT_LOCKED
from torchduet.bench.record.knobs import IMPLEMENTATION, NAMES
from torchduet.bench.record.schema import RunRecord
from torchduet.bench.record.units import size

Fact = str | int | float | bool | None

SETTABLE: tuple[str, ...] = tuple(
    name for name in NAMES if name != IMPLEMENTATION
)  # knobs without what a suite's author writes
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
    **dict.fromkeys(("tier", "budget_seconds", *SETTABLE, "suite", "shard", "shard_plan"), SELECTION),
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


def facts_of(about: RunRecord) -> dict[str, Fact]:
    """A run's facts on its machine, options and versions. Where its data was is none: the name of the data is."""
    environment = {f"{VARIABLE}{name}": value for name, value in about.get("environment", {}).items()}
    options = {name: value for name, value in about["options"].items() if name != "data_source"}
    own = {**about["machine"], **_gpu_facts(about), **options}
    return {**own, **environment, "Torchduet": about["version"]}


def _gpu_facts(about: RunRecord) -> dict[str, Fact]:
    """NVML's facts on the GPUs that were measured: a value for all, or each that differs.

    Clocks that are not locked are no fact: files of earlier versions do not have it.
    """
    of_all = [gpu["facts"] for gpu in about.get("gpus", [])]
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


def in_words(key: str, value: Fact) -> str:
    """A fact's value in words."""
    if value is None and key.startswith(VARIABLE):
        return "not set"
    if value is None:
        return "none" if KINDS.get(key) == MACHINE else "default" if key in ("threads", "device") else "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return size(value) if key.endswith("_bytes") else f"{value:g}" if value < 1e6 else f"{value:,}"
    return value
