"""Output of a run for programs: one JSON object a line on standard output."""

import time

from trainjobs.cli.terminal import write_json
from trainjobs.cli.view import View
from trainjobs.runtime.events import Event, to_dict


class JsonLines(View):
    """Writes each event with its unix `time` in seconds."""

    def __call__(self, event: Event) -> None:
        write_json({"time": round(time.time(), 3), **to_dict(event)}, self._out)
