"""Following the manifest in a run directory: whoever edits it there asks something of the running job.

It is what `kubectl edit` is in a cluster. A changed `stopping` takes effect at once, `stop` completes the run,
`suspend: true` interrupts it.
"""

from __future__ import annotations

from trainjobs.api import TrainJob, immutable_changes
from trainjobs.api.manifest import Problem, SpecError
from trainjobs.driver.requests import ChangeRequest, InterruptRequest, Request, StopRequest
from trainjobs.runs.directory import RunDirectory

INTERVAL_S = 0.5
"""How long an edit may go unnoticed."""


class ManifestWatch:
    """Compares the manifest in the run directory with the job that runs."""

    def __init__(self, place: RunDirectory) -> None:
        self._place = place
        self._seen = self._stamp()
        self._looked = 0.0

    def look(self, job: TrainJob, now: float) -> Request | None:
        """What the manifest asks for that `job` does not know; None when there is nothing new.

        Args:
            job: what runs.
            now: monotonic seconds.

        Raises:
            SpecError: the edited manifest is wrong; it is looked at again when it is edited again.
        """
        if now - self._looked < INTERVAL_S:
            return None
        self._looked = now
        if (stamp := self._stamp()) == self._seen:
            return None
        self._seen = stamp
        return asked(job, self._place.job())

    def wrote(self) -> None:
        """The driver itself has written the manifest."""
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._place.manifest.stat()
        except FileNotFoundError:
            return (0, 0)
        return found.st_mtime_ns, found.st_ino


def asked(old: TrainJob, new: TrainJob) -> Request | None:
    """What the edit from `old` to `new` asks for. Raises SpecError for a field that cannot change while it runs."""
    if changed := immutable_changes(old.spec, new.spec):
        rule = "cannot change while the job runs; start anew with --fresh"
        raise SpecError(Problem(path, None, rule) for path in changed)
    if (ending := asked_from_the_start(new)) is not None:
        return ending
    return ChangeRequest(new.spec.stopping) if new.spec.stopping != old.spec.stopping else None


def asked_from_the_start(job: TrainJob) -> StopRequest | InterruptRequest | None:
    """The end that a manifest asks for by itself."""
    if job.spec.stop is not None:
        return StopRequest(job.spec.stop.reason or "spec.stop is set")
    return InterruptRequest("spec.suspend is true") if job.spec.suspend else None
