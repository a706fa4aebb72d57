"""Which rank is to blame where some fail: the one that failed by itself first, not those that waited for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchduet.bench.ranks.messages import Did

REFUSED_ELSEWHERE = "the result of another rank was refused"
# What gloo, nccl and the store say in a rank whose partner has gone, or takes no part.
_WAITED = re.compile(
    r"Timed out|timed out|time-?out|Connection (closed|reset|refused)|Broken pipe|Socket closed|remote process exited"
    r"|communicator was aborted|DistNetworkError",
    re.IGNORECASE,
)


def waited_for_another(error: str) -> bool:
    """Whether an error says that this rank waited for another in vain; its group cannot be used any more."""
    return bool(_WAITED.search(error))


@dataclass
class Course:
    """What has come from the ranks of a pool since they were asked.

    Attributes:
        answers: by rank, in the order in which they came.
        events: (rank, its words) of those that failed by themselves, in order; no words: it has ended.
        suspended: seconds for which the family's worker was suspended meanwhile, and its ranks with it.
    """

    ranks: int
    answers: dict[int, Did] = field(default_factory=dict)
    events: list[tuple[int, str]] = field(default_factory=list)
    suspended: float = 0.0

    def answered(self, rank: int, did: Did) -> None:
        """Note an answer."""
        self.answers[rank] = did
        words = did.error or did.skip
        if words and words != REFUSED_ELSEWHERE and not waited_for_another(words):
            self.failed_by_itself(rank, words)

    def failed_by_itself(self, rank: int, words: str) -> None:
        """Note what a rank says, or what is said of it."""
        self.events.append((rank, words))

    def ended(self, rank: int) -> None:
        """Note the end of a rank; one that has answered before is not missing now."""
        if rank not in self.answers:
            self.events.append((rank, ""))

    @property
    def cause(self) -> tuple[int, str] | None:
        """The first rank that failed by itself, and its words; no words: it has ended. None where none did."""
        return self.events[0] if self.events else None

    @property
    def failed(self) -> list[int]:
        """The ranks that answered with an error."""
        return [rank for rank, did in self.answers.items() if did.error]

    @property
    def troubled(self) -> bool:
        """Whether any rank has failed or has ended."""
        return bool(self.events or self.failed)

    @property
    def complete(self) -> bool:
        """Whether every rank has answered."""
        return len(self.answers) == self.ranks

    @property
    def lost(self) -> bool:
        """Whether the ranks are no longer in step: some failed and others did not, or one waited in vain."""
        failed = self.failed
        return 0 < len(failed) < self.ranks or any(waited_for_another(self.answers[rank].error) for rank in failed)

    @property
    def has_ended(self) -> bool:
        """Whether a rank has ended that is missing now: there is nothing to wait for."""
        return any(not words for _, words in self.events)

    @property
    def silent(self) -> list[int]:
        """The ranks that have neither answered nor ended."""
        ended = {rank for rank, words in self.events if not words}
        return [rank for rank in range(self.ranks) if rank not in self.answers and rank not in ended]


def of_all(errors: Sequence[str]) -> str:
    """One reason for what all ranks say, each in its own words; empty if none of them fails."""
    own = {rank: error for rank, error in enumerate(errors) if error and error != REFUSED_ELSEWHERE}
    if not own:
        return next(filter(None, errors), "")
    rank, error = next(iter(own.items()))
    return error if len(own) == len(errors) else f"in rank {rank} of {len(errors)}, {error}"
