"""The settings of ``nnscratch train``: defaults, a TOML file, and options that override both."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.parallel.rows import check_shards
from nnscratch.train.choices import LOSSES, OPTIMIZERS, SCHEDULES, choose, losses_for
from nnscratch.train.image_networks import NETWORKS
from nnscratch.train.mlp import ACTIVATIONS

_CONFIG_LIMIT = 1 << 20
# Settings are flat. A dotted key of n parts takes the TOML parser memory that grows with n².
_MOST_DOTS = 16
# Texts and comments, where dots are no keys.
_TEXTS = re.compile(r""" "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | \#.* """, re.VERBOSE)

AUGMENTATIONS = ("none", "shift", "flip", "erase")
TASKS = ("classification", "regression")


def task_losses(task: str) -> tuple[str, ...]:
    """Return the losses that make sense for a task; the first is the default.

    >>> task_losses("regression")
    ('mse', 'l1', 'smooth_l1', 'huber')
    """
    # The models' outputs are logits: no losses of probabilities, nor of their logarithms.
    return ("cross_entropy", "mse") if task == "classification" else losses_for(task)


SEPARATORS = {"tab": "\t", "\\t": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}
"""Names of separators that are hard to type in a shell."""
TEXT_MODELS = ("gpt", "char-lstm")
"""The kinds of architectures that continue texts."""
MODELS = ("mlp", *NETWORKS, *TEXT_MODELS)
"""What can be trained: a multilayer perceptron, networks for images, models of texts."""


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training run; a setting that is None is chosen to fit the data.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    data: str = ""
    target: str | None = None
    task: str | None = None
    exclude: tuple[str, ...] = ()
    separator: str | None = None
    missing: str = "fill"
    model: str | None = None
    size: tuple[int, ...] | None = None
    augment: tuple[str, ...] | None = None
    tokenizer: str = "characters"
    vocabulary: int = 2048
    block: int = 128
    width: int | None = None
    layers: int | None = None
    heads: int = 4
    hidden: tuple[int, ...] | None = None
    activation: str = "relu"
    dropout: float | None = None
    loss: str | None = None
    label_smoothing: float | None = None
    class_weight: str | None = None
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    schedule: str = "one_cycle"
    epochs: int | None = None
    batch: int | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    patience: int | None = None
    validation: float = 0.1
    test: float | None = None
    seed: int = 0
    split_seed: int = 0
    device: str = "cpu"
    compile: bool | None = None
    shards: int | None = None
    shard_optimizer: bool = False
    wire: str | None = None

    def __post_init__(self) -> None:
        for field_ in fields(self):
            _check_type(field_.name, getattr(self, field_.name), str(field_.type))
        for name in self.augment or ():
            choose(name, AUGMENTATIONS, "augmentation")
        if self.augment is not None and "none" in self.augment[1:] + self.augment[:-1]:
            raise ConfigurationError(
                f"the augmentation 'none' goes with no other, got {','.join(self.augment)}"
            )
        if self.size is not None and len(self.size) != 2:
            raise ConfigurationError(f"size must be a height and a width, got {self.size}")
        choose(self.activation, ACTIVATIONS, "activation")
        choose(self.optimizer, OPTIMIZERS, "optimizer")
        choose(self.schedule, SCHEDULES, "schedule")
        if self.model is not None:
            choose(self.model, MODELS, "model")
        if self.loss is not None:
            choose(self.loss, LOSSES, "loss")
        if self.task is not None:
            choose(self.task, TASKS, "task")
        choose(self.missing, ("fill", "refuse"), "way with missing values")
        if self.class_weight is not None:
            choose(self.class_weight, ("balanced",), "class weighting")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and not low <= number < high:
                    upper = "finite" if high == _INFINITE else f"below {high:g}"
                    raise ConfigurationError(
                        f"{name} must be at least {low:g} and {upper}, got {_shown(number)}"
                    )
        if len(self.hidden or ()) > _MOST_LAYERS:
            raise ConfigurationError(
                f"hidden must be at most {_MOST_LAYERS:,} layers, got {len(self.hidden or ()):,}"
            )
        check_shards(self.shards, 1)
        if self.wire is not None:
            choose(self.wire, ("bfloat16",), "wire")
        if self.test == 0.0:
            raise ConfigurationError("test must be above 0: the report needs rows to be made of")

    @property
    def of_text(self) -> bool:
        """Whether the model is one of texts."""
        return self.model in TEXT_MODELS

    @property
    def held_out(self) -> float:
        """The share that is held out for the test."""
        return self.test if self.test is not None else 0.1 if self.of_text else 0.2

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in JSON's types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], where: str) -> TrainingSettings:
        """Return settings from a TOML file or a saved run.

        Raises:
            ConfigurationError: for a key that there is not, naming the closest, or a bad value.
        """
        return cls().changed(value, where)

    def changed(self, values: Mapping[str, Any], where: str) -> TrainingSettings:
        """Return the settings with some of them changed.

        Raises:
            ConfigurationError: as ``from_dict``.
        """
        known = [field_.name for field_ in fields(self)]
        for key in values:
            if key not in known:
                if isinstance(values[key], dict):
                    raise ConfigurationError(
                        f"{where}: settings stand in no table, and {_shown(key)} is one; write "
                        "`epochs = 5` without a [heading]"
                    )
                close = difflib.get_close_matches(str(key).replace("-", "_")[:80], known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else "."
                raise ConfigurationError(
                    f"{where}: there is no setting {_shown(key)}{hint} The settings are "
                    f"{', '.join(known)}"
                )
        listed: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        separator = listed.get("separator")
        if isinstance(separator, str):
            listed["separator"] = SEPARATORS.get(separator, separator)
        try:
            return replace(self, **listed)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None


# An integer above it cannot be converted to a float.
_INFINITE = sys.float_info.max
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("size", 1, 1 << 12),
    ("vocabulary", 257, 1 << 20),
    ("block", 1, 1 << 20),
    ("width", 1, 1 << 20),
    ("layers", 1, 1 << 10),
    ("heads", 1, 1 << 10),
    ("hidden", 1, 1 << 20),
    ("dropout", 0.0, 1.0),
    ("label_smoothing", 0.0, 1.0),
    ("lr", 1e-12, _INFINITE),
    ("weight_decay", 0.0, _INFINITE),
    ("epochs", 1, 1 << 31),
    ("batch", 1, 1 << 31),
    ("accumulate", 1, 1 << 31),
    ("clip_norm", 1e-12, _INFINITE),
    ("patience", 0, 1 << 31),
    ("validation", 0.0, 0.9),
    ("test", 0.0, 0.9),
    ("seed", 0, 1 << 63),
    ("split_seed", 0, 1 << 63),
)
_MOST_LAYERS = 1 << 10
_DATA = ("digits",)
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}


