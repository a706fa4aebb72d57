"""Our keys in the stashes of pytest's configuration and items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.against import DuetOptions
from torchduet.bench.plan import preflight
from torchduet.bench.run.session import Session

SESSION = pytest.StashKey[Session]()
CASE = pytest.StashKey[Case]()
SELECTED = pytest.StashKey[bool]()  # set when the selection is complete and has no error
DUET = pytest.StashKey[DuetOptions | None]()  # None: the run is no duet
LEADER = pytest.StashKey[Any]()  # torchduet.bench.ranks.leader.Leader, where several processes were started together
CASES = pytest.StashKey[dict[tuple[str, ...], Case]]()


def json_path(config: pytest.Config) -> Path | None:
    """The path of the run's file; None: it is not written."""
    return preflight.json_path(config.getoption("benchmark_json", None))
