"""CartPole: a cart is pushed to the left or right so that the pole on it does not fall.

The equations are those of Barto, Sutton and Anderson 1983, Neuronlike adaptive elements that can
solve difficult learning control problems; limits and lengths those of Gymnasium's CartPole-v1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LONGEST = 500
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
FARTHEST, STEEPEST = 2.4, 12 * np.pi / 180


class CartPole:
    """So many carts side by side, each with a state of its own.

    A state is the cart's place and speed, and the pole's angle and angular speed. Every step gives
    the reward 1, until the cart leaves its track, the pole leans too far, or 500 steps are over.
    """

    def __init__(self, carts: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.carts = carts

    def reset(self) -> Array:
        """Set all carts to a state near the middle, and return the states (N, 4)."""
        self.state = self.random.uniform(-0.05, 0.05, (self.carts, 4))
        self.steps = np.zeros(self.carts, int)
        return self.state

    def step(self, actions: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Push all carts to the left (0) or right (1); return the states, and which have fallen."""
        _, speed, angle, turning = self.state.T
        force = np.where(actions == 1, FORCE, -FORCE)
        sin, cos = np.sin(angle), np.cos(angle)
        mass = CART + POLE
        push = (force + POLE * HALF_LENGTH * turning**2 * sin) / mass
        inertia = HALF_LENGTH * (4.0 / 3.0 - POLE * cos**2 / mass)
        twist = (GRAVITY * sin - cos * push) / inertia
        pull = push - POLE * HALF_LENGTH * twist * cos / mass
        change = np.stack((speed, pull, turning, twist), axis=1)
        self.state = self.state + SECONDS * change
        self.steps += 1
        fallen = (abs(self.state[:, 0]) > FARTHEST) | (abs(self.state[:, 2]) > STEEPEST)
        return self.state, fallen
