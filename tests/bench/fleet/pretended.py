"""Machines of a fleet that answer at once, on a clock of their own: the driver is told of them as of any others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchduet.bench.fleet import messages
from torchduet.bench.fleet.messages import FamilyPlan, Order, Planned, Reply, encode, order_of, reply_of
from torchduet.bench.fleet.nodes import Arrived, Event, Leaving, Lost, Said
from torchduet.bench.record.journal_events import Began, FamilyDone, Header, SpentEntry, entry_of

VERSIONS = {"torch": "2.13", "python": "3.11.7", "torchduet": "0.1.0"}
SUITE = {"long": 8.0, "middle": 4.0, "short": 1.0, "last": 2.0}
VISITS = 2  # later visits that are worth it


def case_of(family: str) -> dict[str, Any]:
    """The record of the one case of a family."""
    suite, _, workload = f"made.{family}".partition(".")
    return {
        "id": f"made.{family} cpu eager fp32",
        "family": f"made.{family}",
        "suite": suite,
        "workload": workload,
        "about": "",
        "size": {},
        "size_label": "",
        "implementation": "made",
        "device": "cpu",
        "mode": "eager",
        "precision": "fp32",
        "reference": False,
        "source": "made",
    }


@dataclass
class Machine:
    """A machine: what it says of itself, and what it does.

    Attributes:
        seconds: that each family takes there.
        dies_with: families with which it dies.
        stops_after: families after which it measures no more.
    """

    host: str
    key: str = "aaaa"
    accelerator: str = "CPU"
    families: Mapping[str, float] = field(default_factory=lambda: dict(SUITE))
    versions: Mapping[str, str] = field(default_factory=lambda: dict(VERSIONS))
    problem: str = ""
    unmatched: Sequence[str] = ()
    budget: float = 60.0
    least: float = 0.1
    dies_with: tuple[str, ...] = ()
    stops_after: int | None = None
    describing: float = 1.0
    measured: list[str] = field(default_factory=list)  # by all processes on it, in order
    orders: list[Order] = field(default_factory=list)

    def planned(self) -> Planned:
        return Planned(
            host=self.host,
            machine=self.key,
            accelerator=self.accelerator,
            label=f"{self.accelerator} {self.key}",
            versions=dict(self.versions),
            identity={"machine": {"node": self.host, "key": self.key}, "selection": {"cases": list(self.families)}},
            budget=self.budget,
            families=[
                FamilyPlan(name=name, seconds=seconds, least=self.least, cases={case_of(name)["id"]: case_of(name)})
                for name, seconds in self.families.items()
            ],
            in_turns=sorted(self.families),
            unmatched=list(self.unmatched),
        )


class Process:
    """What measures on a machine, until it ends."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.at = machine, 0.0
        self.measured: list[str] = []  # with those of the journal that it continues
        self.visits, self.used = VISITS, 0.0

    def answer(self, order: Order) -> tuple[float, list[Reply]]:
        """Seconds that an order takes, and what is sent then; without a last reply it has died."""
        machine = self.machine
        machine.orders.append(order)
        match order:
            case messages.Start():
                problem = [messages.Problem(text=machine.problem)] if machine.problem else [machine.planned()]
                return machine.describing, problem  # type: ignore[return-value]
            case messages.Begin(entries=entries):
                self.measured = [entry["name"] for entry in entries if entry["kind"] == "family"]
                header = [] if entries else [messages.Wrote(entry=self._header())]
                began = messages.Wrote(entry=entry_of(Began(at=0.0, startup=0.0, set_aside=0.0)))
                return 0.1, [*header, began, messages.Ready(measured=self.measured, used=0.0, warnings=[])]
            case messages.Measure(family=family):
                return self._measure(family)
            case messages.Visit():
                self.visits -= 1
                self.used += 0.5
                visited = messages.Visited(more=self.visits >= 0, used=self.used, unclear=1, comparisons=2)
                return 0.5, [visited]
            case messages.End() | messages.Stop():
                return 0.1, [messages.Finished(document=self.document(), hints=[])]
        raise AssertionError(order)

    def _measure(self, family: str) -> tuple[float, list[Reply]]:
        machine = self.machine
        if family in machine.dies_with:
            return machine.families[family] / 2, []
        took = machine.families[family]
        self.measured.append(family)
        self.used += took
        self.visits = VISITS
        stopped = "three workloads gave no answer" if len(self.measured) == machine.stops_after else ""
        wrote = messages.Wrote(entry=self._family(family))
        return took, [wrote, messages.Measured(family=family, used=self.used, stopped=stopped)]

    def document(self) -> dict[str, Any]:
        benchmarks = [{"extra_info": {"torchduet": {"case": case_of(name)}}} for name in self.measured]
        about = {"failed": [], "skipped": [], "unreached": ["everything else"]}
        return {"benchmarks": benchmarks, "torchduet": about, "machine_info": {"node": self.machine.host}}

    def _header(self) -> dict[str, Any]:
        plan = [(name, [case_of(name)["id"]]) for name in self.machine.families]
        header = Header(identity=self.machine.planned().identity, run={"started": ""}, plan=plan)
        return {"kind": "run", "format": 1, **entry_of(header)}

    def _family(self, family: str) -> dict[str, Any]:
        spent = SpentEntry(fixed=None, timing=None, stages={}, slow=[], again=False)
        done = FamilyDone(at=self.used, name=family, outcomes={}, spent=spent, timed=None, warnings=[], hints=[])
        return entry_of(done)


