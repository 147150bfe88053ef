"""What `run` may begin in a run directory: a new run, a resume, further training of a finished one, or nothing."""

from collections.abc import Callable
from itertools import count as numbers
from typing import TYPE_CHECKING, TypeAlias

from trainjobs.api import changes, immutable_changes
from trainjobs.api.manifest import SpecError
from trainjobs.api.reasons import RunOutcome
from trainjobs.api.storage_uri import below, storage_root
from trainjobs.exits import CannotCreate, ConfigError, DataError, NoInput
from trainjobs.runs.directory import RunDirectory
from trainjobs.views.formatting import count

if TYPE_CHECKING:
    from trainjobs.api import TrainJob

Say: TypeAlias = Callable[[str], None]
"""Is told a sentence, for whoever has begun the run."""

RESUMED_WITH = frozenset({"spec.trainer.maxEpochs", "spec.trainer.maxSteps", "spec.reportTo"})
"""How far to train, and whom to tell: may change at a resume here, not in a cluster, where other things hang on it."""

_VERBS = frozenset({"spec.stop", "spec.stop.reason", "spec.suspend"})
"""Asked of a run under way; that they are not asked again changes nothing about a finished one."""


def move_aside(directory: RunDirectory, say: Say) -> None:
    """Make room for a fresh run; nothing is deleted. Raises CannotCreate while a process trains there."""
    if directory.exists():
        with directory.hold():
            aside = directory.move_aside()
        say(f"moved the earlier run to {aside}")


def why_done(directory: RunDirectory, job: "TrainJob", say: Say, *, resume: bool) -> str | None:
    """Why the finished run in `directory` is not trained on; None when it is to be.

    Raises:
        CannotCreate: `job` has changed, and nobody asked to go on with it.
        ConfigError: it has changed where a resume cannot follow.
        NoInput: there is no checkpoint to go on from.
    """
    before = kept_job(directory)
    changed = changes(before.spec, job.spec)
    if not resume and (unapplied := [path for path in changed if path not in _VERBS]):
        raise CannotCreate(
            f"{directory.path}: already finished, and not trained again; changed since and not applied: "
            f"{', '.join(unapplied)}. {_remedy(before, job)}"
        )
    if not resume or not changed:
        return f"already finished, not trained again; {_more(directory, job, resume=resume)}"
    check_same_run(directory, before, job)
    if (enough := _trained_enough(directory, job)) or job.spec.stop is not None:
        return f"nothing to train: {f'{enough}; raise it' if enough else 'spec.stop is set; take it out'}"
    if not has_checkpoint(directory, before):
        raise NoInput(
            f"{directory.path}: its last checkpoint is gone, so it cannot be trained on; --fresh begins anew"
        )
    say(
        f"{directory.path}: finished before; trained on from its last checkpoint, with the last weights, not the best"
    )
    return None


def prepare(directory: RunDirectory, job: "TrainJob", say: Say, *, resume: bool, fresh: bool) -> bool:
    """Put the manifest in the held directory; whether there is a checkpoint to go on from.

    A run that has neither reported nor kept anything is begun without a word. Raises CannotCreate or ConfigError
    for another run's directory, or another run's checkpoints in the storage.
    """
    begun = directory.exists()
    if not begun and (uri := _shared_storage(job)):
        directory.write_storage_folder(_folder(uri, job.metadata.name, fresh=fresh))
    resumable = has_checkpoint(directory, kept_job(directory) if begun else job)
    if begun and (resumable or directory.history()):
        _check_resume(directory, job, say, resume=resume)
    elif resumable and not resume:
        raise CannotCreate(
            f"{_uri(directory, job)}: holds checkpoints of an earlier run; --resume goes on from the last one, "
            "--fresh leaves them there and begins anew"
        )
    if resume and not resumable:
        say(f"{directory.path}: nothing to resume, beginning anew")
    directory.write_job(job)
    directory.clear_result()
    return resumable