def _check_type(name: str, value: Any, wanted: str) -> None:
    """Check a value from TOML or JSON against the annotation of its setting."""
    kind, _, optional = wanted.partition(" | ")
    if value is None and optional:
        return
    if kind.startswith("tuple["):
        inner = kind[len("tuple[") :].partition(",")[0]
        if not isinstance(value, tuple):
            raise ConfigurationError(f"{name} must be a list, got {_shown(value)}")
        for item in value:
            _check_type(name, item, inner)
        return
    if not isinstance(value, _KINDS[kind]) or (kind != "bool" and isinstance(value, bool)):
        raise ConfigurationError(f"{name} must be of type {kind}, got {_shown(value)}")
    if kind == "float" and value != value:
        raise ConfigurationError(f"{name} must be a number, got {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value from a file as text for a message; some values have no valid text."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_toml(path: str) -> dict[str, Any]:
    """Return the settings that a TOML file names.

    Raises:
        ConfigurationError: if it cannot be read, or is no TOML.
    """
    try:
        # Checked before opening, because opening a named pipe would wait for a writer.
        if os.path.exists(path) and not os.path.isfile(path):
            raise ConfigurationError(f"{path}: this is no file")
        with open(path, "rb") as stream:
            content = stream.read(_CONFIG_LIMIT + 1)
    except ConfigurationError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{path}: cannot be read ({reason})") from error
    if len(content) > _CONFIG_LIMIT:
        raise ConfigurationError(f"{path}: larger than {_CONFIG_LIMIT:,} bytes: no settings file")
    try:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeError:
            raise ConfigurationError(
                f"{path}: no text in UTF-8, in which TOML is written; save it as that"
            ) from None
        if any(_TEXTS.sub("", line).count(".") > _MOST_DOTS for line in text.splitlines()):
            raise ConfigurationError(f"{path}: a line with more than {_MOST_DOTS} dots: no setting")
        return tomllib.loads(text)
    except ConfigurationError:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ConfigurationError(f"{path}: not valid TOML: {reason}") from None


def look_beside(config: str, data: str) -> None:
    """Say where the data of a settings file may be meant to be.

    Raises:
        ConfigurationError: if they are not in this folder, but beside the file.
    """
    beside = os.path.join(os.path.dirname(config), data)
    if data and data not in _DATA and not os.path.exists(data) and os.path.exists(beside):
        raise ConfigurationError(
            f"{config}: data = {data!r} is seen from the folder of the command, {os.getcwd()}, "
            f"where there is no such file; {beside} is there: write its whole path, or "
            "give the command in that folder"
        )


def settings_text(settings: TrainingSettings, said: str) -> str:
    """Return settings as TOML, from which ``read_toml`` has the same ones.

    What has its default is left out, and files are named from the root, so that the text means the
    same in every folder.

    Args:
        settings: the settings.
        said: a comment at the top.
    """
    lines = [f"# {said}"]
    usual = TrainingSettings().to_dict()
    for name, value in settings.to_dict().items():
        # These words are no files, whatever lies in the folder.
        words = {"data": _DATA, "tokenizer": ("characters", "bpe")}.get(name)
        if words and value not in words and os.path.exists(value):
            value = os.path.abspath(value)
        if value is None or (value in ("", []) and value == usual[name]):
            continue
        text = f"{name} = {_toml(value)}"
        try:
            text.encode()
        except UnicodeEncodeError:
            text = f"# {name} is not UTF-8 and cannot stand here: give it as an option"
        lines.append(text)
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    # JSON's escapes are TOML's, but for one character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def saved_settings(value: Any, where: str) -> TrainingSettings:
    """Return the settings of a saved run.

    Raises:
        CheckpointError: if they are damaged.
    """
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{where}: the settings are missing")
    try:
        return TrainingSettings.from_dict(value, where)
    except ConfigurationError as error:
        raise CheckpointError(str(error)) from None
