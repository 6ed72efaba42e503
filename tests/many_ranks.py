"""Starting real ranks for tests, and what they train: the same in a rank and in the test."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

import nnscratch
from nnscratch import manual_seed, nn
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.optim import SGD, Adafactor, Optimizer
from nnscratch.parallel import world
from nnscratch.parallel.starting import mpiexec
from nnscratch.tensors import Tensor
from nnscratch.train import Callback, EarlyStopping, Metric, Trainer
from nnscratch.train.choices import LOSSES

WORKER = Path(__file__).parent / "parallel" / "worker.py"
LIMIT = 240.0
WEIGHTS = np.array([1.0, 5.0, 0.2], np.float32)
GRACE = 5.0
"""How long a rank may take to be gone after its launcher is, on a machine with much to do."""


class RanksDone(NamedTuple):
    """How a job ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str


def job(ranks: int, scenario: str, folder: Path, **options: Any) -> RanksDone:
    """Run a scenario of the worker with so many ranks; nothing of it remains.

    With ``going`` they go on when one dies, which Open MPI has.
    """
    python = [sys.executable, "-W", "error", str(WORKER)]
    launcher = os.environ.get("NNSCRATCH_MPIEXEC") or mpiexec()  # another, in make test-many
    more = ["--with-ft", "ulfm"] if options.pop("going", False) else []
    command = [launcher, *more, "-n", str(ranks), *python, scenario, str(folder)]
    command.append(json.dumps(options))
    return started(command, folder)


