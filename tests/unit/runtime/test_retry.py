"""What follows a failed attempt, as a table."""

import pytest

from trainjobs.runtime.events import Failed
from trainjobs.runtime.exits import Exit
from trainjobs.runtime.retry import GiveUp, Retry, after_failure

USER = Failed(1, "ValueError", "bad label", "...", Exit.USER_CODE)
DISK = Failed(0, "StorageError", "no space left", "", Exit.IO)
COLLATERAL = Failed(0, "RuntimeError", "Connection closed by peer", "", Exit.FAILURE)
DIED = Failed(2, "WorkerDied", "the process of rank 2 died", "", Exit.FAILURE)
UNKNOWN = Failed(None, "ControllerError", "no resources", "", Exit.FAILURE)


@pytest.mark.parametrize(
    ("failures", "lost", "failed_attempts", "limit", "expected"),
    [
        ([COLLATERAL], DIED, 1, 3, "the process of rank 2 died"),
        ([], DIED, 3, 3, "the process of rank 2 died"),
        ([COLLATERAL], UNKNOWN, 1, 3, "Connection closed by peer"),
        ([], UNKNOWN, 1, 1, "no resources"),
    ],
)
def test_a_lost_worker_is_tried_again_and_named(failures, lost, failed_attempts, limit, expected):
    verdict = after_failure(failures, lost, failed_attempts, limit)
    assert isinstance(verdict, Retry)
    assert verdict.reason.startswith(expected)


@pytest.mark.parametrize(
    ("failures", "lost", "failed_attempts", "limit", "cause"),
    [
        ([COLLATERAL, USER], UNKNOWN, 1, 3, USER),
        ([DISK], DIED, 1, 3, DISK),
        ([COLLATERAL], DIED, 4, 3, DIED),
        ([], DIED, 1, 0, DIED),
    ],
)
def test_the_users_own_error_or_too_many_failures_end_the_run(failures, lost, failed_attempts, limit, cause):
    assert after_failure(failures, lost, failed_attempts, limit) == GiveUp(cause)
