"""Sweeps of trials that take milliseconds, and what becomes of them."""

import json
from pathlib import Path
from typing import Any

import yaml

TRAIN = """
import os, signal, time
from pathlib import Path

import psutil
import torch

LEVELS = {"good": 0.5, "bad": 5.0}


def train(run):
    case = run.config.get("case", "")
    torch.manual_seed(1)
    model = run.prepare_model(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run.track(model=model, optimizer=optimizer)
    for epoch in run.epochs():
        for _ in run.steps(range(2)):
            hold(run, case, epoch)
            model(torch.rand(4, 3)).sum().backward()
            optimizer.step()
        if case == "raises" and epoch == 2:
            torch.set_default_dtype(torch.float64)  # as a library may: nothing of it reaches another trial
            raise RuntimeError("a bug of the trial")
        if epoch == 3:
            once(run, case)
        name = "accuracy" if case == "unnamed" else "val_loss"
        value = float("nan") if case == "nan" else LEVELS.get(case, run.config["level"]) + 1 / epoch
        run.report(**{name: value})


def hold(run, case, epoch):
    "Here a trial waits for what becomes of it, however long that takes."
    if case in ("bad", "nan") and epoch == 5:
        await_decision(run)
    if case == "disturbed" and epoch >= 4:
        await_disturbance(run, epoch)


def await_disturbance(run, epoch):
    "The first trial is interrupted; the second is killed, and pruned when it goes on."
    marks, level = Path(run.config["marks"]), str(run.config["level"])
    first, second = marks / "first", marks / "second"
    if not first.exists():
        first.write_text(level)
        await_decision(run)
    elif first.read_text() != level and not second.exists():
        second.touch()
        time.sleep(600)
    elif first.read_text() != level and epoch == 8:
        await_decision(run)


def await_decision(run):
    coordinator = run._loop.coordinator
    coordinator._fence.wait(lambda: coordinator.decision)


def once(run, case):
    mark = Path(run.config["marks"]) / case
    if case not in ("killed", "hung", "slotless", "memberless") or mark.exists():
        return
    if case == "memberless" and run.rank == 0:
        return
    mark.touch()
    slot = psutil.Process(os.getppid()).parent()
    if case != "hung":
        (psutil.Process() if case == "killed" else slot).kill()
    time.sleep(600)
"""


def sweep(
    folder: Path,
    parameters: dict[str, Any],
    *,
    epochs: int = 6,
    config: Any = (),
    template: Any = (),
    **spec: Any,
) -> Path:
    """The manifest of a sweep, beside its training code.

    Args:
        config: more of the training code's settings.
        template: more of the trials' spec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweeptrain.py").write_text(TRAIN)
    trainer = {
        "entrypoint": "sweeptrain:train",
        "maxEpochs": epochs,
        "config": {"level": 1.0, "marks": str(folder), **dict(config)},
    }
    document = {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainSweep",
        "metadata": {"name": "tiny"},
        "spec": {
            "template": {"spec": {"trainer": trainer, **dict(template)}},
            "parameters": parameters,
            "objective": {"metric": "val_loss"},
            **spec,
        },
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def trials(directory: Path) -> dict[str, dict[str, Any]]:
    """What `trials.jsonl` says of each trial in the end."""
    found: dict[str, dict[str, Any]] = {}
    for line in (directory / "trials.jsonl").read_text().splitlines():
        document = json.loads(line)
        found.setdefault(document["trial"], {}).update(document)
    return found
