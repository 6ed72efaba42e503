"""The settings of PyTorch's layers, as arguments that make the layers of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nnscratch import nn
from nnscratch.interop.torch.values import tensor_of
from nnscratch.nn import functional as F


class MissingSettingError(Exception):
    """A setting that cannot be read, or that is not here."""


def settings_of(
    module: Any, theirs: type, own: type[nn.Module], twin: Callable[[Any], nn.Module]
) -> dict[str, Any]:
    """Return the arguments that make the layer of ours, from the attributes of PyTorch's.

    Args:
        module: PyTorch's layer.
        theirs: its class, or the one that it is a subclass of.
        own: the class of ours.
        twin: makes the twin of a part.

    Raises:
        MissingSettingError: naming a setting that cannot be read, or that is not here.
    """
    name = theirs.__name__
    found = dict(_SPECIAL[name](module, twin)) if name in _SPECIAL else {}
    known = inspect.signature(own).parameters
    their_parameters = inspect.signature(theirs).parameters
    for key, parameter in their_parameters.items():
        if key in ("device", "dtype", "args", "kwargs", *found):
            continue
        if not hasattr(module, key):
            if key in known and parameter.default is not inspect.Parameter.empty:
                continue
            raise MissingSettingError(f"its setting {key} cannot be read")
        value = getattr(module, key)
        if key == "bias" and not isinstance(value, bool):
            value = value is not None
        if key not in known:
            if value is parameter.default or (_plain(value) and value == parameter.default):
                continue
            raise MissingSettingError(f"its setting {key}={value!r} is not here")
        if hasattr(value, "untyped_storage"):
            value = tensor_of(value)
        elif not _plain(value):
            raise MissingSettingError(f"its setting {key} is of the type {type(value).__name__}")
        found[key] = tuple(value) if isinstance(value, list) else value
    return found


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple, list))


def _attention(module: Any, _: Any) -> dict[str, Any]:
    return {
        "bias": module.in_proj_bias is not None,
        "add_bias_kv": module.bias_k is not None,
    }


def _transformer_layer(module: Any, twin: Any) -> dict[str, Any]:
    """Return the settings; its parts are put into it afterwards, so theirs do not count."""
    attention = module.self_attn
    return {
        "d_model": attention.embed_dim,
        "nhead": attention.num_heads,
        "dim_feedforward": 1,
        "dropout": 0.0,
        "activation": _activation(module.activation, twin),
        "layer_norm_eps": 1e-5,
        "batch_first": attention.batch_first,
        "norm_first": module.norm_first,
        "bias": True,
    }


def _activation(theirs: Any, twin: Any) -> Any:
    """Return our function or layer for one of PyTorch's."""
    if hasattr(theirs, "named_parameters"):
        return twin(theirs)
    name = getattr(theirs, "__name__", "")
    home = str(getattr(theirs, "__module__", None) or "torch")
    found = getattr(F, name, None) if home.partition(".")[0] == "torch" else None
    if found is None:
        raise MissingSettingError(
            f"its activation is {home}.{name}, and none of torch.nn.functional that is here"
        )
    return found


def _transformer_stack(module: Any, twin: Any) -> dict[str, Any]:
    kind = "encoder" if type(module).__name__ == "TransformerEncoder" else "decoder"
    made = {
        "num_layers": len(module.layers),
        "norm": None if module.norm is None else twin(module.norm),
        f"{kind}_layer": twin(module.layers[0]),
    }
    if kind == "encoder":
        made |= {"enable_nested_tensor": False, "mask_check": True}
    return made


def _transformer(module: Any, twin: Any) -> dict[str, Any]:
    return {
        "d_model": module.d_model,
        "nhead": module.nhead,
        "num_encoder_layers": 1,
        "num_decoder_layers": 1,
        "dim_feedforward": 1,
        "dropout": 0.0,
        "activation": "relu",
        "layer_norm_eps": 1e-5,
        "batch_first": module.batch_first,
        "norm_first": False,
        "bias": True,
        "custom_encoder": twin(module.encoder),
        "custom_decoder": twin(module.decoder),
    }


def _recurrent(module: Any, _: Any) -> dict[str, Any]:
    names = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"]
    names += ["bidirectional", *(["nonlinearity"] if type(module).__name__ == "RNN" else [])]
    found = {name: getattr(module, name) for name in names}
    return found | ({"proj_size": module.proj_size} if module.proj_size else {})


def _adaptive(module: Any, _: Any) -> dict[str, Any]:
    return {"cutoffs": list(module.cutoffs[:-1]), "head_bias": module.head.bias is not None}


_SPECIAL: dict[str, Callable[[Any, Any], dict[str, Any]]] = {
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
    "PReLU": lambda module, _: {"init": 0.25},
    "Identity": lambda module, _: {},
    "Embedding": lambda module, _: {"_weight": None, "_freeze": False},
    "EmbeddingBag": lambda module, _: {"_weight": None},
    "CrossEntropyLoss": lambda module, _: _weighted(module),
    "NLLLoss": lambda module, _: _weighted(module),
}


def _weighted(module: Any) -> dict[str, Any]:
    weight = None if module.weight is None else tensor_of(module.weight)
    return {"weight": weight, "size_average": None, "reduce": None}
