"""Control: requests are taken in order, and asking never blocks."""

import json
import signal

import pytest
from gpujob import JOB

from trainjobs.api.stopping import Stopping
from trainjobs.api.trainjob import Stop
from trainjobs.runs.codec import REQUESTS
from trainjobs.runs.requests import ChangeRequest, Control, asked, interrupt_request, stop_request


def test_requests_are_taken_in_the_order_they_were_made():
    control = Control()
    stopping = Stopping()
    control.change(stopping)
    control.stop("good enough")
    control.interrupt("Ctrl-C received")
    assert [control.take() for _ in range(3)] == [
        ChangeRequest(stopping),
        stop_request("good enough"),
        interrupt_request("Ctrl-C received"),
    ]


def test_nothing_asked_is_none():
    assert Control().take() is None
    assert Control().take(timeout_s=0.001) is None


def test_a_signal_handler_may_ask_while_the_driver_waits():
    control = Control()
    before = signal.signal(signal.SIGALRM, lambda *_: control.interrupt("alarm"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert control.take(timeout_s=10) == interrupt_request("alarm")
    finally:
        signal.signal(signal.SIGALRM, before)


STOPPING = Stopping.model_validate({"monitor": "val_loss", "criteria": [{"plateau": {"patience": 7}}]})


@pytest.mark.parametrize(
    "request_", [stop_request("good enough"), interrupt_request("SIGTERM"), ChangeRequest(STOPPING)]
)
def test_a_request_reaches_a_rank_as_it_was_made(request_):
    sent = json.loads(json.dumps(REQUESTS.to_dict(request_), allow_nan=False))
    assert REQUESTS.from_dict(sent) == request_


def test_a_change_travels_as_the_manifest_writes_it():
    """What the user did not write keeps the default of whoever reads it."""
    assert REQUESTS.to_dict(ChangeRequest(STOPPING)) == {
        "request": "ChangeRequest",
        "stopping": {"monitor": "val_loss", "criteria": [{"plateau": {"patience": 7}}]},
    }


def edited(**spec):
    return JOB.model_copy(update={"spec": JOB.spec.model_copy(update=spec)})


@pytest.mark.parametrize(
    ("old", "new", "request_"),
    [
        (JOB, JOB, None),
        (JOB, edited(stop=Stop(reason="enough")), stop_request("enough")),
        (JOB, edited(stop=Stop()), stop_request("spec.stop is set")),
        (edited(stop=Stop()), edited(stop=Stop()), None),
        (edited(stop=Stop()), edited(stop=Stop(), stopping=STOPPING), ChangeRequest(STOPPING)),
        (JOB, edited(suspend=True), interrupt_request("spec.suspend is true")),
        (edited(suspend=True), JOB, None),
        (JOB, edited(suspend=True, stop=Stop()), stop_request("spec.stop is set")),
        (JOB, edited(stopping=STOPPING), ChangeRequest(STOPPING)),
        (JOB, edited(stopping=STOPPING, stop=Stop()), stop_request("spec.stop is set")),
    ],
)
def test_an_edit_asks_for_what_it_changes(old, new, request_):
    assert asked(old, new) == request_
