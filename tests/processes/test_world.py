"""A training function's world is that of a program: what it writes is read, and how it leaves is understood."""

from collections import Counter

import pytest

from trainjobs.exits import Exit
from trainjobs.runs import events

TOLD_ONCE = [
    "INFO logged at import",
    "printed at import",
    "lr 0.5 of world.py",
    "a subprocess",
    "a thread",
    "INFO logged at the end",
    "no end",
]


@pytest.fixture(scope="module")
def told(new_trial, tmp_path_factory):
    """What both ranks of a training function that writes from everywhere have written."""
    trial = new_trial(tmp_path_factory.mktemp("world"))
    assert trial.train(entrypoint="world:train", max_epochs=1).exit_code == Exit.DONE
    return [(event.rank, event.text) for event in trial.of(events.Printed)]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("line", TOLD_ONCE)
def test_whoever_writes_a_line_it_is_told_once_with_its_rank(told, rank, line):
    assert told.count((rank, line)) == 1


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_lines_of_a_loaders_processes_are_told(told, start):
    lines = Counter((rank, line) for rank, line in told if line.startswith(start))
    assert lines == {(rank, f"{start} {index}"): 2 for rank in (0, 1) for index in (0, 1)}


def test_a_warning_is_told(told):
    assert sum("UserWarning: a warning" in line for _, line in told) == 2


@pytest.mark.parametrize(
    ("way", "ranks", "code", "complaint"),
    [
        ("sys.exit()", [0, 1], Exit.DONE, None),
        ("sys.exit(0)", [0, 1], Exit.DONE, None),
        ("sys.exit(2)", [0, 1], Exit.USER_CODE, "sys.exit(2) was called"),
        ("sys.exit(text)", [1], Exit.USER_CODE, "no data for today"),
        ("KeyboardInterrupt", [0, 1], Exit.USER_CODE, ""),
        ("input", [0], Exit.USER_CODE, "EOF when reading a line"),
        ("os._exit(3)", [1], Exit.FAILURE, "the process of rank 1 ended with exit code 3"),
        ("os._exit(0)", [0, 1], Exit.FAILURE, "ended: its process was killed"),
        (
            "sys.exit()",
            [1],
            Exit.USER_CODE,
            "the training function has returned on rank 1 while others go on",
        ),
        (
            "sys.exit(0)",
            [0],
            Exit.USER_CODE,
            "the training function has returned on rank 0 while others go on",
        ),
    ],
)
def test_however_a_training_function_leaves_it_is_understood(trial, way, ranks, code, complaint):
    config = {"way": way, "ranks": ranks}
    result = trial.train(entrypoint="world:leave", config=config, max_epochs=3, backoffLimit=0)
    assert result.exit_code == code
    assert complaint is None or complaint in result.document["failure"]["message"]
    if not way.startswith("os._exit"):  # which ends a process in the middle of anything
        told = [event.rank for event in trial.of(events.Printed) if event.text == "leaving"]
        assert sorted(told) == ranks


@pytest.mark.parametrize(
    ("way", "code", "words"),
    [
        ("return", 0, ()),
        ("sys.exit()", 0, ()),
        ("sys.exit(2)", 2, ()),
        ("sys.exit(text)", 1, ("no data for today",)),
        ("KeyboardInterrupt", 1, ("KeyboardInterrupt",)),
    ],
)
def test_a_forked_child_that_leaves_the_training_function_ends_as_in_any_program(trial, way, code, words):
    result = trial.train(
        entrypoint="world:fork", config={"way": way}, max_epochs=2, backoffLimit=0, progressDeadlineSeconds=60
    )
    assert result.exit_code == Exit.DONE
    told = Counter(event.text for event in trial.of(events.Printed))
    for line in ("the child leaves", f"the child ended with {code}", *words):
        assert told[line] == 2
    assert not any("trainjobs/runtime" in line for line in told)


def test_a_chatty_function_loses_no_line_and_its_reports_overtake(trial):
    lines = 5_000
    trial.train(entrypoint="world:chatty", config={"lines": lines}, max_epochs=2)
    told = [
        event.text for event in trial.of(events.Printed) if event.rank == 1 and event.text.startswith("line")
    ]
    assert told == [f"line {number}" for number in range(lines)] * 2
    assert [event.observation.epoch for event in trial.of(events.Reported)] == [1, 2]
