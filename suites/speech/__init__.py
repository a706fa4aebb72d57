"""CTC loss, and a training step of a speech recogniser."""

from __future__ import annotations

from torchduet.suites.speech import ctc, wav2vec2
from torchduet.suites.suite import Suite

suite = Suite("speech", "CTC loss, and a training step of a speech recogniser")
for _part in (ctc, wav2vec2):
    _part.add_to(suite)
