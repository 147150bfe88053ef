"""Loops whose weight says when it was trained: the step it is from, or the epoch where no step is counted."""

import torch
from torch import nn
from torch.utils.data import TensorDataset

from trainjobs.runtime import Run, StoppingCoordinator

LOSSES = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0]


class Model(nn.Linear):
    """One weight, set to where the run is; a step of its optimizer changes nothing."""

    def __init__(self):
        super().__init__(1, 1, bias=False)

    def mark(self, place):
        with torch.no_grad():
            self.weight.fill_(float(place))


def prepared(run):
    run.model = Model()
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.0)
    run.loader = run.prepare_loader(TensorDataset(torch.zeros(8, 1)), batch_size=2)


def say(run):
    print(f"after the loop {run.model.weight.item():.0f}")


def epochs_alone(run: Run) -> None:
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        run.model.mark(epoch)
        run.report(loss=LOSSES[epoch - 1])
    say(run)


def two_reports(run: Run) -> None:
    """The second report of an epoch tells something else."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        for _ in run.steps(run.loader):
            run.model.mark(epoch)
        run.report(loss=LOSSES[epoch - 1])
        run.report(other=1.0)
    say(run)


def silent_epochs(run: Run) -> None:
    """Only every second epoch is reported, and no step is counted."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        run.model.mark(epoch)
        if epoch % 2:
            run.report(loss=LOSSES[epoch // 2])
    say(run)


def amid(run: Run) -> None:
    """Every batch is a step, and reported."""
    prepared(run)
    run.track(model=run.model)
    for _ in run.epochs():
        for _ in run.steps(run.loader):
            run.model.mark(run.step + 1)
            run.report(loss=LOSSES[min(run.step, 5)])
    say(run)


def before_the_steps(run: Run) -> None:
    """Each epoch begins with a report on what the last one has trained."""
    prepared(run)
    run.track(model=run.model)
    run.model.mark(0)
    for epoch in run.epochs():
        run.report(loss=LOSSES[epoch - 1])
        for _ in run.steps(run.loader):
            run.model.mark(epoch)
    say(run)


def left(run: Run) -> None:
    """Ends by itself with the best epoch."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        run.model.mark(epoch)
        run.report(loss=LOSSES[epoch - 1])
        if epoch == 3:
            break
    run.report(test=run.model.weight.item())
    say(run)


def own_reports(run: Run) -> None:
    prepared(run)
    coordinator = StoppingCoordinator.current()
    coordinator.track(model=run.model)
    for epoch in range(coordinator.epoch + 1, 7):
        run.model.mark(epoch)
        if coordinator.report(loss=LOSSES[epoch - 1]):
            break
    say(run)


def own_polls(run: Run) -> None:
    prepared(run)
    coordinator = StoppingCoordinator.current()
    coordinator.track(model=run.model, optimizer=run.optimizer)
    for epoch in range(coordinator.epoch + 1, 7):
        for _ in range(4):
            run.optimizer.step()
            run.model.mark(epoch)
            if coordinator.poll():
                return
        if coordinator.report(loss=LOSSES[epoch - 1]):
            break
    say(run)
