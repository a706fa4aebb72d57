"""``torchduet.compare`` and ``torchduet.time``: functions of your program, measured from within it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchduet.comparison import Comparison, ComparisonError
from torchduet.percent import seconds_of, share_of

Functions = Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]] | Callable[..., Any]
__tracebackhide__ = True  # pytest shows the line that calls compare, not these
DETAILS = ("tolerance", "deterministic", "observe", "check", "mutates", "scratch", "fresh", "cost")


def compare(
    functions: Functions,
    *inputs: Any,
    axes: Mapping[str, Sequence[Any]] | None = None,
    mode: str | Sequence[str] = "eager",
    precision: str | Sequence[str] = "fp32",
    device: str | Sequence[str] | None = None,
    baseline: str | None = None,
    budget: str | float | None = None,
    threshold: str | float = "2%",
    threads: int | None = None,
    processes: bool = True,
    progress: bool | None = None,
    label: str = "",
    sub_label: str = "",
    description: str = "",
    **details: Any,
) -> Comparison:
    """Time functions in alternation, on the same inputs, and judge their speed-ups.

    ::

        compare(f, g, x)                                          # is f faster than g?
        compare({"mine": f, "torch": g}, x, w, budget="10s")
        compare({"mine": f, "torch": g}, inputs=lambda n: (torch.randn(n),), axes={"n": [1024, 4096]},
                mode=["eager", "compile"], precision=["fp32", "bf16"], baseline="torch")

    The results are checked against float64 first. The first visit is made in this process, later ones in fresh
    processes, where the functions can be found again by import or taken along by their code. Your inputs, and tensors
    that the functions capture, are copied; state that the functions change is put back.

    Args:
        functions: a mapping from names to functions, a list of functions, or the first two arguments.
        inputs: the arguments of every call: tensors, modules, containers. Or ``inputs=make``, where ``make`` gets the
            axes by name (and ``device``, if it has such a parameter) and returns them as a tuple.
        axes: name → sizes, for ``inputs=make``.
        mode: ``eager``, ``compile`` and the other modes of ``--mode``.
        precision: ``fp32`` (strict), ``tf32``, ``bf16``, ``fp16`` (autocast).
        device: ``cpu``, ``cuda``, …; default: that of the inputs, which are moved otherwise.
        baseline: name of the function that the others are compared with (default: the last).
        budget: time for all, such as ``"5s"``, beyond compilation (default: 3 s for two cases, for each size).
        threshold: differences up to this are ``same``.
        threads: intra-op threads (default: as this process has now).
        processes: False: measure in this process only.
        progress: show a progress bar (default: in notebooks and terminals).
        label, sub_label, description: as of ``torch.utils.benchmark.Timer``; they name the comparison.
        details: ``tolerance``, ``deterministic``, ``observe``, ``check``, ``mutates``, ``scratch``, ``fresh``,
            ``cost``; see :class:`torchduet.suites.workload.Workload`.

    Raises:
        ValueError: an argument that cannot be used; the message names it.
        ComparisonError: nothing is left to compare, such as where a result is wrong; the message says why.
        KeyboardInterrupt: Ctrl-C; what was found so far is printed, and is the exception's ``comparison``.
    """
    given, arguments, make = _arguments(functions, inputs, details.pop("inputs", None))
    return _compared(
        given,
        arguments,
        make,
        _Settings(axes or {}, _words(mode), _words(precision), () if device is None else _words(device)),
        baseline,
        seconds_of(budget, "budget"),
        share_of(threshold, "threshold"),
        threads,
        processes,
        progress,
        " ".join(filter(None, (label, sub_label, description))),
        details,
    )


def time(function: Callable[..., Any], *inputs: Any, **options: Any) -> Comparison:
    """Time one function; see :func:`compare` for the arguments.

    A time alone drifts with the machine: to judge a change, compare both versions.
    """
    if not callable(function):
        raise ValueError(f"time: the first argument is the function, not a {type(function).__name__}")
    return compare([function], *inputs, **{**options, "_alone": True})


class _Settings:
    def __init__(self, axes: Any, modes: Any, precisions: Any, devices: Any) -> None:
        self.axes, self.modes, self.precisions, self.devices = axes, modes, precisions, devices


def _arguments(functions: Functions, inputs: tuple[Any, ...], made: Any) -> tuple[Any, tuple[Any, ...] | None, Any]:
    """The functions, their inputs, or what makes these.

    Raises:
        ValueError: inputs are given twice, or there is no second function.
    """
    if isinstance(functions, Mapping | list | tuple):
        given: Any = functions
    elif callable(functions):
        two = bool(inputs) and callable(inputs[0])
        given, inputs = ([functions, inputs[0]], inputs[1:]) if two else ([functions], inputs)
    else:
        raise ValueError(
            f"compare: the first argument is a mapping from names to functions, or a function; not a "
            f"{type(functions).__name__}"
        )
    if made is None:
        return given, inputs, None
    if inputs:
        raise ValueError("compare: inputs are given twice: as arguments and as inputs=")
    return (given, None, made) if callable(made) else (given, tuple(made) if _is_list(made) else (made,), None)


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _words(value: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((value,) if isinstance(value, str) else map(str, value)))


def _compared(
    given: Any,
    inputs: tuple[Any, ...] | None,
    make: Any,
    settings: _Settings,
    baseline: str | None,
    budget: float | None,
    threshold: float,
    threads: int | None,
    processes: bool,
    progress: bool | None,
    name: str,
    details: dict[str, Any],
) -> Comparison:
    from dataclasses import replace

    from torchduet.bench.cases.option_values import OptionError
    from torchduet.bench.library.described import Described, device_of
    from torchduet.bench.library.functions import function_of, named
    from torchduet.bench.library.run import run
    from torchduet.progress import shown
    from torchduet.suites.workload import SuiteError

    alone = bool(details.pop("_alone", False))
    check_only = bool(details.pop("_check_only", False))
    if unknown := [keyword for keyword in details if keyword not in DETAILS]:
        raise ValueError(f"compare: there is no keyword {unknown[0]}=; see help(torchduet.compare)")
    try:
        functions = named(given)
        if baseline is not None and baseline not in functions:
            raise SuiteError(f"baseline={baseline!r} is no function; there are {', '.join(functions)}")
        base = baseline or list(functions)[-1]
        known = {each: function_of(each, function) for each, function in functions.items()}
        plain = [each for each, function in known.items() if not function.mode]
        reference = base if not known[base].mode or not plain else plain[0]
        described = Described(
            name or "+".join(functions)[:80],
            {reference: known[reference], **known},
            inputs,
            make,
            settings.axes,
            settings.modes,
            settings.precisions,
            settings.devices,
            details,
        )
        described = replace(described, devices=described.devices or (device_of(described),))
        with shown(progress, described.name) as show:
            finished = run(described, budget=budget, threads=threads, fresh=processes, check_only=check_only, show=show)
    except (SuiteError, OptionError) as error:
        raise ComparisonError(f"compare: {error}") from None
    comparison = Comparison(finished, list(functions), base, threshold)
    if comparison.stopped:
        interrupt = KeyboardInterrupt(comparison.stopped)
        interrupt.comparison = comparison  # type: ignore[attr-defined]
        if comparison.results:
            print(comparison)
        raise interrupt
    _check_some(comparison, alone, check_only)
    return comparison


def _check_some(comparison: Comparison, alone: bool, check_only: bool) -> None:
    """Refuse a comparison in which nothing is left to compare."""
    reasons = [*comparison.failed.values(), *comparison.skipped.values()]
    compared = any(result.baseline is not None for result in comparison.results)
    if check_only:
        reasons = [f"{case}: {why}" for case, why in comparison.failed.items()]
        if not reasons:
            return
    if not comparison.results or (reasons and not compared):
        error = ComparisonError(f"compare: {'; '.join(reasons) or 'nothing was measured'}")
        error.comparison = comparison
        raise error
    if not compared and not alone:
        raise ComparisonError(
            "compare: there is one function in one mode, so nothing is compared: add a function, or a mode such as "
            "mode=['eager', 'compile']; to time one function: torchduet.time(f, x)"
        )
