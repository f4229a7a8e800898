"""The parts of a small run: a line to be found."""

import numpy as np

import retrograd as rg
from retrograd.data import DataLoader, TensorDataset


def line(count=20, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 1))
    return TensorDataset(x, 3 * x + 1)


def parts(shuffle=True, lr=0.1):
    model = rg.nn.Linear(1, 1, rng=0)
    optimizer = rg.optim.SGD(model.parameters(), lr=lr)
    return model, DataLoader(line(), 6, shuffle, rng=1), rg.nn.MSELoss(), optimizer


def absolute(output, target):
    return np.abs(output - target).mean()
