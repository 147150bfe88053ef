"""Training functions for tests of what checkpoints hold: a small model, and an object with a state of its own."""

import numpy as np
import torch
from asking import ask_and_await
from torch import nn
from torch.utils.data import TensorDataset

from trainjobs.coordination import Outcome
from trainjobs.runtime import Run


class Score:
    """A number with a unit, as a user's own type; other processes may read it."""

    def __init__(self, value):
        self.value = value


class LateScore(Score):
    """It is allowed when training has begun."""


torch.serialization.add_safe_globals([Score])


class BestScore:
    """Remembers the best score once a warm-up of two epochs is over."""

    def __init__(self, make):
        self.best = 0.0
        self.make = make

    def update(self, epoch):
        if epoch > 2:
            self.best = self.make(epoch)

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        self.best = state["best"]


MAKE = {"number": float, "numpy": lambda epoch: np.mean([epoch]), "own": Score, "late": LateScore}


def train(run: Run) -> None:
    torch.manual_seed(0)
    torch.serialization.add_safe_globals([LateScore])
    x = torch.randn(32, 4)
    model = run.prepare_model(nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    best = BestScore(MAKE[run.config.get("score", "number")])
    run.track(model=model, optimizer=optimizer, best=best)
    loader = run.prepare_loader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8, shuffle=True)
    for epoch in run.epochs():
        for xb, yb in run.steps(loader):
            optimizer.zero_grad()
            loss = (model(xb) - yb).square().mean()
            loss.backward()
            optimizer.step()
        best.update(epoch)
        run.report(loss=loss)
        if epoch == run.config.get("interrupt"):
            ask_and_await(run, Outcome.INTERRUPTED)


def without_steps(run: Run) -> None:
    """A loop with an inner loop of its own: its steps are not counted. The second epoch is the best."""
    model = nn.Linear(1, 1)
    run.track(model=model)
    for epoch in run.epochs():
        with torch.no_grad():
            model.weight.fill_(epoch)
        run.report(loss=abs(epoch - 2))
