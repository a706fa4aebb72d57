"""The types with which an author describes a workload.

A workload says what is computed; the engine decides how it is timed, compiled and placed.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchduet.suites.authoring.axis import TIERS as TIERS
from torchduet.suites.authoring.axis import Axis as Axis
from torchduet.suites.authoring.axis import SuiteError as SuiteError
from torchduet.suites.authoring.axis import Value as Value
from torchduet.suites.authoring.axis import as_axis as as_axis
from torchduet.suites.authoring.axis import plain
from torchduet.suites.cpus import cores as cores
from torchduet.suites.cpus import usable_cpus as usable_cpus
from torchduet.suites.devices import DEVICES, HOST, is_host, own_of

OF_MODELS = ("compile-model", "compile-regions")  # modes that compile modules among the arguments, not the function
DYNAMIC = {"compile-dynamic": True, "compile-static": False}  # mode → torch.compile's dynamic=; None in other modes
OPTIMIZING = ("reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")  # torch.compile's mode=
COMPILED = ("compile", *OF_MODELS, *OPTIMIZING, *DYNAMIC)  # modes with torch.compile
MODES = ("eager", *COMPILED, "graph")
GRAPHED = ("reduce-overhead", "max-autotune")  # modes in which inductor captures CUDA graphs
IMPLIED = (*OPTIMIZING, *DYNAMIC)  # modes of every workload that can be compiled, if --mode names them
PURE = ("bf16-pure", "fp16-pure")  # precisions to which the inputs themselves are converted, without autocast
PRECISIONS = ("fp32", "tf32", "bf16", "fp16", *PURE)
SAMPLES = "samples"
DEVICE = "device"  # a parameter of call_seconds=
RANKS = "ranks"  # a parameter of inputs=, shard=, joint= and cost=
CORES = ("cores", "2x cores")  # numbers of workers that depend on the machine

Size = Mapping[str, Value]


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function shows a parameter of this name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins show none
        return False


class Unavailable(Exception):
    """Raised if something cannot run here; the message says what is missing and how to get it."""


class Meter:
    """Takes notes of a function about its own call; it is passed as the parameter ``meter``.

    This class keeps nothing; that of the engine keeps a value per call.
    """

    def lap(self, name: str) -> None:
        """End a phase: note the seconds since the last lap, or since the call began."""

    def value(self, name: str, number: float, unit: str = "") -> None:
        """Note a number, such as the epochs that a training took or the bytes of a file."""


@dataclass(frozen=True)
class Cost:
    """The least cost of one call, from which throughput is computed.

    Attributes:
        flops: floating-point operations (a multiply-add counts as two).
        bytes: bytes that must be read and written, each operand once, in float32: in a pure precision half of them.
        samples: training or inference samples processed.
        unit: what is counted in samples, in the plural, such as ``"tokens"``.
        message: bytes of a collective, as nccl-tests counts them: of the larger of what a rank gives and gets.
        bus: bytes that a collective has to move over the slowest link, see
            :func:`torchduet.suites.distributed.common.collective`.
    """

    flops: float | None = None
    bytes: float | None = None
    samples: int | None = None
    unit: str = SAMPLES
    message: float | None = None
    bus: float | None = None

    def __post_init__(self) -> None:
        """Take the numbers of NumPy and torch as Python's own; a record has whole numbers below 2**63 only."""
        for name in ("flops", "bytes", "samples", "message", "bus"):
            amount = getattr(self, name)
            if amount is not None and (type(amount) is not int or abs(amount) >= 2**63):
                object.__setattr__(self, name, plain(amount))


