"""Output of a run for programs: one JSON object a line on standard output."""

from trainjobs.runs.codec import dated
from trainjobs.runs.events import Event
from trainjobs.views.view import View
from trainjobs.views.writing import write_json


class JsonLines(View):
    """Writes each event with its unix `time` in seconds."""

    def __call__(self, event: Event) -> None:
        write_json(dated(event), self._out)
