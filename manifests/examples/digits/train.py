"""A two-layer network on scikit-learn's digits: 1,797 real images of 8 by 8 pixels."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset, random_split

from trainjobs import Run


def train(run: Run) -> None:
    torch.manual_seed(run.config["seed"])
    digits = load_digits()
    data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))
    training, validation, test = random_split(data, [1257, 270, 270], torch.Generator().manual_seed(0))

    hidden = run.config["hidden"]
    model = run.prepare_model(
        nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, 10))
    )
    optimizer = optimizer_for(model, run.config)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
    run.track(model=model, optimizer=optimizer, schedule=schedule)
    batches = run.prepare_loader(training, batch_size=run.config["batchSize"], shuffle=True)

    for _ in run.epochs():
        model.train()
        for x, y in run.steps(batches):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            run.log(train_loss=(loss.detach() * len(y), len(y)))
        evaluate(run, model, validation, "val")
        run.report()
        schedule.step()

    evaluate(run, model, test, "test")
    run.report()


def optimizer_for(model: nn.Module, config) -> torch.optim.Optimizer:
    if config.get("optimizer", "sgd") == "adam":
        return torch.optim.Adam(model.parameters(), lr=config["learningRate"])
    momentum = config.get("momentum", 0.9)
    return torch.optim.SGD(model.parameters(), lr=config["learningRate"], momentum=momentum)


@torch.no_grad()
def evaluate(run: Run, model: nn.Module, data, prefix: str) -> None:
    model.eval()
    for x, y in run.batches(run.prepare_loader(data, batch_size=256)):
        scores = model(x)
        run.log(**{f"{prefix}_loss": (functional.cross_entropy(scores, y, reduction="sum"), len(y))})
        run.log(**{f"{prefix}_accuracy": ((scores.argmax(1) == y).sum(), len(y))})
