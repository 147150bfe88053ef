"""Training on all data and stopping by the gradients, against holding out a fifth to validate on.

    python tests/benchmarks/without_validation.py [--quick]

Small MLPs on data sets of scikit-learn, labels partly drawn anew, a quarter kept for the test. One process computes the
gradients of four ranks, as their workers would, and sums them as the runtime does. Rules: evidence and
gradientDisparity, with all training data and the last weights; plateau with patience 10 on the loss of held-out data,
with the weights that were best there; no stopping, with all training data. Told are test accuracy and epochs, means
over seeds. No figure is asserted. The last line is one JSON object with all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from sklearn import datasets
from torch import nn
from torch.nn import functional

from trainjobs.api.length import Length
from trainjobs.api.stopping import GRADIENT_DISPARITY, GRADIENT_EVIDENCE, Stopping
from trainjobs.runtime.models.gradient_statistics import AT_FIRST, THEN, Sums
from trainjobs.stopping import Observation, Panel

RANKS, BATCH, EPOCHS, NOISE = 4, 8, 100, 0.1
DATA: Mapping[str, Callable[[], Any]] = {
    "breast-cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
}
RULES: Mapping[str, Mapping[str, Any] | None] = {
    "no stopping": None,
    "evidence": {"evidence": {"patience": 2}},
    "gradientDisparity": {"gradientDisparity": {"patience": 5}},
    "plateau on a held-out fifth": {"plateau": {"patience": 10, "monitor": "val_loss"}},
}


@dataclass(frozen=True)
class Row:
    """Of a rule on a data set."""

    data: str
    rule: str
    accuracy: float
    epochs: float

    def __str__(self) -> str:
        return f"{self.data:16}{self.rule:30}{100 * self.accuracy:14.1f}{self.epochs:10.1f}"


@dataclass(frozen=True)
class Part:
    """Samples and labels."""

    x: torch.Tensor
    y: torch.Tensor

    def of(self, places: torch.Tensor) -> Part:
        return Part(self.x[places], self.y[places])


def parts(name: str, seed: int) -> tuple[Part, Part, int]:
    """Training and test data, shuffled, and the number of classes; only training labels are noisy."""
    found, chance = DATA[name](), torch.Generator().manual_seed(seed)
    x, y = torch.tensor(found.data, dtype=torch.float32), torch.tensor(found.target)
    order = torch.randperm(len(y), generator=chance)
    whole, test = Part((x - x.mean(0)) / (x.std(0) + 1e-6), y), len(y) // 4
    training, classes = whole.of(order[test:]), int(y.max()) + 1
    drawn = torch.randint(classes, training.y.shape, generator=chance)
    noisy = torch.rand(len(training.y), generator=chance) < NOISE
    return Part(training.x, torch.where(noisy, drawn, training.y)), whole.of(order[:test]), classes


def trained(
    training: Part, test: Part, classes: int, rule: Mapping[str, Any] | None, seed: int
) -> tuple[float, int]:
    """Test accuracy and epochs."""
    torch.manual_seed(seed)
    held_out = len(training.y) // 5 if rule and "plateau" in rule else 0
    everything = torch.arange(len(training.y))
    validation, training = training.of(everything[:held_out]), training.of(everything[held_out:])
    model = nn.Sequential(nn.Linear(training.x.shape[1], 64), nn.ReLU(), nn.Linear(64, classes))
    stopping = Stopping.model_validate({"criteria": [rule] if rule else []})
    panel = Panel.of(stopping, Length.of(EPOCHS, None))
    state, best = panel.fold(()), (float("inf"), accuracy(model, test))
    for epoch in range(1, EPOCHS + 1):
        metrics = epoch_of(model, training)
        if held_out:
            metrics["val_loss"] = float(functional.cross_entropy(model(validation.x), validation.y).detach())
            best = min(best, (metrics["val_loss"], accuracy(model, test)), key=lambda each: each[0])
        state = panel.fold((Observation(epoch, epoch, 0.0, metrics),), state)
        if panel.judge(state).stop:
            break
    return best[1] if held_out else accuracy(model, test), epoch


def epoch_of(model: nn.Module, training: Part) -> dict[str, float]:
    """Train by plain SGD, and say what the ranks' gradients said."""
    order = torch.randperm(len(training.y))
    weights = list(model.parameters())
    ranks = [Sums.like(flat(weights)) for _ in range(RANKS)]
    steps = [order[i : i + RANKS * BATCH] for i in range(0, len(order) - RANKS * BATCH + 1, RANKS * BATCH)]
    for i, places in enumerate(steps):
        own = []
        for part in places.split(BATCH):
            batch = training.of(part)
            loss = functional.cross_entropy(model(batch.x), batch.y)
            own.append(flat(torch.autograd.grad(loss, weights)))
        mean = torch.stack(own).mean(0)
        if i < AT_FIRST or i % THEN == 0:
            for sums, gradient in zip(ranks, own, strict=True):
                sums.hold(gradient)
                sums.compare(mean, 1.0, completes=True)
        nn.utils.vector_to_parameters(flat(weights) - 0.1 * mean, weights)
    return {
        GRADIENT_EVIDENCE: 1 - statistics.fmean(float(sums.ratios(RANKS).mean()) for sums in ranks),
        GRADIENT_DISPARITY: statistics.fmean(sums.disparity(RANKS) for sums in ranks),
    }


def flat(tensors: Any) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def accuracy(model: nn.Module, part: Part) -> float:
    return float((model(part.x).argmax(1) == part.y).float().mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="two seeds instead of ten")
    seeds = range(2 if arguments.parse_args().quick else 10)
    torch.set_num_threads(1)
    print(f"{'data':16}{'rule':30}{'accuracy, %':>14}{'epochs':>10}")
    rows = []
    for name in DATA:
        for rule, criterion in RULES.items():
            found = [trained(*parts(name, seed), criterion, seed) for seed in seeds]
            accuracies, epochs = zip(*found, strict=True)
            rows.append(Row(name, rule, statistics.fmean(accuracies), statistics.fmean(epochs)))
            print(rows[-1], flush=True)
    print(json.dumps({"seeds": len(seeds), "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
