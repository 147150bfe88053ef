"""Events: what a run tells survives JSON, and none of it needs torch or Ray."""

import dataclasses
import json
import math
import re
from typing import get_args

import earlier
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainjobs.api import Stopping
from trainjobs.coordination import Decision, Outcome
from trainjobs.runs.codec import EVENTS, jsonable
from trainjobs.runs.events import (
    Checkpointed,
    CriteriaChanged,
    CriterionResult,
    Decided,
    Event,
    Failed,
    Final,
    FirstStep,
    Halted,
    ModelSaved,
    Printed,
    Progress,
    Reported,
    Restarting,
    Started,
    Starting,
    Warned,
)
from trainjobs.runs.run_state import added_up
from trainjobs.stopping import Best, Observation

SEEN = Observation(epoch=3, step=30, seconds=1.5, metrics={"val_loss": 0.5})
DECIDED = Decision(Outcome.EARLY_STOPPED, "plateau", "flat", "val_loss", 0.6, 0.5, 2, 30, 30, 1.8e9)
RESULT = CriterionResult("plateau", "plateau", False, None, 0.6, "3/5", "flat", False, "val_loss", 0.6)
ONE_OF_EACH = [
    Starting(workers=2, nodes=1),
    Started(1, 2, "cpu", None, 0, 100, (SEEN,), 4.5),
    FirstStep({"workers": 4.5, "setup": 0.25}),
    Progress(epoch=4, step=35, batch=5, batches=None, seconds=1.7),
    Reported(SEEN, (RESULT,), Best("val_loss", 0.5, 3, 30, 3), "plateau 3/5", 3),
    Decided(DECIDED),
    Halted(DECIDED, {0: 30, 1: 30}, 41.5),
    Checkpointed("runs/mnist/checkpoints/30", 3, 30, 0.2),
    Final({"accuracy": 0.98}),
    ModelSaved("model.pt", 3, 30, best=True),
    Failed(1, "ValueError", "bad batch", "train.py:7", 70),
    Restarting(2, "rank 1 was lost", 20),
    Printed(1, "hello"),
    Warned("no test set"),
    CriteriaChanged(Stopping.model_validate({"monitor": "loss", "criteria": [{"plateau": {"patience": 2}}]})),
]


HALTED = {"event": "Halted", "decision": {}, "steps": {"0": 5}, "milliseconds": 1.0}
DECISION = DECIDED.to_dict()
STARTED = EVENTS.to_dict(Started(1, 2, "cpu", None, 0, 100))


@pytest.mark.parametrize(
    "document",
    [
        *(HALTED | {"decision": odd} for odd in ("x", [], 5, {"reason": "r"}, DECISION | {"reason": 5})),
        *(
            HALTED | {"steps": odd}
            for odd in (
                {},
                [],
                "x",
                {"0": "x"},
                {"a": 1},
                {"0": 1e400},
                {"0": True},
                {"0": 10**400},
                {"0": -1},
            )
        ),
        *(HALTED | {"milliseconds": odd} for odd in ("x", None, [])),
        {"event": "Decided", "decision": DECISION | {"criterion": 5}},
        {"event": "FirstStep", "seconds": {"step": "nan"}},
        STARTED | {"startup_seconds": "inf"},
        {"event": "Final", "metrics": 5},
        {"event": "Checkpointed", "uri": "x", "epoch": 1, "step": 1, "seconds": 1.0, "repeats": "x"},
        {"event": "ModelSaved", "name": 5, "epoch": 1, "step": 1, "best": True},
        {"event": "Failed", "rank": "x", "kind": "K", "message": "m", "traceback": "", "exit_code": 1},
        {"event": "Printed", "rank": 0, "text": ["x"]},
    ],
)
def test_what_is_no_such_event_is_refused_where_it_is_read(document):
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        EVENTS.from_dict(document)


