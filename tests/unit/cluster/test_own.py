"""How long a pod asks for its TrainJob."""

import pytest
from kubernetes.client import ApiException

from trainjobs.cluster import own


@pytest.fixture
def answers(monkeypatch):
    """`answers(error, …, value)`: what the API server says to one request after the other."""
    monkeypatch.setattr(own, "PAUSE_S", 0.0)

    def ask(*said):
        coming = iter(said)

        def request():
            answer = next(coming)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return own._insist(request)

    return ask


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_rights_that_are_away_for_a_while_are_waited_for(answers, status):
    refused = ApiException(status, "no")
    assert answers(refused, refused, {"kind": "TrainJob"}) == {"kind": "TrainJob"}


def test_a_trainjob_that_is_gone_is_not(answers):
    with pytest.raises(own.NotOurs):
        answers(ApiException(404, "Not Found"))
