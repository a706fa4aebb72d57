"""Refuses what only a GPU reads where none is measured."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.bench.duet.knobs.settings import OPTION, SETTINGS
from torchduet.bench.duet.knobs.variables import ON_GPU
from torchduet.bench.duet.knobs.variables import OPTION as ENV_OPTION
from torchduet.bench.duet.sides import Side
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.devices import device_kind, on_host


def check_on_gpu(side: Side, devices: Sequence[str]) -> None:
    """Refuse variables and settings of a side that have an effect on GPUs only, where none is measured.

    Raises:
        OptionError: names the first of them.
    """
    if any(device_kind(device) == "cuda" for device in devices):
        return
    names = [(ENV_OPTION, name, value) for name, value in side.env if name in ON_GPU and all(map(on_host, devices))]
    names += [(OPTION, name, value) for name, value in side.settings if SETTINGS[name].on_gpu]
    for option, name, value in names:
        raise OptionError(
            f"{option} {name}={value}: has an effect on GPUs only, and this run measures {' and '.join(devices)}; "
            "it takes a machine with a GPU, and --device cuda"
        )
