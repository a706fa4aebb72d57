"""Why the ranks of a pool cannot be measured any more, or why one case of theirs cannot."""

from __future__ import annotations

from torchduet.bench.timing.failures import StatedError

PATIENCE = 10.0  # times as long as calls took before


class RanksError(StatedError):
    """A rank died, did not answer, or failed alone: the ranks of its pool are no longer in step."""


class RanksFailedError(StatedError):
    """All ranks failed alike: the case is at fault, and the ranks are in step."""
