"""The reference: the first implementation's result in float64 on the CPU, or the next best where that is impossible.

Where the CPU would take too long, the accelerator computes it, see :mod:`torchduet.bench.timing.checking.place`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal

import torch

from torchduet.bench.host.error_words import one_line
from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.reference import converts, duplicate, to_reference
from torchduet.bench.inputs.restoring import generators_kept, seed_all
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.exactness import LOW, Recorder, dtypes_in
from torchduet.bench.timing.checking.results import Results, observed
from torchduet.bench.timing.checking.rounding import Perturbation
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.precision import matmul_precision
from torchduet.suites.devices import HOST
from torchduet.suites.workload import Unavailable, Workload

SEED = 7
OF_LOADER = "in DataLoader worker process"  # raised whatever the types are, and its processes take seconds to end
RANDOM = "random numbers of the same seed are others in float64"
MAX_SECONDS = 20.0  # for repeating the reference, after the fewest times
Held = Literal["float64", "own dtype", "nothing"]
Call = Callable[..., Any]
Context = contextlib.AbstractContextManager[Any]


@dataclass
class Reference:
    """What results are compared with.

    Attributes:
        results: by their names; empty where nothing could be computed.
        held_against: ``float64``; ``own dtype`` where the first implementation runs in the types of its inputs only;
            ``nothing`` where it does not run there, either.
        why: what prevented float64.
        dtypes: the floating-point types of the inputs, and lower ones into which the computation casts.
        again: computes it once more, with a seed and within a context; with a type, of inputs rounded to that.
        random: random numbers are drawn in it, which are others in float64 than in float32.
        free: some results are determined only up to signs or phases.
        own: computes it for the inputs as they are.
        device: the accelerator on which float64 was computed; empty for the CPU.
    """

    results: Results = field(default_factory=dict)
    held_against: Held = "float64"
    why: str | None = None
    dtypes: set[torch.dtype] = field(default_factory=set)
    again: Callable[..., Results] | None = None
    random: bool = False
    free: bool = False
    own: Callable[[], Reference] | None = None
    device: str = ""
    _perturbed: dict[tuple[float, torch.dtype | None], list[Results]] = field(default_factory=dict)
    _seconds: float = 0.0

    def perturbed(self, unit: float, least: int, most: int, rounded: torch.dtype | None = None) -> list[Results]:
        """Its results with operations that round at random, see :mod:`torchduet.bench.timing.checking.rounding`.

        Args:
            unit: unit roundoff.
            least, most: number of results: ``most``, or fewer where they take long, but ``least``.
            rounded: the type to which the inputs are rounded first, as those of a pure precision are.
        """
        runs = self._perturbed.setdefault((unit, rounded), [])
        inputs = () if rounded is None else (rounded,)
        while self.again is not None and len(runs) < most and (len(runs) < least or self._seconds < MAX_SECONDS):
            start = perf_counter()
            runs.append(self.again(SEED, Perturbation(unit, len(runs)), *inputs))
            self._seconds += perf_counter() - start
        return runs[:most]

    def with_another_seed(self) -> Results | None:
        """Its results with other random numbers."""
        return None if self.again is None else self.again(SEED + 1, contextlib.nullcontext())


def no_reference(why: str | None = None) -> Reference:
    """Nothing to compare with."""
    return Reference(held_against="nothing", why=why)


def reference_result(
    workload: Workload,
    inputs: Sequence[Any],
    in_float64: Call,
    in_own_dtype: Call | None = None,
    restore: Callable[[], Sequence[Any] | None] = lambda: None,
    *,
    runs_alone: bool = True,
    on_device: tuple[str, Call] | None = None,
) -> Reference:
    """The result of the first implementation, from a copy of ``inputs``.

    Args:
        in_float64: it, for inputs in float64 on the CPU.
        in_own_dtype: it, for the inputs as they are; None if there is no such thing.
        restore: gives the inputs their original values again; it may return others in their place.
        runs_alone: it is timed without torch.compile, too: where it raises for any inputs, its family fails.
        on_device: an accelerator, and it for inputs in float64 there: where it is given and the accelerator's memory
            suffices, float64 is computed there and not on the CPU.

    Raises:
        Exception: what the first implementation raised in float64, if it also raises for the inputs as they are.
        CheckError: the result contains nothing to compare, or NaN.
        Unavailable: something that it needs is missing.
    """

    place = [on_device] if on_device else []

    def wide_on(device: str, function: Call, seed: int, context: Context, rounded: torch.dtype | None) -> Results:
        copied = to_reference(restore() or inputs, device_of(device).torch_device)
        round_in_place(copied, rounded)
        with _seeded(seed), _default_dtype(torch.float64), context:
            return in_host_memory(observed(workload, copied, function(*copied)))

    def wide(seed: int, context: Context, rounded: torch.dtype | None = None) -> Results:
        if place:
            try:
                return wide_on(*place[0], seed, context, rounded)
            except torch.OutOfMemoryError:
                place.clear()  # for the later ones, too
            finally:
                give_back(on_device)
        return wide_on(HOST, in_float64, seed, context, rounded)

    def own(seed: int, context: Context, rounded: torch.dtype | None = None) -> Results:
        assert in_own_dtype is not None
        present = restore() or inputs
        try:
            given = duplicate(present)
        except Exception:  # noqa: BLE001 - what cannot be copied is used itself, and restored
            given = tuple(present)
        try:
            round_in_place(given, rounded)
            with _seeded(seed), matmul_precision("fp32"), context:
                return observed(workload, given, in_own_dtype(*given))
        finally:
            restore()

    found = dtypes_in(inputs)
    recorder = Recorder()
    try:
        reference = _held(wide(SEED, recorder), "float64", None, found | (recorder.dtypes & LOW), wide)
        reference.random, reference.free = recorder.random, recorder.free
        reference.device = place[0][0] if place else ""
        if in_own_dtype is not None and recorder.random:
            reference.own = lambda: _held(own(SEED, contextlib.nullcontext()), "own dtype", RANDOM, found, own)
        return reference
    except (CheckError, Unavailable):
        raise
    except Exception as error:
        if OF_LOADER in str(error):
            raise
        first = error
    if in_own_dtype is None:
        return _held(wide(SEED, contextlib.nullcontext()), "float64", None, found, wide)
    try:
        results = own(SEED, contextlib.nullcontext())
    except (CheckError, Unavailable):
        raise
    except Exception:  # noqa: BLE001 - the first one is raised, or recorded
        if runs_alone:
            raise first from None  # it fails whatever its inputs are
        return no_reference(one_line(first))
    with contextlib.suppress(Exception):  # the first reason stands; it may have been the recording's
        return _held(wide(SEED, contextlib.nullcontext()), "float64", None, found, wide)
    return _held(results, "own dtype", one_line(first), found, own)


def round_in_place(inputs: Sequence[Any], dtype: torch.dtype | None) -> None:
    """Give every real number among the inputs the nearest value that a type has; None: leave them."""
    for tensor in tensors_in(inputs) if dtype is not None else ():
        if converts(tensor.dtype) and tensor.layout == torch.strided and not tensor.is_quantized:
            tensor.data.copy_(tensor.data.to(dtype))


def _held(results: Results, held: Held, why: str | None, dtypes: set[torch.dtype], again: Any) -> Reference:
    """A reference of these results.

    Raises:
        CheckError: NaN among them.
    """
    for part in results.values():
        if isinstance(part.value, torch.Tensor) and has_nan(part.value):
            number = int(part.value.isnan().sum())
            raise CheckError(
                f"{part.path} is not finite even in {held}: {number} of {part.value.numel()} values are NaN; choose "
                "other inputs, or leave them out with observe="
            )
    return Reference(results, held, why, dtypes, again)


def give_back(on_device: tuple[str, Call] | None) -> None:
    """Return the memory that float64 took on an accelerator: it is no part of what the cases take."""
    allocator = device_of(on_device[0]).allocator() if on_device else None
    if allocator is not None:
        allocator.empty_cache()


def in_host_memory(results: Results) -> Results:
    """The same values in the host's memory, so that they take none of an accelerator's."""
    return {
        path: replace(part, value=part.value.cpu()) if isinstance(part.value, torch.Tensor) else part
        for path, part in results.items()
    }


def has_nan(tensor: torch.Tensor) -> bool:
    """Whether a real or complex tensor contains NaN."""
    return (tensor.is_floating_point() or tensor.is_complex()) and bool(tensor.isnan().any())


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The same random numbers each time within the context, and those outside it as if it had not been."""
    with generators_kept():
        seed_all(seed)
        yield
