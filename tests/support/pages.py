"""The documentation's pages as tests read them."""

import re
import shlex
from pathlib import Path


def commands(page: Path) -> list[list[str]]:
    """The lines of a page's shell blocks, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [
        shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()
    ]
