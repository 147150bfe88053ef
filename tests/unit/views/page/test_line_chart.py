"""Curves: where points and names lie."""

import math
import re
from itertools import pairwise

import pytest
from page_reader import read_page

from trainjobs.views.page.line_chart import HEIGHT, Line, LineChart, Marker, drawn


def chart(ys, xs=None, **fields):
    return LineChart(
        "loss", "epoch", [Line("val", xs or list(range(1, len(ys) + 1)), ys, "accent")], **fields
    )


def paths(shown):
    return read_page(drawn(shown, 0).text).attribute("d")


@pytest.mark.parametrize(
    ("length", "share"), [(None, 0), (10, 0), (9, 0), (11, 0.1), (10.1, 0.05), (13, 0.25), (1000, 0.4)]
)
def test_what_was_never_trained_takes_its_share_within_bounds(length, share):
    assert chart([1.0] * 10, length=length).untrained == pytest.approx(share)


def test_a_gap_is_left_where_a_value_is_not_finite():
    (path,) = paths(chart([1.0, math.nan, 3.0, 2.0, math.inf, 1.0]))
    assert path.count("M") == 3


def test_the_lowest_value_lies_lowest_and_the_first_leftmost():
    shown = chart([3.0, 1.0, 2.0])
    assert shown.down(1.0) > shown.down(2.0) > shown.down(3.0) > 0
    assert shown.down(1.0) < HEIGHT
    assert [shown.across(x) for x in (1, 2, 3)] == [0, 0.5, 1]


def test_names_of_lines_that_end_together_do_not_cover_each_other():
    lines = [Line(f"run {i}", [1, 2], [0.0, i / 1000], f"run-{i}") for i in range(6)]
    text = drawn(LineChart("loss", "epoch", [*lines, Line("far", [1, 2], [0, 5.0], "run-1")]), 0).text
    names = [float(y) for y in re.findall(r'<text x="8" y="([\d.]+)"', text)]
    assert len(names) == 7
    assert min(b - a for a, b in pairwise(names)) >= 16.9
    assert max(names) <= HEIGHT + 4


def test_of_more_lines_than_there_is_room_for_some_are_named():
    lines = [Line(f"run {i}", [1], [float(i)], "run-1") for i in range(60)]
    assert drawn(LineChart("loss", "epoch", lines), 0).text.count('class="name ') == 14


@pytest.mark.parametrize(
    ("places", "rows"),
    [
        ((1, 2, 3), ["1 start", "2 start", "3 start"]),
        ((3, 1, 2), ["1 start", "2 start", "3 start"]),
        ((9, 10, 1), ["1 start", "10 end", "9 end"]),
    ],
)
def test_moments_are_named_above_the_plot_and_no_name_stands_on_a_stem(places, rows):
    shown = chart([1.0] * 10, markers=[Marker(x, str(x), "best") for x in places])
    found = re.findall(r'text-anchor="(\w+)">(\d+)<', drawn(shown, 0).text)
    assert [f"{name} {side}" for side, name in found] == rows


def test_epochs_on_the_axis_are_whole_numbers_however_few_there_are():
    assert re.findall(r'class="tick">([^<]+)<', drawn(chart([1.0, 2.0]), 0).text) == ["1", "2"]


def test_the_best_value_is_drawn_however_many_there_are():
    ys = [1.0] * 50_000
    line = Line("val", range(1, 50_001), ys, "accent", best=12_345)
    (thin,) = LineChart("loss", "epoch", [line]).thin
    assert thin.best is not None
    assert thin.xs[thin.best] == 12_346
    assert len(thin.xs) <= 1001


def test_the_line_to_look_at_is_drawn_over_the_others_and_pruned_ones_under_them():
    lines = [Line(look, [1, 2], [1.0, 2.0], look) for look in ("accent", "plain", "faded")]
    page = read_page(drawn(LineChart("loss", "epoch", lines), 0).text)
    assert [path["data-line"] for path in page.all("path")] == ["2", "1", "0"]


def test_of_a_long_name_both_ends_are_shown():
    line = Line("mnist-with-a-long-name-0.005", [1, 2], [1.0, 2.0], "run-1")
    assert ">mnist-wi…ame-0.005<" in drawn(LineChart("loss", "epoch", [line]), 0).text
