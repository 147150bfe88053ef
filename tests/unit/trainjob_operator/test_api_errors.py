import pytest

from trainjob_operator.trainjob.api_errors import NameTakenError, refused
from trainjob_operator.trainjob.conditions import Kind
from trainjobs.kube.transport import ApiError, TransportError


def answer(status, reason="", *causes):
    return ApiError(status, reason, "no", causes=causes)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(422, "Invalid", "FieldValueInvalid"), (Kind.FAILED, "InvalidSpec")),
        (answer(400, "BadRequest"), (Kind.FAILED, "InvalidSpec")),
        (answer(422, "Invalid", ""), (Kind.STARTING, "Forbidden")),  # an admission policy
        (answer(400), (Kind.STARTING, "Forbidden")),  # a webhook that gives no code
        (answer(403, "Forbidden"), (Kind.STARTING, "Forbidden")),
        (answer(500, "InternalError"), (Kind.STARTING, "InternalError")),  # a webhook that cannot be asked
        (answer(409, "Conflict"), None),
        (answer(429, "TooManyRequests"), None),
        (answer(503, "ServiceUnavailable"), None),
    ],
)
def test_what_does_not_pass_by_itself_is_told_and_only_fields_are_the_specs_fault(error, expected):
    state = refused(error)
    assert (state and (state.kind, state.reason)) == expected


def test_a_taken_name_is_told_and_a_lost_connection_is_not():
    taken = refused(NameTakenError("Service team/mnist belongs to another object"))
    assert taken is not None
    assert taken.reason == "NameTaken"
    assert refused(TransportError("reset")) is None
