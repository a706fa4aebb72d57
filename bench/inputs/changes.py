"""What calls have changed of a workload's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from torchduet.bench.inputs.contents import Held
from torchduet.bench.inputs.memory import Whole


@dataclass(frozen=True)
class Changes:
    """What calls have changed of the inputs, beside what every training step changes.

    Attributes:
        arguments: positions of the inputs concerned.
        tensors: tensors with other values, or with another shape or storage.
        whole: sparse, nested and opaque tensors with other values.
        held: containers, arrays and objects that hold something else.
    """

    arguments: frozenset[int] = frozenset()
    tensors: tuple[Tensor, ...] = ()
    whole: tuple[Whole, ...] = ()
    held: tuple[Held, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.arguments)

    def __or__(self, other: Changes) -> Changes:
        def together(mine: tuple[Any, ...], theirs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (*mine, *(item for item in theirs if not any(item is present for present in mine)))

        return Changes(
            self.arguments | other.arguments,
            together(self.tensors, other.tensors),
            together(self.whole, other.whole),
            together(self.held, other.held),
        )

    def words(self, names: Sequence[str]) -> str:
        """``"x, y and z"``: the arguments that have changed, by their names."""
        words = [names[position] for position in sorted(self.arguments)]
        return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""

    @property
    def only_filled(self) -> bool:
        """Whether nothing has changed but empty attributes and keys that were filled: a lazy initialisation."""
        return bool(self) and not self.tensors and not self.whole and all(held.only_filled() for held in self.held)


NOTHING = Changes()