def started(command: list[str], folder: Path) -> RanksDone:
    """Run a command to its end under a hard limit."""
    environment = {**os.environ, "NNSCRATCH_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places = [*map(str, (WORKER.parents[1], WORKER.parents[2])), *filter(None, before)]
    environment["PYTHONPATH"] = os.pathsep.join(places)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=LIMIT)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    until = time.monotonic() + GRACE
    while any(_runs(pid) for pid, _ in ranks_of(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid, segments in ranks_of(folder):
        assert not _runs(pid), f"rank {pid} still runs: {err}"
        assert not [one for one in segments if os.path.exists(one)], "shared memory is left"
    return RanksDone(process.returncode, out, err)


def ranks_of(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the process and the shared memory of every rank that wrote itself down."""
    for path in sorted(folder.glob("*.rank")):
        pid, segments = json.loads(path.read_text())
        yield pid, segments


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# What is trained.


class At(Callback):
    """Does something after a step on one rank."""

    def __init__(self, rank: int, step: int, what: Any) -> None:
        self.rank, self.step, self.what = rank, step, what

    def on_batch_end(self, trainer: Trainer) -> None:
        if trainer.step_number == self.step and world().rank == self.rank:
            self.what()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dies(Callback):
    """Kills ranks in a job that goes on.

    Args:
        kills: of each the rank that it had at the start, the step, and the place: "batch" after
            it, "agree" in it, when the gradients are added up and the others may not know, "agreed"
            when they do, "epoch" at the end of its epoch, "judging" in the evaluation before.
    """

    def __init__(self, kills: Any) -> None:
        self.kills = {(rank, step): place for rank, step, place in kills}

    def _due(self, step: int, *places: str) -> str:
        here = world()
        own = here.rank if here.survival is None else here.survival.names[here.rank]
        place = self.kills.get((own, step), "")
        return place if place in places else ""

    def on_fit_start(self, trainer: Trainer) -> None:
        self.on_batch_end(trainer)

    def on_batch_end(self, trainer: Trainer) -> None:
        step, here = trainer.step_number, world()
        if self._due(step, "batch"):
            die()
        place = self._due(step + 1, "agree", "agreed")
        if place and here.survival is not None:
            real = here.survival.agree

            def agree() -> None:
                if place == "agreed":
                    real()
                die()

            here.survival.agree = agree  # type: ignore[method-assign]
        if self._due(step, "judging"):
            trainer.model.eval = die  # type: ignore[method-assign, assignment]

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        if self._due(trainer.step_number, "epoch"):
            die()


class Forgetful(nn.Module):
    """A network of which one rank leaves a layer out."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.layer, self.other = nn.Linear(6, 3), nn.Linear(6, 3)
        self.rank = rank

    def forward(self, x: Any) -> Any:
        made = self.layer(x)
        return made if self.training and world().rank == self.rank else made + self.other(x)


def raises() -> None:
    raise ValueError("raised on purpose")


FAULTS: dict[str, Any] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "raise": raises,
    "term": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "exit": lambda: sys.exit(3),
}


def fit(
    folder: Path,
    *,
    fault: str = "",
    rank: int = 1,
    step: int = 4,
    resume: bool = False,
    nan: int | None = None,
    different: str = "",
    run: str = "run",
    deadline: float = 1.5,
    kills: Any = (),
    **more: Any,
) -> tuple[str, int]:
    """Train in a run folder, with a fault on one rank; return the weights' hash and the steps.

    What is not named here is for ``Trainer``.
    """
    here = world()
    model: nn.Module = _net(outputs=3, dropout=0.2)
    X, y = _data("classes")
    batch, seed = 16, 3
    if nan is not None:
        X[nan] = np.nan
    if different == "gradient":
        model = Forgetful(rank)
    elif different and here.rank == rank:
        seed += different == "seed"
        batch *= 1 + (different == "settings")
        X[0] += different == "data"
        model[0].bias.data[0] += different == "weights"  # type: ignore[index]
        run += "-1" * (different == "folder")
    callbacks: list[Callback] = [At(rank, step, FAULTS[fault])] if fault else []
    callbacks += [Dies(kills)] if kills else []
    trainer = Trainer(
        model, lr=0.01, seed=seed, callbacks=callbacks, run_dir=folder / run, deadline=deadline,
        checkpoint_seconds=0.0, **more,
    )  # fmt: skip
    other = different == "versions" and here.rank == rank
    version = "0.0" if other else nnscratch.__version__
    with patch.object(nnscratch, "__version__", version):
        trainer.fit(
            (X, y), 3, batch_size=batch, resume=resume, validation=(X, y), shuffle=nan is None
        )
    return sha(model), trainer.step_number


def _net(*, outputs: int, dropout: float = 0.0, norm: bool = False) -> nn.Sequential:
    manual_seed(1)
    layers = [nn.Linear(6, 8), nn.Tanh(), nn.Dropout(dropout)]
    layers += [nn.BatchNorm1d(8)] if norm else []
    return nn.Sequential(*layers, nn.Linear(8, outputs))


def _data(kind: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(71, 6))
    X = X if kind == "doubles" else X.astype(np.float32)
    if kind == "numbers":
        return X, (X[:, :2] @ np.array([[1.0, 0.2], [0.5, -1.0]])).astype(np.float32)
    if kind == "binary":
        return X, rng.integers(0, 2, (71, 1)).astype(np.float32)
    y = rng.integers(0, 3, 71)
    if kind == "ignored":
        y[::3] = y[:5] = -100
    if kind == "few counted":
        # Each batch of 16 has one row that counts, and most ranks have none.
        y[np.arange(71) % 15 != 9] = -100
    return X, y


def _divided_by_weights(output: Tensor, target: Tensor) -> Tensor:
    weights = 1.0 + target.float()
    found: Tensor = (nn.functional.cross_entropy(output, target, reduction="none") * weights).sum()
    return found / weights.sum()


_divided_by_weights.denominator = lambda target: float((1.0 + target.float()).sum())  # type: ignore[attr-defined]


class Noisy(nn.Module):
    """Weights with noise in training, of as many outputs as some parts have rows."""

    def forward(self, weight: Any) -> Any:
        return nn.functional.dropout(weight * 1.0, 0.3, self.training)


class NoisyNet(nn.Module):
    """A network that draws numbers for its weights, for its rows, and for rows in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.cell = nn.LSTM(3, 4, num_layers=2, dropout=0.2, batch_first=True)
        self.register_buffer("largest", Tensor(np.zeros(6, np.float32)))

    def forward(self, x: Any) -> Any:
        noise = nnscratch.randn(8) * 0.2 if self.training else 0.0
        if self.training:
            self.largest.copy_(x.detach().amax(0))
        hidden = nn.functional.dropout(self.first(x) + noise, 0.3)  # also in evaluation
        return self.last(hidden) + self.cell(x.reshape(-1, 2, 3))[0].sum(1)[:, :3]


def _computed(kind: str) -> nn.Sequential:
    """Return a network with a weight that is computed in every step."""
    model = _net(outputs=3, dropout=0.2)
    utils = nn.utils
    if kind == "noise":
        utils.parametrize.register_parametrization(model[0], "weight", Noisy())
    elif kind == "old":
        utils.spectral_norm(model[0])
    else:
        utils.parametrizations.spectral_norm(model[0])
        utils.parametrizations.weight_norm(model[-1])
    return model


class Rows(Metric):
    """A metric of one's own: how many rows it was shown, and noise."""

    name = "rows"

    def reset(self) -> None:
        self.rows = 0.0

    def update(self, output: Any, target: Any) -> None:
        self.rows += len(output) + nnscratch.rand(1).item()

    def compute(self) -> float:
        return self.rows


class AddsGroup(Callback):
    """Adds the last layer to the optimizer, at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_start(self, trainer: Trainer) -> None:
        if trainer.epoch == self.epoch:
            last: Any = trainer.model[-1]  # type: ignore[index]
            trainer.optimizer.add_param_group({"params": list(last.parameters()), "lr": 0.02})


def _own_step(model: Any, batch: Any) -> Any:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


BINARY = ("bce", "bce_with_logits")


def configurations() -> dict[str, dict[str, Any]]:
    """Return what is compared: options of ``Trainer``, and of the data and the network."""
    made: dict[str, dict[str, Any]] = {
        "dropout": {"dropout": 0.3},
        "compiled": {"dropout": 0.3, "compile": True, "clip_norm": 0.5},
        "compiled groups": {"dropout": 0.3, "compile": True, "accumulate": 2},
        "groups": {"accumulate": 3, "clip_norm": 0.2, "class_weight": [1.0, 5.0, 0.2]},
        "weights": {"class_weight": [1.0, 5.0, 0.2]},
        "ignored": {"data": "ignored"},
        "ignored groups": {"data": "ignored", "accumulate": 2, "compile": True},
        "own denominator": {"loss": _divided_by_weights},
        "sum": {"loss": nn.CrossEntropyLoss(reduction="sum"), "lr": 1e-3},
        "own step": {"step": _own_step},
        "float64": {"data": "doubles", "compile": True},
        "norm": {"norm": True, "compile": True},
        "few rows": {"batch": 3, "epochs": 2},
        "few rows, groups": {"batch": 3, "epochs": 2, "accumulate": 3, "compile": True},
        "few counted": {"data": "few counted", "accumulate": 3, "clip_norm": 0.5},
        "few counted, compiled": {"data": "few counted", "accumulate": 3, "compile": True},
        "few counted, by parameter": {
            "data": "few counted",
            "accumulate": 3,
            "optimizer": "adafactor",
        },
        "function": {"data": "ignored", "loss": nn.functional.cross_entropy},
        "partial": {
            "data": "ignored",
            "loss": partial(nn.functional.cross_entropy, weight=Tensor(WEIGHTS)),
        },
        "sum of a part": {
            "loss": partial(nn.functional.nll_loss, reduction="sum"),
            "lr": 1e-3,
            "logarithms": True,
        },
        "linear": {"loss": "linear", "data": "ignored"},
        "noise": {"model": "noise", "compile": True},
        "spectral": {"model": "spectral"},
        "old spectral": {"model": "old", "compile": True, "accumulate": 2},
        "noisy net": {"net": NoisyNet, "metrics": ["precision"], "epochs": 3},
        "metrics": {"metrics": ["precision", "recall", "f1", Rows()], "judged": 16},
        "judged": {"metrics": ["f1", "accuracy"], "judged": 16, "data": "ignored"},
        "judged numbers": {"metrics": ["r2", "mae"], "judged": 10, "data": "numbers"},
        "group before": {"group": 0, "optimizer": "sgd", "clip_norm": 0.2},
        "group later": {"group": 1, "optimizer": "sgd", "clip_norm": 0.2},
        "group later, compiled": {"group": 1, "optimizer": "sgd", "compile": True},
        "group of parameters": {"group": 1, "optimizer": "adafactor"},
        "schedule": {"scheduler": "one_cycle", "schedule_every": "batch", "accumulate": 2},
        "plateau": {"scheduler": "plateau", "callbacks": "early"},
    }
    for name, more in (
        ("nll", {}),
        ("nll weights", {"class_weight": [1.0, 5.0, 0.2]}),
        ("nll ignored", {"data": "ignored", "class_weight": [1.0, 5.0, 0.3], "accumulate": 2}),
        ("nll few counted", {"data": "few counted", "class_weight": [1.0, 5.0, 0.2]}),
        ("nll sum", {"data": "ignored", "loss": nn.NLLLoss(reduction="sum"), "lr": 1e-3}),
        ("nll index", {"loss": nn.NLLLoss(ignore_index=1)}),
        ("nll function", {"loss": nn.functional.nll_loss, "data": "ignored"}),
    ):
        made[name] = {"loss": "nll", "logarithms": True, **more}
    for name in ("smooth", "smooth weights"):
        weights = Tensor(WEIGHTS) if name.endswith("weights") else None
        made[name] = {
            "loss": nn.CrossEntropyLoss(weight=weights, label_smoothing=0.1), "data": "ignored"
        }  # fmt: skip
    # Other tests make optimizers of their own, which a rank does not know.
    own = [one for one, kind in Optimizer.kinds.items() if kind.__module__.startswith("nnscratch.")]
    for name in own:
        made[f"optimizer {name}"] = {"optimizer": name}
    for name in LOSSES:
        if name in ("cross_entropy", "nll"):  # in all the others, and above
            continue
        made[f"loss {name}"] = {"loss": name, "data": "binary" if name in BINARY else "numbers"}
    return made


def train(name: str, kills: Any = (), **more: Any) -> dict[str, Any]:
    """Train one configuration, and return its history and a hash of the weights."""
    options = {**configurations()[name], **more}
    wide = options.get("data") == "doubles"
    shuffle = options.get("data") != "few counted"  # a batch that counts none has no mean
    data, batch = _data(options.pop("data", "classes")), options.pop("batch", 16)
    outputs = 3 if data[1].ndim == 1 else data[1].shape[1]
    manual_seed(1)
    model: Any
    if "net" in options:
        model = options.pop("net")()
    elif "model" in options:
        model = _computed(options.pop("model"))
    else:
        model = _net(outputs=outputs, dropout=options.pop("dropout", 0.0),
                     norm=options.pop("norm", False))  # fmt: skip
    if options.get("loss") == "linear":
        options["loss"] = nn.LinearCrossEntropyLoss(3, 3, weight=Tensor(WEIGHTS))
    if options.pop("logarithms", False):
        model.append(nn.LogSoftmax(1))
    group, early = options.pop("group", None), options.pop("callbacks", None)
    if group is not None:
        kind = {"sgd": SGD, "adafactor": Adafactor}[options["optimizer"]]
        first = model[0].parameters() if group else [model[0].weight]
        options |= {"optimizer": kind(first, lr=0.05), "lr": None}
        if group:
            options["callbacks"] = [AddsGroup(group)]
    if early:
        options["callbacks"] = [EarlyStopping(2, min_delta=0.02)]
    if kills:
        options["callbacks"] = [*options.get("callbacks", ()), Dies(kills)]
    rows = list[int]()
    model.register_forward_pre_hook(
        lambda module, inputs: rows.append(len(inputs[0])) if module.training else None
    )
    if wide:
        model, data = model.double(), tuple(Tensor(one) for one in data)
    epochs = options.pop("epochs", 8)
    judged: Any = data
    if "judged" in options:
        judged = DataLoader(TensorDataset(*data), options.pop("judged"))
    trainer = Trainer(model, seed=3, **{"lr": 0.01, **options})
    if group == 0:
        rest = [model[0].bias, *model[-1].parameters()]
        trainer.optimizer.add_param_group({"params": rest, "lr": 0.02})
    history = trainer.fit(data, epochs, validation=judged, batch_size=batch, shuffle=shuffle)
    found = [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]
    assert trainer.loader is not None
    steps = epochs * -(-len(trainer.loader) // options.get("accumulate", 1))
    made = {"rows": found, "sha": sha(model), "taken": rows}
    return made | {"steps": steps, "device": str(trainer.device)}


def sha(model: nn.Module) -> str:
    """Return a hash of all values of a model."""
    values = [tensor.cpu().numpy().tobytes() for tensor in model.state_dict().values()]
    return hashlib.sha256(b"".join(values)).hexdigest()
