"""Who holds the Lease, and when it is given up for lost."""

import threading

import pytest

from trainjob_operator.core.leader_election import DURATION_S, RENEW_DEADLINE_S, Elector, released
from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import Key

KEY = Key("system", "trainjobs")


def lease(holder, renewed="t0", transitions=0, version="1"):
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "system", "name": "trainjobs", "resourceVersion": version},
        "spec": {
            "holderIdentity": holder,
            "renewTime": renewed,
            "leaseDurationSeconds": 15,
            "leaseTransitions": transitions,
        },
    }


@pytest.fixture
def elector(script, clock):
    return Elector(KubeClient(script), KEY, "me", clock=clock)


def written(script):
    return [(method, body["spec"]["holderIdentity"]) for method, _, _, body in script.asked if body]


def test_without_a_lease_it_is_made(elector, script, api_error):
    script.answers = [api_error(404), {}]
    elector.step()
    assert elector.leading.is_set()
    assert written(script) == [("POST", "me")]


def test_a_lease_that_another_renews_is_left_alone(elector, script, clock):
    for moment in range(5):
        script.answers = [lease("other", f"t{moment}")]
        clock.now += DURATION_S - 1
        elector.step()
    assert not elector.leading.is_set()
    assert written(script) == []


def test_a_lease_that_nobody_renews_is_taken_after_its_duration_by_our_own_clock(elector, script, clock):
    script.answers = [lease("other"), lease("other", version="7"), {}]
    elector.step()
    clock.now += DURATION_S
    elector.step()
    assert elector.leading.is_set()
    body = script.asked[-1][3]
    assert body["spec"]["leaseTransitions"] == 1
    assert body["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize(
    "odd",
    [
        {"leaseDurationSeconds": 2**31 - 1},
        {"leaseDurationSeconds": None},
        {"leaseTransitions": 2**31 - 1},
        {"leaseTransitions": None},
        {"renewTime": None, "acquireTime": None},
    ],
    ids=str,
)
def test_a_lease_in_which_somebody_wrote_is_taken_after_our_own_duration(elector, script, clock, odd):
    """Another holder is another operator, which holds it for as long as we would."""
    theirs = lease("other")
    theirs["spec"] |= odd
    script.answers = [theirs, theirs, {}]
    elector.step()
    clock.now += DURATION_S
    elector.step()
    assert elector.leading.is_set()
    assert 0 <= script.asked[-1][3]["spec"]["leaseTransitions"] < 2**31
    assert script.asked[-1][3]["spec"]["leaseDurationSeconds"] == DURATION_S


@pytest.mark.parametrize("odd", [{"leaseTransitions": None}, {"acquireTime": None}], ids=str)
def test_the_holder_renews_a_lease_in_which_somebody_wrote(elector, script, odd):
    ours = lease("me")
    ours["spec"] |= odd
    script.answers = [ours, {}]
    elector.step()
    assert elector.leading.is_set()
    assert None not in script.asked[-1][3]["spec"].values()


def test_a_released_lease_is_taken_at_once(elector, script):
    script.answers = [released(lease("other")), {}]
    elector.step()
    assert elector.leading.is_set()


def test_of_two_that_write_at_once_the_later_does_not_lead(elector, script, api_error):
    script.answers = [api_error(404), api_error(409)]
    elector.step()
    assert not elector.leading.is_set()


def test_the_holder_renews_without_a_transition(elector, script):
    script.answers = [lease("me", transitions=3), {}]
    elector.step()
    assert script.asked[-1][3]["spec"]["leaseTransitions"] == 3


def test_a_holder_that_cannot_renew_stops_before_another_one_may_begin(elector, script, clock, api_error):
    script.answers = [lease("me"), {}, api_error(500), api_error(500)]
    elector.step()
    clock.now += RENEW_DEADLINE_S - 1
    elector.step()
    assert elector.leading.is_set()
    clock.now += 1
    elector.step()
    assert not elector.leading.is_set()
    assert RENEW_DEADLINE_S < DURATION_S


def test_a_holder_that_finds_another_one_stops_at_once(elector, script):
    script.answers = [lease("me"), {}, lease("other")]
    elector.step()
    elector.step()
    assert not elector.leading.is_set()


def test_the_election_ends_when_the_lease_is_lost(script, clock):
    elector = Elector(KubeClient(script), KEY, "me", clock=clock, retry=Backoff(0, 0))
    script.answers = [lease("me"), {}, lease("other")]
    elector.run(threading.Event())
    assert not elector.leading.is_set()


def test_who_stops_in_order_releases_the_lease(elector, script):
    script.answers = [lease("me"), {}, lease("me"), {}]
    elector.step()
    stop = threading.Event()
    stop.set()
    elector.run(stop)
    assert written(script)[-1] == ("PUT", "")
