"""The pytest side of the GPUs' checks: who else uses the GPUs of the selection."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.files.streams import note
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plugin.stash import DUET
from torchduet.bench.run.preparing import check_gpus
from torchduet.bench.run.session import Session


def check(config: pytest.Config, session: Session) -> None:
    """Check the GPUs that the selected cases use, after the selection and before the first worker.

    Raises:
        pytest.UsageError: they cannot be used, or others use them and ``--when-busy refuse`` was given.
    """
    together = 1 if config.stash[DUET] is None else 2
    try:
        warnings = check_gpus(session.measuring, config.getoption("when_busy"), _report, together=together)
    except OptionError as error:
        raise pytest.UsageError(str(error)) from None
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for warning in warnings if reporter is not None else []:
        reporter.write_line(f"torchduet: warning: {warning}")


def _report(words: str) -> None:
    note(f"torchduet: {words}")
