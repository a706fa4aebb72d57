"""A fleet's machines as nodes of a Ray cluster. No other module imports ray.

One actor on each node reserves all of its CPUs and GPUs, so that Ray schedules nothing else beside a measurement. The
actor only passes orders and replies on: a process of its own measures, in which there is no Ray.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from torchduet.bench.fleet.actor import NodeActor
from torchduet.bench.fleet.head import Head, check_address
from torchduet.bench.fleet.messages import Gone, Order, encode, reply_of
from torchduet.bench.fleet.nodes import Arrived, ClusterError, Event, Leaving, Lost, Said
from torchduet.bench.fleet.sent import EXCLUDED
from torchduet.bench.fleet.words import first_line, no_machine
from torchduet.bench.host.run_lock import GO, REFUSE
from torchduet.suites.extras import install

LOOK_SECONDS = 2.0  # between two looks at which nodes there are
RETRY_SECONDS = 0.5  # after a call that did not reach its actor
UNAVAILABLE_SECONDS = 60.0  # that an actor may not be reached until its node counts as lost
MAX_STARTS = 3  # of the process on one node
RESERVED = ("CPU", "GPU")


class _Node:
    """A node of the cluster.

    Attributes:
        name: for the driver: one for each process that was started there.
        first: number of the next reply.
        told: whether the driver has been told that it has arrived.
        gone: whether its process has ended by a fault: another can be started.
        unavailable: since when it cannot be reached.
    """

    def __init__(self, name: str, host: str, actor: Any) -> None:
        self.name, self.host, self.actor = name, host, actor
        self.first, self.reference = 0, actor.replies.remote(0)
        self.told = self.leaving = self.gone = False
        self.unavailable: float | None = None


class RayNodes:
    """The nodes of a Ray cluster.

    Args:
        address: ``auto``, or ``HOST:PORT`` of the cluster.
        package: the folder of this package, which is sent to every node.
        folder: of the suite files, which is sent, too; None: there are none.
        when_busy: what to do with nodes whose CPUs or GPUs others have reserved: wait, refuse or go.

    Raises:
        ClusterError: the cluster cannot be reached, or is busy and ``when_busy`` is ``refuse``.
    """

    def __init__(self, address: str, package: Path, folder: Path | None, when_busy: str) -> None:
        self._ray = imported()
        self._when_busy = when_busy
        self._nodes: dict[str, _Node] = {}  # by Ray's id
        self._sends_files = folder is not None
        self._connect(address, package, folder)
        self._address = str(self._ray.get_runtime_context().gcs_address)
        self._head, self._has_machines = Head(self._address), True
        self._starts: dict[str, int] = {}
        self._looked = -LOOK_SECONDS
        self._events: list[Event] = []
        self._ending: dict[Any, Any] = {}  # the reply of an actor that ends its process → the actor
        try:
            if when_busy == REFUSE and (busy := self._busy()):
                hosts = ", ".join(sorted(busy.values()))
                raise ClusterError(f"--when-busy refuse: others have reserved CPUs or GPUs of {hosts}")
        except BaseException:
            self.close()
            raise

    def poll(self, seconds: float) -> list[Event]:
        """What has happened; see :class:`torchduet.bench.fleet.nodes.Nodes`."""
        deadline = monotonic() + seconds
        while True:
            if monotonic() - self._looked >= LOOK_SECONDS:
                self._looked = monotonic()
                self._look()
            self._receive(max(0.0, min(deadline - monotonic(), LOOK_SECONDS)))
            self._free_ended()
            if self._events or monotonic() >= deadline:
                events, self._events = self._events, []
                return events

    def send(self, node: str, order: Order) -> None:
        """Send an order; see :class:`torchduet.bench.fleet.nodes.Nodes`."""
        for found in self._nodes.values():
            if found.name == node:
                found.actor.send.remote(encode(order))

    def release(self, node: str) -> None:
        """End what was started on a node; see :class:`torchduet.bench.fleet.nodes.Nodes`."""
        for key, found in list(self._nodes.items()):
            if found.name == node:
                del self._nodes[key]
                self._end(found)
                if not found.gone:  # it has done all that it can
                    self._starts[key] = MAX_STARTS

    def waiting(self) -> dict[str, str]:
        """Nodes whose CPUs others use; see :class:`torchduet.bench.fleet.nodes.Nodes`."""
        return {node.host: "is used by others" for node in self._nodes.values() if not node.told}

    def nobody(self) -> str:
        """Why there is no machine; see :class:`torchduet.bench.fleet.nodes.Nodes`."""
        return "" if self._has_machines else no_machine(self._address)

    def close(self) -> None:
        """Release all nodes, and leave the cluster; from one that is gone, Ray could not take leave."""
        if self.abandoned:
            return
        with contextlib.suppress(Exception):
            ends = [*self._ending, *(node.actor.end.remote() for node in self._nodes.values())]
            self._ray.wait(ends, num_returns=len(ends), timeout=15.0)
        with contextlib.suppress(Exception):
            self._ray.shutdown()

    @property
    def abandoned(self) -> bool:
        """Whether the cluster is gone: then Ray's threads cannot be ended; see ``Nodes``."""
        return self._head.gone

    def _end(self, node: _Node) -> None:
        """End the process, with its files; the actor ends after it, and in any case when the cluster is left."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ending[node.actor.end.remote()] = node.actor

    def _free_ended(self) -> None:
        """End the actors whose processes have ended. Calls run at once in an actor: sooner it would leave files."""
        if self._ending:
            ended, _ = self._ray.wait(list(self._ending), num_returns=len(self._ending), timeout=0)
            for reference in ended:
                with contextlib.suppress(self._ray.exceptions.RayError):
                    self._ending.pop(reference).__ray_terminate__.remote()

    def _look(self) -> None:
        """Start an actor on each node that has none, and find out which nodes will be taken away.

        Raises:
            ClusterError: the head of the cluster is gone.
        """
        if not self._head.answers():
            return
        try:
            alive = {str(node["NodeID"]): node for node in self._ray.nodes() if node["Alive"]}
            busy, draining = self._busy(), self._draining()
        except Exception as error:  # noqa: BLE001 (Ray's own errors of a lost connection have no common class)
            raise ClusterError(f"the cluster cannot be reached any more: {first_line(error)}") from None
        self._has_machines = any(node["Resources"].get("CPU") for node in alive.values())
        for key, node in alive.items():
            if key not in self._nodes and node["Resources"].get("CPU") and self._starts.get(key, 0) < MAX_STARTS:
                self._start(key, node, is_busy=key in busy)
        for key in draining:
            if key in self._nodes and not self._nodes[key].leaving:
                self._nodes[key].leaving = True
                self._events.append(Leaving(self._nodes[key].name, "is taken away by the cluster"))

    def _start(self, key: str, node: Mapping[str, Any], *, is_busy: bool) -> None:
        self._starts[key] = number = self._starts.get(key, 0) + 1
        go = is_busy and self._when_busy == GO
        resources = {name: 0.0 if go else float(node["Resources"].get(name, 0.0)) for name in RESERVED}
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(key, soft=False)
        actor = (
            self._ray.remote(NodeActor)
            .options(
                num_cpus=resources["CPU"],
                num_gpus=resources["GPU"],
                max_restarts=0,
                max_concurrency=3,  # a call waits for replies while another sends an order
                scheduling_strategy=strategy,
            )
            .remote(self._sends_files)
        )
        host = str(node.get("NodeManagerHostname") or node.get("NodeManagerAddress"))
        self._nodes[key] = _Node(f"{key}/{number}", host, actor)
        if not is_busy or go:
            self._arrived(self._nodes[key])

    def _arrived(self, node: _Node) -> None:
        node.told = True
        self._events.append(Arrived(node.name, node.host))

    def _receive(self, seconds: float) -> None:
        """Wait for replies of any node."""
        by_reference = {node.reference: node for node in self._nodes.values()}
        if not by_reference:
            sleep(seconds)
            return
        ready, _ = self._ray.wait(list(by_reference), num_returns=1, timeout=seconds)
        if ready:  # those of others that are there, too
            ready, _ = self._ray.wait(list(by_reference), num_returns=len(by_reference), timeout=0)
        for reference in ready:
            self._received(by_reference[reference], reference)

    def _received(self, node: _Node, reference: Any) -> None:
        errors = self._ray.exceptions
        try:
            first, lines = self._ray.get(reference)
        except errors.ActorUnavailableError as error:
            now = monotonic()
            node.unavailable = now if node.unavailable is None else node.unavailable
            if now - node.unavailable > UNAVAILABLE_SECONDS:
                self._lose(node, f"cannot be reached: {first_line(error)}")
                return
            sleep(RETRY_SECONDS)
        except errors.RuntimeEnvSetupError as error:
            self._lose(node, f"cannot be sent this package: {first_line(error)}")
            return
        except errors.RayError as error:
            self._lose(node, f"was lost: {first_line(error)}")
            return
        else:
            node.unavailable = None
            if not node.told:
                self._arrived(node)
            replies = [reply_of(line) for line in lines]
            node.gone = node.gone or any(isinstance(reply, Gone) for reply in replies)
            self._events += [Said(node.name, reply) for reply in replies]
            node.first = first + len(lines)
        node.reference = node.actor.replies.remote(node.first)

    def _lose(self, node: _Node, why: str) -> None:
        self._nodes = {key: other for key, other in self._nodes.items() if other is not node}
        self._events.append(Lost(node.name, why))

    def _busy(self) -> dict[str, str]:
        """Ray's id → host, of nodes of which others have reserved CPUs or GPUs."""
        free, found = self._ray._private.state.available_resources_per_node(), {}
        for node in self._ray.nodes():
            key, whole = str(node["NodeID"]), node["Resources"]
            if not node["Alive"] or not whole.get("CPU") or key in self._nodes:
                continue
            if any(free.get(key, {}).get(name, 0.0) < whole.get(name, 0.0) for name in RESERVED):
                found[key] = str(node.get("NodeManagerHostname"))
        return found

    def _draining(self) -> list[str]:
        """Ray's ids of nodes that will be taken away, such as preempted ones; Ray's public interface has none."""
        with contextlib.suppress(AttributeError):
            return list(self._ray._private.state.state.get_draining_nodes())
        return []

    def _connect(self, address: str, package: Path, folder: Path | None) -> None:
        if address.startswith("ray://"):
            raise ClusterError(
                f"--address {address}: Ray's client is not supported: run this on a machine of the cluster, "
                "with --address auto"
            )
        named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
        if named not in ("", "auto"):
            check_address(named)
            os.environ["RAY_ADDRESS"] = named  # Ray takes the variable before the address that it is given
        environment: dict[str, Any] = {"py_modules": [str(package)]}
        if folder is not None:
            environment |= {"working_dir": str(folder), "excludes": list(EXCLUDED)}
        logging.getLogger("ray").setLevel(logging.ERROR)  # it warns of what it leaves out of the folder
        try:
            self._ray.init(
                address=address,
                runtime_env=environment,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                include_dashboard=False,
            )
        except Exception as error:  # noqa: BLE001 (Ray raises ConnectionError, RuntimeError, ValueError and others)
            raise ClusterError(f"--address {address}: {first_line(error)}") from None
        # Ray prints the log of a lost node to this process's standard output; its own debugger turns that off so.
        self._ray._private.worker._worker_logs_enabled = False


def imported() -> Any:
    """The module ray.

    Raises:
        ClusterError: it is not installed.
    """
    try:
        import ray
        import ray._private.state
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ModuleNotFoundError:
        raise ClusterError(f"the command fleet needs Ray: {install('fleet', 'ray')}") from None
    return ray
