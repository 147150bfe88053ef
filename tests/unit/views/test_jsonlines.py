"""JSON output: every line an object that can be read back."""

import json

from trainjobs.runs.codec import EVENTS
from trainjobs.views.jsonlines import JsonLines


def test_every_event_is_one_line_that_can_be_read_back(recording, capsys):
    recording.early_stop()
    view = JsonLines()
    for event in recording.events:
        view(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [EVENTS.from_dict(line) for line in lines] == recording.events
    assert all(isinstance(line["time"], float) for line in lines)
