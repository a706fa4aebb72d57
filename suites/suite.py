"""A suite collects workloads; it has the functions that register one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from torchduet.suites.authoring.details import check_details, check_implementations, check_name, check_tolerance
from torchduet.suites.authoring.each import check_each
from torchduet.suites.authoring.ranks import check_ranks
from torchduet.suites.authoring.signatures import check_inputs, explained
from torchduet.suites.authoring.sizes import check_sizes
from torchduet.suites.devices import DEVICES, is_known
from torchduet.suites.workload import (
    CORES,
    MODES,
    PRECISIONS,
    RANKS,
    Axis,
    Cost,
    Implementation,
    SuiteError,
    Value,
    Workload,
    as_axis,
)


class Details(TypedDict, total=False):
    """Optional details of a workload beside its name, functions and inputs; see :class:`Workload`."""

    about: str
    axes: Mapping[str, Axis | Sequence[Value]]  # default: none, one size
    modes: Axis | Sequence[Value]  # default: eager and compile
    precisions: Axis | Sequence[Value]  # default: fp32
    devices: Sequence[str]  # default: cpu and accelerator, which is every other kind
    workers: Axis | Sequence[Value] | None  # default: no such knob
    ranks: Axis | Sequence[Value] | None  # default: no such knob
    shard: Callable[..., Sequence[Any]] | None
    joint: Callable[..., Any] | None
    knobs: Mapping[str, Axis | Sequence[Value]]  # default: no others
    cost: Callable[..., Cost] | None
    deterministic: bool
    observe: Callable[[Sequence[Any], Any], Any] | None
    tolerance: Mapping[str, float | Mapping[str, float]]
    check: bool
    mutates: Sequence[str]
    scratch: Sequence[str]
    fresh: bool
    call_seconds: float | Callable[..., float]
    memory: bool
    each: str


class Suite:
    """A named collection of workloads; a module of workloads has one, called ``suite``.

    Example (a whole file for ``pytest bench/ --suite my_suite.py``)::

        import torch
        from torchduet import Axis, Cost, Suite

        suite = Suite("mine", "What our model spends its time on")

        def vectors(device, n):
            return torch.randn(n, device=device), torch.randn(n, device=device)

        @suite.workload(inputs=vectors, axes={"n": Axis(quick=[4096])}, cost=lambda n: Cost(flops=2 * n))
        def scaled_sum(x, y):
            "x + 2y"
            return x + 2 * y
    """

    def __init__(self, name: str, about: str = "") -> None:
        if not isinstance(name, str) or not name.strip():
            raise SuiteError("Suite: the first argument is its name, e.g. Suite('mine')")
        check_name("Suite", "the name", name)
        self.name = name
        self.about = about
        self.workloads: dict[str, Workload] = {}

    @explained(Details.__annotations__)
    def workload(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        inputs: Callable[..., Sequence[Any]],
        **details: Unpack[Details],
    ) -> Callable[..., Any]:
        """Register the decorated function as a workload of one implementation; see :class:`Workload`.

        ``about`` is the first line of its docstring unless given.

        Raises:
            SuiteError: a name used twice, an unknown mode, precision or device.
        """

        if function is not None and not callable(function):
            raise SuiteError(
                f"suite {self.name!r}: suite.workload decorates a function, not {function!r}; "
                "for several implementations of a name there is suite.compare"
            )

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            name = getattr(fn, "__name__", "")
            details.setdefault("about", (inspect.getdoc(fn) or "").split("\n")[0])
            self.compare(name, {name: fn}, inputs=inputs, **details)
            return fn

        return register if function is None else register(function)

    @explained(Details.__annotations__)
    def model(
        self,
        name: str,
        make: Callable[[], Any],
        data: Callable[..., Any],
        *,
        loss: Callable[..., Any] | None = None,
        optimizer: Callable[[Any], Any] | None = None,
        batch: Axis | Sequence[Value] | None = None,
        **details: Unpack[Details],
    ) -> None:
        """Register a module under all knobs, as the workloads ``<name>_train`` and ``<name>_infer``.

        Args:
            make: returns a new ``torch.nn.Module``.
            data: ``data(batch, **axes)`` returns CPU tensors, each with ``batch`` rows: the module's inputs, then the
                target; or a mapping, which the module takes as keyword arguments.
            loss: ``loss(output, target)`` or ``loss(output)`` returns a scalar tensor; the target of a mapping is the
                mapping. None: the loss is that of the output, if the mapping has labels, as for Hugging Face's models;
                without labels, there is no training step.
            optimizer: makes an optimizer of the parameters of the module (default: AdamW).
            batch: batch sizes (default: 32).
            details: of both workloads; ``axes={"seq": [16, 64]}`` for sizes beside the batch, ``deterministic=False``
                for a module with dropout.

        Raises:
            SuiteError: see :meth:`compare`.
        """
        from torch.optim import AdamW

        from torchduet.suites import model as steps

        where = f"suite {self.name!r}, workload {name!r}"
        check_details(where, details)
        steps.check_functions(where, make, data, loss, optimizer)
        details["axes"] = axes = steps.axes_of(where, data, batch, details.get("axes", {}))
        details.setdefault("modes", ("eager", "compile-model", "compile"))
        trained: Details = {"precisions": details.get("precisions", steps.TRAINED)}
        details.setdefault("precisions", steps.INFERRED)
        details.setdefault("cost", steps.cost_of(axes))
        smallest = {axis: _axis(where, axis, values, on=True).up_to("full")[0] for axis, values in axes.items()}
        if steps.has_loss(where, data, loss, smallest):
            training: Details = {"about": f"Training step of {name}", "observe": steps.state, **details, **trained}
            training.setdefault("tolerance", steps.STATE_TOLERANCE)
            step = {"step": steps.training_step(loss)}
            inputs = steps.inputs(make, data, loss, optimizer or AdamW)
            self.compare(f"{name}_train", step, inputs=inputs, **training)
        inference: Details = {"about": f"Inference step of {name}", **details}
        inputs = steps.inputs(make, data, loss, None)
        self.compare(f"{name}_infer", {"step": steps.inference_step}, inputs=inputs, **inference)

    @explained(Details.__annotations__)
    def compare(
        self,
        name: str,
        implementations: Mapping[str, Callable[..., Any] | Implementation],
        *,
        inputs: Callable[..., Sequence[Any]],
        **details: Unpack[Details],
    ) -> Workload:
        """Register several implementations of one result; the first is the reference of the others.

        Raises:
            SuiteError: a name used twice, an unknown mode, precision or device.
        """
        where = f"suite {self.name!r}, workload {name!r}"
        if not isinstance(name, str) or not name.strip():
            raise SuiteError(f"suite {self.name!r}: a workload needs a name (a lambda has none)")
        if name in self.workloads:
            raise SuiteError(f"{where}: the name is used twice; rename one of them")
        check_implementations(where, implementations)
        check_name(f"suite {self.name!r}", "the name of a workload", name)
        check_details(where, details)
        ranked = details.get("ranks") is not None
        check_inputs(where, inputs, details.get("axes", {}), given=(RANKS,) if ranked else ())
        variants = {
            key: fn if isinstance(fn, Implementation) else Implementation(fn) for key, fn in implementations.items()
        }
        workload = Workload(
            suite=self.name,
            name=name,
            about=details.get("about", ""),
            inputs=inputs,
            implementations=variants,
            axes={axis: _axis(where, "axes", values, on=True) for axis, values in details.get("axes", {}).items()},
            modes=_axis(where, "modes", details.get("modes", ("eager", "compile")), on=True),
            precisions=_axis(where, "precisions", details.get("precisions", ("fp32",)), on=True),
            devices=tuple(dict.fromkeys(details.get("devices", DEVICES))),
            workers=None if (workers := details.get("workers")) is None else _axis(where, "workers", workers),
            ranks=None if (ranks := details.get("ranks")) is None else _axis(where, "ranks", ranks, on=True),
            shard=details.get("shard"),
            joint=details.get("joint"),
            knobs={name: _axis(where, "knobs", settings) for name, settings in details.get("knobs", {}).items()},
            cost=details.get("cost"),
            deterministic=details.get("deterministic", True),
            observe=details.get("observe"),
            tolerance=dict(details.get("tolerance", {})),
            check=details.get("check", True),
            mutates=tuple(details.get("mutates", ())),
            scratch=tuple(details.get("scratch", ())),
            fresh=details.get("fresh", False),
            call_seconds=details.get("call_seconds", 0.0),
            memory=details.get("memory", False),
            each=details.get("each", ""),
        )
        for argument, given, known in (
            ("modes", workload.modes.everywhere(), MODES),
            ("precisions", workload.precisions.everywhere(), PRECISIONS),
            *(("modes", variant.modes or (), MODES) for variant in variants.values()),
            *(("precisions", variant.precisions or (), PRECISIONS) for variant in variants.values()),
        ):
            unknown = [str(value) for value in given if value not in known]
            if unknown:
                raise SuiteError(f"{where}: {argument} has {', '.join(unknown)}; known are {', '.join(known)}")
        check_tolerance(where, workload.tolerance, tuple(variants))
        for kind in (*workload.devices, *(kind for variant in variants.values() for kind in variant.devices or ())):
            if not is_known(kind):
                raise SuiteError(
                    f"{where}: devices has {kind}; use {', '.join(DEVICES)}, or a kind of device that PyTorch has"
                )
        for count in workload.workers.up_to("full") if workload.workers else ():
            if count not in CORES and not (type(count) is int and count >= 0):
                raise SuiteError(f"{where}: workers has {count!r}; use whole numbers from 0, {' or '.join(CORES)}")
        check_each(workload, where)
        check_ranks(workload, where)
        check_sizes(workload, where)
        self.workloads[name] = workload
        return workload


def _axis(where: str, keyword: str, values: Axis | Sequence[Value], *, on: bool = False) -> Axis:
    try:
        axis = as_axis(values)
    except SuiteError as error:
        raise SuiteError(f"{where}: {keyword}= cannot be used: {error}") from None
    if axis.on and not on:
        raise SuiteError(f"{where}: {keyword}= has on=, which only axes=, modes= and precisions= may have")
    return axis
