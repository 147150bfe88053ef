"""Commands that are proposed can be copied as they stand."""

import sys

import pytest
from rich.console import Console

from trainjobs.cli import program
from trainjobs.cli.rendering import terminal
from trainjobs.cli.rendering.summary import next_line


@pytest.mark.parametrize(
    ("found", "called", "expected"),
    [
        ("/usr/bin/trainjobs", ".venv/bin/trainjobs", "trainjobs"),
        (None, ".venv/bin/trainjobs", ".venv/bin/trainjobs"),
        (None, "/my place/trainjobs", "'/my place/trainjobs'"),
        (None, "/lib/trainjobs/__main__.py", f"{sys.executable} -m trainjobs"),
    ],
)
def test_it_is_called_as_it_was_called(monkeypatch, found, called, expected):
    monkeypatch.setattr(program.shutil, "which", lambda _: found)
    monkeypatch.setattr(sys, "argv", [called])
    assert program.program() == expected


@pytest.mark.parametrize("terminal_width", [40, 80])
def test_a_command_is_not_broken_on_a_terminal(monkeypatch, capsys, terminal_width):
    console = Console(width=terminal_width, force_terminal=True, color_system=None, highlight=False)
    monkeypatch.setattr(terminal, "console", lambda: console)
    command = "trainjobs replay runs/mnist --criteria manifests/examples/mnist/trainjob.yaml"
    terminal.show([next_line([command, command])])
    assert capsys.readouterr().out == f"Next  {command}\n      {command}\n"
