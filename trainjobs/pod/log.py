"""What pod 0 writes to its log: lines for people, and each event for `trainjobs report`."""

from trainjobs.api.pod_contract import EVENT_MARK
from trainjobs.runs.events import Event
from trainjobs.runs.log_lines import log_line
from trainjobs.runs.run_state import RunState
from trainjobs.views.plain import Plain
from trainjobs.views.printable import uncoloured
from trainjobs.views.writing import write_line


class PodLog(Plain):
    """The plain lines, each event's own after what it says to people."""

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if (line := log_line(event)) is not None:
            write_line(line, self._out)

    def _lines(self, event: Event, before: RunState) -> list[str]:
        """An error or a reason may have several lines, of which none begins as an event's does."""
        texts = map(uncoloured, super()._lines(event, before))
        return [text.replace(f"\n{EVENT_MARK}", f"\n {EVENT_MARK}") for text in texts]
