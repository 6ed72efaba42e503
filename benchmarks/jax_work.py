"""A network of ``benchmarks.networks`` in JAX: one jitted step whose buffers are donated."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def only(threads: int) -> None:
    """Keep this process, and so XLA's pool, to so many processors; before JAX is loaded."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


class JaxWork:
    """A network with its batches.

    Args:
        model: the twin, of layers of ``benchmarks.jax_layers``.
        state: the weights and buffers by name, NumPy's.
        inputs: the batches, pictures (N, C, H, W) or tokens (N, T).
        targets: their classes.
        rate: Adam's.
        decay: AdamW's weight decay; 0 for Adam.
        train: whether steps train, or return the mean size of the outputs.
    """

    def __init__(
        self, model: Any, state: dict[str, Any], inputs: list[Any], targets: list[Any],
        rate: float, decay: float, train: bool,
    ) -> None:  # fmt: skip
        import jax
        import jax.numpy as jnp

        from benchmarks.jax_layers import Buffer, Tensor

        tensors = dict(model.named_tensors())
        for name, one in tensors.items():
            if one.array.shape != state[name].shape:
                raise ValueError(f"{name} is {one.array.shape} here, {state[name].shape} there")
            one.array = jnp.asarray(state[name])
        parameters = [one for _, one in model.named_parameters()]
        buffers = [one for one in tensors.values() if isinstance(one, Buffer)]
        pictures = inputs[0].ndim == 4
        model.train(train)

        def outputs(x: Any) -> Any:
            out = model(Tensor(x, picture=pictures))
            return (out[0] if isinstance(out, tuple) else out).array

        def put(holders: Any, arrays: Any) -> None:
            for holder, array in zip(holders, arrays, strict=True):
                holder.array = array

        def loss_of(values: Any, kept: Any, x: Any, y: Any) -> Any:
            put(parameters, values)
            put(buffers, kept)
            Z = outputs(x)
            Z = Z.reshape(-1, Z.shape[-1])
            chosen = jnp.take_along_axis(Z, y.reshape(-1, 1), axis=1)[:, 0]
            loss = jnp.mean(jax.nn.logsumexp(Z, axis=1) - chosen)
            return loss, [one.array for one in buffers]

        def step(before: Any, x: Any, y: Any) -> Any:
            values, kept, first, second, count = before
            (loss, kept), gradients = self.gradient(values, kept, x, y)
            count = count + 1
            scale, root = rate / (1 - BETA1**count), jnp.sqrt(1 - BETA2**count)
            over = jax.tree.map
            first = over(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
            second = over(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
            values = over(
                lambda p, m, v: p * (1 - rate * decay) - scale * m / (jnp.sqrt(v) / root + EPS),
                values, first, second,
            )  # fmt: skip
            return (values, kept, first, second, count), loss

        def infer(values: Any, kept: Any, x: Any) -> Any:
            put(parameters, values)
            put(buffers, kept)
            return jnp.abs(outputs(x)).mean()

        self.gradient = jax.value_and_grad(loss_of, has_aux=True)
        values, kept = [one.array for one in parameters], [one.array for one in buffers]
        zeros = [jnp.zeros_like(one) for one in values]
        self.start = [np.array(one) for one in values], [np.array(one) for one in kept]
        self.state: Any = (values, kept, zeros, [jnp.copy(one) for one in zeros], jnp.float32(0))
        # Moved once; a step's time is then the step's, as with the other libraries.
        turn = (0, 2, 3, 1) if pictures else (0, 1)
        self.inputs = [jnp.asarray(np.ascontiguousarray(one.transpose(turn))) for one in inputs]
        self.targets = [jnp.asarray(one) for one in targets]
        self.trains, self.count = train, 0
        self.jitted = jax.jit(step, donate_argnums=0) if train else jax.jit(infer)

    def run(self, count: int) -> float:
        """Take steps, and return the last one's loss."""
        loss: Any = 0.0
        for _ in range(count):
            index = self.count % len(self.inputs)
            if self.trains:
                self.state, loss = self.jitted(self.state, self.inputs[index], self.targets[index])
            else:
                loss = self.jitted(*self.state[:2], self.inputs[index])
            self.count += 1
        found = float(loss)
        if self.trains:
            self.state[0][0].block_until_ready()
        return found

    def gradients(self) -> list[Any]:
        """Return the parameters' gradients of the first step of training."""
        _, found = self.gradient(*self.start, self.inputs[0], self.targets[0])
        return [np.array(one) for one in found]
