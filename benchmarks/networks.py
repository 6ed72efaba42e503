"""How long networks take that people build, beside PyTorch and JAX: a training step, and one row.

    python -m benchmarks.networks                      # all of them, about twenty minutes
    python -m benchmarks.networks resnet18 lstm        # these
    python -m benchmarks.networks --task infer cnn     # one row through the network
    python -m benchmarks.networks --compilers          # torch.compile takes part too
    python -m benchmarks.networks --memory             # the peak memory of a process, too

The models are those of `nnscratch.models`, and for PyTorch the same text with `torch` in the place
of `nnscratch` (`benchmarks/twins.py`), with the same weights; for JAX with layers of its own
(`benchmarks/jax_layers.py`), all of a step jitted. One row goes through onnxruntime too, as
`nnscratch.interop.onnx` exports the model; it takes weights for constants, as
`compile(freeze=True)` does, which is the column "frozen". The others, "compiled" too, read them at
each call. A step is forward, backward and Adam (AdamW for the GPTs; PyTorch's is fused), float32,
each with the same number of threads and in a process of its own. First the losses of four steps are
compared: who differs from PyTorch is not timed, unless its gradients of the first step are about as
near to PyTorch's in float64 as those in float32 (at most twice as far, ``benchmarks/arbiter.py``),
which the table then says. Then all take turns, and the table gives medians, the 10th and 90th
percentile, and the ratio to the best of the others.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nnscratch
from benchmarks.arbiter import EXACT
from benchmarks.turns import COMPETITORS, OURS, measure, table
from benchmarks.twins import copy_weights, twin
from nnscratch import models, nn, optim

# Adam's rate: small, for a large one makes rounding errors grow in networks with batch norm.
RATE = 1e-4


@dataclass(frozen=True)
class Case:
    """A network and its batch.

    Attributes:
        module: the file of ``nnscratch.models``.
        kind: the class in it.
        shape: of a batch; the classes of its targets are those of the output.
        options: what the class is made with.
        tokens: how many tokens there are, where the input is of tokens.
        adam: the optimizer.
        goal: by how many times a step should be quicker than the best of PyTorch and JAX; the
            verdict is by those that took part.
        goal_of_a_row: likewise for one row.
        beside_onnxruntime: by how many times one row should be quicker than onnxruntime's.
    """

    module: str
    kind: str
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    adam: str = "Adam"
    goal: float = 1.0
    goal_of_a_row: float = 1.0
    beside_onnxruntime: float = 1.0


_SMALL = {"num_classes": 10, "small_images": True}


def _gpt(vocabulary: int, longest: int, width: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "config": {
            "vocab_size": vocabulary,
            "n_positions": longest,
            "n_embd": width,
            "n_layer": layers,
            "n_head": heads,
            "dropout": 0.0,
        }
    }


CASES: dict[str, Case] = {
    "cnn": Case("cnn", "CNN", (64, 1, 28, 28), goal=2.0, goal_of_a_row=2.5, beside_onnxruntime=1.1),
    "lenet": Case(
        "lenet", "LeNet", (64, 1, 28, 28), goal=2.5, goal_of_a_row=4.0, beside_onnxruntime=1.5
    ),
    "resnet18": Case("resnet", "ResNet", (32, 3, 32, 32), _SMALL, goal=1.7, goal_of_a_row=1.25),
    "vgg11": Case(
        "vgg",
        "VGG",
        (32, 3, 32, 32),
        {"depth": 11, "batch_norm": True, **_SMALL},
        goal=1.7,
        goal_of_a_row=1.2,
    ),
    "mobilenet": Case(
        "mobilenet",
        "MobileNetV2",
        (32, 3, 32, 32),
        {"dropout": 0.0, **_SMALL},
        goal=2.0,
        goal_of_a_row=4.0,
    ),
    "alexnet": Case(
        "alexnet", "AlexNet", (8, 3, 224, 224), {"dropout": 0.0}, goal=1.5, goal_of_a_row=1.3
    ),
    "char-gpt": Case(
        "gpt2",
        "GPT2",
        (16, 64),
        _gpt(65, 64, 128, 4, 4),
        65,
        "AdamW",
        goal=2.2,
        goal_of_a_row=2.2,
        beside_onnxruntime=2.0,
    ),
    "gpt-384": Case(
        "gpt2",
        "GPT2",
        (4, 256),
        _gpt(65, 256, 384, 6, 6),
        65,
        "AdamW",
        goal=2.2,
        goal_of_a_row=1.5,
        beside_onnxruntime=1.25,
    ),
    "gpt2": Case(
        "gpt2",
        "GPT2",
        (1, 64),
        _gpt(50257, 1024, 768, 12, 12),
        50257,
        "AdamW",
        goal=1.6,
        goal_of_a_row=1.2,
        beside_onnxruntime=1.05,
    ),
    "lstm": Case(
        "lstm",
        "CharLSTM",
        (32, 64),
        {"vocabulary": 65, "embedding": 128, "hidden": 128, "layers": 2},
        65,
        goal=2.0,
        goal_of_a_row=3.0,
        beside_onnxruntime=2.0,
    ),
}


def made(case: Case, library: Any) -> Any:
    """Return a case's network from a module that has its class; its weights are always the same.

    Args:
        case: the network.
        library: ``nnscratch.models``, or a twin of the case's file in it.
    """
    nnscratch.manual_seed(0)
    kind = getattr(library, case.kind)
    if "config" in case.options:
        return kind(library.GPT2Config(**case.options["config"]))
    return kind(**case.options)


def batches(case: Case, task: str) -> tuple[list[Any], list[Any]]:
    """Return three batches of inputs, and of targets."""
    rows = 1 if task == "infer" else case.shape[0]
    rng = np.random.default_rng(0)
    shape = (rows, *case.shape[1:])
    if case.tokens:
        inputs = [rng.integers(0, case.tokens, shape) for _ in range(3)]
        return inputs, [rng.integers(0, case.tokens, shape) for _ in range(3)]
    pictures = [rng.normal(size=shape).astype(np.float32) for _ in range(3)]
    return pictures, [rng.integers(0, 10, rows) for _ in range(3)]


class Work:
    """One network in one library, with its batches."""

    def __init__(self, case: Case, who: str, task: str) -> None:
        """Build it.

        Args:
            case: the network.
            who: one of ``COMPETITORS``, or ``EXACT``.
            task: "train" or "infer".
        """
        ours = made(case, models)
        inputs, targets = batches(case, task)
        if who in OURS:
            self._ours(ours, case, who, task, inputs, targets)
        elif who == "onnxruntime":
            self._onnxruntime(ours, inputs)
        else:
            theirs = made(case, twin(case.module))
            copy_weights(ours, theirs)
            del ours
            gc.collect()
            self._torch(theirs, case, who, task, inputs, targets)
        self.count = 0

    def _ours(
        self, model: Any, case: Case, who: str, task: str, inputs: list[Any], targets: list[Any]
    ) -> None:
        self.parameters = list(model.parameters())
        self.inputs = [nnscratch.tensor(one) for one in inputs]
        self.targets = [nnscratch.tensor(one) for one in targets]
        criterion = nn.CrossEntropyLoss()
        if task == "train":
            optimizer = getattr(optim, case.adam)(model.parameters(), lr=RATE)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                loss = _loss(criterion, model(x), y)
                loss.backward()
                optimizer.step()
                return loss
        else:
            model.eval()

            @nnscratch.no_grad()
            def step(x: Any, y: Any) -> Any:
                out = model(x)
                return (out[0] if isinstance(out, tuple) else out).abs().mean()

        self.step: Callable[[Any, Any], Any] = (
            step if who == "eager" else nnscratch.compile(step, freeze=who == "frozen")
        )

    def _onnxruntime(self, model: Any, inputs: list[Any]) -> None:
        import onnxruntime

        from nnscratch.interop import onnx

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            onnx.export(model.eval(), nnscratch.tensor(inputs[0]), path)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = int(os.environ["NNSCRATCH_THREADS"])
            session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        (name,) = [one.name for one in session.get_inputs()]
        first = session.get_outputs()[0].name
        self.inputs = self.targets = inputs
        self.step = lambda x, _: np.abs(session.run([first], {name: x})[0]).mean()

    def _torch(
        self, model: Any, case: Case, who: str, task: str, inputs: list[Any], targets: list[Any]
    ) -> None:
        import torch

        if who == EXACT:
            model = model.double()
            inputs = [one if case.tokens else one.astype(np.float64) for one in inputs]
        self.parameters = list(model.parameters())
        self.inputs = [torch.tensor(one) for one in inputs]
        self.targets = [torch.tensor(one) for one in targets]
        if who == "torch, channels last":
            model = model.to(memory_format=torch.channels_last)
            self.inputs = [one.contiguous(memory_format=torch.channels_last) for one in self.inputs]
        call = torch.compile(model, dynamic=False) if who == "torch.compile" else model
        criterion = torch.nn.CrossEntropyLoss()
        if task == "train":
            optimizer = getattr(torch.optim, case.adam)(model.parameters(), lr=RATE, fused=True)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                loss = _loss(criterion, call(x), y)
                loss.backward()
                optimizer.step()
                return loss
        else:
            model.eval()

            @torch.inference_mode()
            def step(x: Any, y: Any) -> Any:
                out = call(x)
                return (out[0] if isinstance(out, tuple) else out).abs().mean()

        self.step = step

    def run(self, count: int) -> float:
        """Take steps, and return the last one's loss."""
        loss: Any = 0.0
        for _ in range(count):
            index = self.count % len(self.inputs)
            loss = self.step(self.inputs[index], self.targets[index])
            self.count += 1
        return float(loss)

    def gradients(self) -> list[Any]:
        """Return the parameters' gradients of the last step of training."""
        return [np.array(one.grad) for one in self.parameters if one.grad is not None]


