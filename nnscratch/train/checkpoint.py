"""Checkpoints: one file with the whole state of a run, from which training resumes exactly.

The arrays are in the safetensors format, and everything else is JSON in the header of the same
file, so that the two can never be of different moments.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from nnscratch.array import dtype_name, move
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.nn import Module
from nnscratch.optim import Optimizer
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, parse_json, plain
from nnscratch.train.tensor_file import TensorFile, write_tensors

CHECKPOINT = "nnscratch-checkpoint"
MODEL = "nnscratch-model"
VERSION = 1
_KEY = "nnscratch"
_MOST_NAMED = 4


def write_record(
    path: FilePath,
    form: str,
    tensors: Mapping[str, Any],
    record: Mapping[str, Any],
    follow: bool = False,
) -> None:
    """Write tensors together with a JSON record.

    Raises:
        RunError: if the file cannot be written; one that was there before is intact.
    """
    made = {"form": form, "version": VERSION, **plain(dict(record))}
    text = json.dumps(made, separators=(",", ":"), allow_nan=False)
    write_tensors(path, tensors, {_KEY: text, "format": "pt"}, follow)


def record_of(file: TensorFile, form: str | None = None) -> dict[str, Any]:
    """Return the JSON record of a file that ``write_record`` wrote.

    Raises:
        CheckpointError: if it has none, or one of another form or of a newer version.
    """
    text = file.metadata.get(_KEY)
    wanted = form or f"{CHECKPOINT} or {MODEL}"
    if text is None:
        raise CheckpointError(
            f"{file.name}: no {wanted}: it holds arrays, but no record of nnscratch"
        )
    record = parse_json(text, file.name)
    if not isinstance(record, dict) or record.get("form") not in (CHECKPOINT, MODEL):
        raise CheckpointError(f"{file.name}: no {wanted}: its record is of another form")
    if form is not None and record["form"] != form:
        raise CheckpointError(f"{file.name}: expected a {form}, this is a {record['form']}")
    version = record.get("version")
    if version != VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and version > VERSION
        mend = "; it was written by a newer nnscratch, install that one" if newer else ""
        raise CheckpointError(
            f"{file.name}: version {str(version)[:20]} of the format, this nnscratch reads "
            f"version {VERSION}{mend}"
        )
    return record


def part(record: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    """Return one entry of a record after checking its type.

    Raises:
        CheckpointError: if it is missing or of another type.
    """
    value = record.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "is missing" if name not in record else f"is {str(value)[:40]!r}"
        raise CheckpointError(f"{where}: {name!r} {found}; expected {kind.__name__}")
    return value


def stored_names(file: TensorFile, own: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return for each of a model's tensors its name in a file, if the file has it.

    Weights that are tied may be stored once: the file's metadata then name the other one, or the
    model itself has one tensor under both names.
    """
    found: dict[str, str] = {}
    by_tensor: dict[int, str] = {}
    for name, tensor in own.items():
        told = file.metadata.get(prefix + name)
        for stored in (prefix + name, prefix + (told or name)):
            if stored in file.entries:
                found[name] = stored
                by_tensor.setdefault(id(tensor.array), stored)
                break
    for name, tensor in own.items():
        if name not in found and id(tensor.array) in by_tensor:
            found[name] = by_tensor[id(tensor.array)]
    return found


