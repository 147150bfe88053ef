"""A training function for tests: scikit-learn's digits, with dropout, momentum and a schedule, and mishaps on demand.

`run.config["mishaps"]` is a list of {"what", "step", "rank"}; each happens once, when that rank has trained that
step, which a file in `run.config["marks"]` remembers across attempts.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from asking import ask, ask_and_await
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import IterableDataset, TensorDataset, random_split

from trainjobs.coordination import Outcome
from trainjobs.runtime import Run, StoppingCoordinator


def digits():
    found = load_digits()
    x = torch.tensor(found.data[:600], dtype=torch.float32) / 16
    return random_split(
        TensorDataset(x, torch.tensor(found.target[:600])), [401, 199], torch.Generator().manual_seed(0)
    )


def network(hidden):
    return nn.Sequential(
        nn.Linear(64, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, 10)
    )


def train(run: Run) -> None:
    torch.manual_seed(3)
    random.seed(run.rank)
    training, validation = digits()
    model = run.prepare_model(network(run.config.get("hidden", 32)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    scaler = run.prepare_scaler()
    run.track(model=model, optimizer=optimizer, schedule=schedule)
    batches = loader(run, training)

    for epoch in run.epochs():
        print(f"epoch {epoch}")
        model.train()
        for x, y in run.steps(batches, accumulate=run.config.get("accumulate", 1)):
            with run.gradient_sync(model), run.autocast():
                loss = functional.cross_entropy(model(x + 0.01 * random.random()), y)
                scaler.scale(loss * spoiled(run, epoch)).backward()
            if run.last_of_step:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
            run.log(train_loss=(loss.detach() * len(y) * spoiled(run, epoch), len(y)))
            mishap(run, run.step + 1)
            time.sleep(run.config.get("pause", 0))
        schedule.step()
        model.eval()
        with torch.no_grad():
            for x, y in run.batches(run.prepare_loader(validation, batch_size=64)):
                run.log(val_loss=(functional.cross_entropy(model(x), y, reduction="sum"), len(y)))
        mishap(run, run.step, evaluation=True)
        run.report()

    with torch.no_grad():
        run.report(final_norm=sum(p.square().sum() for p in model.parameters()))


def loader(run, training):
    """A loader of ours, or one that is uneven over ranks, with or without a length."""
    kind = run.config.get("loader", "prepared")
    if kind == "prepared":
        return run.prepare_loader(training, batch_size=16, shuffle=True)
    mine = [training[i] for i in range(run.rank, 300 + 40 * run.rank, run.world_size)]
    if kind != "stream":
        return torch.utils.data.DataLoader(mine, batch_size=16, shuffle=kind == "shuffled")
    return torch.utils.data.DataLoader(Stream(mine), batch_size=16)


class Stream(IterableDataset):
    """Samples without a length."""

    def __init__(self, samples):
        self._samples = samples

    def __iter__(self):
        return iter(self._samples)


def existing_loop(run: Run) -> None:
    """A loop that was written without us, and three lines of ours."""
    torch.manual_seed(3)
    training, validation = digits()
    model = run.prepare_model(network(32))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    batches = run.prepare_loader(training, batch_size=16, shuffle=True)
    validation_batches = run.prepare_loader(validation, batch_size=64)
    coordinator = StoppingCoordinator.current()
    coordinator.track(model=model, optimizer=optimizer)
    for _ in range(coordinator.epoch, 20):
        for x, y in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            if coordinator.poll():
                return
            mishap(run, run.step)
        with torch.no_grad():
            losses = [functional.cross_entropy(model(x), y, reduction="sum") for x, y in validation_batches]
        if coordinator.report(val_loss=(sum(losses), sum(len(y) for _, y in validation_batches))):
            return


def three_lines(run: Run) -> None:
    """Nothing tracked, nothing checked: the smallest use there is."""
    coordinator = StoppingCoordinator.current()
    while not coordinator.poll():
        if run.step % 5 == 0:
            coordinator.report(val_loss=1.0)


def greet(run: Run) -> None:
    print(os.environ["GREETING"])


def no_report(run: Run) -> None:
    for _ in run.epochs():
        pass


def other_metric(run: Run) -> None:
    for _ in run.epochs():
        run.report(val_los=1.0)


def spoiled(run: Run, epoch: int) -> float:
    """Factor of the loss, for a NaN in a chosen epoch."""
    return float("nan") if run.config.get("nan_epoch") == epoch else 1.0


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


def freeze(run: Run) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def leave(code: int) -> Callable[[Run], None]:
    return lambda run: os._exit(code)


def misread(run: Run) -> None:
    raise RuntimeError("cannot read igloo/3.png: Connection closed by peer")


def fail(run: Run) -> None:
    raise ValueError("label 11 is not a digit")


def extra(run: Run) -> None:
    run.log(only_here=1.0)


def interrupt(run: Run) -> None:
    """As if this rank's process had been sent SIGTERM."""
    ask(run, Outcome.INTERRUPTED)


def interrupt_near(run: Run) -> None:
    """The same, and the run halts within a few steps."""
    ask_and_await(run, Outcome.INTERRUPTED)


def stop(run: Run) -> None:
    ask(run, Outcome.STOP_REQUESTED, "good enough")


def await_change(run: Run) -> None:
    """Go on once rank 0 judges by the other criteria, which have a limit of steps; the first ones have none."""
    while run._loop.coordinator._evaluator.limits.steps is None:
        time.sleep(0.005)


def hang(run: Run) -> None:
    threading.Event().wait()


def await_full_disk(run: Run) -> None:
    while not Path(run.config["disk"]).exists():
        time.sleep(0.005)


MISHAPS = {
    "freeze": freeze,
    "exit 3": leave(3),
    "exit 137": leave(137),
    "misread": misread,
    "await full disk": await_full_disk,
    "hang": hang,
    "interrupt": interrupt,
    "interrupt near": interrupt_near,
    "stop": stop,
    "await change": await_change,
    "die": die,
    "raise": fail,
    "extra metric": extra,
}
