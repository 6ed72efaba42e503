"""``from_torch``: the twin of a PyTorch module, or what it cannot be made of, by name.

A layer of PyTorch's becomes the layer of ours with that name and its settings. A module with a
``forward`` of its own is traced by ``torch.fx`` into a graph of calls; each call becomes that of
ours with the same name, since the names and arguments are PyTorch's.
"""

from __future__ import annotations

import builtins
import inspect
import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.absent import AbsentNameError
from nnscratch.errors import CheckpointError
from nnscratch.interop.torch.traced import Result, TracedModule, TraceStep
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor, creation, functions, ops

_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")
_MOST = 20


def from_torch(module: Any) -> nn.Module:
    """Return a module of ours that computes what a PyTorch module does, with its weights.

    Parameters and buffers have the same names, so state dicts go both ways afterwards. The mode
    (``training``), dtypes and ``requires_grad`` are taken over; everything is on the CPU.

    Args:
        module: a ``torch.nn.Module``, which is left as it is. Layers of ``torch.nn`` may be nested
            as one likes; a ``forward`` of one's own must be one that ``torch.fx`` can trace: no
            branch on a tensor's values.

    Raises:
        CheckpointError: naming each layer, function or setting that has no equal here, or why the
            module cannot be traced.

    >>> import torch
    >>> theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU())
    >>> from_torch(theirs)
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): GELU(approximate='none')
    )
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        raise CheckpointError(
            f"from_torch: expected a torch.nn.Module, got {type(module).__name__}"
        )
    maker = _Maker(torch)
    made = maker.twin(module, "")
    if maker.problems:
        more = len(maker.problems) - _MOST
        further = f"; and {more} more" if more > 0 else ""
        raise CheckpointError(
            f"no twin of this {type(module).__name__}: {'; '.join(maker.problems[:_MOST])}{further}"
        )
    _copy(module, made)
    return made


class _Maker:
    """Makes twins, and collects what it cannot make.

    Attributes:
        problems: what has no equal here, each with its path.
    """

    def __init__(self, torch: Any) -> None:
        self.problems: list[str] = []
        self._torch = torch
        self._made: dict[int, nn.Module] = {}

    def twin(self, module: Any, path: str) -> nn.Module:
        """Return the twin of a module; the same one again for a module that comes twice."""
        if id(module) not in self._made:
            self._made[id(module)] = self._new(module, path)
        return self._made[id(module)]

    def _problem(self, path: str, what: str) -> nn.Module:
        self.problems.append(f"{path or 'the module itself'}: {what}")
        return nn.Identity()

    def _new(self, module: Any, path: str) -> nn.Module:
        kind = type(module)
        name = kind.__name__
        if _hooks(module):
            return self._problem(path, f"{name} has hooks, which would have to be written again")
        if not kind.__module__.startswith("torch.nn"):
            return self._traced(module, path)
        if name in _CONTAINERS:
            children = {k: self.twin(m, _joined(path, k)) for k, m in _children(module)}
            if name == "ModuleList":
                return nn.ModuleList(list(children.values()))
            made = nn.Sequential() if name == "Sequential" else nn.ModuleDict()
            for key, child in children.items():
                made.add_module(key, child)
            return made
        if name in ("ParameterList", "ParameterDict"):
            held = {k: nn.Parameter(Tensor(_values(p))) for k, p in module.named_parameters()}
            return nn.ParameterDict(held) if "Dict" in name else nn.ParameterList(held.values())
        own = getattr(nn, name, None)
        if not isinstance(own, type) or not issubclass(own, nn.Module):
            return self._problem(path, f"{name}, which is not here")
        try:
            return own(**_settings(module, own))
        except _Missing as error:
            return self._problem(path, f"{name}: {error}")
        except (TypeError, ValueError, RuntimeError) as error:
            return self._problem(path, f"{name}: {str(error)[:200]}")

    def _traced(self, module: Any, path: str) -> nn.Module:
        name = type(module).__name__
        try:
            graph = self._torch.fx.Tracer().trace(module)
        except Exception as error:
            reason = str(error).partition("\n")[0][:160] or type(error).__name__
            return self._problem(path, f"the forward of {name} cannot be traced ({reason})")
        steps = [self._step(node, module, _joined(path, "forward")) for node in graph.nodes]
        made = TracedModule(name, steps)
        for key, child in _children(module):
            setattr(made, key, self.twin(child, _joined(path, key)))
        for key, parameter in module.named_parameters(recurse=False):
            setattr(made, key, nn.Parameter(Tensor(_values(parameter))))
        kept = module.state_dict()
        for key, buffer in module.named_buffers(recurse=False):
            made.register_buffer(key, Tensor(_values(buffer)), persistent=key in kept)
        return made

    def _step(self, node: Any, module: Any, path: str) -> TraceStep:
        target, kind = node.target, node.op
        if kind == "call_function":
            target = self._function(target, path)
        elif kind == "call_method" and not _there(Tensor, target):
            self._problem(path, f"the method Tensor.{target} is not here")
        elif kind == "get_attr":
            holder = module.get_submodule(target.rpartition(".")[0])
            value = getattr(holder, target.rpartition(".")[2])
            if not isinstance(value, self._torch.Tensor):
                self._problem(path, f"it uses the attribute {target}, which is no tensor")
        args = self._plain(node.args, path)
        options = self._plain(dict(node.kwargs), path)
        return TraceStep(node.name, kind, target, args, options)

    def _function(self, function: Any, path: str) -> Any:
        """Return our function of the same name."""
        name = getattr(function, "__name__", str(function))
        home = str(getattr(function, "__module__", ""))
        if home in ("_operator", "math", "builtins"):
            place: Any = {"_operator": operator, "math": math, "builtins": builtins}[home]
            return getattr(place, name, function)
        rooms: tuple[Any, ...] = (F, functions, ops, creation)
        if home.startswith("torch.nn"):
            rooms = (F,)
        for room in rooms:
            if callable(found := getattr(room, name, None)):
                return found
        if _there(Tensor, name):
            return lambda x, *args, **options: getattr(x, name)(*args, **options)
        self._problem(path, f"the function {home}.{name} is not here")
        return function

    def _plain(self, item: Any, path: str) -> Any:
        torch = self._torch
        if isinstance(item, torch.fx.Node):
            return Result(item.name)
        if isinstance(item, (tuple, list)):
            made = [self._plain(one, path) for one in item]
            return tuple(made) if isinstance(item, tuple) else made
        if isinstance(item, dict):
            return {key: self._plain(one, path) for key, one in item.items()}
        if isinstance(item, slice):
            return slice(*(self._plain(x, path) for x in (item.start, item.stop, item.step)))
        if isinstance(item, torch.dtype):
            return np.dtype(str(item).removeprefix("torch."))
        if isinstance(item, torch.device):
            return "cpu"
        if item is None or isinstance(item, (bool, int, float, str, complex)) or item is Ellipsis:
            return item
        self._problem(path, f"it has an argument of the type {type(item).__name__}")
        return None


class _Missing(Exception):
    """A setting that cannot be read, or that is not here."""


def _settings(module: Any, own: type[nn.Module]) -> dict[str, Any]:
    """Return the arguments that make the layer of ours, from the attributes of PyTorch's."""
    name = type(module).__name__
    found = dict(_SPECIAL[name](module)) if name in _SPECIAL else {}
    known = inspect.signature(own).parameters
    theirs = inspect.signature(type(module)).parameters
    for key in theirs:
        if key in ("device", "dtype", "args", "kwargs", *found):
            continue
        if not hasattr(module, key):
            if key in known and theirs[key].default is not inspect.Parameter.empty:
                continue
            raise _Missing(f"its setting {key} cannot be read")
        value = getattr(module, key)
        if key == "bias" and not isinstance(value, bool):
            value = value is not None
        if key not in known:
            if value == theirs[key].default:
                continue
            raise _Missing(f"its setting {key}={value!r} is not here")
        if not (value is None or isinstance(value, (bool, int, float, str, tuple, list))):
            raise _Missing(f"its setting {key} is of the type {type(value).__name__}")
        found[key] = tuple(value) if isinstance(value, list) else value
    return found


