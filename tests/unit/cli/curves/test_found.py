"""Looking for curves: what is below a directory, each run once."""

import json
from pathlib import Path

import pytest

from trainjobs.cli.curves.found import curves
from trainjobs.exits import DataError, NoInput

LOGS = Path(__file__).parents[3] / "data/logs"
TABLE = "epoch,val_loss\n1,0.5\n2,0.4\n"
STATE = json.dumps({"log_history": [{"epoch": 1, "step": 1, "val_loss": 1}], "global_step": 1})


@pytest.fixture
def below(tmp_path):
    """Names of the curves below a directory with these files."""

    def find(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_csv", ".csv").replace("_json", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [curve.name.removeprefix(f"{tmp_path}/") for curve in curves(tmp_path)]

    return find


def test_every_csv_file_is_a_curve_in_the_order_of_numbers(below):
    names = {f"version_{n}__metrics_csv": TABLE for n in (10, 2, 0)}
    assert below(**names) == [f"version_{n}/metrics.csv" for n in (0, 2, 10)]


def test_of_a_trainers_checkpoints_the_last_one_holds_the_log(below):
    states = {f"out__checkpoint-{n}__trainer_state_json": STATE for n in (500, 1000)}
    names = below(**states, **{"out__runs__today__events.out.tfevents.1": ""})
    assert names == ["out/checkpoint-1000/trainer_state.json"]


def test_event_files_are_read_where_nothing_else_tells_of_the_run(below):
    assert below(
        **{"a__events.out.tfevents.1": "", "b__events.out.tfevents.1": "", "b__metrics_csv": TABLE}
    ) == [
        "a",
        "b/metrics.csv",
    ]


def test_what_keras_writes_to_two_directories_is_one_run(below):
    assert below(**{"a__train__events.out.tfevents.1": "", "a__validation__events.out.tfevents.1": ""}) == [
        "a"
    ]


def test_hidden_directories_are_passed_by_and_links_are_followed_once(below, tmp_path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "c.csv").write_text(TABLE)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "there").symlink_to(elsewhere)
    assert below(**{".cache__a_csv": TABLE, "b_csv": TABLE}) == ["b.csv", "there/c.csv"]


def test_a_directory_without_any_is_66(tmp_path):
    with pytest.raises(NoInput) as caught:
        curves(tmp_path)
    assert "not a run directory" in str(caught.value)


def test_a_run_knows_its_length_and_a_table_does_not(recording):
    recording.early_stop()
    (run,) = curves(Path("runs/mnist"))
    assert run.read("val_loss").length.amount == 100
    (table,) = curves(LOGS / "keras.csv")
    recorded = table.read("val_loss")
    assert recorded.length is None
    assert [(seen.epoch, sorted(seen.metrics)) for seen in recorded.history] == [
        (epoch, ["loss", "mae", "val_loss", "val_mae"]) for epoch in (1, 2, 3, 4)
    ]


def test_a_file_that_nobody_can_read_says_so_when_it_is_read(below, tmp_path):
    assert below(a_csv="\x00\n", b_csv=TABLE) == ["a.csv", "b.csv"]
    with pytest.raises(DataError):
        tuple(curves(tmp_path)[0].read(None).history)
