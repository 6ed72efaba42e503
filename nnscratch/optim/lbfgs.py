"""L-BFGS: steps by curvature, as the last gradients show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.wolfe import strong_wolfe
from nnscratch.tensors import Tensor
from nnscratch.tensors.functions import cat
from nnscratch.tensors.grad_mode import enable_grad, no_grad


class LBFGS(Optimizer):
    r"""Quasi-Newton steps that remember some pairs of steps and changes of the gradient.

    The direction is $-H g$ with an inverse Hessian H that the last pairs s and
    $y = g_{k+1} - g_k$ make of $\frac{s^\top y}{y^\top y} I$ by the recursion in two loops
    (Nocedal 1980). A step calls a closure many times, which computes the loss and its gradients of
    the whole data set::

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(X), y)
            loss.backward()
            return loss

        optimizer.step(closure)

    Args:
        params: parameters; there is one group.
        lr: the length of a step, of the first trial with a line search.
        max_iter: directions in a step.
        max_eval: calls of the closure in a step, 1.25 ``max_iter`` unless given.
        tolerance_grad: it ends where no gradient is larger.
        tolerance_change: it ends where the loss or the parameters change by less.
        history_size: how many pairs are remembered.
        line_search_fn: "strong_wolfe", or None for steps of the length ``lr``.

    Raises:
        ConfigurationError: if a value makes no sense, or there are several groups.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        if not float(lr) >= 0.0:
            raise ConfigurationError(f"LBFGS: lr must not be negative, got {lr}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ConfigurationError(
                f"LBFGS: line_search_fn is 'strong_wolfe' or None, got {line_search_fn!r}"
            )
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ConfigurationError("LBFGS has one group of parameters; make one for each group")

    @property
    def _parameters(self) -> list[Tensor]:
        found: list[Tensor] = self.param_groups[0]["params"]
        return found

    def _gradient(self) -> Tensor:
        """Return all gradients as one vector, 0 where there is none."""
        return cat(
            [
                p.new_zeros(p.numel()) if p.grad is None else p.grad.detach().reshape(-1).clone()
                for p in self._parameters
            ]
        )

    def _move(self, t: float, d: Tensor) -> None:
        """Add t d to the parameters."""
        start = 0
        for p in self._parameters:
            p.add_(d[start : start + p.numel()].reshape(p.shape) * t)
            start += p.numel()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to ``max_iter`` steps, and return the loss before the first.

        Args:
            closure: computes the loss and its gradients, and returns the loss.

        Raises:
            ConfigurationError: without a closure.
        """
        if closure is None:
            raise ConfigurationError(
                "LBFGS: step needs a closure that computes the loss again; write "
                "optimizer.step(closure)"
            )

        def evaluate() -> Any:
            with enable_grad():
                return closure()

        with no_grad():
            return self._steps(evaluate)

    def _steps(self, evaluate: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        tolerance, change = group["tolerance_grad"], group["tolerance_change"]
        state = self._state[self._parameters[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = evaluate()
        loss, evaluations = float(first), 1
        state["func_evals"] += 1
        gradient = self._gradient()
        if _largest(gradient) <= tolerance:
            return first
        taken = 0
        while taken < group["max_iter"]:
            taken += 1
            state["n_iter"] += 1
            direction = self._direction(state, gradient)
            state["d"], state["prev_flat_grad"], state["prev_loss"] = direction, gradient, loss
            before, start = loss, float(group["lr"])
            if state["n_iter"] == 1:
                start *= min(1.0, 1.0 / float(gradient.abs().sum()))
            state["t"] = start
            slope = float(gradient.dot(direction))
            if slope > -change:
                break
            calls = 0
            if group["line_search_fn"] is not None:
                most = group["max_eval"] - evaluations
                loss, gradient, state["t"], calls = self._search(
                    evaluate, start, direction, loss, gradient, slope, most
                )
                self._move(state["t"], direction)
            else:
                self._move(start, direction)
                if taken != group["max_iter"]:  # of no use after the last one
                    loss, calls = float(evaluate()), 1
                    gradient = self._gradient()
            evaluations += calls
            state["func_evals"] += calls
            if taken == group["max_iter"] or evaluations >= group["max_eval"]:
                break
            if _largest(gradient) <= tolerance or _largest(direction * state["t"]) <= change:
                break
            if abs(loss - before) < change:
                break
        return first

    def _direction(self, state: dict[str, Any], gradient: Tensor) -> Tensor:
        """Return -H g, after the last pair has been remembered."""
        if state["n_iter"] == 1:
            state |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
            return -gradient
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = gradient - state["prev_flat_grad"], state["d"] * state["t"]
        along = float(y.dot(s))
        if along > 1e-10:
            if len(changes) == self.param_groups[0]["history_size"]:
                for one in (changes, steps, ro):
                    one.pop(0)
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / along)
            state["H_diag"] = along / float(y.dot(y))
        q, shares = -gradient, []
        for y, s, r in zip(reversed(changes), reversed(steps), reversed(ro), strict=True):
            shares.append(float(s.dot(q)) * r)
            q = q - y * shares[-1]
        q = q * state["H_diag"]
        for y, s, r, share in zip(changes, steps, ro, reversed(shares), strict=True):
            q = q + s * (share - float(y.dot(q)) * r)
        found: Tensor = q
        return found

    def _search(
        self,
        evaluate: Callable[[], Any],
        start: float,
        direction: Tensor,
        loss: float,
        gradient: Tensor,
        slope: float,
        most: int,
    ) -> tuple[float, Tensor, float, int]:
        kept = [p.detach().clone() for p in self._parameters]

        def at(t: float) -> tuple[float, Tensor]:
            self._move(t, direction)
            value, g = float(evaluate()), self._gradient()
            for p, old in zip(self._parameters, kept, strict=True):
                p.copy_(old)
            return value, g

        return strong_wolfe(at, start, direction, loss, gradient, slope, most=most)


def _largest(x: Tensor) -> float:
    return float(x.abs().max())
