"""What an answer that says no means for the verb that was tried."""

import pytest

from trainjobs.kube.client import Client
from trainjobs.kube.resources import JOBS, Key
from trainjobs.kube.transport import ApiError

KEY = Key("team", "mnist")


@pytest.mark.parametrize("found", ["successor", None])
def test_a_delete_is_done_when_this_very_object_is_gone(script, item, api_error, found):
    script.answers = [api_error(409), item("mnist", 9, uid=found) if found else api_error(404)]
    Client(script).delete(JOBS, KEY, "me")
    assert [method for method, *_ in script.asked] == ["DELETE", "GET"]


def test_a_delete_that_met_a_conflict_is_not_done(script, item, api_error):
    script.answers = [api_error(409), item("mnist", 9, uid="me")]
    with pytest.raises(ApiError):
        Client(script).delete(JOBS, KEY, "me")
