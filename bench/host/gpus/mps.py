"""Whether processes share a GPU through MPS, NVIDIA's Multi-Process Service.

Its clients compute through one server: that is the process which the driver counts, and the only one that a GPU in
compute mode EXCLUSIVE_PROCESS has (guide to MPS: the mode that is recommended with it).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from torchduet.bench.host.gpus.processes import processes
from torchduet.bench.host.nvml import Device

SERVER = "nvidia-cuda-mps-server"
SHORT = SERVER[:15]  # as proc(5) has the name of a process in `comm`
VARIABLE = "CUDA_MPS_PIPE_DIRECTORY"  # where clients find the daemon that starts the server


def uses_mps(device: Device, variables: Mapping[str, str] | None = None) -> bool:
    """Whether a GPU's processes compute through MPS, as far as is visible: a server runs, or clients are to find it."""
    given = os.environ if variables is None else variables
    return bool(given.get(VARIABLE)) or any(process.name.startswith(SHORT) for process in processes(device))