@dataclass(frozen=True)
class Implementation:
    """One way to compute the result of a workload, if a function alone does not say enough.

    Attributes:
        function: the timed function; with ``setup``, a function that makes it.
        setup: ``function(*inputs)`` is called once, outside the timing, and returns the timed function of the
            inputs, such as an exported program, a session or a logger. If that holds memory of its own, it should
            have a method ``renew()``, which returns the same with other memory, for each placement.
        modes, precisions, devices: its variants, if they are fewer than those of the workload; ``"accelerator"``
            among the devices means all but the CPU.
        bind: makes ``function`` read other values than those that it captured, for a workload with ``captured``.
        alone: of a workload with ``ranks``: it runs in one process without a process group, on the inputs of all.
        part: of a workload with ``ranks``: its result is that of its rank's own arguments, not of all ranks'.
    """

    function: Callable[..., Any]
    setup: bool = False
    modes: tuple[str, ...] | None = None
    precisions: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    bind: Callable[[Sequence[Any]], Callable[..., Any]] | None = None
    alone: bool = False
    part: bool = False


@dataclass(frozen=True)
class Workload:
    """A named computation with its sizes.

    Its functions may have parameters of these names: ``autocast``, a factory of context managers (the function
    then decides which part runs in reduced precision; otherwise all of it does); ``workers``, the number of
    DataLoader workers of the case; ``seed``, a whole number that is 0 for the check, changes with every placement
    and is the same for all cases; ``meter``, a :class:`Meter`.

    Attributes:
        suite: name of the suite it belongs to.
        name: its name within the suite.
        about: what it computes, in one line.
        inputs: ``inputs(device, **size)`` returns the tuple of arguments, allocated on ``device``.
        implementations: name → function of those arguments, all computing the same result. The first
            is the reference.
        axes: size axes; a combination's tier is the highest among its values. ``on=`` of an :class:`Axis` gives the
            sizes of a kind of device.
        modes, precisions: the variants that make sense, with the tier of each; ``on=`` as for a size. In ``bf16-pure``
            and ``fp16-pure`` every floating-point tensor of the inputs is of that type, and nothing is autocast.
        devices: the kinds of devices on which it can run; ``"accelerator"`` means all but the CPU.
        workers: numbers of DataLoader workers, whole numbers, ``"cores"`` or ``"2x cores"``; None if it has
            no such knob.
        ranks: numbers of processes that form a process group, whole numbers from 1; None if it has no such knob.
        shard: of a workload with ``ranks``: ``shard(*inputs)`` returns the arguments of one rank, from inputs that
            are equal in all of them; it may have parameters ``rank`` and ``ranks``, and ``inputs`` one ``ranks``.
        joint: of a workload with ``ranks``: ``joint(*inputs)`` computes in one process what a rank's result must be;
            it may have parameters ``rank`` and ``ranks``. None: what the first implementation computes, which is
            ``alone``.
        knobs: any other knob by its name → the settings that make sense, with the tier of each.
        cost: ``cost(**size)`` of one call, or None if it is unknown; it may have a parameter ``ranks``.
        deterministic: False for random results: then only shapes, dtypes and finiteness are checked.
        observe: ``observe(inputs, result)`` returns the tensors to check, if the result alone does not show
            the work (such as the gradients and parameters of a training step).
        tolerance: relative Frobenius error allowed, if it differs from the default: per precision, or per
            implementation, as a number or per precision: ``{"bf16": 0.1, "int8": 0.05, "fp8": {"bf16": 0.3}}``.
        check: False: its results are not compared with anything; every table marks its cases as not checked.
        mutates: names of the arguments that a call changes, where it does not show in the first call; they are what
            they were before each call. Arguments that the first call changes are restored without being named.
        scratch: names of the arguments whose contents do not matter to the next call, such as a buffer for ``out=``;
            they are not restored.
        fresh: the inputs are made anew, with other values, before each call.
        call_seconds: roughly how long a call takes, for calls beyond some milliseconds: a number, or
            ``call_seconds(**size)``; the budget sets eight calls of each case aside. A function that has a parameter
            ``device`` gets the kind of device, ``"cpu"`` where the CPU is among the family's.
        memory: whether the peak of memory allocated by a call is measured, in a pass of its own; with ``ranks`` that
            of its setup and two calls, in each process.
        each: the name of an argument that is a list: the functions are called with each of its items in turn, such as
            batches of unequal sizes, and the list of results is the result of a call. Each size may be compiled when
            it is first visited; these calls are recorded one by one, and recompilations are counted.
        captured: names of what the functions read beside their arguments. ``inputs`` returns these values after the
            arguments, and each implementation's ``bind`` makes its function of them.
    """

    suite: str
    name: str
    about: str
    inputs: Callable[..., Sequence[Any]]
    implementations: Mapping[str, Implementation]
    axes: Mapping[str, Axis]
    modes: Axis
    precisions: Axis
    devices: tuple[str, ...] = DEVICES
    workers: Axis | None = None
    ranks: Axis | None = None
    shard: Callable[..., Sequence[Any]] | None = None
    joint: Callable[..., Any] | None = None
    knobs: Mapping[str, Axis] = field(default_factory=dict)
    cost: Callable[..., Cost] | None = None
    deterministic: bool = True
    observe: Callable[[Sequence[Any], Any], Any] | None = None
    tolerance: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
    check: bool = True
    mutates: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    fresh: bool = False
    call_seconds: float | Callable[..., float] = 0.0
    memory: bool = False
    each: str = ""
    captured: tuple[str, ...] = ()

    def split(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The arguments among what ``inputs`` returned, and the captured values."""
        count = len(inputs) - len(self.captured)
        return tuple(inputs[:count]), tuple(inputs[count:])

    def make(self, device: Any, size: Size, ranks: int | None = None) -> Sequence[Any]:
        """What ``inputs`` returns on a torch.device at a size, for so many processes."""
        return self.inputs(device, **size, **self._ranks_for(self.inputs, size, ranks))

    def cost_at(self, size: Size, ranks: int | None = None) -> Cost | None:
        """The cost of one call at a size with so many processes, of all of them; None if it is unknown."""
        return None if self.cost is None else self.cost(**size, **self._ranks_for(self.cost, size, ranks))

    def _ranks_for(self, function: Callable[..., Any], size: Size, ranks: int | None) -> dict[str, int]:
        wanted = self.ranks is not None and RANKS not in size and takes(function, RANKS)
        return {RANKS: ranks or min(map(int, self.ranks.everywhere()))} if wanted and self.ranks else {}

    def in_ranks(self, implementation: str) -> bool:
        """Whether an implementation runs in processes of a process group, rather than in one without."""
        return self.ranks is not None and not self.implementations[implementation].alone

    def seconds_of(self, size: Size, device: str = HOST) -> float:
        """Roughly how many seconds one call takes at a size on a kind of device; 0 if the author gives none."""
        if not callable(self.call_seconds):
            return self.call_seconds
        takes_device = DEVICE not in size and takes(self.call_seconds, DEVICE)
        return self.call_seconds(**size, **({DEVICE: device} if takes_device else {}))

    def has_own_sizes(self, device: str) -> bool:
        """Whether a device such as ``cuda:0`` has sizes of its own."""
        return any(own_of(axis.on, device) is not None for axis in self.axes.values())

    def sizes(self, tier: str, device: str = HOST) -> Iterator[dict[str, Value]]:
        """Every combination of axis values that a device runs at ``tier``."""
        names = list(self.axes)
        for values in itertools.product(*(axis.of(device).up_to(tier) for axis in self.axes.values())):
            yield dict(zip(names, values, strict=True))

    def sizes_on(self, tier: str, devices: Sequence[str]) -> list[tuple[dict[str, Value], tuple[str, ...]]]:
        """Every size that runs at ``tier``, each with those of the devices that measure it.

        A device measures its own sizes. Where the CPU is among the devices, all of them measure the CPU's sizes, too:
        a speed-up across devices needs the same size on both.
        """
        shared = [device for device in devices if is_host(device)][:1]
        own = {device: list(self.sizes(tier, device)) for device in devices}
        beside = {device: [*own[device], *(size for host in shared for size in own[host])] for device in devices}
        sizes: list[dict[str, Value]] = []
        for device in (*shared, *devices):
            sizes += [size for size in own[device] if size not in sizes]
        if all(isinstance(value, int | float) for size in sizes for value in size.values()):
            sizes.sort(key=lambda size: tuple(size.values()))
        return [(size, tuple(device for device in devices if size in beside[device])) for size in sizes]
