"""Training functions of every shape, and a halt at any of their places.

`run.config` says the shape: `api`, how the steps of an epoch are left (`leave`), where is evaluated (`evaluate`), where
is reported (`report`), and `halt`: the place of the function, counted over the run, at which an interruption is asked
for, once, which the file `mark` remembers. It comes some places later, or with `near` within a few.
"""

import random
from pathlib import Path

import torch
from asking import ask, ask_and_await
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from trainjobs.coordination import Outcome
from trainjobs.runtime import Run, StoppingCoordinator

SAMPLES, BATCH = 40, 4


class Counter:
    """Counts what the function did: over the run, and in this epoch."""

    def __init__(self):
        self.count = self.done = 0

    def state_dict(self):
        return dict(vars(self))

    def load_state_dict(self, state):
        vars(self).update(state)


class Stream(IterableDataset):
    def __init__(self, samples):
        self._samples = samples

    def __iter__(self):
        return iter(self._samples)


class Halts:
    """Asks for an interruption at the planned place."""

    def __init__(self, run):
        self._run = run
        self._places = 0
        self._mark = Path(run.config["mark"])

    def __call__(self):
        self._places += 1
        if self._places == self._run.config["halt"] and self._run.rank == 1 and not self._mark.exists():
            self._mark.touch()
            (ask_and_await if self._run.config["near"] else ask)(self._run, Outcome.INTERRUPTED)


class Parts:
    """What every shape trains."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.here = Halts(run)
        torch.manual_seed(1)
        random.seed(run.rank)
        x = torch.randn(SAMPLES, 4)
        self.data = TensorDataset(x, x.sum(1, keepdim=True))
        net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 1))
        self.model = run.prepare_model(net, **run.config.get("ddp", {}))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9)
        self.counter = Counter()
        self.tracked = {
            "model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "counter": self.counter
        }  # fmt: skip
        self.loader = self._loader()
        self.validation = run.prepare_loader(self.data, batch_size=8)

    def _loader(self):
        mine = [self.data[i] for i in range(self.run.rank, SAMPLES, self.run.world_size)]
        match self.run.config["loader"]:
            case "prepared":
                return self.run.prepare_loader(self.data, batch_size=BATCH, shuffle=True)
            case "own":
                return DataLoader(mine, batch_size=BATCH, shuffle=True)
            case "several":
                return [self.run.prepare_loader(self.data, batch_size=BATCH, shuffle=True), mine[::2]]
            case "stream":
                return DataLoader(Stream(mine), batch_size=BATCH)

    def step(self, x, y):
        self.model.train()
        with self.run.gradient_sync(self.model):
            loss = ((self.model(x + 0.01 * random.random()) - y) ** 2).mean()
            loss.backward()
        if self.run.last_of_step:
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.counter.count += 1
        self.counter.done += 1
        self.run.log(train_loss=loss.detach())
        self.here()

    def evaluate(self):
        self.model.eval()
        with torch.no_grad():
            for x, y in self.run.batches(self.validation):
                self.run.log(val_loss=(((self.model(x) - y) ** 2).sum(), len(x)))
                self.here()

    def values(self):
        return {"lr": self.optimizer.param_groups[0]["lr"], "count": self.counter.count}


class Oops(Exception):
    """The function's own, and caught by it."""


def train(run: Run) -> None:
    """`Run`, with everything that a loop's body may do."""
    parts, config = Parts(run), run.config
    run.track(**parts.tracked)
    for epoch in run.epochs():
        parts.counter.done = 0
        parts.optimizer.zero_grad()  # gradients of a step that a `break` left unfinished are in no checkpoint
        if config["prelude"]:
            torch.manual_seed(100 + epoch)
            parts.counter.count += 100
            run.log(prelude=1.0)
        parts.here()
        try:
            train_epoch(run, parts)
        except Oops:
            parts.counter.count += 1000
        parts.here()
        if config["report"] != "amid":
            if config["evaluate"] != "amid":
                parts.evaluate()
            parts.here()
            run.report(**parts.values())
            parts.here()
        parts.schedule.step()
        parts.here()
        if config["epochs"] and epoch == config["epochs"]:
            break
    parts.evaluate()
    run.report(**parts.values())


