"""Small networks, batches and steps for the tests of compiled steps."""

import itertools

import numpy as np

import nnscratch
from nnscratch import nn


def network(seed=0, sizes=(4, 8, 3), activation=nn.ReLU, dropout=0.0):
    nnscratch.manual_seed(seed)
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers[: -2 if dropout else -1])


def batches(count, rows=131, features=4, classes=3, seed=1):
    rng = np.random.default_rng(seed)
    return [
        (
            nnscratch.tensor(rng.standard_normal((rows, features)), dtype="float32"),
            nnscratch.tensor(rng.integers(0, classes, rows)),
        )
        for _ in range(count)
    ]


def trainer(model, optimizer, loss=None, scheduler=None, clip=None):
    loss = loss or nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return value

    return step
