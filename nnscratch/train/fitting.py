"""Training in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnscratch.nn import Module
from nnscratch.train.callbacks import Callback
from nnscratch.train.history import History
from nnscratch.train.progress import Progress
from nnscratch.train.trainer import Trainer


def fit(
    model: Module,
    data: Any,
    epochs: int = 10,
    *,
    validation: Any = None,
    batch_size: int = 32,
    shuffle: bool = True,
    resume: bool = False,
    verbose: bool = False,
    callbacks: Iterable[Callback] = (),
    **options: Any,
) -> History:
    """Train a model and return the history.

    What of a batch the model is given, and what the loss:

    - of a tuple or list, ``(input, ..., target)``, the last item is the target, and all others are
      positional arguments of the model;
    - of a dictionary, the item under ``target``, ``targets``, ``labels``, ``label`` or ``y`` is
      the target, and all others are keyword arguments of the model;
    - of anything else ``batch=`` makes one of these, or ``step=`` computes the loss:
      ``step(model, batch)``.

    Items may be nested themselves, and are handed on as they are: a loss of one's own can compare
    a dictionary of outputs with a tuple of targets. Only an input that ``forward`` cannot be given
    so is given in the one other way there is: a dictionary's only input by place to a model that
    has no argument of its name, and a pair or dictionary that is the only input, taken apart, to a
    model that has several.

    Args:
        model: what is trained, in place.
        data: a loader, a data set, a tuple of arrays (X, y) or (X1, X2, ..., y), or a dictionary
            of arrays.
        epochs: how many, those before a resumed checkpoint included.
        validation: like ``data``, for the loss and metrics after every epoch.
        batch_size: of data that are no loader yet.
        shuffle: likewise.
        resume: go on from the checkpoint in the run folder; if there is none, begin.
        verbose: show the progress (``Progress``): a line an epoch, on a terminal with a bar below;
            in a notebook a bar and curves that grow.
        callbacks: called around the steps, in this order.
        options: of ``Trainer``: loss, optimizer, lr, scheduler, metrics, class_weight, accumulate,
            clip_norm, device, seed, run_dir, compile, batch, step, ...

    Raises:
        NNScratchError: as ``Trainer`` and ``Trainer.fit``.

    >>> import numpy as np
    >>> from nnscratch import nn
    >>> X = np.random.default_rng(0).normal(size=(64, 3))
    >>> history = fit(nn.Linear(3, 1), (X, X @ np.ones((3, 1))), epochs=40, lr=0.1, seed=0)
    >>> history["train_loss"][-1] < 0.01
    True
    >>> class Bilinear(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(3, 1)
    ...     def forward(self, left, right):
    ...         return self.layer(left * right)
    >>> data = {"left": X, "right": X, "target": (X * X).sum(axis=1, keepdims=True)}
    >>> fit(Bilinear(), data, epochs=40, lr=0.1, seed=0)["train_loss"][-1] < 0.01
    True
    """
    listed = [*callbacks, *([Progress()] if verbose else [])]
    trainer = Trainer(model, callbacks=listed, **options)
    return trainer.fit(
        data,
        epochs,
        validation=validation,
        batch_size=batch_size,
        shuffle=shuffle,
        resume=resume,
    )
