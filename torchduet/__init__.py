"""Benchmarks PyTorch in alternation; this module has the names that programs, notebooks and suite files import.

``torchduet.compare(f, g, x)`` answers in a program or a notebook; a file for ``pytest bench/ --suite FILE`` begins with
``from torchduet import Suite``. Names are imported on first use, so that the import takes no time.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchduet.comparing import compare, time
    from torchduet.comparison import Comparison
    from torchduet.result import ComparisonError
    from torchduet.suites import Axis, Cost, Implementation, Meter, Suite, SuiteError, Unavailable
    from torchduet.timer import Compare, Measurement, Timer

__version__ = "0.1.0"
__all__ = [
    "Axis",
    "Compare",
    "Comparison",
    "ComparisonError",
    "Cost",
    "Implementation",
    "Measurement",
    "Meter",
    "Suite",
    "SuiteError",
    "Timer",
    "Unavailable",
    "__version__",
    "compare",
    "time",
]
_MODULES = {
    "compare": "torchduet.comparing",
    "time": "torchduet.comparing",
    "Timer": "torchduet.timer",
    "Compare": "torchduet.timer",
    "Measurement": "torchduet.timer",
    "Comparison": "torchduet.comparison",
    "ComparisonError": "torchduet.result",
}

_HERE = Path(__file__).parent
if not (_HERE / "suites").is_dir():  # a clone that is not installed: bench, suites and reports lie beside this folder
    __path__.append(str(_HERE.parent))


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "torchduet.suites")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
