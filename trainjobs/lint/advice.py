"""What is valid in a manifest and yet probably not what its author wants.

Patience by the size of the data (small 3-5, middle 5-7, large 10 and more reports), stopping on validation
and keeping a test set apart are common practice rather than theorems; so nothing here is an error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from trainjobs.api.base import Location, Model, path_text
from trainjobs.api.length import Length
from trainjobs.api.pod_contract import PodEnvironment
from trainjobs.api.stopping import (
    GRADIENT_DISPARITY,
    GRADIENT_EVIDENCE,
    AdaptivePatience,
    Divergence,
    Mode,
    Monitored,
    NonFiniteMetric,
    OneStandardError,
    StartAfter,
    Watched,
    Weighted,
)
from trainjobs.api.trainjob import TrainJob
from trainjobs.lint.metric_name import is_on_test, is_on_training, usual_mode
from trainjobs.stopping import Pace, Panel
from trainjobs.stopping.auto import is_loss

SMALL_DATA_SAMPLES: Final = 10_000
"""Training sets with fewer samples than this are small."""
LARGE_DATA_SAMPLES: Final = 100_000
"""Training sets with at least so many samples are large; those between are of middle size."""

_STOPPING: Final[Location] = ("spec", "stopping")
_CRITERIA: Final[Location] = (*_STOPPING, "criteria")


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known about the data, from outside the manifest."""

    train_samples: int | None = None
    """Samples of the training set. None: not known."""
    has_test_set: bool | None = None
    """Whether there is a test set that neither training nor stopping sees. None: not known."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One suggestion."""

    path: str
    """Where in the manifest, as "spec.stopping.criteria[0].plateau.patience"."""
    message: str
    """A sentence: what would happen, and what to do instead."""


Finding: TypeAlias = tuple[Location | str, str]
"""Where, and what to say of it."""


def advise(job: TrainJob, data: DataFacts | None = None) -> list[Advice]:
    """Suggestions for a valid manifest; an empty list if there is nothing to say."""
    facts = data or DataFacts()
    found = (finding for rule in _RULES for finding in rule(job, facts))
    return [Advice(at if isinstance(at, str) else path_text(at), message) for at, message in found]


