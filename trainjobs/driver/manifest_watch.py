"""Following the manifest in a run directory: whoever edits it there asks something of the running job.

It is what `kubectl edit` is in a cluster. A changed `stopping` takes effect at once, `stop` completes the run,
`suspend: true` interrupts it.
"""

from __future__ import annotations

from trainjobs.api import TrainJob, immutable_changes
from trainjobs.api.manifest import Problem, SpecError
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.requests import Request, asked

INTERVAL_S = 0.5
"""How long an edit may go unnoticed."""


class ManifestWatch:
    """Compares the manifest in the run directory with the job that runs."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
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
        new = self._directory.job()
        _check_mutable(job, new)
        return asked(job, new)

    def wrote(self) -> None:
        """The driver itself has written the manifest."""
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._directory.manifest.stat()
        except OSError:  # it is gone; or reading it says what is wrong, when it was there before
            return (0, 0)
        return found.st_mtime_ns, found.st_ino


def _check_mutable(old: TrainJob, new: TrainJob) -> None:
    """Raises SpecError for a field that cannot change while the job runs; in a cluster the API server refuses it."""
    if changed := immutable_changes(old.spec, new.spec):
        rule = "cannot change while the job runs; start anew with --fresh"
        raise SpecError(Problem(path, None, rule) for path in changed)
