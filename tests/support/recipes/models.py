"""Training functions for tests of models as people have them: wrapped, frozen, of each rank its own."""

import gc
import threading
from itertools import permutations

import torch
from digits import interrupt
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import TensorDataset

from trainjobs.runtime import Run

ORDERS = [
    "-".join(order) for length in range(4) for order in permutations(("ddp", "compile", "average"), length)
]


class Net(nn.Module):
    """With names that wrappers use too."""

    def __init__(self, width=4):
        super().__init__()
        self.module = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.utils.parametrizations.weight_norm(nn.Linear(width, 1))

    def forward(self, x):
        return self.head(self.norm(self.module(x)))


def wrapped(run, model, order):
    wrappers = {
        "ddp": run.prepare_model,
        "compile": lambda model: torch.compile(model, backend="eager"),
        "average": AveragedModel,
    }
    for name in filter(None, order.split("-")):
        model = wrappers[name](model)
    return model


def seeded(seed, width=4):
    torch.manual_seed(seed)
    return Net(width)


def loader(run, size=48):
    x = torch.randn(size, 4, generator=torch.Generator().manual_seed(1))
    return run.prepare_loader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=4, shuffle=True)


def all_orders(run: Run) -> None:
    """One model in every order of wrappers, all trained alike."""
    models = {order or "plain": wrapped(run, seeded(0), order) for order in ORDERS}
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models.values()]
    run.track(**models)
    for _ in run.epochs():
        for x, y in run.steps(loader(run), accumulate=2):
            for model, optimizer in zip(models.values(), optimizers, strict=True):
                with run.gradient_sync(model):
                    (model(x) - y).square().mean().backward()
                if run.last_of_step:
                    optimizer.step()
                    optimizer.zero_grad()
        run.report(val_loss=1.0)


def one_order(run: Run) -> None:
    """One model, wrapped as `config` says, its average, and an interruption."""
    torch.manual_seed(run.rank)
    width = run.config.get("width", 4)
    teacher = run.prepare_model(Net(width).eval().requires_grad_(False))
    model = wrapped(run, Net(width), run.config["order"])
    average = AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    run.track(model=model, average=average, optimizer=optimizer, teacher=teacher)
    for epoch in run.epochs():
        for x, _ in run.steps(loader(run)):
            optimizer.zero_grad()
            (model(x) - teacher(x)).square().mean().backward()
            optimizer.step()
            average.update_parameters(model)
            if epoch == 2 and run.config["interrupt"]:
                interrupt(run)
        print(f"tensors like a weight: {sum(like_a_weight(thing, width) for thing in gc.get_objects())}")
        run.report(val_loss=1.0)


def averaged_statistics(run: Run) -> None:
    """What BatchNorm has seen, in an average: of each rank's own batches, until the steps are over."""
    model = run.prepare_model(Net())
    own = model.module if run.config["own"] else model
    average = AveragedModel(own)
    run.track(model=model, average=average)
    data = loader(run)
    for _ in run.epochs():
        for i, (x, _) in enumerate(run.steps(data)):
            model(x + run.rank).sum().backward()
            average.update_parameters(own)
            if i == 1:
                for _ in run.batches(data):
                    pass
                tell_mean(average)
        tell_mean(average)
        run.report(val_loss=1.0)


def tell_mean(average):
    (mean,) = (value for name, value in average.named_buffers() if name.endswith("norm.running_mean"))
    print(f"statistics {mean.tolist()}")


def like_a_weight(thing, width):
    return type(thing) in (torch.Tensor, nn.Parameter) and thing.shape == (width, 4)


class Seen:
    """How many samples this rank has seen."""

    def __init__(self):
        self.n = 0

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


def counting(run: Run) -> None:
    """Counters and models that are each rank's own."""
    seen, common = Seen(), Seen()
    torch.manual_seed(run.rank)
    run.track(seen=seen, common=common, own=nn.Linear(2, 2))
    for epoch in run.epochs():
        seen.n += 10 + run.rank
        common.n += 1
        if epoch == 2 and run.config["interrupt"]:
            interrupt(run)
        run.report(val_loss=1.0)
    print(f"rank {run.rank} has seen {seen.n}, {common.n}")


def unpackable(run: Run) -> None:
    seen = Seen()
    run.track(seen=seen)
    for _ in run.epochs():
        if run.rank == 1:
            seen.n = threading.Lock()
        run.report(val_loss=1.0)
