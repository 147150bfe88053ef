"""What a refused write says about a TrainJob. Errors that say nothing of it are only repeated."""

from __future__ import annotations

from trainjob_operator.core.controller import RepeatError
from trainjob_operator.trainjob.conditions import Kind, State
from trainjobs.api.reasons import Reason
from trainjobs.kube.transport import ApiError


class NameTakenError(RepeatError):
    """An object of the name that we need belongs to somebody else, or to a TrainJob that is going."""


def refused(error: Exception) -> State | None:
    """The state to show; None: nothing that its owner could mend."""
    if isinstance(error, NameTakenError):
        return State(Kind.STARTING, Reason.NAME_TAKEN, str(error))
    if not isinstance(error, ApiError) or error.is_namespace_terminating:
        return None
    if error.status in (400, 422):
        return State(Kind.FAILED, Reason.INVALID_SPEC, error.message)
    if error.status == 403:
        return State(Kind.STARTING, Reason.FORBIDDEN, error.message)
    return None
