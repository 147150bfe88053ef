"""Logistic regression on scikit-learn's breast cancer data by plain SGD, and its gradients compared by hand.

Each rank computes its own gradient a second time, of a model that nothing is wrapped around; all ranks gather them.
"""

import sys

import torch
import torch.distributed as dist
from feeds import interrupt_at, to_be_interrupted
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from trainjobs.runtime import Run
from trainjobs.runtime.models.gradient_statistics import AT_FIRST


def cancer():
    found = load_breast_cancer()
    x = torch.tensor(found.data, dtype=torch.float32)
    return TensorDataset((x - x.mean(0)) / x.std(0), torch.tensor(found.target, dtype=torch.float32))


def train(run: Run) -> None:
    torch.manual_seed(5)
    plain = nn.Linear(30, 1)
    model = run.prepare_model(plain)
    optimizer = torch.optim.SGD(model.parameters(), lr=run.config.get("learningRate", 0.05))
    run.track(model=model, optimizer=optimizer)
    accumulate, synced = run.config.get("accumulate", 1), run.config.get("synced", True)
    loader = run.prepare_loader(
        cancer(), batch_size=run.config.get("batch", 32), shuffle=True, drop_last=True
    )
    evaluated = range(sys.maxsize if to_be_interrupted(run) else 0)
    for _ in run.epochs():
        steps, own = [], torch.zeros(31)
        for x, y in run.steps(loader, accumulate=accumulate):
            own += gradient(plain, x, y)
            with run.gradient_sync(model) if synced else torch.enable_grad():
                loss(model, x, y).backward()
            if run.last_of_step:
                steps.append(gathered(own, run.world_size))
                own = torch.zeros(31)
                optimizer.step()
                optimizer.zero_grad()
        if steps:  # else a resumed function comes back after them
            run.log(train_loss=loss(plain, x, y).detach(), **compared(torch.stack(steps)[:AT_FIRST]))
        for _ in run.batches(evaluated):
            interrupt_at(run, run.step)
        run.report()


def loss(model, x, y):
    return functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)


def gradient(model, x, y):
    parts = torch.autograd.grad(loss(model, x, y), list(model.parameters()))
    return torch.cat([part.flatten() for part in parts])


def gathered(own, ranks):
    all_of_them = [torch.zeros_like(own) for _ in range(ranks)]
    dist.all_gather(all_of_them, own)
    return torch.stack(all_of_them)


def compared(gradients):
    """What is to be reported of gradients (step, rank, parameter)."""
    steps, ranks, _ = gradients.shape
    pairs = [(i, j) for i in range(ranks) for j in range(i)]
    far = [(gradients[:, i] - gradients[:, j]).square().sum(1).mean() for i, j in pairs]
    means = gradients.mean(1)
    rank = dist.get_rank()
    variance = (gradients[:, rank] - means).square().mean(0) * ranks / (ranks - 1) / ranks
    ratio = (means.square().mean(0) / variance).mean() * (steps - 2) / steps
    return {"pairwise": torch.stack(far).mean(), "by_hand": 1 - ratio}
