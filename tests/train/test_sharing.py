"""What the step of a divided batch leaves to Python."""

from __future__ import annotations

import numpy as np
import pytest

from nnscratch import nn
from nnscratch.optim import Adam
from nnscratch.train import Trainer


@pytest.mark.parametrize("ignored", [False, True])
def test_a_compiled_shared_step_leaves_only_its_reduction_to_python(ignored: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 10)).astype(np.float32)
    y = rng.integers(0, 3, 64)
    if ignored:
        y[::5] = -100
    model = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 3))
    trainer = Trainer(
        model, loss="cross_entropy", optimizer=Adam(model.parameters()), compile=True, shards=2
    )
    trainer.fit((X, y), 2, batch_size=16)
    plans = trainer._stepper._step.plans  # type: ignore[union-attr]
    assert plans, "no step was compiled"
    for plan in plans:
        assert plan.python == 1
        # The batch is read where it lies.
        assert not plan._copies_arguments