def check_fits(file: TensorFile, prefix: str, model: Module) -> None:
    """Check that a file has exactly a model's parameters under a prefix.

    Raises:
        CheckpointError: in one line, naming the first differences.
    """
    own = model.state_dict()
    theirs = {name.removeprefix(prefix) for name in file if name.startswith(prefix)}
    stored = stored_names(file, own, prefix)
    problems = [f"{name!r} is missing" for name in own if name not in stored]
    problems += [f"{name!r} is not in this model" for name in sorted(theirs) if name not in own]
    for name, tensor in own.items():
        if name not in stored:
            continue
        entry = file.entries[stored[name]]
        if entry.shape != tensor.shape:
            problems.append(f"{name!r} has the shape {entry.shape}, the model's is {tensor.shape}")
        elif entry.dtype != dtype_name(tensor.array.dtype):
            problems.append(f"{name!r} is {entry.dtype}, the model's is {tensor.dtype}")
    if problems:
        more = len(problems) - _MOST_NAMED
        listed = "; ".join(problems[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise CheckpointError(f"{file.name}: of another architecture than this model: {listed}")


def load_into(file: TensorFile, prefix: str, model: Module) -> None:
    """Copy the parameters under a prefix into a model, one at a time, on the device it is on.

    Raises:
        CheckpointError: if they do not fit; nothing is copied then.
    """
    check_fits(file, prefix, model)
    own = model.state_dict()
    stored = stored_names(file, own, prefix)
    for name, tensor in own.items():
        tensor.copy_(Tensor(move(file.read(stored[name]), tensor.device)))


class _LazyState(Mapping[str, Any]):
    """The optimizer's state of one parameter, whose arrays are read lazily and not kept."""

    def __init__(self, file: TensorFile, prefix: str, numbers: Any, device: Any) -> None:
        self._file, self._prefix, self._numbers, self._device = file, prefix, numbers, device
        self._names = [n.removeprefix(prefix) for n in file if n.startswith(prefix)]

    def __getitem__(self, name: str) -> Any:
        if name in self._numbers:
            return self._numbers[name]
        if name not in self._names:
            raise KeyError(name)
        return Tensor(move(self._file.read(self._prefix + name, True), self._device))

    def __iter__(self) -> Iterator[str]:
        return iter([*self._numbers, *self._names])

    def __len__(self) -> int:
        return len(self._numbers) + len(self._names)


def optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an optimizer's arrays by name, and the rest of its state as JSON."""
    state = optimizer.state_dict()
    tensors: dict[str, Any] = {}
    numbers: dict[str, dict[str, float]] = {}
    for index, entry in state["state"].items():
        own = numbers.setdefault(str(index), {})
        for name, value in entry.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                own[name] = value
    groups = [
        {key: value.item() if isinstance(value, Tensor) else value for key, value in group.items()}
        for group in state["param_groups"]
    ]
    kind = type(optimizer).__name__
    return tensors, {"kind": kind, "numbers": numbers, "param_groups": groups}


def load_optimizer(file: TensorFile, record: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Restore what ``optimizer_state`` returned.

    Raises:
        CheckpointError: if it belongs to another optimizer.
    """
    kind = type(optimizer).__name__
    if record.get("kind") != kind:
        raise CheckpointError(
            f"{file.name}: the optimizer was {str(record.get('kind'))[:40]}, this one is {kind}"
        )
    numbers = part(record, "numbers", dict, file.name)
    groups = part(record, "param_groups", list, file.name)
    members = [p for group in optimizer.param_groups for p in group["params"]]
    state = {}
    for key, own in numbers.items():
        if not (key.isdecimal() and int(key) < len(members)):
            raise CheckpointError(
                f"{file.name}: optimizer state of no such parameter: {key[:40]!r}"
            )
        if not isinstance(own, dict) or not all(_is_number(n) for n in own.values()):
            raise CheckpointError(f"{file.name}: the optimizer state of parameter {key} is damaged")
        device = members[int(key)].device
        state[int(key)] = _LazyState(file, f"optimizer.{key}.", own, device)
    options = [set(group) for group in optimizer.param_groups]
    theirs = [set(group) if isinstance(group, dict) else set() for group in groups]
    if options != theirs or not all(isinstance(group["params"], list) for group in groups):
        raise CheckpointError(f"{file.name}: the optimizer's options are not those of {kind}")
    for own, saved in zip(optimizer.param_groups, groups, strict=True):
        for name, value in saved.items():
            if name != "params" and not _may_become(own[name], value, name):
                raise CheckpointError(
                    f"{file.name}: the optimizer's option {name} is {str(value)[:40]!r}, this "
                    f"{kind} has {str(own[name])[:40]}"
                )
        try:
            if optimizer._has_formula():
                # A schedule may have taken the rate to where no optimizer begins.
                optimizer.check({**saved, "lr": 0.0})
        except ConfigurationError as error:
            raise CheckpointError(f"{file.name}: {error}") from None
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _is_number(value: Any) -> bool:
    """Say whether a value from a file is a number in the range of float64."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _may_become(own: Any, saved: Any, name: str) -> bool:
    """Say whether a saved value may replace a hyper-parameter: same type, and a flag unchanged."""
    if isinstance(own, bool) or own is None or isinstance(own, str):
        return type(own) is type(saved) and own == saved
    if isinstance(own, (list, tuple)):
        return (
            isinstance(saved, list)
            and len(saved) == len(own)
            and all(_may_become(a, b, name) for a, b in zip(own, saved, strict=True))
        )
    # With a momentum of 0 there is no state for one.
    return _is_number(saved) and (name != "momentum" or (own == 0) == (saved == 0))


def save_model(path: FilePath, model: Module, config: Mapping[str, Any] | None = None) -> None:
    """Write a model's parameters and buffers as safetensors, with a description in the header.

    Raises:
        RunError: if the file cannot be written; one that was there before is intact.
    """
    write_record(
        path,
        MODEL,
        model.state_dict(),
        {"config": dict(config or {}), "model": repr(model)},
        follow=True,
    )


def load_model(path: FilePath, model: Module) -> None:
    """Copy the parameters of a safetensors file into a model of the same architecture.

    Raises:
        CheckpointError: if it cannot be read or does not fit; the model is unchanged then.
    """
    with TensorFile(path) as file:
        load_into(file, "", model)
