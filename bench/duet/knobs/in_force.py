"""In a process of a side: applies its settings, and finds out whether these and its variables are in force."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping

from torchduet.bench.duet.knobs.settings import OPTION, SETTINGS
from torchduet.bench.duet.knobs.variables import OPTION as ENV_OPTION
from torchduet.bench.duet.knobs.variables import ignored, unused_by_allocator
from torchduet.bench.duet.revision.imported import refused_imports

KNOBS = "TORCHDUET_SIDE"  # what the process has of its own: a JSON object of settings and of variables


def written(variables: Iterable[tuple[str, str]], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The environment variable that tells a side's process what it has of its own."""
    return {KNOBS: json.dumps({"variables": dict(variables), "settings": dict(settings)})}


def begin() -> str | None:
    """Apply the settings of this side; why the side has no settings or variables of its own, None if it has them."""
    variables, settings = _own()
    for name, value in settings.items():
        try:
            SETTINGS[name].apply(value)
        except (RuntimeError, AttributeError, ValueError) as error:
            return f"{OPTION} {name}={value}: this PyTorch refuses it: {' '.join(str(error).split())[:200]}"
    for name, value in variables.items():
        if os.environ.get(name) != value:
            return f"{ENV_OPTION} {name}={value}: what starts with Python here sets it to {os.environ.get(name)!r}"
        if (why := ignored(name, value)) is not None:
            return f"{ENV_OPTION} {name}={value}: {why}"
    return lost()


def refused() -> str | None:
    """Why what this process measured is not what its side stands for; None if all of it is in order."""
    return refused_imports() or lost() or _unused()


def lost() -> str | None:
    """The first setting of this side that is not in force in this process; None if all are."""
    for name, value in _own()[1].items():
        if (now := SETTINGS[name].read()) != value:
            return f"{OPTION} {name}={value}: is not in force, something has set it to {now}"
    return None


def _unused() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    variables = _own()[0]
    segments = torch.cuda.memory_snapshot() if variables else []
    for name, value in variables.items():
        if (why := unused_by_allocator(name, value, segments)) is not None:
            return f"{ENV_OPTION} {name}={value}: {why}"
    return None


def _own() -> tuple[Mapping[str, str], Mapping[str, str]]:
    own = json.loads(os.environ.get(KNOBS, "{}"))
    return own.get("variables", {}), own.get("settings", {})
