"""A few training steps of a large network as a whole process, which then says its peak memory.

    python memory.py nnscratch-compiled 4096 3 512 3 [--checkpoint]

prints JSON: the peak in bytes after the steps and at the end, that before the first step, the
losses, the seconds of the last step. It imports one library only, so that no other counts. With
--checkpoint, nnscratch also saves the run behind the steps, reads it back and takes another.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

LR = 1e-5
KINDS = ("nnscratch-compiled", "nnscratch-eager", "torch", "torch-fused", "torch-compile", "jax")


def peak() -> int:
    """Return the most bytes of real memory that this process ever had."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def weights(units: int, layers: int) -> Iterator[tuple[Any, Any]]:
    """Yield the weights of one layer after the other, so that they are never there all twice."""
    rng = np.random.default_rng(1)
    for _ in range(layers):
        W = rng.random((units, units), dtype=np.float32)
        W -= 0.5
        W *= 2 / np.float32(units) ** 0.5
        yield W, np.zeros(units, np.float32)


def nnscratch_or_torch(kind: str, units: int, layers: int) -> tuple[Callable[..., Any], Any, Any]:
    """Return a step, what makes tensors, and (model, optimizer); the two read alike."""
    name = kind.partition("-")[0]
    if name == "torch":
        import torch as lib
        from torch import nn
        from torch.optim import Adam
    else:
        import nnscratch as lib
        from nnscratch import nn
        from nnscratch.optim import Adam
    give: Any = lib.from_numpy if hasattr(lib, "from_numpy") else lib.tensor
    parts: list[Any] = []
    for index, (W, b) in enumerate(weights(units, layers)):
        layer = nn.Linear(units, units)
        with lib.no_grad():
            layer.weight.copy_(give(W))
            layer.bias.copy_(give(b))
        parts += [nn.ReLU(), layer] if index else [layer]
    model = nn.Sequential(*parts)
    options = {"fused": True} if kind in ("torch-fused", "torch-compile") else {}
    optimizer = Adam(model.parameters(), lr=LR, **options)
    criterion = nn.CrossEntropyLoss()

    def forward(x: Any, y: Any) -> Any:
        return criterion(model(x), y)

    run = lib.compile(forward) if kind == "torch-compile" else forward

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = run(x, y)
        loss.backward()
        optimizer.step()
        return loss

    if kind == "nnscratch-compiled":
        step = lib.compile(step)
    return step, give, (model, optimizer)


def jax(units: int, layers: int) -> tuple[Callable[..., Any], Any, Any]:
    """Return a step, and what makes arrays."""
    import jax
    import jax.numpy as jnp

    over = jax.tree.map
    params = [(jax.device_put(W), jax.device_put(b)) for W, b in weights(units, layers)]
    zeros = over(jnp.zeros_like, params)
    state = [(params, zeros, over(jnp.zeros_like, params), jnp.float32(0))]
    del params, zeros

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        for W, b in params[:-1]:
            x = jax.nn.relu(x @ W.T + b)
        W, b = params[-1]
        Z = x @ W.T + b
        chosen = jnp.take_along_axis(Z, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(Z, axis=1) - chosen)

    def update(state: Any, x: Any, y: Any) -> Any:
        params, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(params, x, y)
        t = t + 1
        m = over(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = over(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, root = LR / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        params = over(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), params, m, v)
        return (params, m, v, t), loss

    jitted = jax.jit(update, donate_argnums=0)

    def step(x: Any, y: Any) -> Any:
        state[0], loss = jitted(state[0], x, y)
        return loss

    return step, jnp.asarray, None


def save_and_resume(parts: Any) -> None:
    """Write model and optimizer to a file, as a run does, and read them back."""
    from nnscratch.train.checkpoint import (
        CHECKPOINT,
        load_into,
        load_optimizer,
        optimizer_state,
        record_of,
        write_record,
    )
    from nnscratch.train.tensor_file import TensorFile

    model, optimizer = parts
    arrays, record = optimizer_state(optimizer)
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.safetensors")
        write_record(path, CHECKPOINT, {**tensors, **arrays}, {"optimizer": record})
        with TensorFile(path) as file:
            load_into(file, "model.", model)
            load_optimizer(file, record_of(file, CHECKPOINT)["optimizer"], optimizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    for name in ("units", "layers", "rows", "steps"):
        parser.add_argument(name, type=int)
    parser.add_argument("--checkpoint", action="store_true")
    given = parser.parse_args()
    if given.kind == "jax":
        step, give, parts = jax(given.units, given.layers)
    else:
        step, give, parts = nnscratch_or_torch(given.kind, given.units, given.layers)
    start = peak()
    rng = np.random.default_rng(2)
    x = give(rng.standard_normal((given.rows, given.units), dtype=np.float32))
    y = give(rng.integers(0, given.units, given.rows))
    losses, seconds = [], 0.0
    for _ in range(given.steps):
        began = time.perf_counter()
        losses.append(float(step(x, y)))
        seconds = time.perf_counter() - began
    trained = peak()
    if given.checkpoint:
        save_and_resume(parts)
        losses.append(float(step(x, y)))
    found = {"peak": peak(), "trained": trained, "start": start}
    print(json.dumps({**found, "losses": losses, "seconds": seconds}))


if __name__ == "__main__":
    main()