def _attention(module: Any) -> dict[str, Any]:
    return {
        "bias": module.in_proj_bias is not None,
        "add_bias_kv": module.bias_k is not None,
    }


def _transformer_layer(module: Any) -> dict[str, Any]:
    attention = module.self_attn
    activation = getattr(module.activation, "__name__", "")
    if activation not in ("relu", "gelu"):
        raise _Missing("its activation is neither relu nor gelu")
    return {
        "d_model": attention.embed_dim,
        "nhead": attention.num_heads,
        "dim_feedforward": module.linear1.out_features,
        "dropout": module.dropout.p,
        "activation": activation,
        "layer_norm_eps": module.norm1.eps,
        "batch_first": attention.batch_first,
        "norm_first": module.norm_first,
        "bias": module.linear1.bias is not None,
    }


def _transformer_stack(module: Any) -> dict[str, Any]:
    maker = _Maker(sys.modules["torch"])
    kind = type(module).__name__.removesuffix("er") + "erLayer"
    first = module.layers[0]
    made = {
        "num_layers": len(module.layers),
        "norm": None if module.norm is None else maker.twin(module.norm, "norm"),
        kind.replace("TransformerEncoderLayer", "encoder_layer").replace(
            "TransformerDecoderLayer", "decoder_layer"
        ): maker.twin(first, "layers.0"),
    }
    if maker.problems:
        raise _Missing("; ".join(maker.problems))
    if "Encoder" in kind:
        made |= {"enable_nested_tensor": False, "mask_check": True}
    return made


