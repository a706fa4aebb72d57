"""Networks for images: training and inference steps."""

from __future__ import annotations

from torchduet.suites.vision import classification, detection
from torchduet.suites.vision.common import part

suite = part()
for _theme in (classification, detection):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)
