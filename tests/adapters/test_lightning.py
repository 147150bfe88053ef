"""Lightning's trainer under DDP with our criteria in the place of its EarlyStopping."""

import json

import pytest
from adapted import BROKEN, CASES, ENDLESS, FALLING, ROOT, TURNING, Kept, program_of, torchrun

OF_LIGHTNING = {
    **CASES,
    "threshold, which an equal value does not reach": (
        FALLING,
        {"patience": 9, "stopping_threshold": 0.5},
    ),
    "divergence": (TURNING, {"patience": 9, "divergence_threshold": 0.85}),
    "NaN stops": (BROKEN, {"patience": 9}),
    "infinity stops": (ENDLESS, {"patience": 9}),
}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    place = tmp_path_factory.mktemp("lightning")
    (place / "cases.json").write_text(json.dumps(OF_LIGHTNING))
    return place, torchrun(ROOT / "tests/adapters/programs/lightning_curves.py", place, "cases.json")


@pytest.mark.parametrize("name", OF_LIGHTNING)
def test_all_ranks_stop_where_lightning_stops_and_where_a_replay_does(curves, name):
    place, answers = curves
    assert [answer[name]["ours"] for answer in answers] == [answer[name]["theirs"] for answer in answers]
    kept = Kept(place / "runs" / name)
    kept.check()
    assert set(kept.steps.values()) == {answers[0][name]["ours"]}


def test_the_page_s_program_stops_all_ranks_at_one_step(tmp_path):
    torchrun(program_of("Lightning", tmp_path), tmp_path)
    kept = Kept(tmp_path / "runs/lightning")
    assert kept.check() is not None
    assert kept.result["state"] == "EarlyStopped"
