"""The workloads: what is computed, with sizes, costs and references; imports no other package of Torchduet."""

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation, Meter, SuiteError, Unavailable, Workload

__all__ = ["Axis", "Cost", "Implementation", "Meter", "Suite", "SuiteError", "Unavailable", "Workload"]
