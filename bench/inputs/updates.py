"""Which updates of a training step are lost, as the parameters' own type cannot hold them.

A parameter in bfloat16 has 8 bits of mantissa: a change of less than half a unit in its last place, 2**-9 to 2**-8 of
its value, rounds back to what it was. Autocast keeps parameters in float32, where such a change adds up over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from torchduet.bench.inputs.graph import tensors_in

MIN_SHARE = 0.01  # of the parameters; fewer are not worth a note


class Updates:
    """The parameters before a call, to see which of them it leaves as they are.

    Args:
        inputs: of the case; their leaves that require gradients are the parameters.
    """

    def __init__(self, inputs: Sequence[Any]) -> None:
        leaves = [tensor for tensor in tensors_in(inputs) if tensor.is_leaf and tensor.requires_grad]
        self._before = [(leaf, leaf.detach().clone()) for leaf in leaves if leaf.layout == torch.strided]

    def lost(self) -> float:
        """The share of the parameters with a gradient that kept their value; 0 where the call changes none."""
        kept, moving, changed = 0, 0, False
        for leaf, before in self._before:
            gradient = leaf.grad
            if gradient is None or gradient.layout != torch.strided or leaf.shape != before.shape:
                continue
            same = leaf.detach() == before
            changed = changed or not bool(same.all())
            has_gradient = gradient != 0
            moving += int(has_gradient.sum())
            kept += int((same & has_gradient).sum())
        return kept / moving if changed and moving else 0.0

    def note(self) -> str | None:
        """What to say of lost updates; None where there are few."""
        share = self.lost()
        if share < MIN_SHARE:
            return None
        return (
            f"{share:.0%} of the parameters that have a gradient keep their value in a step: in their type, updates of "
            "less than half a unit in the last place are lost"
        )