def train_epoch(run, parts):
    config = run.config
    limit = 3 if config["leave"] == "limit" else None
    loaders = parts.loader if config["loader"] == "several" else [parts.loader]
    for batch in run.steps(*loaders, accumulate=config["accumulate"], limit=limit):
        x, y = batch[0] if config["loader"] == "several" else batch
        parts.step(x, y)
        done = parts.counter.done
        if done % 2 == 0 and config["evaluate"] != "after":
            parts.evaluate()
        if done % 2 == 0 and config["report"] != "end":
            run.report(**parts.values())
            parts.here()
            parts.counter.count += 10
        if config["leave"] == "break" and done == 4:
            break
        if config["leave"] == "raise" and done == 4:
            raise Oops


def other_weights(run: Run) -> None:
    """Weights are written before the steps, and others stand in their place while it evaluates.

    `run.config["write"]` says how: as torch's own code does, or through `.data`, as averages of others do.
    """
    parts = Parts(run)
    run.track(**parts.tracked)

    def weights():
        given = run.config.get("write") == "data"
        return [weight.data if given else weight for weight in parts.model.parameters()]

    for _ in run.epochs():
        with torch.no_grad():
            for weight in weights():
                weight.mul_(0.9)
        parts.here()
        for x, y in run.steps(parts.loader):
            parts.step(x, y)
        own = [weight.detach().clone() for weight in weights()]
        if run.config["evaluate"] == "after":
            with torch.no_grad():
                for weight in weights():
                    weight.zero_()
        parts.evaluate()
        with torch.no_grad():
            for weight, value in zip(weights(), own, strict=True):
                weight.copy_(value)
        run.report(**parts.values())
        parts.here()


def halved_states(run: Run) -> None:
    """Each epoch begins with half the momentum, and half of BatchNorm's statistics."""
    parts = Parts(run)
    run.track(**parts.tracked)
    for _ in run.epochs():
        with torch.no_grad():
            for state in parts.optimizer.state.values():
                state["momentum_buffer"].mul_(0.5)
            for buffer in parts.model.buffers():
                buffer.div_(2, rounding_mode="trunc")
        parts.here()
        for x, y in run.steps(parts.loader):
            parts.step(x, y)
        parts.evaluate()
        run.report(**parts.values())
        parts.here()


def kept_iterators(run: Run) -> None:
    """Loops that an error ended are still referred to, and forgotten amid the steps of a later one."""
    parts = Parts(run)
    run.track(**parts.tracked)
    kept = []

    def train_on():
        epochs = run.epochs()
        for _ in epochs:
            parts.counter.done = 0
            batches = run.steps(parts.loader)
            for x, y in batches:
                parts.step(x, y)
                if parts.counter.count == 3:
                    raise Oops
                if parts.counter.done == 2:
                    kept.clear()
            parts.evaluate()
            run.report(**parts.values())

    try:
        train_on()
    except Oops as error:
        kept.append(error)
    train_on()
    run.report(**parts.values())


def named_iterator(run: Run) -> None:
    """The iterator of the epoch's steps keeps a name after the loop is left, unless `run.config["forget"]`."""
    parts = Parts(run)
    run.track(**parts.tracked)
    for _ in run.epochs():
        batches = run.steps(parts.loader)
        for x, y in batches:
            parts.step(x, y)
            break
        if run.config["forget"]:
            del batches
        run.report(val_loss=1.0)


def one_iterator(run: Run) -> None:
    """All epochs are to share one pass over the loader, which no resume could find again."""
    parts = Parts(run)
    run.track(**parts.tracked)
    batches = run.steps(parts.loader)
    for _ in run.epochs():
        parts.step(*next(batches))
        run.report(val_loss=1.0)


def own_steps(run: Run) -> None:
    """An existing loop with `coordinator.steps`."""
    parts, config = Parts(run), run.config
    coordinator = StoppingCoordinator.current()
    coordinator.track(**parts.tracked)
    for _ in range(coordinator.epoch, 3):
        parts.here()
        for x, y in coordinator.steps(parts.loader, accumulate=config["accumulate"]):
            parts.step(x, y)
        if coordinator.decision:
            return
        parts.here()
        if coordinator.report(val_loss=parts.counter.count, **parts.values()):
            return
        parts.schedule.step()
        parts.here()


def own_polls_amid(run: Run) -> None:
    """The same, asked to halt anywhere."""
    parts = Parts(run)
    coordinator = StoppingCoordinator.current()
    coordinator.track(**parts.tracked)
    for _ in range(coordinator.epoch, 3):
        for x, y in parts.loader:
            parts.step(x, y)
            if coordinator.poll():
                return
        coordinator.report(val_loss=parts.counter.count, **parts.values())