def _work(case: Case, who: str, task: str) -> Any:
    """Return what a competitor does."""
    return jax_work(case, task) if who == "JAX" else Work(case, who, task)


def jax_work(case: Case, task: str) -> Any:
    """Return a network's work in JAX."""
    from benchmarks.jax_work import JaxWork, only

    only(int(os.environ["NNSCRATCH_THREADS"]))
    ours = made(case, models)
    state = {name: np.array(one.detach()) for name, one in ours.state_dict().items()}
    inputs, targets = batches(case, task)
    decay = 0.01 if case.adam == "AdamW" else 0.0
    theirs = made(case, twin(case.module, jax=True))
    return JaxWork(theirs, state, inputs, targets, RATE, decay, task == "train")


def _loss(criterion: Any, out: Any, y: Any) -> Any:
    out = out[0] if isinstance(out, tuple) else out
    return criterion(out.reshape(-1, out.shape[-1]), y.reshape(-1))


def main() -> None:
    """Measure what the command line asks for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; all unless named")
    parser.add_argument("--task", choices=("train", "infer", "both"), default="both")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=40.0, help="for the turns of a row")
    parser.add_argument("--compilers", action="store_true", help="torch.compile takes part")
    parser.add_argument("--memory", action="store_true", help="show the peak memory of a process")
    parser.add_argument("--json", type=Path, help="where to write every single turn")
    asked = parser.parse_args()
    rows = []
    for name in asked.names or CASES:
        pictures = CASES[name].tokens == 0
        for task in ("train", "infer") if asked.task == "both" else (asked.task,):
            case, train = CASES[name], task == "train"
            who = [
                one
                for one in COMPETITORS
                if (asked.compilers or one != "torch.compile")
                and (pictures or one != "torch, channels last")
                and (not train or one not in ("frozen", "onnxruntime"))
            ]
            rows.append(
                measure(
                    name if train else f"{name}, one row",
                    case.goal if train else case.goal_of_a_row,
                    {one: partial(_work, case, one, task) for one in who},
                    asked.threads,
                    asked.seconds,
                    partial(Work, case, EXACT, task) if train else None,
                )
            )
            rows[-1]["goal_beside_onnxruntime"] = case.beside_onnxruntime
            print(table(rows[-1:], asked.memory), flush=True)
    print("\n" + table(rows, asked.memory))
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
