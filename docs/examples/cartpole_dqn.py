"""A deep Q-network balances a pole: it learns what each action is worth from what was remembered.

Run it by `python docs/examples/cartpole_dqn.py`. Source: Mnih and others 2015, Human-level control
through deep reinforcement learning; with the double estimate of van Hasselt, Guez and Silver 2016.
"""

from __future__ import annotations

import numpy as np
from cartpole import LONGEST, CartPole

import nnscratch
from nnscratch import nn, optim
from nnscratch.nn import functional as F

CARTS, DISCOUNT, BATCH, MEMORY, GOAL = 8, 0.99, 128, 50_000, 475.0


class Memory:
    """The last transitions: a state, the action in it, the state behind it, whether it fell."""

    def __init__(self) -> None:
        self.states = np.empty((MEMORY, 4), np.float32)
        self.actions = np.empty(MEMORY, np.int64)
        self.behind = np.empty((MEMORY, 4), np.float32)
        self.fallen = np.empty(MEMORY, np.float32)
        self.count = 0

    def add(self, *columns: np.ndarray) -> None:
        """Add N transitions in the place of the oldest."""
        places = (self.count + np.arange(len(columns[0]))) % MEMORY
        for kept, new in zip(self._columns, columns, strict=True):
            kept[places] = new
        self.count += len(places)

    def draw(self, random: np.random.Generator) -> list[nnscratch.Tensor]:
        """Return a batch of transitions that were drawn at random."""
        chosen = random.integers(0, min(self.count, MEMORY), BATCH)
        return [nnscratch.tensor(column[chosen]) for column in self._columns]

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.states, self.actions, self.behind, self.fallen


def q_network() -> nn.Module:
    """Return a network from states (N, 4) to the worth of each action (N, 2)."""
    return nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
                         nn.Linear(128, 2))  # fmt: skip


def evaluate(network: nn.Module, seed: int, carts: int = 100) -> float:
    """Return the mean length of 100 episodes in which the better action is always taken."""
    game = CartPole(carts, seed)
    state, standing, total = game.reset(), np.ones(carts, bool), 0
    for _ in range(LONGEST):
        total += int(standing.sum())
        with nnscratch.no_grad():
            worth = network(nnscratch.tensor(state, dtype=nnscratch.float32)).numpy()
        state, fallen = game.step(worth.argmax(1))
        standing &= ~fallen
        if not standing.any():
            break
    return total / carts


def train(steps: int = 6_000, seed: int = 0, say: bool = True) -> float:
    """Train a network until it balances the pole; return the mean length that it reached."""
    nnscratch.manual_seed(seed)
    network, target = q_network(), q_network()
    optimizer = optim.Adam(network.parameters(), lr=3e-4)
    target.load_state_dict(network.state_dict())
    game, memory, length = CartPole(CARTS, seed), Memory(), 0.0
    state = game.reset().astype(np.float32)

    def learn(states, actions, behind, fallen):
        with nnscratch.no_grad():
            best = network(behind).argmax(1, keepdim=True)
            later = target(behind).gather(1, best).squeeze(1)
            wanted = 1.0 + DISCOUNT * later * (1.0 - fallen)
        worth = network(states).gather(1, actions.unsqueeze(1)).squeeze(1)
        loss = F.smooth_l1_loss(worth, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for step in range(1, steps + 1):
        curious = max(0.05, 1.0 - step / 1500)
        with nnscratch.no_grad():
            worth = network(nnscratch.tensor(state)).numpy()
        actions = np.where(
            game.random.random(CARTS) < curious, game.random.integers(0, 2, CARTS), worth.argmax(1)
        )
        behind, fallen = game.step(actions)
        behind = behind.astype(np.float32)
        memory.add(state, actions, behind, fallen)
        over = fallen | (game.steps >= LONGEST)
        game.state = np.where(
            over[:, None], game.random.uniform(-0.05, 0.05, (CARTS, 4)), game.state
        )
        game.steps = np.where(over, 0, game.steps)
        state = game.state.astype(np.float32)
        if step * CARTS < 1000:
            continue
        learn(*memory.draw(game.random))
        with nnscratch.no_grad():  # the target follows slowly
            for slow, quick in zip(target.parameters(), network.parameters(), strict=True):
                slow.mul_(0.995).add_(quick * 0.005)
        if step % 500 == 0:
            length = evaluate(network, seed + step)
            if say:
                print(f"step {step:5d}: {length:5.1f} steps in the mean of 100 episodes")
            if length >= GOAL:
                break
    return length


if __name__ == "__main__":
    train()