def _check_resume(directory: RunDirectory, job: "TrainJob", say: Say, *, resume: bool) -> None:
    if not resume:
        raise CannotCreate(
            f"{directory.path}: holds an unfinished run; --resume goes on with it, "
            "--fresh moves it aside and begins anew"
        )
    before = kept_job(directory)
    check_same_run(directory, before, job)
    if (
        not directory.finished()
        and (enough := _trained_enough(directory, job))
        and before.spec.trainer != job.spec.trainer
    ):
        raise ConfigError(f"{directory.path}: nothing to train: {enough}; raise it, or put it back")
    if changed := [path for path in changes(before.spec, job.spec) if path not in _VERBS]:
        say(f"{directory.path}: changed with this resume: {', '.join(changed)}")


def check_same_run(directory: RunDirectory, before: "TrainJob", job: "TrainJob") -> None:
    """Raises ConfigError when `job` is another run's than the one begun as `before`."""
    changed = [
        path
        for path in immutable_changes(before.spec, job.spec)
        if path.partition("[")[0] not in RESUMED_WITH
    ]
    if changed:
        raise ConfigError(
            f"{directory.path}: was begun with another {', '.join(changed)}; "
            "put it back to resume, or begin anew with --fresh"
        )


def kept_job(directory: RunDirectory) -> "TrainJob":
    """The manifest that the run in `directory` follows. Raises DataError when it is damaged."""
    try:
        return directory.job()
    except SpecError as error:
        raise DataError(
            f"{directory.path}: the run's own manifest is damaged; mend it, or begin anew with --fresh: {error}"
        ) from error


def has_checkpoint(directory: RunDirectory, job: "TrainJob") -> bool:
    """Whether workers would find something to resume from. Raises UserError where the storage cannot say."""
    return _holds_checkpoint(_uri(directory, job))


def _uri(directory: RunDirectory, job: "TrainJob") -> str:
    from trainjobs.driver.driver import storage_uri

    return storage_uri(job, directory)


def _holds_checkpoint(uri: str) -> bool:
    from trainjobs.runs.storage import CHECKPOINT, CHECKPOINTS, storage_at

    return any(CHECKPOINT.fullmatch(name) for name in storage_at(uri).names(CHECKPOINTS))


def _shared_storage(job: "TrainJob") -> str | None:
    """The URI below which runs of this name may have left checkpoints that no directory here tells of."""
    return storage_root(job) or None


def _folder(uri: str, name: str, *, fresh: bool) -> str:
    """The folder of a run that begins: that of the latest run of the same name; a fresh one gets one of its own."""
    latest, free = name, name
    for number in numbers(1):
        if not _holds_checkpoint(below(uri, free)):
            break
        latest, free = free, f"{name}.{number}"
    return free if fresh else latest


def _trained_enough(directory: RunDirectory, job: "TrainJob") -> str | None:
    """Why nothing is left to train, if that is so."""
    history = directory.history()
    length = job.spec.trainer.length
    trained = length.named(history[-1].epochs, history[-1].step) if history else 0
    if trained < length.amount:
        return None
    return (
        f"it has trained {count(trained, length.unit)}, and spec.trainer.{length.field} is {length.amount:,}"
    )


def _more(directory: RunDirectory, job: "TrainJob", *, resume: bool) -> str:
    """How a finished run is trained on, whose manifest is still the same: by more of what has ended it."""
    length = f"spec.trainer.{job.spec.trainer.length.field}"
    state = (directory.result() or {}).get("state")
    ways = []
    if state != RunOutcome.EARLY_STOPPED:
        ways.append((f"raise {length}", f"a larger {length}"))
    if state != RunOutcome.FINISHED:
        ways.append(("change spec.stopping", "other criteria"))
    raising, larger = (" or ".join(words) for words in zip(*ways, strict=True))
    if resume:
        return f"{raising} to train on, or begin anew with --fresh"
    return f"--resume with {larger} trains on, --fresh begins anew"


def _remedy(before: "TrainJob", job: "TrainJob") -> str:
    if [
        path
        for path in immutable_changes(before.spec, job.spec)
        if path.partition("[")[0] not in RESUMED_WITH
    ]:
        return "--fresh begins anew with them"
    return "--resume trains on with them from the last checkpoint, --fresh begins anew"
