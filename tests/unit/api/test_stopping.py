import json

import pytest
from pydantic import ValidationError

from trainjobs.api.stopping import Criterion, Mode, NonFinite, Single, StartAfter, Stopping

PLATEAU = {"plateau": {"patience": 5}}
EXAMPLE = {
    "monitor": "val_loss",
    "mode": "min",
    "startAfter": {"epoch": 3},
    "criteria": [
        {"plateau": {"patience": 5, "minDelta": 0.001}},
        {"threshold": {"monitor": "val_accuracy", "mode": "max", "value": 0.99}},
        {"all": [{"overfitting": {"gap": 0.3, "patience": 3}}, {"plateau": {"patience": 2}}]},
        {"not": {"plateau": {"patience": 1}}, "shadow": True},
    ],
    "restoreBest": True,
}


def problems(document, model=Stopping):
    """Every error's (place, message) of a document that is refused."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    return [(each["loc"], each["msg"].removeprefix("Value error, ")) for each in caught.value.errors()]


def test_a_manifest_is_read_and_written_again():
    stopping = Stopping.model_validate(EXAMPLE)
    written = stopping.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written == EXAMPLE
    assert Stopping.model_validate(json.loads(json.dumps(written))) == stopping


def test_nothing_is_asked_for_by_default():
    stopping = Stopping()
    assert (stopping.mode, stopping.non_finite, stopping.criteria) == (Mode.MIN, NonFinite.STOP, ())
    assert (stopping.monitor, stopping.start_after, stopping.min_epochs, stopping.restore_best) == (
        None,
    ) * 3 + (False,)


def test_defaults_of_the_families_are_these():
    defaults = {
        key: Single.model_validate({key: given}).parameters.patience
        for key, given in {"divergence": {"value": 1.0}, "nonFinite": {}, "overfitting": {"gap": 0.1}}.items()
    }
    assert defaults == {"divergence": 1, "nonFinite": 1, "overfitting": 1}
    assert Single.model_validate(PLATEAU).plateau.min_delta == 0.0


UNIONS = ", ".join(Single.model_fields[name].alias for name in Single.alternatives())


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ({}, f"must name exactly one of {UNIONS}, all, atLeast, not; got none"),
        ({"name": "x", "plateau": None}, f"must name exactly one of {UNIONS}, all, atLeast, not; got none"),
        (
            {**PLATEAU, "budget": {"epochs": 1}},
            f"must name exactly one of {UNIONS}, all, atLeast, not; got plateau and budget",
        ),
        (
            {**PLATEAU, "not": PLATEAU},
            f"must name exactly one of {UNIONS}, all, atLeast, not; got plateau and not",
        ),
        ({"divergence": {}}, "must name exactly one of value, factor, amount; got none"),
        (
            {"divergence": {"value": 0, "factor": 2}},
            "must name exactly one of value, factor, amount; got value and factor",
        ),
        ({"budget": {}}, "must name at least one of epochs, steps, seconds; got none"),
        (
            {"plateau": {"patience": 1, "smoothing": {}}},
            "must name exactly one of ema, mean, median; got none",
        ),
        ({**PLATEAU, "startAfter": {}}, "must name exactly one of epoch, step, metric; got none"),
        (
            {**PLATEAU, "startAfter": {"epoch": 1, "metric": "x", "below": 1}},
            "must name exactly one of epoch, step, metric; got epoch and metric",
        ),
        (
            {**PLATEAU, "startAfter": {"metric": "x"}},
            "metric: must name exactly one of below, above; got none",
        ),
        (
            {**PLATEAU, "startAfter": {"metric": "x", "below": 1, "above": 0}},
            "metric: must name exactly one of below, above; got below and above",
        ),
        ({**PLATEAU, "startAfter": {"step": 1, "below": 0}}, "below: goes with metric only"),
        ({**PLATEAU, "startAfter": {"epoch": 1, "above": 0}}, "above: goes with metric only"),
        ({"all": []}, "must hold at least one criterion; got none"),
        ({"atLeast": {"count": 2, "of": [PLATEAU]}}, "count must be at most the number of members, 1; got 2"),
        (
            {"all": [{**PLATEAU, "shadow": True}]},
            "shadow: belongs to the whole criterion, not to a member of a composition",
        ),
        (
            {"not": {**PLATEAU, "name": "x"}},
            "name: belongs to the whole criterion, not to a member of a composition",
        ),
        ({"all": [{"not": {"all": [PLATEAU]}}]}, "all: compositions nest at most 2 deep; name a family here"),
    ],
)
def test_a_criterion_that_is_not_one_thing_is_refused_with_the_alternatives(criterion, message):
    assert [told for _, told in problems(criterion, Criterion)] == [message]


@pytest.mark.parametrize(
    ("family", "field", "value"),
    [
        ("plateau", "patience", 0),
        ("plateau", "patience", -1),
        ("plateau", "patience", 2.5),
        ("plateau", "patience", True),
        ("plateau", "patience", "5"),
        ("plateau", "minDelta", -0.1),
        ("plateau", "minDelta", float("nan")),
        ("plateau", "baseline", float("inf")),
        ("plateau", "minDeltaMode", "relative"),
        ("plateau", "mode", "auto"),
        ("plateau", "nonFinite", "Skip"),
        ("plateau", "whenMissing", "Stop"),
        ("plateau", "monitor", ""),
        ("plateau", "patence", 1),
        ("divergence", "factor", 0),
        ("divergence", "amount", -1),
        ("budget", "epochs", 0),
        ("budget", "steps", 0),
        ("budget", "seconds", 0),
        ("overfitting", "gap", -0.1),
        ("overfitting", "patience", 0),
        ("nonFinite", "patience", 0),
        ("nonFinite", "mode", "min"),
        ("budget", "monitor", "x"),
    ],
)
def test_a_value_out_of_bounds_is_refused_at_its_place(family, field, value):
    given = {"plateau": {"patience": 1}, "overfitting": {"gap": 1}}.get(family, {})
    places = [place for place, _ in problems({family: {**given, field: value}}, Criterion)]
    assert places == [(family, field)]


@pytest.mark.parametrize(
    ("smoothing", "place"),
    [
        ({"ema": {"alpha": 0}}, ("ema", "alpha")),
        ({"ema": {"alpha": 1.01}}, ("ema", "alpha")),
        ({"mean": {"window": 0}}, ("mean", "window")),
        ({"median": {"window": 1001}}, ("median", "window")),
    ],
)
def test_smoothing_has_bounds(smoothing, place):
    assert [at for at, _ in problems({"smoothing": smoothing})] == [("smoothing", *place)]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"minEpochs": 0}, ("minEpochs",)),
        ({"startAfter": {"epoch": -1}}, ("startAfter", "epoch")),
        ({"monitor": "x", "criteria": [PLATEAU] * 17}, ("criteria",)),
        ({"monitor": "x", "criteria": [{"all": [PLATEAU] * 9}]}, ("criteria", 0, "all")),
        ({"restoreBest": True}, ("monitor",)),
        ({"monitor": "x", "criteria": [{**PLATEAU, "name": "a b"}]}, ("criteria", 0, "name")),
    ],
)
def test_what_a_run_may_ask_for_has_bounds(document, place):
    assert [at for at, _ in problems(document)] == [place]


def test_every_criterion_without_a_metric_is_named():
    document = {"criteria": [PLATEAU, {"budget": {"epochs": 1}}, {"all": [{"not": {"nonFinite": {}}}]}]}
    assert problems(document) == [
        (("criteria", 0, "plateau", "monitor"), "must name a metric, here or in stopping.monitor"),
        (
            ("criteria", 2, "all", 0, "not", "nonFinite", "monitor"),
            "must name a metric, here or in stopping.monitor",
        ),
    ]


def test_a_criterion_with_its_own_metric_needs_no_other():
    stopping = Stopping.model_validate({"criteria": [{"plateau": {"patience": 1, "monitor": "x"}}]})
    assert stopping.criteria[0].plateau.monitor == "x"


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        ([PLATEAU], ["plateau"]),
        ([PLATEAU, PLATEAU, {"not": PLATEAU}], ["plateau", "plateau-2", "not"]),
        ([{**PLATEAU, "shadow": True}, PLATEAU], ["plateau-2", "plateau"]),
        ([{**PLATEAU, "name": "slow"}, PLATEAU], ["slow", "plateau"]),
        ([{"atLeast": {"count": 1, "of": [PLATEAU]}}, {"nonFinite": {}}], ["atLeast", "nonFinite"]),
    ],
)
def test_names_are_the_keys_numbered_and_shadows_rename_no_other(criteria, names):
    assert list(Stopping.model_validate({"monitor": "x", "criteria": criteria}).names) == names


def test_a_name_used_twice_is_refused():
    criteria = [PLATEAU, {"budget": {"epochs": 1}, "name": "plateau"}]
    assert problems({"monitor": "x", "criteria": criteria}) == [
        (("criteria", 1, "name"), "must be unique; it is the name of criteria[0]")
    ]


def test_a_criterion_lists_the_families_inside_with_their_places():
    document = {
        "all": [
            PLATEAU,
            {"atLeast": {"count": 1, "of": [{"nonFinite": {}}]}},
            {"not": {"budget": {"epochs": 1}}},
        ]
    }
    places = [place for place, _ in Criterion.model_validate(document).families()]
    assert places == [
        ("all", 0, "plateau"),
        ("all", 1, "atLeast", "of", 0, "nonFinite"),
        ("all", 2, "not", "budget"),
    ]


@pytest.mark.parametrize("epoch", [0, 3])
def test_a_gate_may_open_at_once(epoch):
    assert StartAfter(epoch=epoch).epoch == epoch


def test_the_schema_does_not_refer_to_itself():
    definitions = Stopping.model_json_schema()["$defs"]

    def reached(node, path):
        for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            if isinstance(part, str) and part.startswith("#/$defs/"):
                name = part.removeprefix("#/$defs/")
                assert name not in path
                reached(definitions[name], (*path, name))
            reached(part, path)

    reached(Stopping.model_json_schema()["properties"], ())


def test_every_field_is_described():
    schema = Stopping.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    bare = [
        f"{model['title']}.{name}"
        for model in models
        for name, field in model.get("properties", {}).items()
        if not field.get("description")
    ]
    assert bare == []
