"""A run that is broken off anywhere and goes on: the bits of one that was left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import many_ranks
import pytest

from nnscratch.train import Trainer

OPTIONS: dict[str, dict[str, Any]] = {
    "compiled": {"compile": True},
    "compiled, clipped": {"compile": True, "clip_norm": 0.1},
    "compiled, groups": {"compile": True, "accumulate": 2, "clip_norm": 0.1},
    "compiled, shards": {"compile": True, "shards": 2, "clip_norm": 0.1},
    "shards": {"shards": 4},
    "spectral norm": {"compile": True, "model": "spectral", "shards": 2},
    "spectral norm of old": {"compile": True, "model": "old"},
    "noise on weights": {"compile": True, "model": "noise", "shards": 2},
}


class BrokenOff(Exception):
    """Raised in the middle of a run."""


def trained(folder: Path, options: dict[str, Any], breaks: int | None, resume: bool) -> str:
    def raises() -> None:
        raise BrokenOff

    options = dict(options)
    kind = options.pop("model", "")
    net = many_ranks._net
    model = many_ranks._computed(kind) if kind else net(outputs=3, dropout=0.2, norm=True)
    callbacks = [] if breaks is None else [many_ranks.At(0, breaks, raises)]
    trainer = Trainer(model, lr=0.01, seed=3, run_dir=folder, checkpoint_seconds=0.0,
                      callbacks=callbacks, scheduler="one_cycle", **options)  # fmt: skip
    data = many_ranks._data("classes")
    trainer.fit(data, 3, batch_size=16, validation=data, resume=resume)
    return many_ranks.sha(model)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_run_that_was_broken_off_ends_with_the_bits_of_a_quiet_one(
    name: str, tmp_path: Path
) -> None:
    options = OPTIONS[name]
    quiet = trained(tmp_path / "quiet", options, None, False)
    for breaks in (2, 6, 11):
        with pytest.raises(BrokenOff):
            trained(tmp_path / "run", options, breaks, True)
    assert trained(tmp_path / "run", options, None, True) == quiet
