"""Parses the values of options that are lists: of known words, of devices, of numbers of workers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torchduet.bench.host.error_words import printable
from torchduet.bench.record.devices import HOST

DEVICE = re.compile(r"(?!(cpu|gpu)\b)[a-z]\w*(:\d{1,4})?")  # "gpu" is what PyTorch calls cuda, xpu or mps


class OptionError(ValueError):
    """An option's value that cannot be used; the message names the option and what it takes, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def parse_list(option: str, text: str | None, known: Sequence[str]) -> tuple[str, ...] | None:
    """``"eager,compile"`` → ``("eager", "compile")``; None stays None.

    Raises:
        OptionError: an empty list or an unknown value.
    """
    if text is None:
        return None
    values = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [value for value in values if value not in known]
    if unknown or not values:
        what = f"{', '.join(unknown)} is not known" if unknown else "the list is empty"
        raise OptionError(f"{option} {text!r}: {what}; choose from {', '.join(known)}, separated by commas")
    return values


def parse_devices(text: str | None) -> tuple[str, ...] | None:
    """``"cpu,cuda:1"`` → ``("cpu", "cuda:1")``.

    ``preflight`` checks whether the machine has such devices.

    Raises:
        OptionError: something other than a kind of device, or one with a number.
    """
    if text is None or text.strip() == "auto":
        return None
    values = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = [value for value in values if value != HOST and not DEVICE.fullmatch(value)]
    if wrong or not values:
        raise OptionError(
            f"--device {text!r}: use cpu, cuda or cuda:N, or another kind that PyTorch has, such as xpu or mps, "
            "separated by commas"
        )
    return values


def parse_ranks(text: str | None) -> tuple[int, ...] | None:
    """``"1,2,4"`` → ``(1, 2, 4)``.

    Raises:
        OptionError: anything but whole numbers from 1 to 999.
    """
    return _numbers("--ranks", text, r"[1-9][0-9]{0,2}", "from 1 to 999, separated by commas, e.g. 1,2,4")


def parse_workers(text: str | None) -> tuple[int, ...] | None:
    """``"0,2,8"`` → ``(0, 2, 8)``.

    Raises:
        OptionError: anything but whole numbers from 0 to 999.
    """
    return _numbers("--workers", text, r"[0-9]{1,3}", "from 0 to 999, separated by commas, e.g. 0,2,8")


def _numbers(option: str, text: str | None, pattern: str, which: str) -> tuple[int, ...] | None:
    """The whole numbers in a list, ascending, each once; None stays None.

    Args:
        pattern: of each number.
        which: numbers can be given, in words.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(re.fullmatch(pattern, part) for part in parts):
        raise OptionError(f"{option} {text!r}: use whole numbers {which}")
    return tuple(sorted({int(part) for part in parts}))
