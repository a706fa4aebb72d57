"""The settings of PyTorch that one side of a duet may have: those that no environment variable sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torchduet.bench.plan.options import OptionError

OPTION = "--against-setting"
TOLERANCE_OF = {"highest": "fp32", "high": "tf32", "medium": "bf16"}  # by which a product is checked


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        values: those that it takes, in words.
        pattern: matches them.
        on_gpu: it has an effect on CUDA devices only.
        apply: sets it in a process that has computed nothing.
        read: its value in this process.
    """

    values: str
    pattern: str
    on_gpu: bool
    apply: Callable[[str], None]
    read: Callable[[], str]


def _set_benchmark(value: str) -> None:
    import torch

    torch.backends.cudnn.benchmark = value == "True"


def _benchmark() -> str:
    import torch

    return str(torch.backends.cudnn.benchmark)


def _set_products(value: str) -> None:
    """Products of cases in fp32 have this precision, and are checked with the tolerance of tf32 or bf16."""
    import torch

    from torchduet.bench.state.fp32_precision import let_fp32_mean
    from torchduet.bench.timing.precision import TOLERANCE

    torch.set_float32_matmul_precision(value)
    let_fp32_mean(value)
    TOLERANCE["fp32"] = TOLERANCE[TOLERANCE_OF[value]]


def _products() -> str:
    import torch

    return torch.get_float32_matmul_precision()


def _set_interop(value: str) -> None:
    import torch

    torch.set_num_interop_threads(int(value))


def _interop() -> str:
    import torch

    return str(torch.get_num_interop_threads())


SETTINGS = {
    "torch.backends.cudnn.benchmark": Setting("True or False", "True|False", True, _set_benchmark, _benchmark),
    "torch.set_float32_matmul_precision": Setting(
        "highest, high or medium", "highest|high|medium", False, _set_products, _products
    ),
    "torch.set_num_interop_threads": Setting(
        "a whole number from 1 to 9999", r"[1-9]\d{0,3}", False, _set_interop, _interop
    ),
}


def setting(text: str) -> tuple[str, str]:
    """The name and the value of ``NAME=VALUE``.

    Raises:
        OptionError: there is no such setting, or it does not take that value.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise OptionError(f"{OPTION} {text!r}: use NAME=VALUE, e.g. torch.backends.cudnn.benchmark=True")
    if name not in SETTINGS:
        raise OptionError(f"{OPTION} {text!r}: there is no setting {name!r}; use one of {', '.join(SETTINGS)}")
    if not re.fullmatch(SETTINGS[name].pattern, value):
        raise OptionError(f"{OPTION} {text!r}: {value!r} is no value of {name}; use {SETTINGS[name].values}")
    return name, value


def settings(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """All of them.

    Raises:
        OptionError: one cannot be used, or is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, value = setting(text)
        if name in found:
            raise OptionError(f"{OPTION} {text!r}: {name} is given twice; leave one of them out")
        found[name] = value
    return tuple(found.items())
