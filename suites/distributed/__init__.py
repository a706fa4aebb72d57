"""Several processes: collectives, training steps by DDP and FSDP, tensor parallel layers, remote procedure calls."""

from torchduet.suites.distributed import collectives as collectives
from torchduet.suites.distributed import training as training
from torchduet.suites.distributed.common import suite as suite
