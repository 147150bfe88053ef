"""Reading curves: every shape that tools write, and errors that name the line."""

import math
import tracemalloc

import pytest

from trainjobs.cli.curves.reports import reports
from trainjobs.cli.curves.table import read_table, runs_in
from trainjobs.exits import DataError, NoInput
from trainjobs.stopping import Observation


@pytest.fixture
def curve(tmp_path):
    def read(text, monitor=None):
        path = tmp_path / "curve.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return tuple(reports(read_table(path), monitor))

    return read


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("val_loss\n0.5\n0.4\n", [(1, 1, 0.0), (2, 2, 0.0)]),
        ("epoch,val_loss\n3,0.5\n7,0.4\n", [(3, 3, 0.0), (7, 7, 0.0)]),
        ("epoch,val_loss\n0,0.5\n1,0.4\n", [(1, 1, 0.0), (2, 2, 0.0)]),
        ("epoch,val_loss\n1.0,0.5\n2.0,0.4\n", [(1, 1, 0.0), (2, 2, 0.0)]),
        ("step,seconds,val_loss\n10,1.5,0.5\n20,3,0.4\n", [(1, 10, 1.5), (2, 20, 3.0)]),
        ("epoch,step,val_loss\n1,5,0.5\n1,10,0.4\n", [(1, 5, 0.0), (1, 10, 0.0)]),
    ],
)
def test_a_row_knows_where_it_is(curve, text, places):
    assert [(seen.epoch, seen.step, seen.seconds) for seen in curve(text)] == places


@pytest.mark.parametrize(
    ("epochs", "read"),
    [
        (["0.25", "0.5", "1.0", "1.25"], [(1, False), (1, False), (1, True), (2, False)]),
        (["0.0", "0.5", "1.0"], [(1, False), (1, False), (1, True)]),
        (["0", "1", "2"], [(1, True), (2, True), (3, True)]),
        (["1", "1", "2"], [(1, False), (1, True), (2, True)]),
        (["2.9938"], [(3, False)]),
    ],
)
def test_a_fraction_of_an_epoch_is_a_report_amid_it(curve, epochs, read):
    rows = "".join(f"{epoch},0.5\n" for epoch in epochs)
    assert [(seen.epoch, seen.whole) for seen in curve(f"epoch,eval_loss\n{rows}")] == read


@pytest.mark.parametrize(
    "text",
    [
        "loss,acc\n0.5,0.9\n",
        "loss;acc\n0.5;0.9\n",
        "loss\tacc\n0.5\t0.9\n",
        "\ufeffloss,acc\r\n0.5,0.9\r\n",
        '"loss" , "acc"\n 0.5 , 0.9\n',
        "loss,acc\n\n0.5,0.9\n\n",
        "loss,acc\n5e-1,+.9",
    ],
)
def test_what_spreadsheets_and_loggers_write_is_read(curve, text):
    assert curve(text) == (Observation(1, 1, 0.0, {"loss": 0.5, "acc": 0.9}),)


