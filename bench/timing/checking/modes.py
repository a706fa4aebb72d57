"""The base of what watches or changes each operation of a computation."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class OperationMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode within which code that was compiled runs operation by operation.

    It does not import torch._dynamo, which takes seconds in each fresh process.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._eager = contextlib.ExitStack()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled while a mode is active: there is nothing to exclude from it."""
        return False

    def __enter__(self) -> Any:
        """Begin to see every operation."""
        if "torch._dynamo" in sys.modules:
            self._eager.enter_context(torch.compiler.set_stance("force_eager"))
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        """See no more; compiled code runs as it did."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._eager.close()
