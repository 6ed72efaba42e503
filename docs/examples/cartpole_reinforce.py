"""REINFORCE balances a pole: actions are made likelier by as much as what followed was good.

Run it by `python docs/examples/cartpole_reinforce.py`. Source: Williams 1992, Simple statistical
gradient-following algorithms for connectionist reinforcement learning.
"""

from __future__ import annotations

import numpy as np
from cartpole import LONGEST, CartPole

import nnscratch
from nnscratch import nn, optim
from nnscratch.nn import functional as F

CARTS, DISCOUNT, GOAL = 16, 0.99, 475.0


def play(policy: nn.Module, game: CartPole) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Play an episode with every cart.

    Returns:
        The states (M, 4) in which a cart still stood, the actions (M,) taken there, what each was
        worth (M,), and the mean length of the episodes.
    """
    state, standing = game.reset(), np.ones(CARTS, bool)
    states, actions, stood = [], [], []
    while standing.any() and len(states) < LONGEST:
        with nnscratch.no_grad():
            shares = policy(nnscratch.tensor(state, dtype=nnscratch.float32)).softmax(-1).numpy()
        action = (game.random.random(CARTS) < shares[:, 1]).astype(np.int64)
        states.append(state), actions.append(action), stood.append(standing)
        state, fallen = game.step(action)
        standing = standing & ~fallen
    played = np.array(stood)  # (T, N)
    worth, later = np.zeros(played.shape), np.zeros(CARTS)
    for t in reversed(range(len(played))):
        later = played[t] + DISCOUNT * later * played[t]
        worth[t] = later
    mask = played.astype(bool)
    return np.array(states)[mask], np.array(actions)[mask], worth[mask], float(played.sum(0).mean())


def train(updates: int = 200, seed: int = 0, say: bool = True) -> list[float]:
    """Train a policy until the last 100 episodes were as long as the goal; return the lengths."""
    nnscratch.manual_seed(seed)
    policy = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2))
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)
    game, lengths = CartPole(CARTS, seed), []
    for update in range(1, updates + 1):
        states, actions, worth, length = play(policy, game)
        advantage = (worth - worth.mean()) / (worth.std() + 1e-8)
        scores = policy(nnscratch.tensor(states, dtype=nnscratch.float32))
        surprise = F.cross_entropy(scores, nnscratch.tensor(actions), reduction="none")
        loss = (surprise * nnscratch.tensor(advantage, dtype=nnscratch.float32)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lengths.append(length)
        if say and (update % 10 == 0 or _solved(lengths)):
            print(f"update {update:3d}: {length:5.1f} steps, {update * CARTS} episodes")
        if _solved(lengths):
            break
    return lengths


def _solved(lengths: list[float]) -> bool:
    return len(lengths) >= 7 and np.mean(lengths[-7:]) >= GOAL  # 112 episodes


if __name__ == "__main__":
    train()
