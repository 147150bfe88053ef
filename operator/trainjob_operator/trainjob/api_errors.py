"""What a refused write says about a TrainJob. Errors that say nothing of it are only repeated."""

from __future__ import annotations

from trainjob_operator.core.controller import RepeatError
from trainjob_operator.trainjob.conditions import Kind, State
from trainjobs.api.reasons import KubernetesReason, Reason
from trainjobs.kube.transport import ApiError


class NameTakenError(RepeatError):
    """An object of the name that we need belongs to somebody else, or to a TrainJob that is going."""


def refused(error: Exception) -> State | None:
    """The state to show; None: it passes by itself, or nobody can make anything there any more.

    Only what the API server says of fields is the spec's fault. A policy or a webhook that refuses may change its mind.
    """
    if isinstance(error, NameTakenError):
        return State(Kind.STARTING, Reason.NAME_TAKEN, str(error))
    if not isinstance(error, ApiError) or error.is_namespace_terminating:
        return None
    if error.is_about_fields:
        return State(Kind.FAILED, Reason.INVALID_SPEC, error.message)
    if error.status in (400, 403, 422):
        return State(Kind.STARTING, Reason.FORBIDDEN, error.message)
    if error.status == 500:
        return State(Kind.STARTING, KubernetesReason.INTERNAL_ERROR, error.message)
    return None
