"""The programs in docs/examples under PyTorch, from the same text.

    python -m benchmarks.examples --fashion FOLDER --spoken FOLDER
    python -m benchmarks.examples run fashion_mnist --network cnn --data FOLDER

The first takes the first steps of each program with both libraries, from the same weights and on
the same batches, without dropout, whose random numbers are each library's own, and prints the
losses beside one another. The second runs a program to its end under PyTorch, uncompiled.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from benchmarks.twins import program

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


class Losses(NamedTuple):
    """The losses of the first steps of a program, under both libraries."""

    name: str
    ours: list[float]
    theirs: list[float]

    @property
    def difference(self) -> float:
        """The largest difference, relative to PyTorch's loss."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return max(abs(a - b) / abs(b) for a, b in pairs)


class _Enough(BaseException):
    """As many steps were taken as were wanted."""


def _library(torch: bool) -> dict[str, Any]:
    """What of a library is watched: where the functions are, and its tensors and optimizers."""
    if torch:
        import torch as library
        from torch import nn, optim
        from torch.nn import functional
    else:
        import nnscratch as library
        from nnscratch import nn, optim
        from nnscratch.nn import functional
    return {
        "library": library,
        "nn": nn,
        "functional": functional,
        "tensor": library.Tensor,
        "optimizer": optim.Optimizer,
    }


@contextmanager
def _watched(
    torch: bool, steps: int, weights: list[list[np.ndarray]], losses: list[float]
) -> Iterator[None]:
    """Run what is inside until so many gradients were computed, noting the losses.

    The weights that every optimizer is made with are noted where ``torch`` is False, and set to
    those that were noted where it is True. Nothing is compiled, and nothing dropped.
    """
    parts = _library(torch)
    start, backward = parts["optimizer"].__init__, parts["tensor"].backward
    attention = parts["functional"].scaled_dot_product_attention
    made = 0

    def watched_start(self: Any, *arguments: Any, **options: Any) -> None:
        nonlocal made
        start(self, *arguments, **options)
        every = [one for group in self.param_groups for one in group["params"]]
        if not torch:
            weights.append([one.detach().numpy().copy() for one in every])
            return
        with parts["library"].no_grad():
            for one, value in zip(every, weights[made], strict=True):
                one.copy_(parts["library"].tensor(value))
        made += 1

    def watched_backward(self: Any, *arguments: Any, **options: Any) -> Any:
        losses.append(float(self.detach().item()))
        if len(losses) == steps:
            raise _Enough
        return backward(self, *arguments, **options)

    def whole_attention(*arguments: Any, **options: Any) -> Any:
        return attention(*arguments, **options | {"dropout_p": 0.0})

    with ExitStack() as stack:
        for place, name, new in (
            (parts["optimizer"], "__init__", watched_start),
            (parts["tensor"], "backward", watched_backward),
            (parts["nn"].Dropout, "forward", lambda self, x: x),
            (parts["functional"], "scaled_dot_product_attention", whole_attention),
            (parts["library"], "compile", lambda function: function),
        ):
            stack.enter_context(patch.object(place, name, new))
        try:
            yield
        except _Enough:
            pass


def first_losses(name: str, run: Callable[[Any], Any], steps: int, label: str = "") -> Losses:
    """Run the first steps of a program under both libraries.

    Args:
        name: the program in docs/examples.
        run: begins the training, given the program as a module.
        steps: how many to take.
        label: what to call it.
    """
    weights: list[list[np.ndarray]] = []
    found: list[list[float]] = [[], []]
    for torch, losses in zip((False, True), found, strict=True):
        with _importable():
            module = program(EXAMPLES / f"{name}.py", torch=torch)
            with _watched(torch, steps, weights, losses):
                run(module)
    return Losses(label or name, *found)


@contextmanager
def _importable() -> Iterator[None]:
    """Let a program import those beside it."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        yield
    finally:
        sys.path.remove(str(EXAMPLES))


def _train(module: Any, **options: Any) -> None:
    module.train(say=False, **options)


def compare(fashion: str | None, spoken: str | None, steps: int) -> Iterator[Losses]:
    """Compare all programs whose data are there."""
    if fashion is not None:
        for network in ("cnn", "resnet", "alexnet", "vgg16"):
            begin = partial(_train, network=network, data=fashion, epochs=1)
            yield first_losses("fashion_mnist", begin, steps, f"fashion_mnist, {network}")
    if spoken is not None:
        yield first_losses("spoken_digits", partial(_train, data=spoken), steps)
    yield first_losses("char_gpt", _train, steps)
    for name in ("cartpole_reinforce", "cartpole_dqn"):
        yield first_losses(name, _train, steps)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the first losses, or run one program under PyTorch."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        if len(given) < 2 or not (EXAMPLES / f"{given[1]}.py").is_file():
            names = ", ".join(sorted(path.stem for path in EXAMPLES.glob("*.py")))
            sys.exit(f"python -m benchmarks.examples run NAME, where NAME is one of {names}")
        with _importable(), patch.object(_library(True)["library"], "compile", lambda step: step):
            module = program(EXAMPLES / f"{given[1]}.py", torch=True)
            getattr(module, "main", lambda _: module.train())(given[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fashion", metavar="FOLDER", help="of Fashion-MNIST's four files")
    parser.add_argument("--spoken", metavar="FOLDER", help="of the spoken digits' recordings")
    parser.add_argument("--steps", type=int, default=5, help="how many to take (%(default)s)")
    options = parser.parse_args(given)
    for found in compare(options.fashion, options.spoken, options.steps):
        print(f"{found.name}: the largest difference is {found.difference:.1e} of the loss")
        for who, losses in (("nnscratch", found.ours), ("PyTorch", found.theirs)):
            print(f"    {who:<10} {'  '.join(f'{loss:.6f}' for loss in losses)}")


if __name__ == "__main__":
    main()
