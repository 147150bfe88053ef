"""Control: requests are taken in order, and asking never blocks."""

import signal

from trainjobs.api.stopping import Stopping
from trainjobs.driver.requests import ChangeRequest, Control, InterruptRequest, StopRequest


def test_requests_are_taken_in_the_order_they_were_made():
    control = Control()
    stopping = Stopping()
    control.change(stopping)
    control.stop("good enough")
    control.interrupt("Ctrl-C received")
    assert [control.take() for _ in range(3)] == [
        ChangeRequest(stopping),
        StopRequest("good enough"),
        InterruptRequest("Ctrl-C received"),
    ]


def test_nothing_asked_is_none():
    assert Control().take() is None
    assert Control().take(timeout_s=0.001) is None


def test_a_signal_handler_may_ask_while_the_driver_waits():
    control = Control()
    before = signal.signal(signal.SIGALRM, lambda *_: control.interrupt("alarm"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert control.take(timeout_s=10) == InterruptRequest("alarm")
    finally:
        signal.signal(signal.SIGALRM, before)
