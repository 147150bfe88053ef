"""What the live display knows after each event."""

import pytest

from trainjobs.cli.rendering.screen import Screen
from trainjobs.runs.events import Progress, Reported, Restarting, Started, Starting
from trainjobs.stopping import Observation


def screen_of(*events):
    screen = Screen("mnist")
    for event in events:
        screen = screen.after(event)
    return screen


def started(epoch=0, history=()):
    return Started(1, 2, "cpu", None, epoch, 10, history, 1.0)


def amid(step, seconds):
    return Reported(Observation(1, step, seconds, {"val_loss": 1.0}, whole=False))


def report(epoch, seconds):
    return Reported(Observation(epoch, epoch * 100, seconds, {"val_loss": 1.0}))


@pytest.mark.parametrize(
    ("events", "epochs", "left"),
    [
        ((started(),), 0, None),
        ((started(), Progress(1, 50, 50, 100, 5.0)), 0.5, 95.0),
        ((started(), report(1, 10.0)), 1, 90.0),
        ((started(), Progress(1, 90, 90, 100, 9.0), report(1, 10.0)), 1, 90.0),
        ((started(), report(1, 10.0), Progress(2, 150, 50, 100, 15.0)), 1.5, 85.0),
        ((started(), Progress(1, 50, 50, None, 5.0)), 0, None),
        ((started(), report(10, 100.0)), 10, 0.0),
    ],
)
def test_the_time_left_is_to_the_last_epoch_at_the_pace_so_far(events, epochs, left):
    screen = screen_of(*events)
    assert screen.epochs_done == epochs
    assert screen.seconds_left == (None if left is None else pytest.approx(left))


@pytest.mark.parametrize(
    ("events", "steps", "left"),
    [
        ((), 0, None),
        ((Progress(1, 50, 50, None, 5.0),), 50, 45.0),
        ((Progress(1, 50, 50, None, 5.0), amid(100, 10.0)), 100, 40.0),
        ((amid(500, 50.0),), 500, 0.0),
    ],
)
def test_a_run_of_so_many_steps_counts_them(events, steps, left):
    screen = screen_of(Started(1, 2, "cpu", None, 0, None, max_steps=500), *events)
    assert screen.state.step == steps
    assert screen.seconds_left == (None if left is None else pytest.approx(left))


def test_after_a_resume_only_the_new_steps_set_the_pace():
    before = Observation(1, 100, 4000.0, {"val_loss": 1.0}, whole=False)
    screen = screen_of(Started(1, 2, "cpu", 100, 0, None, (before,), max_steps=500), amid(200, 4010.0))
    assert screen.seconds_left == pytest.approx(30.0)


def test_a_report_amid_an_epoch_finishes_none_and_leaves_its_bar():
    now = Progress(1, 40, 40, 100, 4.0)
    screen = screen_of(started(), now, amid(40, 4.0))
    assert (screen.state.progress, screen.epochs_done) == (now, 0.4)


def test_after_a_resume_only_the_new_epochs_set_the_pace():
    before = Observation(4, 400, 4000.0, {"val_loss": 1.0})
    screen = screen_of(started(4, (before,)), report(5, 4010.0))
    assert screen.seconds_left == pytest.approx(50.0)


def test_a_report_ends_its_epochs_bar():
    screen = screen_of(started(), Progress(1, 90, 90, 100, 9.0), report(1, 10.0))
    assert screen.state.progress == Progress(2, 100, 0, 100, 10.0)


def test_the_last_epochs_bar_stays_full():
    screen = screen_of(started(), Progress(10, 1000, 100, 100, 99.0), report(10, 100.0))
    assert screen.state.progress == Progress(10, 1000, 100, 100, 99.0)


def test_phases_follow_the_run(recording):
    recording.early_stop()
    phases = []
    screen = Screen("mnist")
    for event in recording.events:
        screen = screen.after(event)
        if screen.state.phase not in phases:
            phases.append(screen.state.phase)
    assert phases == [
        "starting",
        "training",
        "stopping at one step on all ranks",
        "halted, writing the checkpoint",
        "halted, checkpoint written",
    ]


def test_a_restart_forgets_where_the_lost_attempt_was():
    screen = screen_of(Starting(2, 1), started(), Progress(1, 50, 50, 100, 5.0), Restarting(2, "lost", 0))
    assert (screen.state.phase, screen.state.attempt, screen.state.progress) == ("restarting", 2, None)
