"""A training function for tests: scikit-learn's digits, with dropout, momentum and a schedule, and mishaps on demand.

`run.config["mishaps"]` is a list of {"what", "step", "rank"}; each happens once, when that rank has trained that step,
which a file in `run.config["marks"]` remembers across attempts.
"""

import os
import random
import signal
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset, random_split

from trainjobs.coordination import Outcome, Vote
from trainjobs.runtime import Run


def train(run: Run) -> None:
    torch.manual_seed(3)
    random.seed(run.rank)
    digits = load_digits()
    data = TensorDataset(
        torch.tensor(digits.data[:600], dtype=torch.float32) / 16, torch.tensor(digits.target[:600])
    )
    training, validation = random_split(data, [401, 199], torch.Generator().manual_seed(0))
    model = run.prepare_model(
        nn.Sequential(
            nn.Linear(64, run.config.get("hidden", 32)),
            nn.BatchNorm1d(run.config.get("hidden", 32)),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(run.config.get("hidden", 32), 10),
        )
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    run.track(model=model, optimizer=optimizer, schedule=schedule)
    batches = run.prepare_loader(training, batch_size=16, shuffle=True)

    for epoch in run.epochs():
        model.train()
        for x, y in run.steps(batches, accumulate=run.config.get("accumulate", 1)):
            with run.gradient_sync(model):
                noise = 0.01 * random.random()
                loss = functional.cross_entropy(model(x + noise), y) * run.config.get("loss_factor", {}).get(
                    str(epoch), 1.0
                )
                loss.backward()
            if run.last_of_step:
                optimizer.step()
                optimizer.zero_grad()
            run.log(train_loss=(loss.detach() * len(y), len(y)))
            mishap(run, run.step + 1)
        schedule.step()
        model.eval()
        with torch.no_grad():
            for x, y in run.batches(run.prepare_loader(validation, batch_size=64)):
                scores = model(x)
                run.log(val_loss=(functional.cross_entropy(scores, y, reduction="sum"), len(y)))
        mishap(run, run.step, evaluation=True)
        run.report()

    with torch.no_grad():
        run.report(final_norm=sum(p.square().sum() for p in model.parameters()))


def mishap(run: Run, step: int, evaluation: bool = False) -> None:
    for number, planned in enumerate(run.config.get("mishaps", [])):
        mark = Path(run.config.get("marks", "/nonexistent")) / f"{number}"
        due = (
            planned["step"] == step
            and planned["rank"] == run.rank
            and planned.get("evaluation", False) == evaluation
        )
        if due and not mark.exists():
            mark.touch()
            MISHAPS[planned["what"]](run)


def die(run: Run) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(run: Run) -> None:
    raise ValueError("label 11 is not a digit")


def extra(run: Run) -> None:
    run.log(only_here=1.0)


def interrupt(run: Run) -> None:
    """As if this rank's process had been sent SIGTERM."""
    run._journey.coordinator.vote(Vote(run.rank, Outcome.INTERRUPTED, "test"))


MISHAPS = {"interrupt": interrupt, "die": die, "raise": fail, "extra metric": extra}
