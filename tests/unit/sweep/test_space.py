import pytest

from trainjobs.sweeps.space import drawn, faults, grid, trial_job

LR = {"logUniform": {"min": 1e-4, "max": 1e-1}}


@pytest.mark.parametrize(
    ("parameter", "allowed"),
    [
        ({"uniform": {"min": 0.5, "max": 0.75}}, lambda value: 0.5 <= value <= 0.75),
        ({"uniform": {"min": 0, "max": 1, "step": 0.25}}, lambda value: value in (0, 0.25, 0.5, 0.75, 1)),
        (LR, lambda value: 1e-4 <= value <= 1e-1),
        ({"integer": {"min": 16, "max": 64, "step": 16}}, lambda value: value in (16, 32, 48, 64)),
        ({"choice": ["a", None, [1]]}, lambda value: value in ("a", None, [1])),
    ],
)
def test_what_is_drawn_is_allowed_and_all_of_it_comes(sweep, parameter, allowed):
    spec = sweep({"x": parameter}).spec
    values = [drawn(spec, number)["x"] for number in range(1, 200)]
    assert all(allowed(value) for value in values)
    assert len({repr(value) for value in values}) > 2


def test_a_logarithmic_range_gives_each_order_of_magnitude_as_often(sweep):
    spec = sweep({"x": LR}).spec
    low = sum(drawn(spec, number)["x"] < 1e-3 for number in range(1, 1001))
    assert 270 < low < 400


def test_a_trial_follows_from_seed_number_and_name_alone(sweep):
    few, more = sweep({"x": LR}).spec, sweep({"x": LR, "y": LR}).spec
    assert [drawn(few, n)["x"] for n in range(1, 9)] == [drawn(more, n)["x"] for n in range(1, 9)]
    assert drawn(few, 3) == drawn(few, 3) != drawn(sweep({"x": LR}, seed=1).spec, 3)


def test_a_condition_takes_a_parameter_away(sweep):
    momentum = {"uniform": {"min": 0.1, "max": 0.9}, "when": {"optimizer": "sgd"}}
    spec = sweep({"optimizer": {"choice": ["sgd", "adam"]}, "momentum": momentum}).spec
    points = [drawn(spec, number) for number in range(1, 40)]
    assert {(point["optimizer"], "momentum" in point) for point in points} == {("sgd", True), ("adam", False)}


def test_grids_are_gone_through_in_order_whatever_is_drawn_beside_them(sweep):
    spec = sweep({"a": {"grid": [1, 2]}, "lr": LR, "b": {"grid": ["x", "y"]}}).spec
    found = [(point["a"], point["b"]) for point in (drawn(spec, n) for n in range(1, 6))]
    assert found == [(1, "x"), (1, "y"), (2, "x"), (2, "y"), (1, "x")]


def test_a_grid_search_has_each_point_once(sweep):
    spec = sweep(
        {"optimizer": {"choice": ["sgd", "adam"]}, "m": {"grid": [0.5, 0.9], "when": {"optimizer": "sgd"}}},
        search={"grid": {}},
        maxTrials=None,
    ).spec
    assert grid(spec) == [
        {"optimizer": "sgd", "m": 0.5},
        {"optimizer": "sgd", "m": 0.9},
        {"optimizer": "adam"},
    ]


def test_a_trial_is_a_trainjob_with_its_values(sweep):
    one = sweep({"hidden": {"choice": [1, 2]}, "/spec.trainer.maxEpochs": {"integer": {"min": 2, "max": 4}}})
    job = trial_job(one, "0003", {"hidden": 2, "/spec.trainer.maxEpochs": 3})
    assert (job.metadata.name, job.spec.trainer.config["hidden"], job.spec.trainer.max_epochs) == (
        "tiny-0003",
        2,
        3,
    )


def wrong(sweep, parameters):
    return [(at[-1], message) for at, _, message in faults(sweep(parameters))]


def test_values_that_the_template_cannot_have_are_told_before_anything_starts(sweep):
    epochs = "/spec.trainer.maxEpochs"
    found = list(faults(sweep({epochs: {"integer": {"min": 0, "max": 4}}})))
    assert found == [(("spec", "parameters", epochs), 0, "spec.trainer.maxEpochs: must be at least 1")]


@pytest.mark.parametrize("other", ["/spec.trainer.config.hidden", "/spec.trainer.config", "/spec.trainer"])
def test_two_parameters_of_one_field_are_told(sweep, other):
    whole = {"entrypoint": "train:train", "maxEpochs": 3, "config": {}}
    value = {"/spec.trainer": whole, "/spec.trainer.config": {}}.get(other, 8)
    found = wrong(sweep, {"hidden": {"choice": [1, 2]}, other: {"choice": [value]}})
    told = "sets the same field as hidden: keep one of them, or a `when` that excludes the other's"
    assert found == [(other, told)]


def test_a_field_may_have_a_range_for_each_case(sweep):
    parameters = {
        "optimizer": {"choice": ["sgd", "adam"]},
        "rate": {**LR, "when": {"optimizer": "sgd"}},
        "/spec.trainer.config.rate": {**LR, "when": {"optimizer": "adam"}},
    }
    assert not wrong(sweep, parameters)


def test_a_slot_has_one_size_however_the_parameter_is_written(sweep):
    two = {"entrypoint": "train:train", "maxEpochs": 3, "numProcPerNode": 2}
    for name, value in (("/spec.trainer", two), ('/spec.trainer["numProcPerNode"]', 2)):
        told = "may not change numProcPerNode: a slot has one size; set template.spec.trainer.numProcPerNode"
        assert wrong(sweep, {name: {"choice": [value]}}) == [(name, told)]
