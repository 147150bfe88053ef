import pytest

from trainjob_operator.trainjob.api_errors import NameTakenError, refused
from trainjobs.kube.transport import TransportError


@pytest.mark.parametrize(
    ("status", "expected"),
    [(422, "InvalidSpec"), (400, "InvalidSpec"), (403, "Forbidden"), (409, None), (429, None), (500, None)],
)
def test_only_what_the_owner_can_mend_is_told(api_error, status, expected):
    state = refused(api_error(status))
    assert (state and state.reason) == expected


def test_a_taken_name_is_told_and_a_lost_connection_is_not():
    taken = refused(NameTakenError("Service team/mnist belongs to another object"))
    assert taken is not None
    assert taken.reason == "NameTaken"
    assert refused(TransportError("reset")) is None
