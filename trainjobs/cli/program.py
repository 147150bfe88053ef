"""How to call this program again, for commands that somebody copies."""

import shlex
import shutil
import sys
from pathlib import Path

NAME = "trainjobs"


def program() -> str:
    """`trainjobs` where the shell finds it, else the path by which it was called, else by this Python."""
    if shutil.which(NAME):
        return NAME
    if Path(sys.argv[0]).name == NAME:
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m {NAME}"
