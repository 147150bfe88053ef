"""From rows to reports: what loggers write in pieces is put together."""

import pytest

from trainjobs.cli.curves.reports import Row, reports


def told(rows, monitor="v"):
    return [(seen.epoch, seen.step, seen.whole, dict(seen.metrics)) for seen in reports(rows, monitor)]


def test_rows_between_belong_to_the_next_report():
    rows = [Row({"t": 3.0}, 1, 4), Row({"t": 2.0}, 1, 8), Row({"v": 1.0}, 1, 9), Row({"t": 0.5}, 2, 12)]
    assert told(rows) == [(1, 9, True, {"t": 2.0, "v": 1.0})]


def test_rows_of_one_moment_are_one_report_whichever_comes_first():
    rows = [Row({"v": 1.0}, 1, 9), Row({"t": 2.0}, 1, 9), Row({"v": 0.9}, 2, 19)]
    assert told(rows) == [(1, 9, True, {"t": 2.0, "v": 1.0}), (2, 19, True, {"v": 0.9})]


def test_the_same_metric_twice_at_one_moment_is_two_reports():
    assert told([Row({"v": 1.0}, 1, 9), Row({"v": 0.9}, 1, 9)]) == [
        (1, 9, False, {"v": 1.0}),
        (1, 9, True, {"v": 0.9}),
    ]


@pytest.mark.parametrize(
    ("finished", "places"),
    [
        ([1, 1, 2], [(1, False), (1, True), (2, True)]),
        ([0.5, 1.0, 1.5], [(1, False), (1, True), (2, False)]),
        ([None, None], [(1, True), (2, True)]),
        ([0.0, 1.0], [(1, False), (1, True)]),
    ],
)
def test_the_last_report_in_an_epoch_ends_it(finished, places):
    rows = [Row({"v": 1.0}, at) for at in finished]
    assert [place[:1] + place[2:3] for place in told(rows)] == places


def test_without_a_monitor_each_row_is_a_report():
    assert len(told([Row({"t": 1.0}, 1), Row({"v": 1.0}, 2)], None)) == 2


def test_a_log_without_the_metric_is_one_report_with_all_there_is():
    assert told([Row({"a": 1.0}, 1), Row({"b": 2.0}, 2)]) == [(2, 2, True, {"a": 1.0, "b": 2.0})]


def test_no_rows_are_no_reports():
    assert told([]) == []
