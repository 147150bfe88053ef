"""What pod 0 writes to its log: lines for people, and each event for `trainjobs report`."""

from trainjobs.runs.events import Event
from trainjobs.runs.log_lines import log_line
from trainjobs.views.plain import Plain
from trainjobs.views.writing import write_line


class PodLog(Plain):
    """The plain lines, each event's own after what it says to people."""

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if (line := log_line(event)) is not None:
            write_line(line, self._out)
