"""Text that is safe to print: what would move a cursor, ring, hide or reorder the text around it is written out.

Names, paths and messages come from manifests, curves and training code. What they hold goes through here on its way
to a terminal or a log, in `terminal.say`, `terminal.write_line` and `console.Printing`.
"""

import re

_RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but newline and tab
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that change the direction of text
    "\u2028\u2029\ud800-\udfff]"
)
_COLOURS = re.compile(r"(\x1b\[[0-9;:]*m)")


def printable(text: str) -> str:
    r"""`text` with every such character as Python would write it, such as `\x1b`."""
    return _RAW.sub(lambda found: _written(ord(found[0])), text)


def on_one_line(text: str) -> str:
    """The same for a row of a table or a line of a log, in which a line break would begin another one."""
    return " ".join(printable(text).split())


def uncoloured(text: str) -> str:
    """The same, without the colours that a program has set for a terminal."""
    return printable(_COLOURS.sub("", text))


def coloured(text: str) -> str:
    """The same, but colours stay."""
    parts = _COLOURS.split(text)
    return "".join(part if number % 2 else printable(part) for number, part in enumerate(parts))


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
