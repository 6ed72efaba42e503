"""A log of training steps: what each layer returned, each gradient, each parameter afterwards.

Any process can write one, in any language: it is a safetensors file with arrays by these names,
where 0 is the number of the step:

    0/weights/fc1.weight        a parameter or buffer before the first step
    0/forward/fc1/input         the first input of the layer fc1, and what it returned
    0/forward/fc1/output
    0/loss                      the loss
    0/backward/fc1/output       the gradient of what fc1 returned
    0/gradient/fc1.weight       the gradient of a parameter
    0/update/fc1.weight         a parameter or buffer after the step

All are optional. The metadata may have JSON under "nnscratch-steps": "order", the names in the
order in which they came about, and "settings" by the path of a layer, of "loss" and of "optimizer",
such as {"fc1": {"class": "Linear"}}; of a parameter in another group than the optimizer's first
under "optimizer/fc1.weight".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.errors import CheckpointError
from nnscratch.train.files import FilePath, parse_json
from nnscratch.train.tensor_file import TensorFile, write_tensors

_KEY = "nnscratch-steps"
_MOST_DIGITS = 6  # of the number of a step: as many steps are taken here
NO_OPTIMIZER = "none"  # the class in the settings of a parameter that the optimizer has not
_PHASES = ("weights", "forward", "loss", "backward", "gradient", "update")


@dataclass
class StepLog:
    """What happened in some training steps.

    Attributes:
        source: whose they are, in a word: "nnscratch", "PyTorch", "Keras", or a file.
        arrays: by the names above, in the order in which they came about.
        settings: the settings of layers by path; those of the loss under "loss", of the optimizer
            under "optimizer".
        modules: the layers themselves by path, where they are at hand.
        loss: the loss itself, where it is at hand.
        dtypes: the dtypes of arrays that NumPy has no dtype for, by name.
        terms: by step and layer what gradients are sums of, once it was asked for.

    >>> log = StepLog("mine", {"0/loss": np.asarray(0.7)})
    >>> log.steps, log.get(0, "loss")
    (1, array(0.7))
    """

    source: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    modules: dict[str, Any] = field(default_factory=dict)
    loss: Any = None
    dtypes: dict[str, str] = field(default_factory=dict)
    terms: dict[int, dict[str, tuple[float, float]]] = field(default_factory=dict, repr=False)

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return 1 + max((int(name.partition("/")[0]) for name in self.arrays), default=-1)

    def get(self, step: int, phase: str, path: str = "", what: str = "") -> np.ndarray | None:
        """Return an array, None if it was not written."""
        return self.arrays.get(name_of(step, phase, path, what))

    def named(self, step: int, phase: str, what: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """Go through the arrays of a step and a phase by their paths, in their order."""
        start, end = f"{step}/{phase}/", f"/{what}" if what else ""
        for name, array in self.arrays.items():
            if name.startswith(start) and name.endswith(end):
                yield name[len(start) : len(name) - len(end)], array

    def save(self, path: FilePath) -> None:
        """Write it as a safetensors file, atomically.

        Raises:
            RunError: if it cannot be written.
        """
        record = {
            "order": list(self.arrays),
            "settings": self.settings,
            "source": self.source,
            "dtypes": self.dtypes,
        }
        write_tensors(path, self.arrays, {_KEY: json.dumps(record)}, follow=True)

    @classmethod
    def load(cls, path: FilePath) -> StepLog:
        """Read one that ``save`` or another process wrote.

        Raises:
            CheckpointError: if the file is damaged, or its names are none of these.
        """
        with TensorFile(path) as file:
            text = file.metadata.get(_KEY)
            record = parse_json(text, file.name) if text is not None else {}
            if not isinstance(record, dict):
                raise CheckpointError(f"{file.name}: its record of settings is damaged")
            for name in file:
                parts = name.split("/")
                number = parts[0]
                counted = number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS
                if len(parts) < 2 or not counted or parts[1] not in _PHASES:
                    raise CheckpointError(
                        f"{file.name}: {name[:80]!r} is no name of a log; expected names such as "
                        "'0/forward/fc1/output', '0/gradient/fc1.weight' or '0/loss'"
                    )
            order = record.get("order")
            names = [n for n in order if n in file.entries] if isinstance(order, list) else []
            names += [n for n in file if n not in set(names)]
            settings = record.get("settings", {})
            dtypes = record.get("dtypes", {})
            sound = all(isinstance(one, dict) for one in (settings, dtypes)) and all(
                isinstance(one, dict) for one in settings.values()
            )
            if not sound:
                raise CheckpointError(f"{file.name}: its record of settings is damaged")
            source = str(record.get("source", file.name))[:80]
            arrays = {n: file.read(n) for n in names}
            return cls(
                source, arrays, dict(settings), dtypes={k: str(v) for k, v in dtypes.items()}
            )


def name_of(step: int, phase: str, path: str = "", what: str = "") -> str:
    """Return the name of an array.

    >>> name_of(0, "forward", "fc1", "output"), name_of(2, "loss")
    ('0/forward/fc1/output', '2/loss')
    """
    if phase == "loss":
        return f"{step}/loss"
    return f"{step}/{phase}/{path}" + (f"/{what}" if what else "")


def plain_settings(item: Any) -> dict[str, Any]:
    """Return the numbers, texts and truths among a layer's attributes, and its class."""
    found: dict[str, Any] = {"class": type(item).__name__}
    for name, value in vars(item).items():
        if not name.startswith("_") and is_plain(value):
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def is_plain(value: Any) -> bool:
    """Say whether a value is a number, a text, a truth, None, or a tuple or list of such."""
    if isinstance(value, (tuple, list)):
        return all(isinstance(one, (int, float, str)) for one in value)
    return value is None or isinstance(value, (bool, int, float, str))


def optimizer_settings(optimizer: Any, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters of a group of an optimizer, and its class."""
    found = {k: list(v) if isinstance(v, tuple) else v for k, v in group.items() if is_plain(v)}
    return {"class": type(optimizer).__name__, **found}
