"""The table of a sweep's trials at the widths of a terminal."""

import io

import pytest
from kept_sweeps import kept_sweep
from rich.console import Console

from trainjobs.cli.rendering.sweep_table import trials_table
from trainjobs.sweeps.lines import values


@pytest.mark.parametrize("width", [80, 200])
def test_no_value_of_a_parameter_is_broken_in_two(width, tmp_path):
    sweep = kept_sweep(tmp_path, trials=8, epochs=6)
    table = sweep.table(sweep.sweep().spec.objective)
    drawn = io.StringIO()
    Console(file=drawn, width=width).print(trials_table(table, rows=8))
    shown = set(drawn.getvalue().split())
    assert {word for trial in table.trials.values() for word in values(trial).split()} <= shown
    assert max(map(len, drawn.getvalue().splitlines())) <= width
