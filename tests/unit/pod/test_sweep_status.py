"""What a sweep writes into its status: bounded, and of the trials as they are."""

import json
import time

from sweep_manifests import sweep_manifest

from trainjobs.api.manifest import parse_sweep
from trainjobs.api.sweep_status import LATEST, TrainSweepStatus
from trainjobs.pod.sweep_status import accounting, described, owned
from trainjobs.sweeps.record import Table, Trial, TrialState

SWEEP = parse_sweep(
    sweep_manifest(
        maxTrials=40, parallelTrials=2, trainer={"resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}}}
    )
)


def table(*trials: Trial) -> Table:
    return Table(SWEEP.spec.objective, {trial.name: trial for trial in trials})


def trial(number: int, state: TrialState, objective: float = 1.0, **more) -> Trial:
    parameters = {"learningRate": 0.5, "note": "x" * 5000}
    return Trial(f"{number:04}", parameters, "random", state, 3, objective, **more)


def test_every_state_is_counted_once_and_the_best_is_told():
    states = [*(state for state in TrialState)]
    told = described(SWEEP, table(*(trial(n, state, 1.0 + n) for n, state in enumerate(states, 1))))
    counts = told["trials"]
    assert counts.total == 40
    assert counts.ended == counts.succeeded + counts.early_stopped + counts.pruned + counts.failed
    assert (counts.running, counts.succeeded, counts.pruned, counts.failed) == (1, 2, 1, 1)
    assert (told["best"].trial, told["best"].metric, told["best"].objective) == ("0001", "val_loss", "2.0")


def test_the_newest_trials_come_first_and_no_more_than_the_schema_takes():
    told = described(SWEEP, table(*(trial(n, TrialState.PRUNED, reason="r" * 9999) for n in range(1, 40))))
    assert [row.trial for row in told["latest"]] == [f"{n:04}" for n in range(39, 39 - LATEST, -1)]
    TrainSweepStatus.model_validate(json.loads(json.dumps(owned(TrainSweepStatus(**told)))))


def test_what_was_saved_is_the_spared_epochs_at_the_mean_of_the_trained_ones():
    saved = accounting(
        SWEEP, table(trial(1, TrialState.PRUNED, seconds=30.0, saved_epochs=7)), 5.0, time.time() - 10
    )
    assert 24.5 <= saved.gpu_seconds_used <= 60
    assert (saved.seconds_saved, saved.gpu_seconds_saved, saved.epochs_saved) == (70.0, 70.0, 7)
