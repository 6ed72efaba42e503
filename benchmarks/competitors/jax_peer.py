"""JAX as a competitor: one jitted step with Adam written by hand, whose buffers are donated."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from benchmarks.competitors.base import Competitor
from benchmarks.competitors.numpy_peer import BETA1, BETA2, EPS
from benchmarks.competitors.workload import Array


class JaxJit(Competitor):
    """``jax.jit`` over forward, gradient and update."""

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Put the parameters on the device and jit the step and the prediction."""
        self.jax = jax = importlib.import_module("jax")
        jnp = importlib.import_module("jax.numpy")
        work = self.workload
        kind = "gpu" if self.device == "cuda" else "cpu"
        self.place = jax.devices(kind)[0]
        self.params = [(self.give(W), self.give(b)) for W, b in weights]
        activate = {
            "relu": jax.nn.relu,
            "sigmoid": jax.nn.sigmoid,
            "tanh": jnp.tanh,
            "gelu": functools.partial(jax.nn.gelu, approximate=False),
        }[work.activation]

        def predict(params: Any, x: Any) -> Any:
            for W, b in params[:-1]:
                x = activate(x @ W.T + b)
            W, b = params[-1]
            return x @ W.T + b

        def loss_of(params: Any, x: Any, y: Any) -> Any:
            Z = predict(params, x)
            if work.loss == "mse":
                return jnp.mean((Z - y) ** 2)
            chosen = jnp.take_along_axis(Z, y[:, None], axis=1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(Z, axis=1) - chosen)

        def step(state: Any, x: Any, y: Any) -> Any:
            params, first, second, count = state
            loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
            count = count + 1
            rate = work.lr / (1 - BETA1**count)
            root = jnp.sqrt(1 - BETA2**count)
            over = jax.tree.map
            first = over(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
            second = over(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
            params = over(
                lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + EPS), params, first, second
            )
            return (params, first, second, count), loss

        if work.task == "train":
            zeros = functools.partial(jax.tree.map, jnp.zeros_like)
            count = jax.device_put(jnp.float32(0), self.place)
            self.state = (self.params, zeros(self.params), zeros(self.params), count)
            del self.params
        self.jitted = jax.jit(step, donate_argnums=0)
        self.predicting = jax.jit(predict)

    def give(self, array: Array) -> Any:
        """Return an array on the device."""
        return self.jax.device_put(array, self.place)

    def step(self, x: Any, y: Any) -> Any:
        """Take one step."""
        self.state, loss = self.jitted(self.state, x, y)
        return loss

    def predict(self, x: Any) -> Any:
        """Return the outputs."""
        return self.predicting(self.params, x)

    def wait(self, value: Any) -> None:
        """Wait for a result: JAX returns before it is there."""
        if self.workload.task == "train":
            self.jax.block_until_ready(self.state)
        if value is not None:
            value.block_until_ready()


class JaxAwaited(JaxJit):
    """The same, waiting for each step as the other libraries do.

    JAX returns from a step before it is computed and prepares the next one meanwhile, as long as
    nobody looks at the loss.
    """

    def step(self, x: Any, y: Any) -> Any:
        """Take one step and wait for it."""
        loss = super().step(x, y)
        self.jax.block_until_ready(self.state)
        return loss