def _nothing_stops(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    criteria, length = job.spec.stopping.criteria, job.spec.trainer.length
    if not criteria:
        yield _CRITERIA, f"there are none, so the run trains {_whole(length)}: add one, such as auto: {{}}"
    elif all(criterion.shadow for criterion in criteria):
        yield (
            _CRITERIA,
            f"all are shadow, so the run trains {_whole(length)}: let at least one of them stop it",
        )


def _whole(length: Length) -> str:
    """Such as "all 100 epochs", "its 1 epoch"."""
    return f"its 1 {length.unit}" if length.amount == 1 else f"all {length.amount} {length.unit}s"


def _opens_too_late(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    stopping, length = job.spec.stopping, job.spec.trainer.length
    if not stopping.criteria:
        return
    name, least = length.named(("minEpochs", stopping.min_epochs), ("minSteps", stopping.min_steps))
    if least == length.amount:
        yield (
            (*_STOPPING, name),
            f"equals {length.field}, so nothing can stop the run early: {_lower(length)}",
        )
    if _opens_after_the_end(stopping.start_after, length):
        yield (
            (*_STOPPING, "startAfter", length.unit),
            f"opens after the last {length.unit} ({length.amount}), so criteria without a gate of their own see no "
            f"report: {_lower(length)}",
        )


def _opens_after_the_end(gate: StartAfter | None, length: Length) -> bool:
    closed = length.named(gate.epoch, gate.step) if gate else None
    return closed is not None and closed >= length.amount


def _lower(length: Length) -> str:
    """The remedy for what must be less than the length; one of 1 leaves no room below."""
    return (
        f"lower it below {length.amount}" if length.amount > 1 else f"leave it out, or raise {length.field}"
    )


def _never_fires(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    stopping, length = job.spec.stopping, job.spec.trainer.length
    pace = Pace(length)
    assumed = "with one report an epoch " if pace.between else ""
    ungated = stopping.model_copy(update={"min_epochs": None, "min_steps": None})
    for criterion, judge in zip(stopping.criteria, Panel.of(ungated, length).judges, strict=True):
        inherits = criterion.start_after is None and _opens_after_the_end(stopping.start_after, length)
        end = judge.fold.earliest(pace.first, pace)
        if end.moment < length.amount or inherits:
            continue
        yield (
            end.cause,
            f"{assumed}{judge.name} cannot stop the run before {length.unit} {end.moment}, "
            f"and {length.field} is {length.amount}: {'' if end.fixed else 'lower it, or '}raise {length.field}",
        )


def _patience_for_data(job: TrainJob, data: DataFacts) -> Iterator[Finding]:
    if data.train_samples is None:
        return
    size, low, high = _patience_range(data.train_samples)
    for index, criterion in enumerate(job.spec.stopping.criteria):
        plateau = criterion.plateau
        if plateau is None or criterion.shadow or low <= plateau.patience <= (high or plateau.patience):
            continue
        usual = f"{low} to {high}" if high else f"{low} or more"
        yield (
            (*_CRITERIA, index, "plateau", "patience"),
            f"is {plateau.patience}, and {data.train_samples} training samples are a {size} data set, "
            f"for which {usual} is usual: try that, or auto, which needs none",
        )


def _patience_range(samples: int) -> tuple[str, int, int | None]:
    if samples < SMALL_DATA_SAMPLES:
        return "small", 3, 5
    return ("middle-sized", 5, 7) if samples < LARGE_DATA_SAMPLES else ("large", 10, None)


@dataclass(frozen=True, slots=True)
class _MonitoredMetric:
    """A metric that decides."""

    at: Location
    """Where it is named, or where its mode is."""
    metric: str
    mode: Mode | None
    """None: the reader has no direction."""
    decides: bool
    """False: it is only watched for ruin (divergence, NaN), for which a training metric is as good."""


def _readings(job: TrainJob) -> Iterator[_MonitoredMetric]:
    """Metrics that stop the run or choose the best model; `stopping.monitor` once for all that inherit it."""
    stopping = job.spec.stopping
    inherited = [
        _MonitoredMetric(
            (*_STOPPING, "monitor"), stopping.monitor or "", stopping.mode, stopping.restore_best
        )
    ]
    for index, criterion in enumerate(stopping.criteria):
        for at, family in criterion.families():
            if not isinstance(family, Watched):
                continue
            mode = (family.mode or stopping.mode) if isinstance(family, Monitored) else None
            if isinstance(family, Weighted):
                for i, other in enumerate(family.others):
                    at_other = (*_CRITERIA, index, *at, "others", i, "metric")
                    yield _MonitoredMetric(at_other, other.metric, other.mode, decides=True)
            reading = _MonitoredMetric(
                (*_CRITERIA, index, *at, "monitor"),
                family.monitor or stopping.monitor or "",
                mode,
                not isinstance(family, Divergence | NonFiniteMetric),
            )
            own = family.monitor is not None or mode not in (None, stopping.mode)
            if own:
                yield reading
            else:
                inherited.append(reading)
    if stopping.monitor is not None and (stopping.restore_best or len(inherited) > 1):
        yield replace(inherited[0], decides=any(reading.decides for reading in inherited))


def _wrong_data(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for reading in _readings(job):
        if is_on_training(reading.metric) and reading.decides:
            yield (
                reading.at,
                f"{reading.metric} looks like a training metric, which goes on improving while the model "
                "overfits: name a validation metric, such as val_loss",
            )
        elif is_on_test(reading.metric):
            yield (
                reading.at,
                f"{reading.metric} looks like a metric of the test set, which is no independent test once "
                "training stops on it: name a validation metric, such as val_loss",
            )


def _wrong_direction(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for reading in _readings(job):
        usual = usual_mode(reading.metric)
        if usual is None or reading.mode in (None, usual):
            continue
        yield (
            (*reading.at[:-1], "mode"),
            f"is {reading.mode}, but by its name {reading.metric} is better when it is "
            f"{'low' if usual is Mode.MIN else 'high'}: if so, write mode: {usual}",
        )


def _not_a_rate(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for at, family in _families(job):
        if not isinstance(family, OneStandardError) or family.samples is None:
            continue
        metric = family.monitor or job.spec.stopping.monitor or ""
        if is_loss(metric):
            yield (
                (*at, "samples"),
                f"is of a rate from 0 to 1, and {metric} does not look like a rate: report its standard error, and "
                "name that by standardError",
            )


def _nothing_decays(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for at, family in _families(job):
        if isinstance(family, AdaptivePatience) and family.decay is not None and family.min_delta == 0:
            yield (*at, "decay"), "lets minDelta fall, which is 0: set minDelta, or take plateau"


def _no_pair_of_workers(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for reading in _readings(job):
        if reading.metric in (GRADIENT_EVIDENCE, GRADIENT_DISPARITY) and job.spec.trainer.num_workers == 1:
            yield (
                reading.at[:-1],
                "compares the gradients of workers, and there is one worker, so the run refuses to start: raise "
                "numNodes or numProcPerNode, or take a criterion on a validation metric",
            )


def _families(job: TrainJob) -> Iterator[tuple[Location, Model]]:
    """All criteria, members of compositions too, each with its place."""
    for index, criterion in enumerate(job.spec.stopping.criteria):
        for at, family in criterion.families():
            yield (*_CRITERIA, index, *at), family


def _no_test_set(job: TrainJob, data: DataFacts) -> Iterator[Finding]:
    if data.has_test_set is False and job.spec.stopping.criteria:
        yield (
            _STOPPING,
            "there is no test set, and the validation metric at which a run stops flatters the model: "
            "keep a part of the data aside and measure the final model on it",
        )


def _top_level_not(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for index, criterion in enumerate(job.spec.stopping.criteria):
        if criterion.key == "not" and not criterion.shadow:
            yield (
                (*_CRITERIA, index, "not"),
                "stops at the first report at which the inner criterion does not say stop, most often the "
                "first one: put it into all beside another criterion",
            )


def _no_storage(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    trainer, at = job.spec.trainer, ("spec", "checkpoint", "storage")
    if job.spec.checkpoint.storage is not None:
        return
    if trainer.num_nodes > 1:
        yield (
            at,
            f"is unset, and in a cluster the pods of {trainer.num_nodes} nodes share no disk, so the run refuses to "
            "start there: name a claim that all can mount, or a URI (on one machine the run directory holds it)",
        )
    elif job.spec.stopping.restore_best and (trainer.image or trainer.code):
        yield (
            at,
            "is unset, so in a cluster the best checkpoint is lost with its pod and restoreBest has nothing "
            "to restore: name a claim or a URI (on one machine the run directory holds it)",
        )


def _set_by_the_operator(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    for i, variable in enumerate(job.spec.trainer.env):
        if variable.name in PodEnvironment.variables():
            yield (
                ("spec", "trainer", "env", i, "name"),
                f"is {variable.name}, which in a cluster is the operator's, so this is not used there: take another",
            )


def _starts_stopped(job: TrainJob, _: DataFacts) -> Iterator[Finding]:
    if job.spec.stop is not None:
        yield ("spec", "stop"), "is set, so the run completes as soon as it has started: remove it to train"
    if job.spec.suspend:
        yield ("spec", "suspend"), "is true, so nothing runs until it is set to false"


_RULES: Final[tuple[Callable[[TrainJob, DataFacts], Iterator[Finding]], ...]] = (
    _nothing_stops,
    _opens_too_late,
    _never_fires,
    _top_level_not,
    _wrong_data,
    _wrong_direction,
    _not_a_rate,
    _nothing_decays,
    _no_pair_of_workers,
    _patience_for_data,
    _no_test_set,
    _no_storage,
    _set_by_the_operator,
    _starts_stopped,
)
