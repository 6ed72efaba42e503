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
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_training import blobs, net

from nnscratch.optim import SGD
from nnscratch.train import EarlyStopping, LearningRateLog, Trainer, save_model

Work = Callable[[dict[str, Any]], int]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "OPENBLAS_NUM_THREADS": "1",
}
EPOCHS = 4
TRAIN, VALIDATION = blobs(80), blobs(21, seed=5)
VARIANTS: list[dict[str, Any]] = [
    {"optimizer": "adamw", "scheduler": "one_cycle"},
    {"optimizer": lambda p: SGD(p, lr=0.05, momentum=0.9), "lr": None, "scheduler": "plateau"},
    {"optimizer": "rmsprop", "accumulate": 3, "clip_norm": 0.5},
    {"optimizer": "nadam", "scheduler": "cosine", "class_weight": [1.0, 2.0, 0.5]},
]


def train(order: dict[str, Any]) -> int:
    folder = Path(order["folder"])
    options = {"lr": 0.01} | VARIANTS[order["variant"]]
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
    return 0


def child(order: dict[str, Any], work: Work) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        code = work(order)
    except BaseException as error:
        print(f"{order}: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def obey(order: dict[str, Any], work: Work) -> dict[str, Any]:
    # Only a process without threads may be forked and go on.
    assert threading.active_count() == 1
    began = time.perf_counter()
    process = child(order, work)
    if order.get("after") is not None:
        time.sleep(order["after"])
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - began,
    }


def serve(work: Work, told: Callable[[], dict[str, Any]] = dict) -> None:
    """Obey every line on the input, and answer with a line, to which ``told`` adds."""
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line), work) | told()), flush=True)


class Worker:
    """A process that runs one of the modules here, seen from the tests."""

    def __init__(self, module: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=ENVIRONMENT | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def give(self, **order: Any) -> dict[str, Any]:
        """Let it do something, and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    serve(train)
