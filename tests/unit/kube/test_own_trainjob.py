"""How long a pod asks for its TrainJob, what it hears of it, and what it writes."""

import pytest

from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.own_trainjob import NotOurs, OwnTrainJob
from trainjobs.kube.resources import TRAINJOBS, Key
from trainjobs.kube.transport import ApiError, TransportError


@pytest.fixture
def own(script):
    return OwnTrainJob(KubeClient(script), Key("team", "mnist"), "me", Backoff(first_s=0.0, longest_s=0.0))


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_rights_that_are_away_for_a_while_are_waited_for(own, script, item, api_error, status):
    ours = item("mnist", 1, uid="me")
    script.answers = [api_error(status), TransportError("silence"), api_error(status), ours]
    assert own.read() == ours


def test_a_trainjob_that_is_gone_is_not(own, script, api_error):
    script.answers = [api_error(404)]
    with pytest.raises(NotOurs):
        own.read()


def test_a_successor_of_the_same_name_is_not_ours(own, script, item):
    script.answers = [item("mnist", 1, uid="successor")]
    with pytest.raises(NotOurs):
        own.read()


def test_an_odd_answer_does_not_make_a_pod_deaf(own, script, api_error):
    """It could not hear of a stop any more."""

    def event(kind, **fields):
        return {"type": kind, "object": {"metadata": {"uid": "me", "resourceVersion": "1"}, **fields}}

    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "2"}}}
    expired = {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
    script.answers = [
        [{"type": "ADDED", "object": {"metadata": {}}}],
        api_error(403),
        [TransportError("no JSON")],
        [expired],
        [bookmark],
        [event("MODIFIED", spec={"stop": {}}), event("DELETED")],
    ]
    heard = []
    with pytest.raises(NotOurs):
        own.follow(heard.append)
    assert [each["spec"] for each in heard] == [{"stop": {}}]
    assert {query["fieldSelector"] for *_, query, _ in script.asked} == {"metadata.name=mnist"}


def test_a_status_goes_to_a_version_that_is_known_to_be_ours(own, script, item):
    script.answers = [item("mnist", 7, uid="me"), item("mnist", 8, uid="me"), item("mnist", 9, uid="me")]
    own.patch_status({"restarts": 1})
    own.patch_status({"restarts": 2})
    bodies = [body for method, *_, body in script.asked if method == "PATCH"]
    assert [body["metadata"] for body in bodies] == [{"resourceVersion": "7"}, {"resourceVersion": "8"}]
    assert script.asked[1][1] == TRAINJOBS.path("team", "mnist", "status")


def test_a_status_gives_way_to_writes_of_others(own, script, item, api_error):
    script.answers = [item("mnist", 7, uid="me"), api_error(409), item("mnist", 8, uid="me")]
    script.answers += [item("mnist", 9, uid="me")]
    own.patch_status({"restarts": 1})
    assert script.asked[-1][3] == {"metadata": {"resourceVersion": "8"}, "status": {"restarts": 1}}


def test_a_status_that_comes_too_late_reaches_no_successor(own, script, item, api_error):
    script.answers = [item("mnist", 7, uid="me"), api_error(409), item("mnist", 9, uid="successor")]
    with pytest.raises(NotOurs):
        own.patch_status({"restarts": 1})


def test_a_status_that_others_write_all_the_time_is_refused_at_last(own, script, item, api_error):
    script.answers = [answer for _ in range(5) for answer in (item("mnist", 7, uid="me"), api_error(409))]
    with pytest.raises(ApiError):
        own.patch_status({"restarts": 1})
