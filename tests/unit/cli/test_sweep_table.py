"""The table of a sweep's trials, as wide as a pipe or a small terminal is."""

from io import StringIO

from kept_sweeps import kept_sweep
from rich.console import Console

from trainjobs.api.pruning import Objective
from trainjobs.cli.rendering.sweep_table import trials_table
from trainjobs.sweeps.lines import values


def test_no_value_is_broken_in_two(tmp_path):
    table = kept_sweep(tmp_path, 12, 4).table(Objective(metric="val_loss"))
    out = StringIO()
    Console(file=out, width=80).print(trials_table(table, 12))
    words = out.getvalue().split()
    for trial in table.trials.values():
        assert set(values(trial).split()) <= set(words)
