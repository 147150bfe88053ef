"""A training function for tests that prints which samples it trains and evaluates, fed by `run.config["feed"]`.

Its model has BatchNorm, so that ranks exchange messages in forward passes too.
"""

from pathlib import Path

import torch
from asking import ask_and_await
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from trainjobs.coordination import Outcome
from trainjobs.runtime import Run


class Samples(Dataset):
    """Sample i is (features, i). It has `there` of them, whatever its length is."""

    def __init__(self, length, there=None):
        self.length, self.there = length, length if there is None else there

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index >= self.there:
            raise StopIteration
        return torch.sin(torch.arange(4) * (index + 1.0)), index


class Stream(IterableDataset):
    """A rank's own samples; its length is everybody's."""

    def __init__(self, counts, rank):
        self.counts, self.samples = counts, Samples(counts[rank])

    def __len__(self):
        return sum(self.counts)

    def __iter__(self):
        return (self.samples[index] for index in range(len(self.samples)))


class ShortSampler(Sampler):
    """Promises more than it yields."""

    def __init__(self, length, there):
        self.length, self.there = length, there

    def __len__(self):
        return self.length

    def __iter__(self):
        return iter(range(self.there))


class Stateful(DataLoader):
    """As torchdata's `StatefulDataLoader`: it counts the batches it has yielded, and a loaded state skips as many."""

    passed = resumes_at = 0

    def __iter__(self):
        self.passed, self.resumes_at = self.resumes_at, 0
        for index in range(self.passed * self.batch_size, len(self.dataset), self.batch_size):
            end = min(index + self.batch_size, len(self.dataset))
            print("read", index, flush=True)
            self.passed += 1
            yield self.collate_fn([self.dataset[i] for i in range(index, end)])

    def state_dict(self):
        return {"passed": self.passed}

    def load_state_dict(self, state):
        self.resumes_at = state["passed"]


def fed(run):
    """The loader that the test wants; `counts` are samples by rank."""
    counts = run.config["counts"]
    mine, most = counts[run.rank], max(counts)
    return {
        "stream": lambda: run.prepare_loader(Stream(counts, run.rank), batch_size=4),
        "own sampler": lambda: DataLoader(Samples(most), batch_size=4, sampler=ShortSampler(most, mine)),
        "ends early": lambda: DataLoader(Samples(run.config["length"], mine), batch_size=4),
        "stateful": lambda: Stateful(Samples(mine), batch_size=4),
        "seeded": lambda: DataLoader(
            Samples(mine), 4, shuffle=True, generator=torch.Generator().manual_seed(7)
        ),
        "list": lambda: list(DataLoader(Samples(mine), batch_size=4)),
        "prepared": lambda: run.prepare_loader(Samples(most), batch_size=4, shuffle=True),
    }[run.config["feed"]]()


def train(run: Run) -> None:
    torch.manual_seed(1)
    model = run.prepare_model(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run.track(model=model, optimizer=optimizer)
    loader = fed(run)
    validation = run.prepare_loader(Samples(run.config.get("validation", 9)), batch_size=1)
    for _ in run.epochs():
        model.train()
        for x, index in run.steps(loader, accumulate=run.config.get("accumulate", 1)):
            with run.gradient_sync(model):
                model(x).square().mean().backward()
            if run.last_of_step:
                optimizer.step()
                optimizer.zero_grad()
            run.log(trained=(index.sum(), len(index)))
            interrupt_at(run, run.step + 1)
            print("trained", *index.tolist(), "and stepped" * run.last_of_step)
            if run.config.get("evaluate_amid") == run.step + 1:
                evaluate(run, model, validation)
        if "evaluate_amid" not in run.config:
            evaluate(run, model, validation)
        run.report()


def evaluate(run, model, validation):
    model.eval()
    with torch.no_grad():
        for x, index in run.batches(validation):
            print("evaluated", *index.tolist())
            run.log(mean=(index.sum(), len(index)), loss=(model(x).square().sum(), len(x)))
    model.train()


def interrupt_at(run, step):
    """Once, on rank 0, within a few batches."""
    if run.config.get("interrupt") == step and run.rank == 0 and to_be_interrupted(run):
        mark(run).touch()
        ask_and_await(run, Outcome.INTERRUPTED)


def to_be_interrupted(run):
    """The manifest wants an interruption, and there was none yet."""
    return "interrupt" in run.config and not mark(run).exists()


def mark(run):
    return Path(run.config["marks"]) / "interrupted"
