"""Reading curves: every shape that tools write, and errors that name the line."""

import math

import pytest

from trainjobs.cli.curve import read_curve
from trainjobs.exits import DataError, NoInput
from trainjobs.stopping import Observation


@pytest.fixture
def curve(tmp_path):
    def read(text):
        path = tmp_path / "curve.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return tuple(read_curve(path))

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
        (["1", "1", "2"], [(1, True), (1, True), (2, True)]),
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


def test_an_empty_cell_is_a_metric_that_was_not_reported(curve):
    assert [dict(seen.metrics) for seen in curve("loss,acc\n0.5,\n,0.9\n")] == [{"loss": 0.5}, {"acc": 0.9}]


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
        ("a,b\n1,2\n1\n", "curve.csv:3: 1 cells, but the header has 2"),
        ("epoch,loss\nnan,2\n", "curve.csv:2: epoch: 'nan' is not a number of epochs"),
        ("epoch,loss\n-1,2\n", "curve.csv:2: epoch: '-1' is not a number of epochs"),
        ("epoch,loss\ninf,2\n", "curve.csv:2: epoch: 'inf' is not a number of epochs"),
        ("step,loss\n1.5,2\n", "curve.csv:2: step: '1.5' is not a number of steps"),
        ("step,loss\n-1,2\n", "curve.csv:2: step: '-1' is not a number of steps"),
        ("epoch,loss\n2.5,2\n2.25,2\n", "curve.csv:3: epoch"),
        ("epoch,loss\n2,2\n1,2\n", "curve.csv:3: epoch goes back from 2 to 1; sort the rows"),
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
        tuple(read_curve(tmp_path / "absent.csv"))
    assert caught.value.exit_code == 66
