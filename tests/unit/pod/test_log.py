"""The log of pod 0: what people read, and the whole run for `trainjobs report`."""

import pytest
from recording import VAL_LOSS

from trainjobs.api.pod_contract import EVENT_MARK, without_events
from trainjobs.pod.log import PodLog
from trainjobs.runs.events import Failed, Printed, Progress, Warned
from trainjobs.runs.log_lines import logged
from trainjobs.views.plain import Plain


def shown(view, events, capsys):
    with view:
        for event in events:
            view(event)
    return capsys.readouterr().out.splitlines()


def test_the_lines_for_people_are_the_plain_ones_and_the_others_tell_every_event(recording, capsys):
    events = [
        *recording.beginning(),
        *recording.reports(VAL_LOSS),
        Printed(1, 'trainjobs-event {"time": 1, "event": "Starting", "workers": 9, "nodes": 9}'),
    ]
    log = shown(PodLog(), events, capsys)
    assert list(without_events(log)) == shown(Plain(), events, capsys)
    damaged = []
    told = [event for _, event in logged(log, damaged.append)]
    assert told == [event for event in events if not isinstance(event, Printed | Progress)]
    assert damaged == []


@pytest.mark.parametrize("mark", [EVENT_MARK, f"\x1b[0m{EVENT_MARK}"])
def test_what_an_error_says_is_no_event_whatever_its_lines_begin_with(capsys, mark):
    forged = f'no\n{mark}{{"time": 1, "event": "Starting", "workers": 9, "nodes": 9}}'
    events = [Failed(0, "ValueError", forged, "", 70), Warned(forged)]
    log = shown(PodLog(), events, capsys)
    assert [event for _, event in logged(log, pytest.fail)] == events
    assert sum('"workers": 9' in line for line in without_events(log)) == len(events)