def test_a_decision_may_know_more_or_be_none():
    assert EVENTS.from_dict(HALTED) == Halted(None, {0: 5}, 1.0)
    assert EVENTS.to_dict(Halted(None, {0: 5}, 1.0)) == HALTED
    assert EVENTS.from_dict(HALTED | {"decision": DECISION | {"later": 1}}).decision == DECIDED


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_survives_json(event):
    assert EVENTS.from_dict(json.loads(json.dumps(EVENTS.to_dict(event), allow_nan=False))) == event


def test_every_kind_of_event_is_tried_above():
    assert {type(event) for event in ONE_OF_EACH} == set(get_args(Event))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_survive(value):
    sent = json.loads(json.dumps(EVENTS.to_dict(Final({"loss": value})), allow_nan=False))
    assert str(EVENTS.from_dict(sent).metrics["loss"]) == str(value)  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_decision_about_such_a_number_survives_json(value):
    decided = Decided(dataclasses.replace(DECIDED, value=value))
    sent = json.loads(json.dumps(EVENTS.to_dict(decided), allow_nan=False))
    assert sent["decision"]["value"] == str(value)
    assert repr(EVENTS.from_dict(sent)) == repr(decided)


def test_what_an_earlier_version_has_written_is_written_the_same_today(tmp_path):
    """`events.jsonl` and `-o json` are read by others: byte for byte."""
    kept = [path.read_bytes() for path in sorted(earlier.unpacked(tmp_path).glob("*/events.jsonl"))]
    lines = b"".join(kept).splitlines()
    read = [json.loads(line) for line in lines]
    again = [{"time": line["time"], **EVENTS.to_dict(EVENTS.from_dict(line))} for line in read]
    assert [json.dumps(line, separators=(",", ":")).encode() for line in again] == lines
    assert len(lines) == 89


@pytest.mark.parametrize(
    ("document", "trouble"),
    [
        (HALTED | {"steps": {"0": "x"}}, "Halted.steps.0: Input should be a valid integer"),
        ({"event": "Warned"}, "Warned.message: Field required"),
        ({"event": "Nonsense"}, "no event of this name"),
    ],
)
def test_the_trouble_is_told_in_one_line_with_its_place(document, trouble):
    with pytest.raises(ValueError, match=f"^{re.escape(trouble)}$"):
        EVENTS.from_dict(document)


odd_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.data(), st.sampled_from(ONE_OF_EACH), odd_values)
def test_what_stands_in_a_field_is_refused_or_can_be_told(data, event, odd):
    document = EVENTS.to_dict(event)
    place = data.draw(st.sampled_from(sorted(document)))
    inner = document[place]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        odd = {**inner, data.draw(st.sampled_from(sorted(inner))): odd}
    try:
        read = EVENTS.from_dict({**document, place: odd})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return  # `RunDirectory.events` makes a DataError of these
    json.dumps(EVENTS.to_dict(read), allow_nan=False)
    added_up([read, *ONE_OF_EACH])


@pytest.mark.parametrize("odd", [[], 5, None, "x", {}, {"event": "Nonsense"}, {"event": []}, {"event": None}])
def test_what_is_no_event_at_all_is_refused(odd):
    with pytest.raises((TypeError, ValueError, KeyError)):
        EVENTS.from_dict(odd)


def test_a_key_that_is_not_the_events_own_is_passed_over():
    assert EVENTS.from_dict({"event": "Warned", "message": "x", "time": 3.0}) == Warned("x")


@dataclasses.dataclass(frozen=True)
class Sized:
    size: float
    parts: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("é", "é"),
        ((1, (2, [math.inf])), [1, [2, ["inf"]]]),
        ({1: {"a": math.nan}}, {"1": {"a": "nan"}}),
        (Sized(math.inf, (1, 2)), {"size": "inf", "parts": [1, 2]}),
        ([SEEN], [SEEN.to_dict()]),
    ],
)
def test_a_value_is_what_json_can_hold_of_it(value, told):
    assert jsonable(value) == told
    json.dumps(jsonable(value), allow_nan=False)
