"""What follows a failed attempt: another one, or the end. A pure rule; the driver acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainjobs.coordination import RankLost
from trainjobs.exits import Exit
from trainjobs.runs.events import Failed


@dataclass(frozen=True, slots=True)
class Retry:
    """Start the group again from the last checkpoint."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The run has failed."""

    cause: Failed


@dataclass(frozen=True, slots=True)
class Leave:
    """The run was asked to leave, or whoever sat at it left it, and its workers ended before they had halted: what it
    kept before is all there is."""

    cause: Failed


Verdict = Retry | GiveUp | Leave


def after_failure(
    failures: Sequence[Failed],
    failed_attempts: int,
    backoff_limit: int,
    lost: str = "",
    *,
    leaving: bool = False,
) -> Verdict:
    """Decide what follows.

    Args:
        failures: of one attempt, at least one, as they were heard: what workers said, which of them fell silent, what
            the launcher said.
        failed_attempts: attempts that have failed, this one included.
        backoff_limit: failed attempts that are followed by another one.
        lost: the node that went away, in a sentence; empty when all are there. Such an attempt has not failed.
        leaving: the run was asked to be interrupted. Whoever asks that of a machine asks it of the workers' processes
            too, and those may be the first to end.
    """
    cause = min(failures, key=_distance)  # the first one heard among equals
    again = bool(lost) or Exit(cause.exit_code).retryable
    if (leaving and again) or cause.exit_code == Exit.INTERRUPTED:
        return Leave(cause)
    if lost:
        return Retry(lost)
    if not again or failed_attempts > backoff_limit:
        return GiveUp(cause)
    return Retry(f"{cause.message} (failed attempt {failed_attempts}, backoffLimit {backoff_limit})")


def _distance(failure: Failed) -> int:
    """How far from the cause: when one rank fails, collectives fail on the others, they see that it has left, and the
    launcher sees it last."""
    if failure.rank is None:
        return 3
    if failure.of_peers and failure.kind == RankLost.__name__:
        return 2
    return int(failure.of_peers)
