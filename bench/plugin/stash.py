"""What pytest's configuration and items carry for us."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.plan import preflight
from torchduet.bench.run.session import Session

SESSION = pytest.StashKey[Session]()
CASE = pytest.StashKey[Case]()
CASES = pytest.StashKey[dict[tuple[str, ...], Case]]()


def json_path(config: pytest.Config) -> Path | None:
    """Where the run will be written; None: nowhere."""
    return preflight.json_path(config.getoption("benchmark_json", None))
