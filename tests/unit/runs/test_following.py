"""A run that is followed by another process: each event once and whole, until nobody trains there any more."""

import threading

import pytest

from trainjobs.exits import DataError
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Printed
from trainjobs.runs.following import followed


@pytest.fixture
def place(tmp_path):
    made = RunDirectory(tmp_path / "mnist")
    made.create()
    return made


def test_a_run_that_never_began_or_has_ended_is_told_at_once(place):
    assert list(followed(place)) == []
    place.append_event(Printed(0, "one"))
    assert list(followed(place)) == [Printed(0, "one")]


def test_each_event_comes_once_and_whole_while_the_run_goes_on(place):
    place.append_event(Printed(0, "before"))
    log, found = place.path / "events.jsonl", []
    with place.hold():
        events = followed(place)
        found.append(next(events))
        place.append_event(Printed(1, "amid"))
        found.append(next(events))
        whole = log.read_bytes()
        with log.open("ab") as file:  # a line that is still being written
            file.write(whole.splitlines()[0][:20])
            file.flush()
            rest = threading.Thread(target=lambda: found.extend(events))
            rest.start()
            file.write(whole.splitlines()[0][20:] + b"\n")
    rest.join(10)
    assert found == [Printed(0, "before"), Printed(1, "amid"), Printed(0, "before")]


def test_a_damaged_line_is_named(place):
    place.append_event(Printed(0, "one"))
    with (place.path / "events.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(DataError, match=r"events\.jsonl:2: damaged line"):
        list(followed(place))
