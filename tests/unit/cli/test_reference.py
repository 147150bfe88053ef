"""docs/commands.md: up to date, with every command and every option."""

import subprocess
import sys
from pathlib import Path

from typer.main import get_command

from trainjobs.cli.app import app
from trainjobs.cli.reference import page

FILE = Path(__file__).parents[3] / "docs" / "commands.md"


def test_the_page_is_up_to_date():
    assert FILE.read_text() == page(), "run `make generate`"


def test_the_command_prints_the_page():
    command = [sys.executable, "-m", "trainjobs.cli.reference"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == page()


def test_every_command_and_option_is_there_with_its_help():
    group = get_command(app)
    for name, command in group.commands.items():
        section = page().partition(f"## trainjobs {name}\n")[2].partition("\n## ")[0]
        assert command.help.splitlines()[0] in section
        for each in command.params:
            assert each.help.replace("|", r"\|") in section, f"{name}: {each.name}"
            for option in each.opts if each.param_type_name == "option" else [each.metavar]:
                assert f"`{option}`".replace("|", r"\|") in section
