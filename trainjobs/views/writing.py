"""Lines on standard output, for people and for programs."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from trainjobs.views.printable import printable


def write_line(text: str, out: TextIO | None = None) -> None:
    """One line on standard output, at once. A reader that is gone does not end a run; it gets no more lines."""
    out = out or sys.stdout
    try:
        print(printable(text), file=out, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def write_json(document: Mapping[str, Any], out: TextIO | None = None) -> None:
    """One JSON object in one line on standard output."""
    write_line(json.dumps(document, allow_nan=False).replace("\x7f", "\\u007f"), out)
