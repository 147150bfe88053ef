"""Loops whose weight says when it was trained: the step it is from, or the epoch where no step is counted."""

import sys
import time
from pathlib import Path

import torch
from asking import ask, ask_and_await
from torch import nn
from torch.utils.data import TensorDataset

from trainjobs.coordination import Outcome
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
    loop, mark = run._loop, Path(run.config["marks"]) / "interrupted"
    judge = loop.evaluation.judge

    def judge_and_interrupt():
        """Ask for an interruption, once, where the test wants it."""
        report = judge()
        if len(loop.coordinator.history) == run.config.get("interrupt") and not mark.exists():
            mark.touch()
            ask(run, Outcome.INTERRUPTED)
        return report

    loop.evaluation.judge = judge_and_interrupt


def say(run):
    print(f"after the loop {run.model.weight.item():.0f}")


def epochs_alone(run: Run) -> None:
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        run.model.mark(epoch)
        run.report(loss=LOSSES[epoch - 1])
        if epoch == 1 and run.config.get("await_change"):
            while run._loop.coordinator._evaluator.limits.steps is None:
                time.sleep(0.005)
        if epoch == 4:
            spoil_the_second(run)
    say(run)


def spoil_the_second(run):
    """Do what the test wants to the checkpoint of the second report."""
    for path in (Path(run.config["marks"]).parent / "run/checkpoints").glob("*report-00002*"):
        match run.config.get("spoil"):
            case "lose":
                path.unlink()
            case "damage":
                path.write_bytes(b"nothing")


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


def amid_a_step(run: Run) -> None:
    """Every batch is reported, and three make a step: the second report is the best, amid the first step."""
    prepared(run)
    run.track(model=run.model, optimizer=run.optimizer)
    reports = 0
    for epoch in run.epochs():
        for _ in run.steps(run.loader, accumulate=3):
            reports = 4 * (epoch - 1) + reports % 4 + 1
            run.model.mark(reports)
            run.report(loss=LOSSES[min(reports, 6) - 1])
    say(run)


def inner_loop(run: Run) -> None:
    """Several reports an epoch without any step."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        for half in (0, 1):
            run.model.mark(2 * epoch + half)
            run.report(loss=LOSSES[2 * epoch + half - 1] if epoch < 3 else 2.0)
    say(run)


def averaged(run: Run) -> None:
    """Other weights stand in the model's place while it is reported, put there as averages often are."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        for _ in run.steps(run.loader):
            run.model.mark(100 + epoch)
        run.model.weight.data.fill_(float(epoch))
        run.report(loss=LOSSES[epoch - 1])
        run.model.weight.data.fill_(float(100 + epoch))
    say(run)


def spoiled_before_the_steps(run: Run) -> None:
    """A report, then other weights, then steps that the run does not come to any more."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        run.model.mark(epoch)
        run.report(loss=LOSSES[epoch - 1])
        run.model.mark(100)
        for _ in run.steps(run.loader):
            run.model.mark(101)
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


def rarely(run: Run) -> None:
    """One report, amid the second epoch, and an end three epochs later."""
    prepared(run)
    run.track(model=run.model)
    for _ in run.epochs():
        for _ in run.steps(run.loader):
            run.model.mark(run.step + 1)
            run.log(loss=1.0 / (run.step + 1))
            if run.step == 5:
                run.report()
            if run.step == run.config["leave"] and run.config["by"] == "break":
                break
            if run.step == run.config["leave"]:
                ask_and_await(run, Outcome[run.config["by"]], "good enough")
        else:
            continue
        break
    run.report(test=1.0)
    say(run)


def untracked(run: Run) -> None:
    run.prepare_model(torch.nn.Linear(1, 1))
    for _ in run.epochs():
        run.report(loss=1.0)


def exits(run: Run) -> None:
    """Ends by itself as a program does."""
    prepared(run)
    run.track(model=run.model)
    for epoch in run.epochs():
        run.model.mark(epoch)
        run.report(loss=LOSSES[epoch - 1])
        if epoch == 3:
            sys.exit(0)


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
