"""A project that Torchduet knows nothing of: one layer."""

from layers.norm import Norm

__all__ = ["Norm"]
