"""The state of a PyTorch module in its twin: values, dtypes, modes, and what is shared."""

from __future__ import annotations

from typing import Any

from nnscratch import nn
from nnscratch.interop.torch.values import NoValuesError, tensor_of


def copy_state(module: Any, made: nn.Module) -> list[str]:
    """Copy parameters and buffers by their names, and tie those that PyTorch's module ties.

    Returns:
        What does not fit, each by its name; the twin is of no use then.
    """
    theirs, own = _held(module), _held(made)
    problems = [f"{name} is not here" for name in theirs if name not in own]
    problems += [f"{name} is not in PyTorch's" for name in own if name not in theirs]
    problems += [
        f"{name} has the shape {tuple(theirs[name].shape)}, here {tuple(own[name].shape)}"
        for name in own
        if name in theirs and tuple(theirs[name].shape) != tuple(own[name].shape)
    ]
    if problems:
        return problems
    modes = {name: one.training for name, one in module.named_modules(remove_duplicate=False)}
    for name, layer in made.named_modules(remove_duplicate=False):
        if name in modes:
            layer.training = bool(modes[name])
    first: dict[int, str] = {}
    for name, tensor in theirs.items():
        told = first.setdefault(id(tensor), name)
        if told != name:
            _tie(made, told, name)
            continue
        mine: Any = own[name]
        mine.requires_grad_(False)
        try:
            mine.array = tensor_of(tensor).array
        except NoValuesError as error:
            problems.append(f"{name} {error}")
            continue
        mine.requires_grad_(tensor.requires_grad)
    return problems or _other_names(module, made)


def _held(module: Any) -> dict[str, Any]:
    """Return parameters and buffers by all of their names."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _tie(made: nn.Module, told: str, name: str) -> None:
    """Make two names those of one parameter or buffer."""
    places = [(made.get_submodule(key.rpartition(".")[0]), key.rpartition(".")[2])
              for key in (told, name)]  # fmt: skip
    (holder, key), (target, other) = places
    setattr(target, other, getattr(holder, key))


def _other_names(module: Any, made: nn.Module) -> list[str]:
    """Return where the state dicts have other names, which hooks and overrides can give them."""
    theirs, own = list(module.state_dict()), list(made.state_dict())
    if sorted(theirs) == sorted(own):
        return []
    extra = [name for name in theirs if name.endswith("_extra_state") and name not in own]
    if extra:
        return [
            f"{name} is what get_extra_state returns, which is of PyTorch's class" for name in extra
        ]
    return [f"its state_dict() has the names {', '.join(theirs[:5])}, and not {', '.join(own[:5])}"]


def shared_memory(module: Any) -> list[str]:
    """Return which parameters and buffers share memory without being one tensor."""
    found: list[str] = []
    spans: dict[int, list[tuple[int, int, Any, str]]] = {}
    for name, tensor in _held(module).items():
        if (
            type(tensor).__name__.startswith("Uninitialized")
            or str(tensor.layout) != "torch.strided"
        ):
            continue
        if not tensor.numel() or tensor.device.type == "meta":
            continue
        size = tensor.element_size()
        reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
        start = tensor.storage_offset() * size
        stop = start + (reach + 1) * size
        others = spans.setdefault(tensor.untyped_storage().data_ptr(), [])
        for begin, end, other, told in others:
            if other is not tensor and start < end and begin < stop:
                found.append(f"{name} shares memory with {told}, and is another tensor")
                break
        others.append((start, stop, tensor, name))
    return found
