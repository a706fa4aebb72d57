"""What is computed: workloads, their sizes, costs and references. Imports nothing else of ours."""

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation, Meter, SuiteError, Unavailable, Workload

__all__ = ["Axis", "Cost", "Implementation", "Meter", "Suite", "SuiteError", "Unavailable", "Workload"]
