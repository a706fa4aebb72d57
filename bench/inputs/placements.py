"""Moves a workload's inputs to fresh memory, and puts back what its calls have changed.

A *placement* is a fresh allocation of the inputs. Only their memory moves: the Python objects stay the same, so that a
compiled step with its optimiser is not compiled again for each placement.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchduet.bench.inputs.allocator import release_free_memory
from torchduet.bench.inputs.changes import Changes
from torchduet.bench.inputs.contents import Held, held_in
from torchduet.bench.inputs.fresh_memory import FreshMemory, Wanted
from torchduet.bench.inputs.graph import is_atom, optimizers_in, tensors_in, trained_in
from torchduet.bench.inputs.memory import (
    Geometry,
    Whole,
    bytes_of,
    copy_of,
    has_storage,
    place,
    same_bytes,
)

# State that torch.optim creates in the first step with another value than zero: NAdam, ASGD, Rprop.
FIRST_VALUE: dict[str, float | str] = {"mu_product": 1.0, "mu": 1.0, "eta": "lr", "step_size": "lr"}


class Placements:
    """Moves the memory of inputs to fresh allocations, with their original values.

    Tensors that share memory continue to share it, with their strides and offsets. Gradients and moments of an
    optimiser that did not exist at the start return to their first values: zero, another value for the few in
    ``FIRST_VALUE``. Containers, arrays and objects hold again what they held at first; arrays stay where they are.
    """

    def __init__(self, inputs: Sequence[Any], rng: random.Random) -> None:
        self._memory = FreshMemory(rng)
        self._inputs: list[Any] = []
        self._argument: list[int] = []  # of each input: its position among the arguments
        self._tensors: list[list[Tensor]] = []  # of each input: the tensors that are reachable from it
        self._held: list[list[Held]] = []  # of each input: what else it holds
        self._optimizers: dict[int, Optimizer] = {}
        self._settings: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}  # of each group of parameters
        self._trained: set[int] = set()
        self._original: dict[int, torch.UntypedStorage] = {}  # where each storage lives now → its original values
        self._views: dict[int, tuple[Geometry, int]] = {}  # id of a tensor → its view, and where its storage lives
        self._leaves: set[int] = set()  # ids of tensors without a gradient
        self._whole: dict[int, Whole] = {}
        self._growing: set[int] = set()  # ids of tensors whose storage a call has resized
        self.made_by_calls: set[int] = set()  # ids of tensors that calls have computed once and kept
        self.add(inputs)

    def add(self, more: Sequence[Any]) -> None:
        """From now on move what is reachable from ``more``, too, such as the arguments of a case.

        What is reachable from an earlier input belongs to that.
        """
        for position, value in enumerate(more):
            if not any(value is present for present in self._inputs):
                self._inputs.append(value)
                self._argument.append(position)
                self._tensors.append([])
                self._held.append([])
                self._take(len(self._inputs) - 1)

    def _take(self, index: int) -> None:
        """Take what an input holds and is not known yet."""
        value = self._inputs[index]
        self._trained |= trained_in(value)
        self._optimizers |= {id(item): item for item in optimizers_in(value)}
        for group in (group for optimizer in self._optimizers.values() for group in optimizer.param_groups):
            settings = {name: setting for name, setting in group.items() if is_atom(setting)}
            self._settings.setdefault(id(group), (group, settings))
        known = {id(tensor) for tensors in self._tensors for tensor in tensors}
        tensors = [tensor for tensor in tensors_in(value) if id(tensor) not in known and not tensor.is_meta]
        self._tensors[index] += tensors
        for tensor in tensors:
            if not has_storage(tensor):
                self._whole[id(tensor)] = Whole(tensor)
                continue
            storage = tensor.untyped_storage()
            if not tensor.requires_grad:
                self._leaves.add(id(tensor))
            if storage.nbytes() and storage.data_ptr() not in self._original:
                self._original[storage.data_ptr()] = copy_of(storage)
            self._views[id(tensor)] = Geometry.of(tensor), storage.data_ptr()
        taken = {id(held.value) for known_here in self._held for held in known_here}
        self._held[index] += held_in(value, self._trained | taken)

    def _storages(self) -> dict[int, list[Tensor]]:
        """Where each storage lives → the tensors that view it; with gradients and moments that were made since."""
        by_storage: dict[int, list[Tensor]] = {}
        known = [tensor for tensors in self._tensors for tensor in tensors]
        gradients = [tensor.grad for tensor in known if tensor.is_leaf and tensor.grad is not None]
        moments = [list(optimizer.state.values()) for optimizer in self._optimizers.values()]
        for tensor in {id(tensor): tensor for tensor in (*known, *gradients, *tensors_in(moments))}.values():
            if has_storage(tensor) and tensor.untyped_storage().nbytes():
                by_storage.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
        return by_storage

    def fresh(self, *, may_grow: bool = False) -> None:
        """Give every tensor of the inputs newly allocated memory with its original values.

        The new memory is allocated before the old is released, so that it is elsewhere.

        Args:
            may_grow: calls can resize all storages, as the first calls may; else only those that they have resized.
        """
        self._put_back_contents()
        moved, wanted = [], []
        for pointer, tensors in self._storages().items():
            original = self._original.get(pointer)
            grows = may_grow or any(id(tensor) in self._growing for tensor in tensors)
            moved.append((tensors, original))
            wanted.append(Wanted(tensors[0].untyped_storage(), original, grows))
        copies = self._memory.copies(wanted)
        del wanted  # holds the old memory
        originals: dict[int, torch.UntypedStorage] = {}
        for (tensors, original), new in zip(moved, copies, strict=True):
            for tensor in tensors:
                place(tensor, new, Geometry.of(tensor))
                if id(tensor) in self._views:
                    self._views[id(tensor)] = Geometry.of(tensor), new.data_ptr()
            if original is not None:
                originals[new.data_ptr()] = original
        self._original = originals
        for whole in self._whole.values():
            whole.fresh()
        self._reset_optimizer_state()
        release_free_memory()

    def restore(self) -> None:
        """Give everything its original values, in place."""
        self._put_back_contents()
        for pointer, tensors in self._storages().items():
            original = self._original.get(pointer)
            if original is None:
                bytes_of(tensors[0].untyped_storage()).zero_()
            else:
                bytes_of(tensors[0].untyped_storage()).copy_(bytes_of(original))
        for whole in self._whole.values():
            whole.put_back()
        self._reset_optimizer_state()

    def _put_back_contents(self) -> None:
        """Let containers hold their first items again, and tensors view the same part of their storage."""
        for known in self._held:
            for held in known:
                held.put_back()
        for tensors in self._tensors:
            for tensor in tensors:
                self._put_back_view(tensor)

    def _put_back_view(self, tensor: Tensor) -> None:
        """Undo ``resize_``, ``set_``, ``t_``, assignments to ``data``, ``requires_grad_`` and recorded operations."""
        if id(tensor) in self._leaves and (tensor.grad_fn is not None or tensor.requires_grad):
            tensor.detach_().requires_grad_(False)
            tensor.grad = None
        if not self._has_other_view(tensor):
            return
        geometry, pointer = self._views[id(tensor)]
        original = self._original.get(pointer)
        if original is not None and tensor.untyped_storage().nbytes() != original.nbytes():
            self._growing.add(id(tensor))
        empty = torch.empty(0, dtype=torch.uint8, device=tensor.device).untyped_storage()
        storage = empty if original is None else copy_of(original)
        place(tensor, storage, geometry)
        if original is not None:
            self._original[storage.data_ptr()] = original
        self._views[id(tensor)] = geometry, storage.data_ptr()

    def _has_other_view(self, tensor: Tensor) -> bool:
        if id(tensor) not in self._views:
            return False
        return (Geometry.of(tensor), tensor.untyped_storage().data_ptr()) != self._views[id(tensor)]

    def changes(self, ignored: Container[int] = (), harmless: Callable[[Held], bool] = lambda _: False) -> Changes:
        """What has changed since the inputs had their original values, beside what a training step changes.

        Compares values: views of NumPy arrays and compiled code change a tensor without counting a new version of it.

        Args:
            ignored: positions of arguments whose changes do not matter.
            harmless: whether changed contents do not matter.
        """
        together = Changes()
        compared: dict[int, bool] = {}  # where a storage lives → whether it holds other bytes
        for argument, tensors, held in zip(self._argument, self._tensors, self._held, strict=True):
            if argument in ignored:
                continue
            own = [tensor for tensor in tensors if id(tensor) not in self._trained]
            found = Changes(
                frozenset({argument}),
                tuple(tensor for tensor in own if self._has_changed(tensor, compared)),
                tuple(self._whole[id(tensor)] for tensor in own if self._is_changed_whole(tensor)),
                tuple(entry for entry in held if entry.changed() and not harmless(entry)),
            )
            if found.tensors or found.whole or found.held:
                together |= found
        return together

    def _is_changed_whole(self, tensor: Tensor) -> bool:
        return id(tensor) in self._whole and self._whole[id(tensor)].changed()

    def _has_changed(self, tensor: Tensor, compared: dict[int, bool]) -> bool:
        """Whether a tensor has another shape, other values or a gradient; a move to shared memory is no change."""
        if id(tensor) not in self._views:
            return False
        geometry, pointer = self._views[id(tensor)]
        if Geometry.of(tensor) != geometry or (tensor.requires_grad and id(tensor) in self._leaves):
            return True
        original = self._original.get(pointer)
        if original is None:
            return False
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in compared:
            compared[storage.data_ptr()] = not same_bytes(storage, original)
        return compared[storage.data_ptr()]

    def everything_of(self, arguments: Container[int]) -> Changes:
        """All that could change of the arguments at these positions."""
        together = Changes()
        for argument, tensors, held in zip(self._argument, self._tensors, self._held, strict=True):
            if argument in arguments:
                whole = tuple(self._whole[id(tensor)] for tensor in tensors if id(tensor) in self._whole)
                viewed = tuple(tensor for tensor in tensors if id(tensor) in self._views)
                together |= Changes(frozenset({argument}), viewed, whole, tuple(held))
        return together

    def put_back(self, changes: Changes) -> None:
        """Give what ``changes`` names its original values, in place."""
        for held in changes.held:
            held.put_back()
        self._put_back_settings()
        done: set[int] = set()
        for tensor in changes.tensors:
            self._put_back_view(tensor)
            storage = tensor.untyped_storage()
            original = self._original.get(storage.data_ptr())
            if original is not None and storage.data_ptr() not in done:
                bytes_of(storage).copy_(bytes_of(original))
                done.add(storage.data_ptr())
        for whole in changes.whole:
            whole.put_back()

    def keep(self, changes: Changes) -> None:
        """Take what these containers and objects hold now for what they held at first."""
        for known in self._held:
            for place_of, held in enumerate(known):
                if any(held is changed for changed in changes.held):
                    known[place_of] = held.now()
        before = {id(tensor) for tensors in self._tensors for tensor in tensors}
        for index in range(len(self._inputs)):
            self._take(index)
        self.made_by_calls |= {id(tensor) for tensors in self._tensors for tensor in tensors} - before

    def _put_back_settings(self) -> None:
        """Give optimisers their first settings, which a schedule of learning rates changes."""
        for group, settings in self._settings.values():
            group.update(settings)

    def _reset_optimizer_state(self) -> None:
        """Reset settings, and state created since that begins with another value than zero."""
        self._put_back_settings()
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    for name, tensor in optimizer.state.get(parameter, {}).items():
                        first = FIRST_VALUE.get(name)
                        if first is None or not isinstance(tensor, Tensor):
                            continue
                        if tensor.untyped_storage().data_ptr() not in self._original:
                            tensor.fill_(float(group["lr"] if first == "lr" else first))