class Cluster:
    """Machines that join, die and are taken away at given times; the clock goes on from one event to the next."""

    def __init__(self, machines: Sequence[Machine] = ()) -> None:
        self.time, self.names = 0.0, 0
        self.processes: dict[str, Process] = {}
        self.busy: dict[str, str] = {}
        self.closed = self.abandoned = False
        self.without_machines = ""
        self.released: list[str] = []
        self._coming: list[tuple[float, int, Callable[[], list[Event]]]] = []
        for machine in machines:
            self.joins(machine, at=0.0)

    def now(self) -> float:
        return self.time

    def joins(self, machine: Machine, at: float) -> None:
        self._at(at, lambda: self._join(machine))

    def dies(self, machine: Machine, at: float) -> None:
        self._at(at, lambda: self._lose(machine))

    def is_taken_away(self, machine: Machine, at: float) -> None:
        self._at(at, lambda: [Leaving(node, "is preempted") for node in self._nodes_of(machine)])

    def calls(self, function: Callable[[], None], at: float) -> None:
        self._at(at, lambda: function() or [])  # type: ignore[func-returns-value]

    def poll(self, seconds: float) -> list[Event]:
        if not self._coming or min(self._coming)[0] > self.time + seconds:
            self.time += seconds
            return []
        at, number, happens = min(self._coming, key=lambda item: item[:2])
        self._coming = [item for item in self._coming if item[1] != number]
        self.time = max(self.time, at)
        return happens()

    def send(self, node: str, order: Order) -> None:
        process = self.processes.get(node)
        if process is None:
            return
        seconds, replies = process.answer(order_of(encode(order)))
        process.at = max(process.at, self.time) + seconds  # one order after the other
        self._at(process.at, lambda: self._says(node, replies))

    def release(self, node: str) -> None:
        self.released.append(node)
        self.processes.pop(node, None)

    def waiting(self) -> Mapping[str, str]:
        return self.busy

    def nobody(self) -> str:
        return self.without_machines

    def close(self) -> None:
        self.closed = True

    def _at(self, time: float, happens: Callable[[], list[Event]]) -> None:
        self.names += 1
        self._coming.append((time, self.names, happens))

    def _join(self, machine: Machine) -> list[Event]:
        self.names += 1
        name = f"{machine.host}/{self.names}"
        self.processes[name] = Process(machine)
        return [Arrived(name, machine.host)]

    def _lose(self, machine: Machine) -> list[Event]:
        nodes = self._nodes_of(machine)
        for node in nodes:
            del self.processes[node]
        return [Lost(node, "died") for node in nodes]

    def _nodes_of(self, machine: Machine) -> list[str]:
        return [node for node, process in self.processes.items() if process.machine is machine]

    def _says(self, node: str, replies: Sequence[Reply]) -> list[Event]:
        if node not in self.processes:
            return []
        if not replies:
            return [Said(node, messages.Gone(why="was killed by SIGKILL"))]
        finished = [reply.family for reply in replies if isinstance(reply, messages.Measured)]
        self.processes[node].machine.measured += finished
        return [Said(node, reply_of(encode(reply))) for reply in replies]
