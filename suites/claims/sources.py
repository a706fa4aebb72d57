"""The texts whose claims are judged."""

from __future__ import annotations

A = 'A: "Pytorch 2.0", a long post'
B = 'B: "Pytorch - Introducción"'
C = 'C: "PyTorch 2.0: Innovaciones en el marco de trabajo de Machine Learning", an article'
D = "D: a deep-learning book, chapter 3"
E = 'E: "Fundamentos de PyTorch para modelos de machine learning", a course lesson'
F = 'F: "Channels Last Memory Format in PyTorch", a tutorial of PyTorch itself'
