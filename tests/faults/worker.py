"""Training runs to be killed: one process that imports once, and a fork of it for each run.

    python -m faults.worker

Each line on its input is JSON: {"folder": ..., "variant": ..., "after": seconds or null}. A child
trains in the folder, from its checkpoint if there is one; after that time it is killed with -9.
The answer is a line of JSON: how the child ended, and after how many seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from small_training import blobs, net

from nnscratch.optim import SGD
from nnscratch.train import EarlyStopping, LearningRateLog, Trainer, save_model

EPOCHS = 4
TRAIN, VALIDATION = blobs(80), blobs(21, seed=5)
VARIANTS: list[dict[str, Any]] = [
    {"optimizer": "adamw", "scheduler": "one_cycle"},
    {"optimizer": lambda p: SGD(p, lr=0.05, momentum=0.9), "lr": None, "scheduler": "plateau"},
    {"optimizer": "rmsprop", "accumulate": 3, "clip_norm": 0.5},
    {"optimizer": "nadam", "scheduler": "cosine", "class_weight": [1.0, 2.0, 0.5]},
]


def train(folder: Path, variant: int) -> None:
    options = {"lr": 0.01} | VARIANTS[variant]
    made = Trainer(
        net(),
        seed=1,
        run_dir=folder,
        # A checkpoint after every batch: most kills fall into the writing of one.
        checkpoint_seconds=0.0,
        compile=False,
        callbacks=[EarlyStopping(patience=500), LearningRateLog()],
        **options,
    )
    made.fit(TRAIN, EPOCHS, validation=VALIDATION, batch_size=8, resume=True)
    save_model(folder / "model.safetensors", made.model)


def child(order: dict[str, Any]) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        train(Path(order["folder"]), order["variant"])
        code = 0
    except BaseException as error:
        print(f"{order}: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def obey(order: dict[str, Any]) -> dict[str, Any]:
    # Only a process without threads may be forked and go on.
    assert threading.active_count() == 1
    began = time.perf_counter()
    process = child(order)
    if order["after"] is not None:
        time.sleep(order["after"])
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - began,
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), flush=True)
