"""The events of a run as they come, for a process that only looks on."""

import time
from collections.abc import Iterator
from typing import Final

from trainjobs.exits import user_error
from trainjobs.runs.codec import EVENTS
from trainjobs.runs.directory import LONGEST, RunDirectory, parsed_line
from trainjobs.runs.events import Event
from trainjobs.runs.regular import opened

LOOK_S: Final = 0.2
"""How often it is looked for more."""


def followed(directory: RunDirectory) -> Iterator[Event]:
    """Every event so far, then each as it is kept, until nobody trains there any more.

    Raises:
        DataError: a line that cannot be read; the error names it.
    """
    number = 0
    try:
        with opened(directory.path / "events.jsonl") as file:
            while True:
                ended = directory.holder() is None  # before the last look, so that nothing is missed
                while (line := file.readline(LONGEST)).endswith(b"\n"):
                    number += 1
                    yield parsed_line(line, EVENTS.from_dict, f"{directory.path}/events.jsonl:{number}")
                file.seek(-len(line), 1)  # a line that is still being written
                if ended:
                    return
                time.sleep(LOOK_S)
    except FileNotFoundError:
        return
    except OSError as error:
        raise user_error(error, f"reading {directory.path}") from error
