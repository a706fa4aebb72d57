"""Entries: what PyTorch keeps on stacks and in registries: modes, hooks, transforms, and the compiler's settings."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn.modules import module as modules
from torch.utils import _device, _python_dispatch

from torchduet.bench.state.entry import Entry, on_or_off

optimizer = importlib.import_module("torch.optim.optimizer")  # torch.optim deletes the attribute
_C: Any = torch._C
_autograd: Any = torch._C._autograd
_functorch: Any = torch._C._functorch
_dispatch: Any = _python_dispatch
FLAGS = (  # of torch.utils._python_dispatch, set while a mode is entered
    "_is_in_torch_dispatch_mode",
    "_is_in_non_infra_torch_dispatch_mode",
    "_is_in_any_mode_without_ignore_compile_internals",
)
CONFIGS = {
    "torch._dynamo.config": "torch.compile's settings (torch._dynamo.config)",
    "torch._inductor.config": "inductor's settings (torch._inductor.config)",
    "torch._functorch.config": "settings of AOTAutograd (torch._functorch.config)",
    "torch.fx.experimental._config": "settings of symbolic shapes (torch.fx.experimental._config)",
}
CHECKPOINT = ("_checkpoint_debug_enabled", "_enable_checkpoint_early_stop")  # of torch.utils.checkpoint


def entries() -> Iterator[Entry]:
    """All of them."""
    yield Entry("torch function modes", _function_modes, _set_function_modes, _modes_in_words)
    yield Entry(
        "number of torch function modes", _C._len_torch_function_stack, _pop_function_modes, fast=True, named=False
    )
    yield Entry("torch function handling", _C._get_torch_function_state, _set_torch_function_state, _last_word)
    yield Entry("dispatch modes", _dispatch_modes, _set_dispatch_modes, _names)
    yield Entry("dispatch modes", _C._len_torch_dispatch_stack, _pop_dispatch_modes, fast=True)
    yield Entry("hooks for saved tensors", _saved_tensors_hooks, _set_saved_tensors_hooks, _hooks_in_words)
    yield Entry("global hooks of modules", _module_hooks, _set_module_hooks, _number_of_hooks)
    yield Entry("global hooks of optimisers", _optimizer_hooks, _set_optimizer_hooks, _number_of_hooks)
    yield Entry(
        "depth of functorch transforms (grad, vmap)",
        _functorch.get_dynamic_layer_stack_depth,
        _functorch.pop_dynamic_layer_stack_and_undo_to_depth,
    )
    yield Entry("level of forward-mode gradients", _dual_level, _set_dual_level)
    yield Entry("PyTorch's profiler", _autograd._profiler_enabled, _stop_profiler, on_or_off, fast=True)
    yield Entry("activation checkpointing", _checkpointing, _set_checkpointing)
    yield Entry("stance of torch.compile", _stance, _set_stance, lambda value: getattr(value, "stance", "default"))
    for config, name in CONFIGS.items():
        yield Entry(
            name,
            lambda config=config: _overrides(config),  # type: ignore[misc]
            lambda value, config=config: _set_overrides(config, value),  # type: ignore[misc]
            differing=lambda before, after: ", ".join(
                sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
            ),
        )


def _pop_function_modes(number: int) -> None:
    """Leave the innermost modes until there are ``number``; after a block, the modes themselves are not compared."""
    while _C._len_torch_function_stack() > number:
        _C._pop_torch_function_stack()


def _pop_dispatch_modes(number: int) -> None:
    """The same for dispatch modes."""
    while _C._len_torch_dispatch_stack() > number:
        _dispatch._pop_mode()


def _names(stack: Sequence[Any]) -> str:
    return ", ".join(type(mode).__name__ for mode in stack if not isinstance(mode, _Flag)) or "none"


def _last_word(value: Any) -> str:
    return str(value).rpartition(".")[2].lower()


def _set_torch_function_state(value: Any) -> None:
    _C._set_torch_function_state(value)


def _function_modes() -> tuple[Any, ...]:
    """(the context of torch.set_default_device, the device of the innermost device context, the stack)."""
    stack = tuple(_C._get_function_stack_at(index) for index in range(_C._len_torch_function_stack()))
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), _device.CURRENT_DEVICE, stack


def _set_function_modes(value: tuple[Any, ...]) -> None:
    context, device, stack = value
    _pop_function_modes(0)
    for mode in stack:
        _C._push_on_torch_function_stack(mode)
    torch._GLOBAL_DEVICE_CONTEXT.device_context = context
    _device.CURRENT_DEVICE = device


def _modes_in_words(value: tuple[Any, ...]) -> str:
    modes = [
        f"default device {mode.device}" if isinstance(mode, _device.DeviceContext) else type(mode).__name__
        for mode in value[2]
    ]
    return ", ".join(modes) or "none"


def _dispatch_modes() -> tuple[Any, ...]:
    """(the modes, the flags that entering a mode sets)."""
    stack = tuple(_C._get_dispatch_stack_at(index) for index in range(_C._len_torch_dispatch_stack()))
    return (*stack, *(_Flag(name) for name in FLAGS if getattr(_dispatch, name, False)))


class _Flag(str):
    """A flag of torch.utils._python_dispatch that is set."""


def _set_dispatch_modes(value: tuple[Any, ...]) -> None:
    _pop_dispatch_modes(0)
    for mode in value:
        if not isinstance(mode, _Flag):
            _dispatch._push_mode(mode)
    for name in FLAGS:
        if hasattr(_dispatch, name):
            setattr(_dispatch, name, name in value)


def _saved_tensors_hooks() -> tuple[Any, ...]:
    """The hooks, the outermost first. The stack can be read only by taking it apart."""
    top = _autograd._top_saved_tensors_default_hooks(True)
    if top is None:
        return ()
    _autograd._pop_saved_tensors_default_hooks()
    below = _saved_tensors_hooks()
    _autograd._push_saved_tensors_default_hooks(*top)
    return (*below, tuple(top))


def _set_saved_tensors_hooks(value: tuple[Any, ...]) -> None:
    while _autograd._top_saved_tensors_default_hooks(True) is not None:
        _autograd._pop_saved_tensors_default_hooks()
    for hooks in value:
        _autograd._push_saved_tensors_default_hooks(*hooks)


def _hooks_in_words(value: Sequence[Any]) -> str:
    return f"{len(value)}" if value else "none"


def _registries(holder: Any) -> list[dict[Any, Any]]:
    return [
        value for name, value in sorted(vars(holder).items()) if name.startswith("_global_") and isinstance(value, dict)
    ]


OF_MODULES, OF_OPTIMIZERS = _registries(modules), _registries(optimizer)


def _module_hooks() -> tuple[Any, ...]:
    kinds = tuple(tuple(registry.items()) for registry in OF_MODULES)
    return (modules._global_is_full_backward_hook, *kinds)


def _set_module_hooks(value: tuple[Any, ...]) -> None:
    modules._global_is_full_backward_hook = value[0]
    _refill(OF_MODULES, value[1:])


def _optimizer_hooks() -> tuple[Any, ...]:
    return tuple(tuple(registry.items()) for registry in OF_OPTIMIZERS)


def _set_optimizer_hooks(value: tuple[Any, ...]) -> None:
    _refill(OF_OPTIMIZERS, value)


def _refill(registries: Sequence[dict[Any, Any]], contents: Sequence[Any]) -> None:
    for registry, items in zip(registries, contents, strict=True):
        registry.clear()
        registry.update(items)


def _number_of_hooks(value: Sequence[Any]) -> str:
    return f"{sum(len(items) for items in value if isinstance(items, tuple)) or 'none'}"


def _dual_level() -> int:
    return torch.autograd.forward_ad._current_level


def _set_dual_level(value: int) -> None:
    while torch.autograd.forward_ad._current_level > value:
        torch.autograd.forward_ad.exit_dual_level()  # type: ignore[no-untyped-call]
    while torch.autograd.forward_ad._current_level < value:
        torch.autograd.forward_ad.enter_dual_level()  # type: ignore[no-untyped-call]


def _stop_profiler(value: bool) -> None:
    """Stop a profiler that was left running; one that has ended is not started again."""
    if not value and _autograd._profiler_enabled():
        _autograd._disable_profiler()
        profiler: Any = torch.autograd.profiler
        profiler._set_is_profiler_enabled(False)


def _checkpointing() -> tuple[Any, ...]:
    checkpoint = sys.modules.get("torch.utils.checkpoint")
    return tuple(getattr(checkpoint, name, None) for name in CHECKPOINT)


def _set_checkpointing(value: tuple[Any, ...]) -> None:
    checkpoint = sys.modules["torch.utils.checkpoint"]
    for name, item in zip(CHECKPOINT, value, strict=True):
        if hasattr(checkpoint, name):
            setattr(checkpoint, name, item)


def _stance() -> Any:
    """None for the default, also before the compiler is imported."""
    frames: Any = sys.modules.get("torch._dynamo.eval_frame")
    stance = getattr(frames, "_stance", None)
    return None if stance is None or stance == frames.DynamoStance() else stance


def _set_stance(value: Any) -> None:
    frames: Any = sys.modules["torch._dynamo.eval_frame"]
    frames._set_stance(frames.DynamoStance() if value is None else value)


def _overrides(config: str) -> dict[str, Any]:
    """The settings that differ from their defaults, by name; none where the module is not imported yet."""
    module: Any = sys.modules.get(config)
    settings = getattr(module, "_config", {})
    found = {}
    for name, setting in settings.items():
        value = _override(setting)
        # A mutable default that was only read is an override, too, equal to the default.
        if value is not _unset() and setting.alias is None and value != setting.default:
            found[name] = value
    return found


def _unset() -> object:
    return sys.modules["torch.utils._config_module"]._UNSET_SENTINEL


def _override(setting: Any) -> Any:
    """What somebody has set; a context variable since torch 2.12."""
    override = setting.user_override
    return override.get() if isinstance(override, ContextVar) else override


def _set_overrides(config: str, value: dict[str, Any]) -> None:
    module: Any = sys.modules[config]
    for name in _overrides(config).keys() - value.keys():
        setting = module._config[name]
        if isinstance(setting.user_override, ContextVar):
            setting.user_override.set(_unset())
        else:
            setting.user_override = _unset()
            module._is_dirty = True
    for name, item in value.items():
        setattr(module, name, item)
