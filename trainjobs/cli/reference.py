"""The commands as a page for people: `python -m trainjobs.cli.reference` prints docs/commands.md.

Every word is that of `--help`. `make generate` writes the page; a test fails when the file is another.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

from typer.main import get_command

from trainjobs.cli.app import app

_HEAD: Final = """<!-- Generated from trainjobs/cli/app.py by `make generate`; change that, not this file. -->

# Every command

What `trainjobs COMMAND --help` says. How commands end is in [running.md](running.md#exit-codes), the fields of a
manifest are in [reference.md](reference.md).
"""


def page() -> str:
    """The page as Markdown."""
    group: Any = get_command(app)
    sections = (
        _section("trainjobs", group),
        *(_section(f"trainjobs {name}", group.commands[name]) for name in group.commands),
    )
    return "\n".join([_HEAD, *sections])


def _section(name: str, command: Any) -> str:
    return "\n".join(_lines(name, command))


def _lines(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    yield f"## {name}\n"
    yield f"{command.help}\n"
    yield "| | default | |\n|---|---|---|"
    yield from (_row(f"`{each.metavar}`", each) for each in arguments)
    yield from (
        _row(
            ", ".join(f"`{opt}`" for opt in each.opts) + (f" `{each.metavar}`" if each.metavar else ""), each
        )
        for each in options
    )
    yield ""


def _row(name: str, each: Any) -> str:
    cells = (name, _default(each), each.help)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in cells)} |"


def _default(each: Any) -> str:
    if each.required:
        return "**required**"
    if isinstance(each.show_default, str):
        return each.show_default
    return f"`{each.default}`" if each.show_default and each.default not in (None, "", False) else ""


if __name__ == "__main__":
    sys.stdout.write(page())
