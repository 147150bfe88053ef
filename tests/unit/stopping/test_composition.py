import pytest

NAN = float("nan")
FALLS = {"threshold": {"monitor": "a", "value": 0.5}}
RISES = {"threshold": {"monitor": "b", "mode": "max", "value": 0.5}}
LATE = {"budget": {"epochs": 3}}
A, B = [1, 0.4, 1, 0.4, 0.4], [0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("criterion", "epochs"),
    [
        ({"all": [FALLS, RISES]}, [4]),
        ({"all": [FALLS]}, [2, 4, 5]),
        ({"atLeast": {"count": 1, "of": [FALLS, RISES]}}, [2, 3, 4, 5]),
        ({"atLeast": {"count": 2, "of": [FALLS, RISES, LATE]}}, [3, 4, 5]),
        ({"atLeast": {"count": 3, "of": [FALLS, RISES, LATE]}}, [4]),
        ({"not": FALLS}, [1, 3]),
        ({"all": [{"not": FALLS}, RISES]}, [3]),
        ({"not": {"all": [FALLS, RISES]}}, [1, 2, 3, 5]),
        ({"not": {"not": FALLS}}, [2, 4, 5]),
        ({"atLeast": {"count": 1, "of": [{"all": [FALLS, RISES]}, {"not": RISES}]}}, [1, 2, 4, 5]),
    ],
)
def test_members_are_combined_at_the_same_observation(panel, stops, history, criterion, epochs):
    assert stops(panel(criterion), history(a=A, b=B)) == epochs


CLOSED = {**FALLS, "startAfter": {"epoch": 3}}
UNSEEN = {"threshold": {"monitor": "c", "value": 0.5, "whenMissing": "Ignore"}}


@pytest.mark.parametrize(
    ("criterion", "epochs"),
    [
        ({"not": CLOSED}, []),
        ({"not": UNSEEN}, []),
        ({"all": [RISES, CLOSED]}, [4]),
        ({"not": {"all": [RISES, CLOSED]}}, [1, 2, 5]),
        ({"not": {"atLeast": {"count": 1, "of": [RISES, CLOSED]}}}, []),
        ({"atLeast": {"count": 1, "of": [RISES, UNSEEN]}}, [3, 4]),
        ({"not": {"not": UNSEEN}}, []),
    ],
)
def test_a_member_without_an_opinion_is_neither_for_nor_against(panel, stops, history, criterion, epochs):
    assert stops(panel(criterion), history(a=A, b=B)) == epochs


def test_a_composition_held_back_by_a_members_gate_says_so(panel, rulings, history):
    given = rulings(panel({"all": [RISES, CLOSED]}), history(a=A, b=B))
    assert [ruling.findings[0].gated for ruling in given] == [None, None, "startAfter epoch 3", None, None]


@pytest.mark.parametrize(
    ("criterion", "sentence", "waiting", "closeness"),
    [
        (
            {"all": [FALLS, RISES]},
            "1 of 2 say stop, 2 needed: a 0.4 has reached 0.5; b 0 has not reached 0.5",
            "1/2",
            0.0,
        ),
        (
            {"atLeast": {"count": 1, "of": [RISES, FALLS]}},
            "1 of 2 say stop: a 0.4 has reached 0.5",
            "1/1",
            1.0,
        ),
        ({"not": FALLS}, "what `not` holds would stop: a 0.4 has reached 0.5", "0/1", 0.0),
        ({"not": RISES}, "what `not` holds would go on: b 0 has not reached 0.5", "1/1", 1.0),
    ],
)
def test_the_sentence_holds_the_members_sentences(verdict, criterion, sentence, waiting, closeness):
    said = verdict(criterion, curves={"a": A, "b": B})
    assert (said.reason, said.waiting, said.closeness) == (sentence, waiting, closeness)


def test_the_first_member_that_says_stop_lends_metric_and_value(panel, history):
    judged = panel({"atLeast": {"count": 1, "of": [RISES, FALLS]}})
    said = judged.judge(judged.fold(history(a=A, b=B))).stop.verdict
    assert (said.metric, said.value) == ("a", 0.4)


def test_a_members_nan_is_one_voice(panel, stops, history):
    curves = history(a=[1, NAN, NAN], b=[0, 0, 1])
    assert stops(panel({"all": [FALLS, RISES]}), curves) == [3]
    assert stops(panel({"not": FALLS}), curves) == [1]