def test_of_a_long_table_one_row_at_a_time_is_in_memory(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("epoch,val_loss\n" + "".join(f"{epoch},0.5\n" for epoch in range(1, 20_001)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in reports(read_table(path), None)) == 20_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < path.stat().st_size


def test_a_name_in_quotes_may_hold_what_separates_other_files(curve):
    (seen,) = curve('"loss, smoothed, of all";acc\n0.5;0.9\n')
    assert seen.metrics == {"loss, smoothed, of all": 0.5, "acc": 0.9}


def test_an_empty_cell_is_a_metric_that_was_not_reported(curve):
    assert [dict(seen.metrics) for seen in curve("loss,acc\n0.5,\n,0.9\n")] == [{"loss": 0.5}, {"acc": 0.9}]


@pytest.mark.filterwarnings("ignore")
def test_what_keras_has_no_number_for_is_a_metric_that_was_not_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    from keras.callbacks import CSVLogger

    logger = CSVLogger(str(tmp_path / "training.csv"))
    logger.on_train_begin()
    for epoch, loss in enumerate([0.5, 0.4]):
        validated = {"val_loss": 0.6} if epoch % 2 else {}
        logger.on_epoch_end(epoch, {"f1": [0.1, 0.2], "loss": loss, **validated})
    logger.on_train_end()
    seen = tuple(reports(read_table(tmp_path / "training.csv"), None))
    assert [(each.epoch, dict(each.metrics)) for each in seen] == [
        (1, {"loss": 0.5}),
        (2, {"loss": 0.4, "val_loss": 0.6}),
    ]


@pytest.mark.parametrize(("cell", "value"), [("nan", math.nan), ("NaN", math.nan), ("-inf", -math.inf)])
def test_what_is_not_finite_is_a_value(curve, cell, value):
    assert str(curve(f"loss\n{cell}\n")[0].metrics["loss"]) == str(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "curve.csv: expected a header line and at least one row of numbers"),
        ("loss\n", "curve.csv: expected a header line and at least one row of numbers"),
        ("0.5,0.4\n0.4,0.3\n", "curve.csv:1: expected a header of metric names, found the number 0.5"),
        ("loss,\n1,2\n", "curve.csv:1: column 2 has no name"),
        ("loss,loss\n1,2\n", "curve.csv:1: column 2: the name loss is used twice"),
        ("epoch,step\n1,2\n", "curve.csv:1: no column holds a metric, only epoch, step"),
        ("loss\n1\n\nx\n", "curve.csv:4: loss: 'x' is not a number; leave the cell empty or write nan"),
        ("epoch;loss\n1;0,5\n", "curve.csv:2: loss: '0,5' is not a number; write it with a point, as 0.5"),
        ("a,b\n1,2\n1\n", "curve.csv:3: 1 cells, but the header has 2"),
        ("epoch,loss\nnan,2\n", "curve.csv:2: epoch: 'nan' is not a number of epochs"),
        ("epoch,loss\n-1,2\n", "curve.csv:2: epoch: '-1' is not a number of epochs"),
        ("epoch,loss\ninf,2\n", "curve.csv:2: epoch: 'inf' is not a number of epochs"),
        ("step,loss\n1.5,2\n", "curve.csv:2: step: '1.5' is not a number of steps"),
        ("step,loss\n-1,2\n", "curve.csv:2: step: '-1' is not a number of steps"),
        ("epoch,loss\n2.5,2\n2.25,2\n", "curve.csv:3: epoch"),
        ("epoch,loss\n2,2\n1,2\n", "curve.csv:3: epoch goes back from 2 to 1; sort the rows"),
        ("epoch,loss\n0,2\n1,2\n0,2\n", "curve.csv:4: epoch goes back from 1 to 0; sort the rows, or if"),
        ("seconds,loss\n2,2\n1,2\n", "curve.csv:3: seconds goes back from 2 to 1; sort the rows"),
        ("seconds,loss\nnan,2\n", "curve.csv:2: seconds: 'nan' is not a time"),
        (b"\xff\xfe\x00loss", "curve.csv: not a text file"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(curve, text, message):
    with pytest.raises(DataError) as caught:
        curve(text)
    assert message in str(caught.value)


def test_a_curve_that_is_not_there_is_66(tmp_path):
    with pytest.raises(NoInput) as caught:
        tuple(read_table(tmp_path / "absent.csv"))
    assert caught.value.exit_code == 66


def test_ultralytics_time_is_seconds(curve):
    header = "                  epoch,      time,  train/box_loss, metrics/mAP50(B), val/box_loss"
    text = f"{header}\n1, 9.5, 1.2, 0.1, 1.3\n"
    assert curve(text) == (
        Observation(1, 1, 9.5, {"train/box_loss": 1.2, "metrics/mAP50(B)": 0.1, "val/box_loss": 1.3}),
    )


def test_time_of_anybody_else_is_a_metric(curve):
    assert [dict(seen.metrics) for seen in curve("time,loss\n3,0.5\n2,0.4\n")] == [
        {"time": 3.0, "loss": 0.5},
        {"time": 2.0, "loss": 0.4},
    ]


def test_a_history_that_pandas_wrote_of_wandb(curve):
    text = (
        ",_step,_runtime,_timestamp,epoch,loss,val_loss,picture\n"
        "0,0,1.5,17e8,0,0.9,,\n"
        '1,1,2.5,17e8,0,,0.8,"{""_type"": ""image-file""}"\n'
        "2,2,3.5,17e8,1,,0.7,\n"
    )
    assert curve(text, "val_loss") == (
        Observation(1, 1, 2.5, {"loss": 0.9, "val_loss": 0.8}),
        Observation(2, 2, 3.5, {"val_loss": 0.7}),
    )


def test_a_cell_without_an_epoch_has_the_one_before(curve):
    assert [seen.epoch for seen in curve("epoch,loss\n1,0.5\n,0.4\n2,0.3\n")] == [1, 1, 2]


CHART = (
    '"Step","calm-sea-1 - val_loss","calm-sea-1 - val_loss__MIN","calm-sea-1 - val_loss__MAX",'
    '"a - b - val_loss","a - b - val_loss__MIN","a - b - val_loss__MAX"\n'
    '"0","0.9","0.9","0.9","","",""\n"10","0.8","0.8","0.8","0.7","0.7","0.7"\n'
)


def test_a_chart_that_wandb_has_exported_holds_a_run_in_a_column(tmp_path):
    path = tmp_path / "chart.csv"
    path.write_text(CHART)
    assert runs_in(path) == ("calm-sea-1", "a - b")
    found = {
        run: [seen.metrics for seen in reports(read_table(path, run), "val_loss")] for run in runs_in(path)
    }
    assert found == {"calm-sea-1": [{"val_loss": 0.9}, {"val_loss": 0.8}], "a - b": [{"val_loss": 0.7}]}


def test_any_other_file_holds_one_run(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("a - b,c\n1,2\n")
    assert runs_in(path) == ()