def _transformer(module: Any) -> dict[str, Any]:
    encoder, decoder = module.encoder.layers, module.decoder.layers
    return {
        **_transformer_layer(encoder[0]),
        "num_encoder_layers": len(encoder),
        "num_decoder_layers": len(decoder),
        "custom_encoder": None,
        "custom_decoder": None,
    }


def _recurrent(module: Any) -> dict[str, Any]:
    names = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"]
    names += ["bidirectional", *(["nonlinearity"] if type(module).__name__ == "RNN" else [])]
    found = {name: getattr(module, name) for name in names}
    return found | ({"proj_size": module.proj_size} if module.proj_size else {})


def _adaptive(module: Any) -> dict[str, Any]:
    return {"cutoffs": list(module.cutoffs[:-1]), "head_bias": module.head.bias is not None}


_SPECIAL: dict[str, Callable[[Any], dict[str, Any]]] = {
    "MultiheadAttention": _attention,
    "TransformerEncoderLayer": _transformer_layer,
    "TransformerDecoderLayer": _transformer_layer,
    "TransformerEncoder": _transformer_stack,
    "TransformerDecoder": _transformer_stack,
    "Transformer": _transformer,
    "RNN": _recurrent,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "AdaptiveLogSoftmaxWithLoss": _adaptive,
    "PReLU": lambda module: {"init": 0.25},
    "Identity": lambda module: {},
    "Embedding": lambda module: {"_weight": None, "_freeze": False},
    "EmbeddingBag": lambda module: {"_weight": None},
    "CrossEntropyLoss": lambda module: _weighted(module),
    "NLLLoss": lambda module: _weighted(module),
}


def _weighted(module: Any) -> dict[str, Any]:
    weight = None if module.weight is None else Tensor(_values(module.weight))
    return {"weight": weight, "size_average": None, "reduce": None}


def _children(module: Any) -> list[tuple[str, Any]]:
    """Return a module's children by name, also one that comes twice."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def _hooks(module: Any) -> bool:
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name, None) for name in names)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _there(kind: type, name: str) -> bool:
    try:
        return hasattr(kind, name)
    except AbsentNameError:
        return False


def _values(tensor: Any) -> np.ndarray:
    """Return a copy of a PyTorch tensor's values; bfloat16 as float32."""
    plain = tensor.detach().cpu()
    if str(plain.dtype) == "torch.bfloat16":
        plain = plain.float()
    return np.array(plain.numpy(), copy=True)


def _copy(module: Any, made: nn.Module) -> None:
    """Copy parameters and buffers by their names.

    Raises:
        CheckpointError: if names or shapes differ.
    """
    theirs = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    own = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    problems = [f"{name} is not here" for name in theirs if name not in own]
    problems += [f"{name} is not in PyTorch's" for name in own if name not in theirs]
    problems += [
        f"{name} has the shape {tuple(theirs[name].shape)}, here {tuple(own[name].shape)}"
        for name in own
        if name in theirs and tuple(theirs[name].shape) != tuple(own[name].shape)
    ]
    if problems:
        raise CheckpointError(f"no twin: {'; '.join(problems[:_MOST])}")
    for module_name, layer in made.named_modules():
        layer.training = bool(module.get_submodule(module_name).training)
        dtypes = {
            _values(theirs[_joined(module_name, name)]).dtype
            for name, _ in layer.named_parameters(recurse=False)
        }
        if len(dtypes) == 1:
            layer.to(dtype=dtypes.pop())
    own = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    for name, tensor in own.items():
        tensor.detach().copy_(Tensor(_values(theirs[name])))
        if tensor.requires_grad is not theirs[name].requires_grad:
            tensor.requires_grad_(theirs[name].requires_grad)
