"""A Ray cluster on this machine, in a process of its own: a head that measures nothing, and nodes of one CPU.

Its orders are lines: ``add``, ``kill N`` (as SIGKILL of all of the node's processes would), ``occupy``, ``free``.
"""

from __future__ import annotations

import sys
from typing import Any


def main(number: int) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(number)]
    occupying: list[Any] = []
    print(cluster.address, flush=True)
    for line in sys.stdin:
        what, *details = line.split()
        if what == "add":
            nodes.append(cluster.add_node(num_cpus=1))
        elif what == "kill":
            cluster.remove_node(nodes[int(details[0])], allow_graceful=False)
        elif what == "occupy":
            ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
            occupying.append(ray.remote(Holder).options(num_cpus=1).remote())
            ray.get(occupying[-1].hold.remote())
        elif what == "free":
            ray.shutdown()
        print("done", flush=True)
    cluster.shutdown()


class Holder:
    """Holds a CPU."""

    def hold(self) -> None:
        """Answer once it has it."""


if __name__ == "__main__":
    main(int(sys.argv[1]))
