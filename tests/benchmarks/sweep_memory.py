"""Whether a slot grows: the memory of a sweep's processes after each of many short trials.

    python tests/benchmarks/sweep_memory.py [--trials N] [--quick]

One slot trains a small network for two epochs, over and over. When a trial has ended, the resident memory of the
sweep's driver, of its slot, and of the slot's process that forks the ranks is read. Printed: the median of the first
and of the last tenth of the trials. No figure is asserted. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import yaml
from machine import machine, told

TRAIN = """
import torch


def train(run):
    model = run.prepare_model(torch.nn.Linear(256, 256))
    optimizer = torch.optim.SGD(model.parameters(), lr=run.config["learningRate"])
    run.track(model=model, optimizer=optimizer)
    for epoch in run.epochs():
        for _ in run.steps(range(4)):
            loss = model(torch.rand(32, 256)).square().mean()
            loss.backward()
            optimizer.step()
        run.report(val_loss=float(loss))
"""
PROCESSES = ("driver", "slot", "fork server")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="ten trials")
    given = parser.parse_args(arguments)
    facts = machine("ray")
    print(told(facts), flush=True)
    with tempfile.TemporaryDirectory(prefix="sweep-memory-") as folder:
        taken = list(_sizes(Path(folder), 10 if given.quick else given.trials))
    tenth = max(1, len(taken) // 10)
    found = {}
    for name, sizes in zip(PROCESSES, zip(*taken, strict=True), strict=True):
        first, last = (statistics.median(part) for part in (sizes[:tenth], sizes[-tenth:]))
        found[name] = {"first, MiB": first, "last, MiB": last}
        print(f"{name}: {first:.1f} MiB after the first {tenth} trials, {last:.1f} after {len(taken)}")
    print(json.dumps({"benchmark": "sweep_memory", "machine": facts, "trials": len(taken), "found": found}))


def _sizes(folder: Path, trials: int) -> Iterator[list[float]]:
    """MiB of each of PROCESSES, when a trial has ended."""
    command = [
        sys.executable,
        "-c",
        "from trainjobs.cli import main; main()",
        "sweep",
        _manifest(folder, trials),
    ]
    with subprocess.Popen(
        [*command, "--output", "json"], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as sweep:
        for line in sweep.stdout or ():
            if json.loads(line).get("state") == "Finished":
                with suppress(psutil.Error, ValueError):  # after the last one the slot may be gone
                    yield [process.memory_info().rss / 2**20 for process in _processes(sweep.pid)]
    if sweep.returncode:
        raise RuntimeError(f"the sweep ended with {sweep.returncode}")


def _processes(pid: int) -> list[psutil.Process]:
    driver = psutil.Process(pid)
    servers = [p for p in driver.children(recursive=True) if "import serve" in " ".join(p.cmdline())]
    server = min(servers, key=lambda process: process.create_time())  # the others are ranks
    slot = server.parent()
    assert slot is not None
    return [driver, slot, server]


def _manifest(folder: Path, trials: int) -> Path:
    (folder / "train.py").write_text(TRAIN)
    spec = {
        "template": {"spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 2}}},
        "parameters": {"learningRate": {"uniform": {"min": 0.001, "max": 0.1}}},
        "objective": {"metric": "val_loss"},
        "maxTrials": trials,
        "parallelTrials": 1,
    }
    head = {"apiVersion": "trainjobs.dev/v1alpha1", "kind": "TrainSweep", "metadata": {"name": "memory"}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**head, "spec": spec}))
    return folder / "sweep.yaml"


if __name__ == "__main__":
    main(sys.argv[1:])
