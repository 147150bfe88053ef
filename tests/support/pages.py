"""The documentation's pages as tests read them."""

import re
import shlex
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """What stands in a page's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The lines of a page's shell blocks, without their comments."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]
