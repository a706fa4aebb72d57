"""Networks for images: training and inference steps."""

from __future__ import annotations

from torchduet.suites.vision import classification, detection, vit
from torchduet.suites.vision.common import part

suite = part()
for _theme in (classification, vit, detection):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)
