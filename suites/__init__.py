"""What is computed: workloads, their sizes, costs and references. Imports nothing else of ours."""

from suites.workload import Axis, Cost, Suite, SuiteError, Workload

__all__ = ["Axis", "Cost", "Suite", "SuiteError", "Workload"]
