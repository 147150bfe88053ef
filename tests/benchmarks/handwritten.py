"""The demo without TrainJobs: what one would write by hand to train the same model on the same data on two workers.

    torchrun --nproc-per-node 2 tests/benchmarks/handwritten.py --epochs 12 --folder /tmp/x
    python tests/benchmarks/handwritten.py --with ray --epochs 12 --folder /tmp/x

Same images, network, optimizer, batch sizes, sharding, validation after every epoch, a checkpoint an epoch and a test
at the end as manifests/examples/mnist; it trains as many epochs as it is told, for it cannot stop early.
Times of what happens go into FOLDER/times.jsonl, one {"what", "time"} a line, `time` in unix seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = {"channels": 8, "batchSize": 32, "learningRate": 0.02, "seed": 7}


def note(folder: Path, what: str) -> None:
    with (folder / "times.jsonl").open("a") as file:
        file.write(json.dumps({"what": what, "time": time.time()}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--with", dest="launcher", choices=["ray", "torchrun"], default="torchrun")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    config = {**CONFIG, "epochs": given.epochs, "folder": given.folder}
    in_ray(config) if given.launcher == "ray" else in_torchrun(config)


# --- torchrun ---------------------------------------------------------------------------------------------------------


def in_torchrun(config: dict) -> None:
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader, DistributedSampler

    torch.set_num_threads(1)
    dist.init_process_group("gloo")

    def loader(data, size: int, *, shuffle: bool = False) -> DataLoader:
        return DataLoader(data, batch_size=size, sampler=DistributedSampler(data, shuffle=shuffle))

    def save(model, optimizer, metrics: dict[str, float]) -> None:
        if dist.get_rank() == 0:
            state = {"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, config["folder"] / "new.pt")
            (config["folder"] / "new.pt").replace(config["folder"] / "state.pt")

    train(config, dist.get_rank(), DistributedDataParallel, loader, save)
    dist.destroy_process_group()


# --- Ray Train --------------------------------------------------------------------------------------------------------


def in_ray(config: dict) -> None:
    import ray
    from ray.train import CheckpointConfig, RunConfig, ScalingConfig, UserCallback
    from ray.train.torch import TorchTrainer

    class Arrivals(UserCallback):
        """Ray's controller has every rank's report."""

        def after_report(self, run_context, metrics, checkpoint) -> None:
            note(config["folder"], "report arrived")

    ray.init(num_cpus=max(2, os.cpu_count() or 1), log_to_driver=False)
    TorchTrainer(
        in_ray_worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(
            storage_path=str(config["folder"] / "ray"),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            callbacks=[Arrivals()],
        ),
    ).fit()
    ray.shutdown()


def in_ray_worker(config: dict) -> None:
    import ray.train
    import torch
    from ray.train.torch import prepare_data_loader, prepare_model
    from torch.utils.data import DataLoader

    rank = ray.train.get_context().get_world_rank()

    def loader(data, size: int, *, shuffle: bool = False) -> DataLoader:
        return prepare_data_loader(DataLoader(data, batch_size=size, shuffle=shuffle))

    def save(model, optimizer, metrics: dict[str, float]) -> None:
        if rank != 0:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as place:
            state = {"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, f"{place}/state.pt")
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(place))

    train(config, rank, prepare_model, loader, save)


# --- both -------------------------------------------------------------------------------------------------------------


def train(config: dict, rank: int, parallel, loader, save) -> None:
    import torch
    from torch.nn import functional

    sys.path.insert(0, str(REPOSITORY / "manifests" / "examples" / "mnist"))
    from train import images, network

    def tell(what: str) -> None:
        if rank == 0:
            note(config["folder"], what)

    tell("worker")
    torch.manual_seed(config["seed"])
    training, validation, test = images(config["seed"])
    model = parallel(network(config["channels"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["learningRate"], momentum=0.9)
    batches = loader(training, config["batchSize"], shuffle=True)
    validation_batches, test_batches = loader(validation, 250), loader(test, 250)

    tell("first step")
    for epoch in range(config["epochs"]):
        batches.sampler.set_epoch(epoch)
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        metrics = evaluated(model, validation_batches)
        tell("report called")
        save(model, optimizer, metrics)
        tell("report returned")
    final = evaluated(model, test_batches)
    if rank == 0:
        tell("trained")
        (config["folder"] / "final.json").write_text(json.dumps(final))


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


if __name__ == "__main__":
    main()
