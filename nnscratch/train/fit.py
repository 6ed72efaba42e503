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

    Args:
        model: what is trained, in place.
        data: a loader, a data set or a tuple (X, y).
        epochs: how many, those before a resumed checkpoint included.
        validation: like ``data``, for the loss and metrics after every epoch.
        batch_size: of data that are no loader yet.
        shuffle: likewise.
        resume: go on from the checkpoint in the run folder; if there is none, begin.
        verbose: show the progress.
        callbacks: called around the steps, in this order.
        options: of ``Trainer``: loss, optimizer, lr, scheduler, metrics, class_weight, accumulate,
            clip_norm, device, seed, run_dir, compile, ...

    Raises:
        NNScratchError: as ``Trainer`` and ``Trainer.fit``.

    >>> import numpy as np
    >>> from nnscratch import nn
    >>> X = np.random.default_rng(0).normal(size=(64, 3))
    >>> history = fit(nn.Linear(3, 1), (X, X @ np.ones((3, 1))), epochs=40, lr=0.1, seed=0)
    >>> history["train_loss"][-1] < 0.01
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
