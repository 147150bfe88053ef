"""Where a run is does not depend on how a loop is left: any shape, halted anywhere, equals its undisturbed self."""

import random
from itertools import product

import pytest
from living import LivingWorkers, outcome, shape, trained

from trainjobs.runtime import events

AXES = {
    "loader": ["prepared", "own", "stream"],
    "leave": ["end", "break", "limit", "raise"],
    "evaluate": ["after", "amid", "both"],
    "report": ["end", "amid", "both"],
    "accumulate": [1, 2],
    "prelude": [False, True],
    "epochs": [0, 2],
}
ALL = [dict(zip(AXES, values, strict=True)) for values in product(*AXES.values())]
SHAPES = random.Random(0).sample(ALL, 54)
HALTS = (1, 4, 7, 11, 16, 23)


@pytest.fixture(scope="module")
def living():
    workers = LivingWorkers(2)
    yield workers
    workers.close()


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_any_loop_of_run_halted_anywhere_equals_its_undisturbed_self(living, tmp_path, number):
    config = shape(**SHAPES[number])
    whole, _ = trained(living, tmp_path / "whole", "train", config)
    expected = outcome(whole)
    for halt in HALTS:
        broken, _ = trained(living, tmp_path / f"{halt}", "train", config | {"halt": halt})
        assert outcome(broken) == expected, (halt, config)


@pytest.mark.parametrize(
    ("entrypoint", "parts"),
    [
        *[("own_steps", {"loader": loader, "accumulate": n}) for loader in AXES["loader"] for n in (1, 2)],
        *[("own_polls", {"loader": loader}) for loader in ("own", "stream")],
        ("own_epochs", {}),
    ],
    ids=str,
)
def test_any_loop_of_ones_own_halted_anywhere_equals_its_undisturbed_self(
    living, tmp_path, entrypoint, parts
):
    config = shape(**parts)
    expected = outcome(trained(living, tmp_path / "whole", entrypoint, config)[0])
    for halt in HALTS:
        broken, _ = trained(living, tmp_path / f"{halt}", entrypoint, config | {"halt": halt})
        assert outcome(broken) == expected, (halt, config)


@pytest.mark.parametrize("number", range(0, len(SHAPES), 3))
@pytest.mark.parametrize("steps", [4, 5])
def test_a_budget_of_steps_is_exact_in_any_loop(living, tmp_path, number, steps):
    config = shape(**SHAPES[number])
    trial, _ = trained(
        living, tmp_path / "run", "train", config, {"criteria": [{"budget": {"steps": steps}}]}
    )
    halted = trial.of(events.Halted)[-1]
    if max(halted.steps.values()) >= steps or halted.decision:
        assert set(halted.steps.values()) == {steps}
        assert f"{steps} of {steps} steps are used" in halted.decision["reason"]
