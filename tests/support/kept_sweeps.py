"""Sweeps as they are kept, by the product's own writers and judged by its own criteria; nothing is trained."""

import math
from pathlib import Path
from typing import Any

from sweep_manifests import sweep_manifest

from trainjobs.api.sweep import TrainSweep
from trainjobs.runs.directory import RunDirectory
from trainjobs.stopping import Observation
from trainjobs.stopping.across import Curve
from trainjobs.stopping.across.panel import PruningPanel
from trainjobs.sweeps.record import SweepDirectory, Trial, TrialState, name_of
from trainjobs.sweeps.space import drawn, trial_job

PARAMETERS = {
    "learningRate": {"logUniform": {"min": 0.001, "max": 1.0}},
    "hidden": {"choice": [16, 64, 256]},
    "optimizer": {"choice": ["sgd", "adam"]},
    "momentum": {"uniform": {"min": 0.5, "max": 0.99}, "when": {"optimizer": "sgd"}},
}


def kept_sweep(
    path: Path, trials: int, epochs: int, *, parameters: dict[str, Any] = PARAMETERS, **spec: Any
) -> SweepDirectory:
    """A finished sweep whose trials fall towards a floor that their learning rate sets, and are pruned by median."""
    sweep = TrainSweep.model_validate(_manifest(trials, epochs, parameters, spec))
    directory = SweepDirectory(path)
    RunDirectory(path).create()
    directory.write_sweep(sweep)
    curves: dict[str, Curve] = {}
    for number in range(trials):
        name = name_of(number + 1)
        trial = Trial(name, drawn(sweep.spec, number), "random")
        directory.begun(trial)
        _train(directory, sweep, trial, curves, epochs)
    directory.write_result(
        {"name": "digits-sweep", "state": "Complete", "reason": f"all {trials} trials have ended"}
    )
    return directory


def _manifest(trials: int, epochs: int, parameters: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    trainer = {"maxEpochs": epochs, "config": {"hidden": 64, "seed": 1}, "numProcPerNode": 2}
    pruning = {"startAfter": {"epoch": 2}, "criteria": [{"median": {}}]}
    given = {
        "parameters": parameters,
        "maxTrials": trials,
        "parallelTrials": None,
        "pruning": pruning,
        **spec,
    }
    return sweep_manifest("digits-sweep", trainer, **given)


def _train(
    directory: SweepDirectory, sweep: TrainSweep, trial: Trial, curves: dict[str, Curve], epochs: int
) -> None:
    panel, history = PruningPanel.of(sweep.spec.pruning, sweep.spec.objective), []
    state, reason = TrialState.FINISHED, f"trained all {epochs} epochs"
    for epoch in range(1, epochs + 1):
        history.append(Observation(epoch, epoch * 45, epoch * 0.31, {"val_loss": _loss(trial, epoch)}))
        curves[trial.name] = Curve.of(history, sweep.spec.objective)
        if prune := panel.judge(trial.name, curves).prune:
            state, reason = TrialState.PRUNED, prune.verdict.reason
            break
    place = directory.run(trial.name)
    place.create()
    place.write_job(trial_job(sweep, trial.name, trial.parameters))
    place.write_history(history)
    place.write_result({"state": state, "conditions": []})
    known = curves[trial.name].standings[-1]
    objective = known if math.isfinite(known) else math.nan
    row = Trial(
        trial.name, trial.parameters, "random", state, len(history), objective, reason, len(history) * 0.31
    )
    directory.ended(row if state is TrialState.FINISHED else _spared(row, epochs))


def _spared(trial: Trial, epochs: int) -> Trial:
    from dataclasses import replace

    return replace(trial, saved_epochs=epochs - trial.epoch)


def _loss(trial: Trial, epoch: int) -> float:
    """Exponential decay; a rate of about 0.05 learns best, a wobble of the trial's own on top."""
    off = abs(math.log10(float(trial.parameters.get("learningRate", 0.05)) / 0.05))
    floor, number = 0.08 + 0.25 * off**1.5, int(trial.name)
    wobble = 0.02 * math.sin(epoch * (1.3 + number % 7 / 5) + number)
    return round(floor + (2.2 - floor) * math.exp(-epoch / (2.5 + 3 * off)) + wobble, 6)
