"""Several processes: collectives, DDP, FSDP, tensor parallel layers, remote procedure calls."""

from torchduet.suites.distributed import collectives as collectives
from torchduet.suites.distributed import rpc as rpc
from torchduet.suites.distributed import tensor_parallel as tensor_parallel
from torchduet.suites.distributed import training as training
from torchduet.suites.distributed.common import suite as suite
