"""What the project measures."""

import layers
import torch

from torchduet import Suite

suite = Suite("layers", "The layers of a small project")


def rows(device, n):
    return (torch.randn(n, 64, device=device),)


def rows_and_weight(device, n):
    return *rows(device, n), torch.randn(64, 64, device=device) / 8


def register(function, inputs=rows):
    """A workload named as the function, which is looked up when it is called."""
    name, about = function.__name__, function.__doc__
    call = {name: lambda *arguments: getattr(layers, name)(*arguments)}
    suite.compare(name, call, inputs=inputs, axes={"n": [256]}, modes=["eager"], about=about)


register(layers.net, rows_and_weight)
register(layers.normalised)
register(layers.attention)
register(layers.pooled)
