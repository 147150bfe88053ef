"""What follows a failed attempt: another one, or the end. A pure rule; the driver acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainjobs.runtime.events import Failed
from trainjobs.runtime.exits import Exit


@dataclass(frozen=True, slots=True)
class Retry:
    """Start the group again from the last checkpoint."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The run has failed."""

    cause: Failed


def after_failure(failures: Sequence[Failed], lost: Failed, failed_attempts: int, backoff_limit: int) -> Retry | GiveUp:
    """Decide what follows.

    Args:
        failures: what the workers said of themselves, in the order it arrived.
        lost: what Ray said of the group, for workers that could say nothing.
        failed_attempts: attempts that have failed, this one included.
        backoff_limit: failed attempts that are followed by another one.
    """
    of_the_user = [failure for failure in failures if failure.exit_code != Exit.FAILURE]
    if of_the_user:
        return GiveUp(of_the_user[0])
    cause = lost if lost.rank is not None or not failures else failures[0]
    if failed_attempts > backoff_limit:
        return GiveUp(cause)
    return Retry(f"{cause.message} (failed attempt {failed_attempts}, backoffLimit {backoff_limit})")
