"""Which checkpoint a run resumes from: found by rank 0, read once, and the same on every rank."""

from collections.abc import Callable

from trainjobs.exits import ConfigError, StorageError, UserError
from trainjobs.runs import events
from trainjobs.runtime.checkpoint.contents import Contents, Saved
from trainjobs.runtime.checkpoint.store import Checkpoints
from trainjobs.runtime.loop.position import WorkerContext


def restored_checkpoint(
    checkpoints: Checkpoints,
    context: WorkerContext,
    broadcast: Callable[[str | None], str],
    tell: Callable[[events.Event], None],
) -> tuple[Saved, Contents] | None:
    """The checkpoint to resume from, which rank 0 finds and names; None when there is none. Collective."""
    found = None
    if context.rank == 0:
        checkpoints.check_writable()
        found = checkpoints.latest()
        for reason in found.passed_over if found else ():
            tell(events.Warned(f"passed over a checkpoint: {reason}"))
    name = broadcast((found.saved.name if found else "") if context.rank == 0 else None)
    if not name:
        return None
    if found is not None:
        saved, contents = found.saved, found.contents
    else:
        saved, contents = _loaded_as_on_rank_0(checkpoints, context, name)
    if len(contents.ranks) != context.world_size:
        raise ConfigError(
            f"{saved.uri} was written by {len(contents.ranks)} workers and this run has {context.world_size}; "
            "set numNodes and numProcPerNode as they were, or start anew with --fresh"
        )
    return saved, contents.seen_by(context.rank)


def _loaded_as_on_rank_0(
    checkpoints: Checkpoints, context: WorkerContext, name: str
) -> tuple[Saved, Contents]:
    saved = checkpoints.named(name)
    try:
        return saved, checkpoints.load(saved)
    except UserError as error:
        raise StorageError(
            f"rank {context.rank} cannot read the checkpoint that rank 0 has read: {error}. Every node must reach the "
            "same spec.checkpoint.storage"
        ) from error
