"""Where the reference of a family is computed in float64: on the CPU, or on the accelerator where that takes too long.

The CPU is another implementation, by other people, on other hardware: an error that all kernels of a GPU share shows
against it only. So the CPU computes the reference wherever it takes seconds at most. A product of two 8192 x 8192
matrices takes it half a minute or more, and twice that where rounding decides; a GPU computes it in 0.02 to 2 seconds.
That is a sound reference for the kernels of lower precision, as products and convolutions in float64 are kernels of
their own (DGEMM), and the first implementation is eager: it shares no generated code with a compiled case. What it
cannot show is an error in code that a library instantiates for both types, such as an index beyond 2**31. The same
workloads are checked against the CPU at their smaller sizes.
"""

from __future__ import annotations

from torchduet.bench.cases.case import Family
from torchduet.bench.record.devices import on_host
from torchduet.bench.timing.device_registry import device_of
from torchduet.suites.workload import Workload

MAX_FLOPS = 1e11  # some seconds of a CPU that computes 2e10 to 3e11 operations of float64 a second
MAX_BYTES = 2e9  # the same for what is bound by memory: twice the bytes in float64, at 5 GB/s or more


def float64_device(workload: Workload, family: Family) -> str:
    """The accelerator that computes a family's reference in float64; empty where the CPU does.

    It is the accelerator only if no case of the family is on the CPU and the device has float64. Then ``cost=`` says
    whether the CPU would take long; where it says nothing, it does at the sizes that only the accelerator measures.
    """
    device = family.reference.device
    if on_host(device) or not device_of(device).has_float64:
        return ""
    cost = workload.cost_at(dict(family.reference.size))
    if cost is None or (cost.flops is None and cost.bytes is None):
        return device if workload.has_own_sizes(device) else ""
    return device if (cost.flops or 0) > MAX_FLOPS or (cost.bytes or 0) > MAX_BYTES else ""
