"""Recurrent cells as einsum: the updates of an RNN and of an LSTM."""

from __future__ import annotations

from torchduet.suites.einsum.common import part

suite = part()
