"""The demo without TrainJobs: what one would write by hand with Ray Train to train the same model on the same data.

    python tests/benchmarks/handwritten.py --epochs 12 --folder /tmp/x [--no-dashboard]

Same images, network, optimizer, batch sizes, sharding, validation after every epoch, a checkpoint an epoch and a test
at the end as manifests/examples/mnist; it trains as many epochs as it is told, for it cannot stop early.
Times of what happens go into FOLDER/times.jsonl, one {"what", "time"} a line, `time` in unix seconds.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "manifests" / "examples" / "mnist"
CONFIG = {"channels": 8, "batchSize": 32, "learningRate": 0.02, "seed": 7}


def note(folder: Path, what: str) -> None:
    with (folder / "times.jsonl").open("a") as file:
        file.write(json.dumps({"what": what, "time": time.time()}) + "\n")


def train(config: dict) -> None:
    import ray.train
    import torch
    from ray.train.torch import prepare_data_loader, prepare_model
    from torch.nn import functional
    from torch.utils.data import DataLoader

    sys.path.insert(0, str(FOLDER))
    from train import images, network

    folder, rank = config["folder"], ray.train.get_context().get_world_rank()
    if rank == 0:
        note(folder, "worker")
    torch.manual_seed(config["seed"])
    training, validation, test = images(config["seed"])
    model = prepare_model(network(config["channels"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["learningRate"], momentum=0.9)
    batches = prepare_data_loader(DataLoader(training, batch_size=config["batchSize"], shuffle=True))
    validation_batches = prepare_data_loader(DataLoader(validation, batch_size=250))
    test_batches = prepare_data_loader(DataLoader(test, batch_size=250))

    if rank == 0:
        note(folder, "first step")
    for epoch in range(config["epochs"]):
        batches.sampler.set_epoch(epoch)
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        metrics = evaluated(model, validation_batches)
        if rank == 0:
            note(folder, "report called")
        save(model, optimizer, metrics, rank)
        if rank == 0:
            note(folder, "report returned")
    final = evaluated(model, test_batches)
    if rank == 0:
        note(folder, "trained")
        (folder / "final.json").write_text(json.dumps(final))


def evaluated(model, loader) -> dict[str, float]:
    """Loss and accuracy over all ranks."""
    import torch
    import torch.distributed as dist
    from torch.nn import functional

    model.eval()
    sums = torch.zeros(3)
    with torch.no_grad():
        for x, y in loader:
            scores = model(x)
            loss = functional.cross_entropy(scores, y, reduction="sum")
            sums += torch.tensor([loss, (scores.argmax(1) == y).sum(), len(y)])
    dist.all_reduce(sums)
    return {"loss": (sums[0] / sums[2]).item(), "accuracy": (sums[1] / sums[2]).item()}


def save(model, optimizer, metrics: dict[str, float], rank: int) -> None:
    import ray.train
    import torch

    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as place:
        torch.save(
            {"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}, f"{place}/state.pt"
        )
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(place))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--no-dashboard", action="store_true", help="a local Ray without it starts sooner")
    given = parser.parse_args()

    import ray
    from ray.train import CheckpointConfig, RunConfig, ScalingConfig, UserCallback
    from ray.train.torch import TorchTrainer

    class Arrivals(UserCallback):
        """Ray's controller has every rank's report."""

        def after_report(self, run_context, metrics, checkpoint) -> None:
            note(given.folder, "report arrived")

    quiet = {"include_dashboard": False, "logging_level": logging.ERROR} if given.no_dashboard else {}
    ray.init(num_cpus=max(2, os.cpu_count() or 1), log_to_driver=False, **quiet)
    note(given.folder, "ray")
    TorchTrainer(
        train,
        train_loop_config={**CONFIG, "epochs": given.epochs, "folder": given.folder},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(
            storage_path=str(given.folder / "ray"),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            callbacks=[Arrivals()],
        ),
    ).fit()
    note(given.folder, "fitted")
    ray.shutdown()


if __name__ == "__main__":
    main()