def own_polls(run: Run) -> None:
    """An existing loop with `poll`; asked to halt only near a report, since it is exact only there."""
    parts = Parts(run)
    coordinator = StoppingCoordinator.current()
    coordinator.track(**parts.tracked)
    here, parts.here = parts.here, lambda: None
    for _ in range(coordinator.epoch, 3):
        for x, y in parts.loader:
            parts.step(x, y)
            if coordinator.poll():
                return
        here()
        if coordinator.report(val_loss=parts.counter.count, **parts.values()):
            return
        parts.schedule.step()


def own_epochs(run: Run) -> None:
    """Epochs whose work does not come out of a loader: nothing goes through `run.steps`."""
    parts = Parts(run)
    run.track(**parts.tracked)
    for _ in run.epochs():
        generator = torch.Generator().manual_seed(0)
        for i in torch.randperm(SAMPLES, generator=generator).split(8):
            parts.step(*parts.data[i])
        parts.evaluate()
        parts.here()
        run.report(**parts.values())
        parts.here()
        parts.schedule.step()


def by_the_reduced_loss(run: Run) -> None:
    """The rate follows the reduced loss, and what follows the steps uses a variable of theirs."""
    parts = Parts(run)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        parts.optimizer, factor=0.5, patience=0, threshold=10
    )
    run.track(**parts.tracked, plateau=plateau)
    for _ in run.epochs():
        for x, y in run.steps(parts.loader):
            parts.step(x, y)
            loss = ((parts.model(x) - y) ** 2).mean().detach()
        report = run.report(val_loss=loss * (1 + run.rank), **parts.values())
        plateau.step(report["val_loss"])
        print(f"rate {parts.values()['lr']}")


def late_schedule(run: Run) -> None:
    """Weights are set and a schedule is made, which sets the rate, after what they write to was tracked."""
    parts = Parts(run)
    run.track(model=parts.model, optimizer=parts.optimizer, counter=parts.counter)
    with torch.no_grad():
        for weight in parts.model.parameters():
            weight.fill_(0.1)
    parts.schedule = torch.optim.lr_scheduler.LambdaLR(parts.optimizer, lambda epoch: 1 / (1 + epoch))
    run.track(schedule=parts.schedule)
    for _ in run.epochs():
        for x, y in run.steps(parts.loader):
            parts.step(x, y)
        parts.evaluate()
        run.report(**parts.values())
        parts.schedule.step()
        parts.here()


def own_late_schedule(run: Run) -> None:
    """The same in an existing loop, but for the weights."""
    parts = Parts(run)
    coordinator = StoppingCoordinator.current()
    coordinator.track(model=parts.model, optimizer=parts.optimizer, counter=parts.counter)
    parts.schedule = torch.optim.lr_scheduler.LambdaLR(parts.optimizer, lambda epoch: 1 / (1 + epoch))
    coordinator.track(schedule=parts.schedule)
    for _ in range(coordinator.epoch, 3):
        for x, y in coordinator.steps(parts.loader):
            parts.step(x, y)
        if coordinator.decision or coordinator.report(val_loss=parts.counter.count, **parts.values()):
            return
        parts.schedule.step()


def written_in_evaluation(run: Run) -> None:
    """The evaluation moves BatchNorm's statistics: nobody has said `model.eval()`."""
    parts = Parts(run)
    run.track(**parts.tracked)
    for _ in run.epochs():
        for x, y in run.steps(parts.loader):
            parts.step(x, y)
        with torch.no_grad():
            for x, y in run.batches(parts.validation):
                run.log(val_loss=(((parts.model(x) - y) ** 2).sum(), len(x)))
                parts.here()
        run.report(**parts.values())


def uneven_evaluation(run: Run) -> None:
    """Each rank evaluates `run.config["batches"]` batches of its own, with gradients that nobody has turned off."""
    parts = Parts(run)
    run.track(**parts.tracked)
    validation = [parts.data[i : i + 2] for i in range(run.config["batches"][run.rank])]
    for _ in run.epochs():
        for x, y in run.steps(parts.loader):
            parts.step(x, y)
            if run.config["leave"] == "break" and parts.counter.count % 3 == 0:
                break
        parts.model.eval()
        for x, y in run.batches(validation):
            run.log(val_loss=(((parts.model(x) - y) ** 2).sum().detach(), len(x)))
            parts.here()
        report = run.report(**parts.values())
        print(f"val_loss {report['val_loss']:.3f}")
        parts.schedule.step()
