"""What follows a failed attempt, as a table."""

import pytest

from trainjobs.api.reasons import Reason
from trainjobs.driver.retry import GiveUp, Leave, Retry, after_failure
from trainjobs.exits import Exit
from trainjobs.runs.events import Failed

USER = Failed(1, "ValueError", "bad label", "...", Exit.USER_CODE)
DISK = Failed(0, "StorageError", "no space left", "", Exit.IO)
COLLATERAL = Failed(0, "RuntimeError", "Connection closed by peer", "", Exit.FAILURE, of_peers=True)
BACKWARD = Failed(0, "RuntimeError", "the gradients did not come", "...", Exit.USER_CODE, of_peers=True)
LEFT = Failed(
    0, "RankLost", "rank 0 left at step 3, before the run was over", "", Exit.FAILURE, of_peers=True
)
RETURNED = Failed(0, "ExchangeMismatch", "returned on rank 1 only", "", Exit.USER_CODE, of_peers=True)
GONE = Failed(2, Reason.WORKER_DIED, "the process of rank 2 died", "", Exit.FAILURE)
FROZEN = Failed(1, "RankLost", "rank 1 has not been heard of for 60 s", "", Exit.FAILURE)
HUNG = Failed(0, Reason.NO_PROGRESS, "no step for 30 s", "", Exit.FAILURE)
QUIT = Failed(0, "BdbQuit", "the debugger was quit", "", Exit.INTERRUPTED)
RAY = Failed(None, "WorkerGroupError", "no resources", "", Exit.FAILURE)


@pytest.mark.parametrize(
    ("failures", "failed_attempts", "limit", "named"),
    [
        ([COLLATERAL, GONE, RAY], 1, 3, GONE),
        ([GONE, RAY], 3, 3, GONE),
        ([COLLATERAL, RAY], 1, 3, COLLATERAL),
        ([BACKWARD, GONE, RAY], 1, 3, GONE),
        ([COLLATERAL, HUNG, GONE, RAY], 1, 3, HUNG),
        ([FROZEN, GONE, RAY], 1, 3, FROZEN),
        ([GONE, FROZEN, RAY], 1, 3, GONE),
        ([GONE, DISK, RAY], 1, 3, GONE),
        ([LEFT, COLLATERAL, RAY], 1, 3, COLLATERAL),
        ([RAY, LEFT], 1, 3, LEFT),
        ([RAY], 1, 1, RAY),
    ],
)
def test_the_first_cause_that_was_heard_is_named_and_tried_again(failures, failed_attempts, limit, named):
    verdict = after_failure(failures, failed_attempts, limit)
    assert isinstance(verdict, Retry)
    assert verdict.reason.startswith(named.message)


@pytest.mark.parametrize(
    ("failures", "failed_attempts", "limit", "cause"),
    [
        ([COLLATERAL, USER, RAY], 1, 3, USER),
        ([DISK, GONE, RAY], 1, 3, DISK),
        ([BACKWARD, BACKWARD, RAY], 1, 3, BACKWARD),
        ([LEFT, RETURNED, RETURNED, RAY], 1, 3, RETURNED),
        ([LEFT, BACKWARD, RAY], 1, 3, BACKWARD),
        ([COLLATERAL, GONE, RAY], 4, 3, GONE),
        ([GONE, RAY], 1, 0, GONE),
    ],
)
def test_the_users_own_error_or_too_many_failures_end_the_run(failures, failed_attempts, limit, cause):
    assert after_failure(failures, failed_attempts, limit) == GiveUp(cause)


def test_an_attempt_that_lost_its_node_goes_on_whatever_failed_with_it():
    assert after_failure([USER, GONE], 9, 0, "pod mnist-1 is gone") == Retry("pod mnist-1 is gone")


@pytest.mark.parametrize(
    ("failures", "failed_attempts", "limit", "lost", "verdict"),
    [
        ([COLLATERAL, GONE, RAY], 1, 3, "", Leave(GONE)),
        ([RAY], 1, 3, "", Leave(RAY)),
        ([GONE, RAY], 4, 3, "", Leave(GONE)),
        ([GONE, RAY], 0, 3, "pod mnist-1 is gone", Leave(GONE)),
        ([USER, RAY], 1, 3, "", GiveUp(USER)),
        ([DISK, RAY], 1, 3, "", GiveUp(DISK)),
    ],
)
def test_a_run_that_is_leaving_anyway_makes_no_other_attempt(failures, failed_attempts, limit, lost, verdict):
    assert after_failure(failures, failed_attempts, limit, lost, leaving=True) == verdict


@pytest.mark.parametrize(("failed_attempts", "limit"), [(1, 0), (1, 3), (4, 3)])
def test_a_run_that_is_left_by_hand_has_not_failed(failed_attempts, limit):
    assert after_failure([QUIT, RAY], failed_attempts, limit) == Leave(QUIT)
