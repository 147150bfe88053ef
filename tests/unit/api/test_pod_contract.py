"""Operator and pod read one contract: what only one of them knows is refused, and any last words are understood."""

import json
from dataclasses import dataclass, field, fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainjobs.api.pod_contract import (
    EVENT_MARK,
    LONGEST_LOG_TAIL,
    PodEnvironment,
    PodEnvironmentError,
    TerminationMessage,
    variable,
)

TOLD = PodEnvironment(
    name="mnist",
    namespace="team",
    uid="0123",
    nodes=2,
    processes=4,
    head="mnist-0.mnist.team.svc",
    address="10.0.0.7",
    ray_token_path="/token",  # noqa: S106
    backoff_limit=0,
    code="/code",
    storage="s3://b/r",
    kind="TrainSweep",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later(PodEnvironment):
    """The contract with one field more."""

    zone: str = field(metadata=variable("TRAINJOBS_ZONE"))


def test_what_the_operator_sets_is_what_the_pod_finds():
    assert PodEnvironment.of_env(TOLD.to_env()) == TOLD
    assert set(TOLD.to_env()) == set(PodEnvironment.variables())


def test_every_field_is_a_variable_of_its_own():
    assert len(set(PodEnvironment.variables())) == len(fields(PodEnvironment))


def test_what_is_not_there_is_an_empty_variable():
    bare = replace(TOLD, code="", storage="", backoff_limit=None)
    assert {name for name, value in bare.to_env().items() if value != TOLD.to_env()[name]} == {
        "TRAINJOBS_CODE",
        "TRAINJOBS_STORAGE",
        "TRAINJOBS_BACKOFF_LIMIT",
    }
    assert set(bare.to_env()) == set(TOLD.to_env())
    assert PodEnvironment.of_env(bare.to_env()) == bare


def test_a_field_that_only_the_pod_knows_is_refused_by_its_name():
    with pytest.raises(PodEnvironmentError, match="TRAINJOBS_ZONE: not set"):
        Later.of_env(TOLD.to_env())


def test_a_pod_of_an_earlier_version_passes_over_what_it_does_not_know():
    known = {each.name: getattr(TOLD, each.name) for each in fields(TOLD)}
    assert PodEnvironment.of_env(Later(**known, zone="a").to_env()) == TOLD


def test_all_that_is_wrong_is_said_at_once():
    environment = {**TOLD.to_env(), "TRAINJOBS_NUM_NODES": "two"}
    del environment["TRAINJOBS_UID"], environment["TRAINJOBS_HEAD"]
    with pytest.raises(PodEnvironmentError) as caught:
        PodEnvironment.of_env(environment)
    assert str(caught.value).startswith(
        "TRAINJOBS_UID: not set; TRAINJOBS_NUM_NODES: must be a whole number; got 'two'; TRAINJOBS_HEAD: not set. "
    )


@given(reason=st.text(), message=st.text() | st.text().map(lambda text: text * 5000))
@example(reason="UserError", message="é" * 3000)
@example(reason="UserError", message="\0" * 3000)
@example(reason="R" * 5000, message="a" * 4095)
@example(reason="", message="\ud800")
def test_a_message_is_kept_whole_by_kubernetes_and_understood(reason, message):
    text = TerminationMessage(reason, message).to_text()
    assert len(text.encode()) <= 4096
    assert set(json.loads(text)) == {"reason", "message"}
    found = TerminationMessage.of_text(text.encode())
    assert found.reason[:100] == reason.encode(errors="replace").decode()[:100]
    assert found.message[:500] == message.encode(errors="replace").decode()[:500]


def test_a_message_loses_no_more_than_it_must():
    short = TerminationMessage("UserError", "a" * 4000)
    assert TerminationMessage.of_text(short.to_text()) == short
    long = TerminationMessage("UserError", "a" * 9000).to_text()
    assert len(long.encode()) == 4096
    assert TerminationMessage.of_text(long).message.endswith("a…")


@given(st.binary() | st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
@example("[" * 4096)
@example('{"message": ' + "[" * 900 + "]" * 900 + "}")
@example('{"message": ' + "[" * 2000 + "]" * 2000 + "}")
@example('{"reason": [], "message": ' + "1" * 4000 + "}")
@example('{"message": "\\ud800"}')
@example("\ud800")
def test_whatever_is_in_a_termination_message_is_no_error(raw):
    found = TerminationMessage.of_text(raw)
    (found.reason + found.message).encode()


def test_the_end_of_a_log_has_no_reason():
    assert TerminationMessage.of_text(b"Traceback\n" + b"x" * 600 + b"\n") == TerminationMessage(
        "", "x" * 500
    )


@pytest.mark.parametrize("people", ["", "epoch 3/100  step 210\n"])
def test_an_event_of_which_a_tail_has_only_the_end_is_nobodys_last_words(people):
    event = EVENT_MARK + json.dumps({"event": "Reported", "results": ["x" * 3000]})
    tail = f"epoch 2/100  step 140\n{event}\n{people}"[-LONGEST_LOG_TAIL:]
    assert TerminationMessage.of_text(tail) == TerminationMessage("", people.strip())


def test_a_line_for_people_of_which_a_tail_has_only_the_end_is_kept():
    tail = ("KeyError: " + "a" * 3000)[-LONGEST_LOG_TAIL:]
    assert TerminationMessage.of_text(tail).message == "a" * 500
