"""What is valid in a TrainSweep and yet probably not what its author wants."""

from collections.abc import Callable, Iterator
from typing import Final

from trainjobs.api.base import path_text
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.trainjob import TrainJob
from trainjobs.lint.advice import Advice, Finding, advise
from trainjobs.lint.metric_name import is_on_test, is_on_training, usual_mode

_OBJECTIVE: Final = ("spec", "objective")
_PRUNING: Final = ("spec", "pruning")
_NOT_ASKED: Final = ("spec.stopping.criteria", "spec.stop", "spec.suspend")
"""What is said of a job at these places is not true of a template: others stop its trials, too."""


def advise_sweep(sweep: TrainSweep) -> list[Advice]:
    """Suggestions for a valid manifest; an empty list if there is nothing to say."""
    found = (finding for rule in _RULES for finding in rule(sweep))
    return [Advice(at if isinstance(at, str) else path_text(at), message) for at, message in found]


def _wrong_direction(sweep: TrainSweep) -> Iterator[Finding]:
    metric, mode = sweep.spec.objective.metric, sweep.spec.objective.mode
    if (usual := usual_mode(metric)) not in (None, mode):
        yield (
            (*_OBJECTIVE, "mode"),
            f"is {mode}, so the worst trial is called the best if {metric} is what its name says: write mode: {usual}",
        )


def _wrong_data(sweep: TrainSweep) -> Iterator[Finding]:
    metric = sweep.spec.objective.metric
    if is_on_training(metric):
        yield (
            (*_OBJECTIVE, "metric"),
            f"{metric} looks like a training metric, by which the trial that overfits most is the best: name a "
            "validation metric, such as val_loss",
        )
    elif is_on_test(metric):
        yield (
            (*_OBJECTIVE, "metric"),
            f"{metric} looks like a metric of the test set, which is no independent test once trials are chosen by "
            "it: name a validation metric, such as val_loss",
        )


def _never_prunes(sweep: TrainSweep) -> Iterator[Finding]:
    """In a sweep whose length is in epochs, unless a parameter changes it."""
    pruning, epochs = sweep.spec.pruning, sweep.spec.template.spec.trainer.max_epochs
    if not pruning.criteria:
        return
    if pruning.min_trials >= sweep.spec.trials:
        yield (
            (*_PRUNING, "minTrials"),
            f"is {pruning.min_trials}, and each of the {sweep.spec.trials} trials has "
            f"{sweep.spec.trials - 1} others, so nothing is pruned: lower it, or raise maxTrials",
        )
    if epochs is None or "/spec.trainer.maxEpochs" in sweep.spec.parameters:
        return
    if pruning.start_after.epoch >= epochs - 1:
        yield (
            (*_PRUNING, "startAfter", "epoch"),
            f"is {pruning.start_after.epoch}, and maxEpochs is {epochs}, so nothing is spared: lower it",
        )
    for index, criterion in enumerate(pruning.criteria):
        first = getattr(criterion.parameters, "min_epochs", 0)
        if first >= epochs:
            yield (
                (*_PRUNING, "criteria", index, criterion.key, "minEpochs"),
                f"is {first}, and maxEpochs is {epochs}, so no trial is spared an epoch: lower it",
            )


def _of_the_template(sweep: TrainSweep) -> Iterator[Finding]:
    """What would be said of each trial, unless a parameter changes it."""
    job = TrainJob(metadata=sweep.metadata, spec=sweep.spec.template.spec)
    changed = tuple(name[1:] for name in sweep.spec.parameters if name.startswith("/"))
    for one in advise(job):
        if one.path not in _NOT_ASKED and not one.path.startswith(changed):
            yield f"spec.template.{one.path}", one.message


def _no_gpu_to_count(sweep: TrainSweep) -> Iterator[Finding]:
    budget = sweep.spec.budget
    if (
        budget is not None
        and budget.gpu_seconds is not None
        and not sweep.spec.template.spec.trainer.num_gpus
    ):
        yield (
            ("spec", "budget", "gpuSeconds"),
            "is never used up, since a trial has no GPU: set resourcesPerNode in the template, or take seconds",
        )


def _starts_stopped(sweep: TrainSweep) -> Iterator[Finding]:
    if sweep.spec.stop is not None:
        yield ("spec", "stop"), "is set, so in a cluster the sweep completes as soon as it starts: remove it"
    if sweep.spec.suspend:
        yield ("spec", "suspend"), "is true, so in a cluster nothing runs until it is set to false"


_RULES: Final[tuple[Callable[[TrainSweep], Iterator[Finding]], ...]] = (
    _wrong_direction,
    _wrong_data,
    _never_prunes,
    _no_gpu_to_count,
    _starts_stopped,
    _of_the_template,
)
