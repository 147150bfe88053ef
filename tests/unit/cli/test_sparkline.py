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
    ],
)
def test_the_lowest_value_is_low_and_the_highest_high(values, line):
    assert drawn(values) == line


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
