"""A curve in a few characters."""

import io

import pytest
from rich.console import Console

from trainjobs.cli.rendering.sparkline import WIDTH, Sparkline, drawn


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([3.0], "▁"),
        ([2.0, 2.0], "▁▁"),
        ([0.0, 7.0, 3.5], "▁█▅"),
        ([1.0, float("nan"), 0.0, float("inf")], "█x▁x"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([0.0, 5e-324], "▁▁"),
    ],
)
def test_the_lowest_value_is_low_and_the_highest_high(values, line):
    assert drawn(values) == line


@pytest.mark.parametrize("first", [[3.0], [9.0, 1.1, 0.5], [0.01, 0.2], [2.0] * 16])
def test_the_plateau_at_the_end_is_seen_whatever_came_before(first):
    latest = [0.41, 0.4, 0.42, 0.405, 0.415, 0.4, 0.41, 0.42]
    assert drawn([*first, *latest])[-8:] == drawn(latest) == "▄▁█▃▆▁▄█"
    assert set(drawn([*first, *latest])[: len(first)]) <= {"▁", "█"}


def shown(values, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=out, width=80)
    console.print(Sparkline(values))
    out.seek(0)
    return out.read().strip()


def test_only_the_latest_values_are_shown():
    assert len(shown(range(500), "utf-8")) == WIDTH


def test_a_terminal_that_knows_only_ascii_gets_none():
    assert shown([1.0, 2.0], "ascii") == ""
