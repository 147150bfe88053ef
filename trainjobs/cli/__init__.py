"""The command line: commands and how things look on a terminal, in a pipe and as JSON.

Read `app.py` first: it declares the commands; each has a module of its name. What a run did is read from its
directory (`local/run_report.py`) and told in one way (`rendering/summary.py`), when it has just ended and when it is
explained. `local/beginning.py` says what `run` may begin in a directory. What is printed goes through
`views/printable.py`.
Nothing here decides about training or imports torch or Ray; `run` starts the driver, which does.
"""

import io
import os
import sys

from trainjobs.exits import Exit, UserError

_CLICK_USAGE = 2


def main() -> None:
    """The `trainjobs` command."""
    _open_standard_streams()
    from trainjobs.cli.app import app
    from trainjobs.cli.rendering.terminal import say

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as leave:
        sys.exit(Exit.USAGE if leave.code == _CLICK_USAGE else leave.code)
    except UserError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)


def _open_standard_streams() -> None:
    """Where one was closed (`>&-`), the next file or socket that is opened would take its number, and its text."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            mode = "r" if name == "stdin" else "w"
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))
