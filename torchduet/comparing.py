"""``torchduet.compare`` and ``torchduet.time``: functions of your program, measured from within it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchduet.comparison import Comparison
from torchduet.percent import seconds_of, share_of
from torchduet.result import ComparisonError, in_words_of_arguments

Functions = Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]] | Callable[..., Any]
__tracebackhide__ = True  # pytest shows the line that calls compare, not these
DETAILS = ("tolerance", "deterministic", "observe", "check", "mutates", "scratch", "fresh", "cost")
MAX_NAME = 80  # characters of a comparison's own name, of its functions' names


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
        precision: ``fp32`` (strict), ``tf32``, ``bf16``, ``fp16`` (autocast), ``bf16-pure``, ``fp16-pure`` (the inputs,
            and what the functions capture, are converted).
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
    check_only = details.pop("_check_only", False)  # as --benchmark-disable of pytest asks
    if unknown := [keyword for keyword in details if keyword not in (*DETAILS, "inputs")]:
        raise ValueError(f"compare: there is no keyword {unknown[0]}=; see help(torchduet.compare)")
    given, arguments, make = _arguments(functions, inputs, details.pop("inputs", None))
    comparison = _measured(
        given,
        baseline,
        share_of(threshold, "threshold"),
        progress,
        {
            "name": " ".join(filter(None, (label, sub_label, description))),
            "inputs": arguments,
            "make": make,
            "axes": axes or {},
            "modes": _words(mode),
            "precisions": _words(precision),
            "devices": () if device is None else _words(device),
            "details": details,
        },
        {
            "budget": seconds_of(budget, "budget"),
            "threads": _count(threads),
            "fresh": processes,
            "check_only": check_only,
        },
    )
    _check_some(comparison, check_only)
    return comparison


def time(function: Callable[..., Any], *inputs: Any, **options: Any) -> Comparison:
    """Time one function; see :func:`compare` for the arguments.

    A time alone drifts with the machine: to judge a change, compare both versions.
    """
    if not callable(function):
        raise ValueError(f"time: the first argument is the function, not a {type(function).__name__}")
    try:
        return compare([function], *inputs, **options)
    except OneCaseError as error:
        return error.of


class OneCaseError(ComparisonError):
    """There is one case, so that nothing is compared."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(
            "compare: there is one function in one mode, so nothing is compared: add a function, or a mode such as "
            "mode=['eager', 'compile']; to time one function: torchduet.time(f, x)"
        )
        self.of = comparison


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


def _count(threads: int | None) -> int | None:
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 9999):
        raise ValueError(f"threads={threads!r}: use a whole number from 1")
    return threads


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _words(value: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((value,) if isinstance(value, str) else map(str, value)))


def _measured(
    given: Any,
    baseline: str | None,
    threshold: float,
    progress: bool | None,
    what: Mapping[str, Any],
    how: Mapping[str, Any],
) -> Comparison:
    """Measure it.

    Args:
        given: the functions.
        what: of :class:`torchduet.bench.library.described.Described`, except the functions; an empty name is made here.
        how: of :func:`torchduet.bench.library.run.run`.

    Raises:
        ComparisonError: something that was given cannot be used.
        KeyboardInterrupt: the comparison was interrupted.
    """
    from torchduet.bench.cases.option_values import OptionError
    from torchduet.bench.library.described import Described, device_of
    from torchduet.bench.library.functions import function_of, named
    from torchduet.bench.library.run import run
    from torchduet.progress import shown
    from torchduet.suites.workload import SuiteError

    try:
        functions = named(given)
        if baseline is not None and baseline not in functions:
            raise SuiteError(f"baseline={baseline!r} is no function; there are {', '.join(functions)}")
        base = baseline or list(functions)[-1]
        known = {name: function_of(name, function) for name, function in functions.items()}
        plain = [name for name, function in known.items() if not function.mode]
        reference = base if not known[base].mode or not plain else plain[0]
        described = Described(functions={reference: known[reference], **known}, **what)
        described = replace(
            described,
            name=described.name or "+".join(functions)[:MAX_NAME],
            devices=described.devices or (device_of(described),),
        )
        with shown(progress, described.name) as show:
            finished = run(described, show=show, **how)
    except (SuiteError, OptionError) as error:
        raise ComparisonError(f"compare: {in_words_of_arguments(str(error))}") from None
    comparison = Comparison(finished, list(functions), base, threshold)
    if comparison.stopped:
        if comparison.results:
            print(comparison)
        interrupt = KeyboardInterrupt(comparison.stopped)
        interrupt.comparison = comparison  # type: ignore[attr-defined]
        raise interrupt
    return comparison


def _distinct(reasons: Sequence[str]) -> list[str]:
    """The reasons, each once: what the baseline raises is the reason of all."""
    texts: dict[str, str] = {}
    for reason in reasons:
        texts.setdefault(reason.partition(": ")[2], reason)
    return [*texts.values()]


def _check_some(comparison: Comparison, check_only: bool = False) -> None:
    """Refuse a comparison in which nothing is left to compare."""
    if check_only and not comparison.failed:
        return
    skipped = () if check_only else comparison.skipped.values()
    reasons = _distinct([*comparison.failed.values(), *skipped])
    compared = any(result.baseline is not None for result in comparison.results)
    if not comparison.results or (reasons and not compared):
        error = ComparisonError(f"compare: {'; '.join(reasons) or 'nothing was measured'}")
        error.comparison = comparison
        raise error
    if not compared:
        raise OneCaseError(comparison)
